"""Compressed models in files: HDF5 (format `sshml-model`, version 1, tree in data/README.md) and safetensors."""

import json
from importlib.metadata import version

import numpy as np
import torch
from torch import nn

from sshml.arguments import as_module, as_path
from sshml.compression.attention import CompressedAttention, compressed_modules
from sshml.compression.model import LAYERS
from sshml.compression.modules import copied, leaves_chance_alone
from sshml.errors import SSHMLError, one_line
from sshml.files import new_file
from sshml.hdf5 import crc32, new_hdf5, open_hdf5, refuse_foreign, seal

FORMAT, FORMAT_VERSION = "sshml-model", 1

ENDINGS = (".h5", ".hdf5", ".safetensors")

BITS = {1: torch.uint8, 2: torch.int16}
"""Integers that hold the bits of numbers of so many bytes in types that HDF5 does not know."""


def save_model(model, path, force=False):
    """Write a model, compressed or not, to a file that holds numbers and texts only; nothing is pickled.

    Args:
        model: any `nn.Module` whose state is tensors.
        path: the file to make, .h5 or .safetensors.
        force: replace a file that exists.

    Raises:
        SSHMLError: another ending, a state that holds more than tensors, or a file that exists or cannot be written.
    """
    path = as_path(path)
    ending = _ending(path)
    as_module(model)
    state, about = model.state_dict(), description(model)
    for name, tensor in state.items():
        if not isinstance(tensor, torch.Tensor) or tensor.device.type == "meta" or tensor.layout is not torch.strided:
            raise SSHMLError(f"{name} is no dense tensor with numbers; a model file holds nothing else.")
        if tensor.is_quantized or tensor.dtype == torch.complex32:
            raise SSHMLError(f"{name} is {tensor.dtype}, which model files do not hold; convert it first.")
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    with new_file(path, force, sum(tensor.nbytes for tensor in state.values())) as partial:
        if ending == ".safetensors":
            texts = {"format": FORMAT, "format_version": str(FORMAT_VERSION), "created_by": _by()}
            texts["model"] = json.dumps(about)
            texts["crc32"] = _checksum(state, texts["model"])
            _safetensors().save_file({name: tensor.clone() for name, tensor in state.items()}, partial, texts)
            return
        with new_hdf5(partial) as file:
            file.attrs["format"], file.attrs["format_version"] = FORMAT, FORMAT_VERSION
            file.attrs["created_by"], file.attrs["model"] = _by(), json.dumps(about)
            group = file.create_group("state")
            for number, (name, tensor) in enumerate(state.items()):
                data = group.create_dataset(str(number), data=_for_hdf5(tensor))
                data.attrs["name"], data.attrs["dtype"] = name, str(tensor.dtype).removeprefix("torch.")
        seal(partial)


@leaves_chance_alone
def load_model(path, factory):
    """Return the model of a file, in evaluation mode, on the CPU.

    Args:
        path: a file that `save_model` wrote.
        factory: class or callable without arguments that returns a model of the original architecture, whose numbers
            play no role.

    Raises:
        SSHMLError: no such file, a foreign or damaged one, or a factory of another architecture.
    """
    path = as_path(path)
    about, state = model_contents(path)
    if not callable(factory):
        raise SSHMLError(f"factory is a {type(factory).__name__}; give the class of the original model, or a function.")
    model = made_by(factory)
    try:
        model = with_layers(model, about["layers"], state)
        _take_types(model, state)
        model.load_state_dict(state)
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError, IndexError) as error:
        raise SSHMLError(
            f"{path} holds a {about.get('class')} that the factory's {type(model).__name__} is not: {one_line(error)}"
        ) from None
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name not in about["frozen"] and parameter.requires_grad)
    return model.eval()


def model_contents(path):
    """Return what a model file holds: (its class, compressed layers and frozen parameters as plain data, its tensors).

    Args:
        path: a file that `save_model` wrote.

    Raises:
        SSHMLError: no such file, a foreign or damaged one.
    """
    path = as_path(path)
    return _read_safetensors(path) if _ending(path) == ".safetensors" else _read_hdf5(path)


def made_by(factory):
    """Return a module of a factory; one that somebody holds already is copied, and the random state stays.

    Raises:
        SSHMLError: the factory raises, or returns something else.
    """
    try:
        model = factory()
    except (Exception, SystemExit) as error:  # a factory of anybody's
        raise SSHMLError(f"the factory cannot be called without arguments: {one_line(error)}.") from None
    if not isinstance(model, nn.Module):
        raise SSHMLError(f"the factory returns a {type(model).__name__}; expected an nn.Module.")
    return copied(model)


def description(model):
    """Return what rebuilds the layers of a model as plain data: its class, compressed layers, frozen parameters."""
    return {
        "class": type(model).__name__,
        "layers": compressed_layers(model),
        "frozen": [name for name, parameter in model.named_parameters() if not parameter.requires_grad],
    }


