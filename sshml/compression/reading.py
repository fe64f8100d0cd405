"""Models of others from files: exported programs, state dicts, safetensors."""

import contextlib
import os
import threading
import zipfile

import torch
import torch.fx
from torch import nn

from sshml.arguments import as_path, as_state, function
from sshml.compression.exporting import quiet
from sshml.compression.saving import load_model, made_by
from sshml.errors import SSHMLError, one_line
from sshml.files import refuse_broken_zip

PROGRAM, STATES = ".pt2", (".pt", ".pth", ".bin", ".ckpt", ".safetensors")

LINEAR = torch.ops.aten.linear.default
CONVOLUTIONS = {torch.ops.aten.conv1d.default: nn.Conv1d, torch.ops.aten.conv2d.default: nn.Conv2d}


def read_module(path, factory=None):
    """Return the module of a file, in evaluation mode: nothing in the file is executed but a program's own operations.

    Args:
        path: a program of `torch.export` (.pt2); a model of `save_model` (.h5, .safetensors); or a state dict (.pt,
            .pth, .bin, .ckpt, .safetensors).
        factory: callable without arguments that returns the module; not needed for a program.

    Raises:
        SSHMLError: no such file, a foreign or damaged one, no factory, or one of another architecture.
    """
    path = as_path(path)
    function(factory, "factory", optional=True)
    if not path.is_file():
        raise SSHMLError(f"{path} does not exist or is not a file.")
    refuse_broken_zip(path)
    if path.suffix == PROGRAM:
        _refuse_empty_weights(path)
        try:
            with _without_pickles(), quiet():
                return modules_of(torch.export.load(path))
        except SSHMLError:
            raise
        except Exception as error:  # whatever a damaged archive leads to
            raise SSHMLError(f"{path} is no program of torch.export ({one_line(error)}).") from None
    if factory is None:
        raise SSHMLError(
            f"{path} holds numbers only; give the function that makes the module (--factory module:function)."
        )
    if path.suffix not in STATES or (path.suffix == ".safetensors" and _is_ours(path)):
        return load_model(path, factory)
    state = _state(path)
    model = made_by(factory)
    try:
        model.load_state_dict(as_state(state, model, path))
    except SSHMLError:
        raise
    except Exception as error:  # a load_state_dict of anybody's
        raise SSHMLError(f"{path} does not fit the factory's {type(model).__name__}: {one_line(error)}") from None
    return model.eval()


def _refuse_empty_weights(path):
    """Raise where a program's archive has a weight without numbers, in whose place PyTorch leaves what is in memory."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        empty = [entry.filename for entry in archive.infolist() if "/data/" in entry.filename and not entry.file_size]
    if empty:
        raise SSHMLError(f"{path} is damaged: its entry {empty[0]:.200} is empty.")


@contextlib.contextmanager
def _without_pickles():
    """Keep `torch.export.load` from unpickling what `torch.load` refuses to read as numbers, which it tries next."""
    name = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
    with _reading:
        before = os.environ.get(name)
        os.environ[name] = "1"
        try:
            yield
        finally:
            if before is None:
                del os.environ[name]
            else:
                os.environ[name] = before


_reading = threading.Lock()


def _is_ours(path):
    import safetensors

    try:
        with safetensors.safe_open(path, framework="pt") as file:
            return "model" in (file.metadata() or {})
    except (safetensors.SafetensorError, OSError) as error:
        raise SSHMLError(f"{path} is a damaged safetensors file: {one_line(error)}.") from None


def _state(path):
    try:
        if path.suffix == ".safetensors":
            import safetensors.torch

            return safetensors.torch.load_file(path)
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a damaged or foreign file leads to
        raise SSHMLError(f"{path} is no state dict that can be read safely ({one_line(error)}).") from None
    found = found.get("state_dict", found) if isinstance(found, dict) else found
    if not isinstance(found, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in found.values()):
        raise SSHMLError(f"{path} holds a {type(found).__name__}; expected a state dict of tensors.")
    if bad := [name for name, tensor in found.items() if tensor.is_complex() or tensor.device.type == "meta"]:
        raise SSHMLError(f"{path}: {bad[0]} holds complex numbers, or none; expected real ones.")
    return found


def modules_of(program):
    """Return the graph of an exported program with its products and convolutions as modules of PyTorch again."""
    graph_module = program.module()
    graph = graph_module.graph
    for node in list(graph.nodes):
        if node.op != "call_function" or node.target not in (LINEAR, *CONVOLUTIONS):
            continue
        weight, bias = node.args[1], node.args[2] if len(node.args) > 2 else None
        alone = all(each is None or (each.op == "get_attr" and len(each.users) == 1) for each in (weight, bias))
        if not alone or not isinstance(_attribute(graph_module, weight.target), nn.Parameter):
            continue
        layer = _layer(
            node, *(None if each is None else _attribute(graph_module, each.target) for each in (weight, bias))
        )
        path = weight.target.rpartition(".")[0]
        own = f"{path}." if path else ""
        if not path or [
            n for n, _ in graph_module.get_submodule(path).named_parameters() if f"{own}{n}" not in _names(weight, bias)
        ]:
            path = weight.target.replace(".", "_") + "_layer"
            graph_module.add_submodule(path, layer)
        else:
            graph_module.set_submodule(path, layer)
        with graph.inserting_before(node):
            new = graph.call_module(path, (node.args[0],))
        node.replace_all_uses_with(new)
        graph.erase_node(node)
        for each in (weight, bias):
            if each is not None:
                graph.erase_node(each)
    graph.lint()
    return torch.fx.GraphModule(graph_module, graph, "Program")  # one that can be put in evaluation mode


def _names(*nodes):
    return {node.target for node in nodes if node is not None}


def _attribute(module, target):
    for name in target.split("."):
        module = getattr(module, name, None)
    return module


def _layer(node, weight, bias):
    """Return the module of PyTorch for a product or a convolution of a graph, with the same parameters."""
    with torch.device("meta"):
        if node.target is LINEAR:
            layer = nn.Linear(weight.shape[1], weight.shape[0], bias is not None)
        else:
            stride, padding, dilation, groups = (*node.args[3:], *([1], [0], [1], 1)[len(node.args) - 3 :])
            channels, sizes = weight.shape[1] * groups, tuple(weight.shape[2:])
            spread = [tuple(each) * (len(sizes) // len(each)) for each in (stride, padding, dilation)]
            kind = CONVOLUTIONS[node.target]
            layer = kind(channels, len(weight), sizes, *spread, groups, bias is not None)
    layer.weight, layer.bias = weight, bias
    return layer