def compressed_layers(model):
    """Return {path: {"class", "arguments"}} of the compressed layers of a model, without the parts of others."""
    return {
        path: {"class": type(module).__name__, "arguments": module.config()}
        for path, module in compressed_modules(model, remove_duplicate=False).items()
    }


def with_layers(model, layers, state=None):
    """Return a model with empty compressed layers where `compressed_layers` says; shared ones stay shared.

    Where the state that will fill them is given, their sizes are compared with it before they are made.
    """
    made = {}
    for path, about in layers.items():
        old = model.get_submodule(path)
        if id(old) not in made:
            if state is not None and not {"order", "device"} & set(about["arguments"]):
                with torch.device("meta"):
                    wanted = LAYERS[about["class"]](**about["arguments"]).state_dict()
                for name, tensor in wanted.items():
                    found = state.get(f"{path}.{name}" if path else name, tensor)
                    if found.shape != tensor.shape:
                        raise ValueError(f"{path}.{name} is {tuple(found.shape)}, declared {tuple(tensor.shape)}")
            new = LAYERS[about["class"]](**about["arguments"])
            if isinstance(new, CompressedAttention) and isinstance(old, nn.MultiheadAttention):
                new.out_proj = old.out_proj
            made[id(old)] = old, new
        if path:
            model.set_submodule(path, made[id(old)][1])
        else:
            model = made[id(old)][1]
    return model


def _take_types(model, state):
    """Give the tensors of a model the types of those of a state."""
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if name in state and tensor.dtype != state[name].dtype:
            tensor.data = tensor.data.to(state[name].dtype)


def _ending(path):
    if path.suffix not in ENDINGS:
        raise SSHMLError(f"{path} has no known ending; end a model file in one of {', '.join(ENDINGS)}.")
    return path.suffix


KNOWN = {
    *(torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2),
    *(torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8, torch.bool, torch.complex64, torch.complex128),
}
"""Types of numbers that a file may hold."""


def _for_hdf5(tensor):
    try:
        return tensor.numpy()
    except TypeError:
        return tensor.view(BITS[tensor.itemsize]).numpy()


def _by():
    return f"sshml {version('sshml')}"


def _safetensors():
    try:
        import safetensors.torch
    except ImportError:
        raise SSHMLError("safetensors is not installed; pip install 'sshml[export]', or write .h5.") from None
    return safetensors.torch


def _checksum(state, text):
    found = crc32(text.encode())
    for name in sorted(state):
        found = crc32(np.ascontiguousarray(state[name].reshape(-1).view(torch.uint8).numpy()), found)
    return str(found)


def _read_hdf5(path):
    with open_hdf5(path, FORMAT, FORMAT_VERSION, sealed=True) as file:
        refuse_foreign(file, path)
        try:
            about = json.loads(file.attrs["model"])
            state = {}
            for number in range(len(file["state"])):
                data = file["state"][str(number)]
                dtype = getattr(torch, data.attrs["dtype"])
                if dtype not in KNOWN:
                    raise ValueError(f"numbers of the type {data.attrs['dtype']}")
                state[data.attrs["name"]] = torch.from_numpy(np.asarray(data[()])).view(dtype)
        except (AttributeError, KeyError, OSError, RecursionError, RuntimeError, TypeError, ValueError) as error:
            raise SSHMLError(f"{path} is a damaged {FORMAT} file: {one_line(error)}.") from None
    return _checked(path, about), state


def _read_safetensors(path):
    if not path.is_file():
        raise SSHMLError(f"{path} does not exist or is not a file.")
    _safetensors()
    import safetensors

    try:
        with safetensors.safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            if about.get("format") != FORMAT:
                raise SSHMLError(f"{path} is no {FORMAT} file: its metadata do not say how the model is built.")
            if about.get("format_version") != str(FORMAT_VERSION):
                raise SSHMLError(f"{path} has {FORMAT} version {about.get('format_version')}; this release reads 1.")
            state = {name: file.get_tensor(name) for name in file.keys()}
            if about.get("crc32") != _checksum(state, about.get("model", "")):
                raise SSHMLError(f"{path} is damaged: its numbers differ from their checksum.")
            return _checked(path, json.loads(about["model"])), state
    except SSHMLError:
        raise
    except (safetensors.SafetensorError, KeyError, OSError, RecursionError, TypeError, ValueError) as error:
        raise SSHMLError(f"{path} is a damaged safetensors file: {one_line(error)}.") from None


def _checked(path, about):
    if (
        not isinstance(about, dict)
        or not isinstance(about.get("layers"), dict)
        or not isinstance(about.get("frozen"), list)
    ):
        raise SSHMLError(f"{path} is a damaged {FORMAT} file: it does not say how the model is built.")
    return about
