"""Weights, history and spec of a run in one HDF5 file: format `sshml-run`, version 2 (tree in data/README.md)."""

import dataclasses
import functools
import json
from importlib.metadata import version

import numpy as np
import torch

from sshml.arguments import as_state, function, instance
from sshml.classifier.deep import VGG, DenseNet, ResNet
from sshml.classifier.ensemble import is_patched
from sshml.classifier.features import WindingNetwork
from sshml.classifier.networks import MLP, LeNet5
from sshml.classifier.run import Run
from sshml.classifier.spec import TrainingSpec
from sshml.errors import SSHMLError, one_line
from sshml.files import new_file
from sshml.hdf5 import new_hdf5, open_hdf5, refuse_foreign, seal

NETWORKS = {network.__name__: network for network in (MLP, LeNet5, VGG, ResNet, DenseNet, WindingNetwork)}
"""Those that a file of a run builds by itself."""
FORMAT, FORMAT_VERSION, SEALED_SINCE = "sshml-run", 2, 2


def save_run(run, path, force=False):
    """Write a run to an HDF5 file.

    Args:
        run: the `Run`.
        path: the file to make.
        force: replace a file that exists.

    Raises:
        SSHMLError: the file exists or cannot be written.
    """
    model = instance(run, "run", Run, "a Run, as `fit` and `load_run` return it").model()
    with new_file(path, force) as partial:
        with new_hdf5(partial) as file:
            _write(run, model, file)
        seal(partial)


def _write(run, model, file):
    file.attrs["format"] = FORMAT
    file.attrs["format_version"] = FORMAT_VERSION
    file.attrs["created_by"] = f"sshml {version('sshml')}"
    file.attrs["network"] = json.dumps(describe(model))
    file.attrs["training"] = json.dumps(dataclasses.asdict(run.training), sort_keys=True)
    if run.data is not None:
        file.attrs["data"] = run.data
    file["seeds"], file["epoch"] = run.seeds, run.epoch
    for group in ("weights", "initial", "history"):
        folder = file.create_group(group)
        for name, array in getattr(run, group).items():
            folder[name] = np.asarray(array)


def load_run(path, factory=None, layers=None):
    """Read a run file.

    Args:
        path: the HDF5 file.
        factory: callable that returns an untrained network, for networks that are not in `sshml.classifier`.
        layers: {class name: class} of the compressed layers a file may hold: `sshml.compression.LAYERS`.

    Returns:
        The `Run`.

    Raises:
        SSHMLError: not a run file, a damaged one, or a network that needs `factory` or `layers`.
    """
    function(factory, "factory", optional=True)
    layers = {} if layers is None else instance(layers, "layers", dict, "sshml.compression.LAYERS")
    with open_hdf5(path, FORMAT, FORMAT_VERSION, sealed_since=SEALED_SINCE) as file:
        refuse_foreign(file, path)
        try:
            network = json.loads(file.attrs["network"])
            training = TrainingSpec(**json.loads(file.attrs["training"]))
            seeds, epoch = np.asarray(file["seeds"][()]), np.asarray(file["epoch"][()])
            history = {name: np.asarray(array[()]) for name, array in file["history"].items()}
            weights, initial = (
                {name: torch.from_numpy(np.asarray(array[()])) for name, array in file[group].items()}
                for group in ("weights", "initial")
            )
            data = file.attrs.get("data")
        except SSHMLError as error:
            raise SSHMLError(f"{path}: {error}") from None
        except (AttributeError, KeyError, OSError, RecursionError, RuntimeError, TypeError, ValueError) as error:
            raise SSHMLError(f"{path} is a damaged {FORMAT} file: {error}.") from None
    _check_kinds(network, seeds, epoch, history, data, path)
    shapes = [np.shape(a)[:1] for a in (seeds, epoch, *weights.values(), *initial.values(), *history.values())]
    if not isinstance(network, dict) or len(set(shapes)) != 1 or shapes[0] in ((), (0,)):
        raise SSHMLError(f"{path} is a damaged {FORMAT} file: its arrays have {sorted(set(shapes))} members.")
    own = factory is None
    factory = _factory(network, layers, path) if own else factory
    run = Run(factory, seeds, weights, initial, history, epoch, training, data)
    try:
        if own and not any("order" in layer["arguments"] for layer in network.get("layers", {}).values()):
            with torch.device("meta"):  # sizes are compared before anything of them is made
                declared = {name: tuple(tensor.shape) for name, tensor in factory().state_dict().items()}
            held = {name: tuple(tensor.shape[1:]) for name, tensor in weights.items()}
            if declared != held:
                name = next(name for name in {**declared, **held} if declared.get(name) != held.get(name))
                raise ValueError(f"{name} is {held.get(name)}, declared {declared.get(name)}")
        for state in filter(None, (weights, initial)):
            model = run.model(len(run) - 1, initial=state is initial)
            as_state({name: tensor[0] for name, tensor in state.items()}, model, path)
    except MemoryError:
        raise
    except Exception as error:  # of a network that is described otherwise than it is, or made by the caller
        reason = one_line(error)
        raise SSHMLError(f"{path}: /weights do not fit the network {network.get('class')}: {reason:.300}") from None
    return run


def _check_kinds(network, seeds, epoch, history, data, path):
    """Raise where a file holds something of another kind than a run does."""

    def described(part):
        return isinstance(part, dict) and isinstance(part.get("class"), str)

    layers = network.get("layers", {}) if described(network) else None
    makes = [network, *layers.values()] if isinstance(layers, dict) else [None]
    kinds = {
        "network": all(
            described(part)
            and isinstance(part.get("arguments", {}), dict)
            and "device" not in part.get("arguments", {})
            for part in makes
        )
        and all(isinstance(name, str) for name in network.get("frozen", ())),
        "seeds": seeds.dtype.kind in "iu" and seeds.ndim == 1 and (seeds >= 0).all(),
        "epoch": epoch.dtype.kind in "iu" and epoch.ndim == 1 and (epoch >= 1).all(),
        "history": {"train_loss", "valid_accuracy"} <= set(history)
        and all(array.dtype.kind == "f" and array.ndim == 2 for array in history.values()),
        "data": data is None or isinstance(data, str),
    }
    if wrong := [name for name, right in kinds.items() if not right]:
        raise SSHMLError(f"{path} is a damaged {FORMAT} file: its {wrong[0]} is of another kind than that of a run.")
    longest = max((array.shape[1] for array in history.values()), default=None)
    if longest is not None and epoch.max(initial=0) > longest:
        raise SSHMLError(f"{path} is a damaged {FORMAT} file: epoch {epoch.max()} of {longest}.")


def describe(model):
    """Return what `load_run` needs to build a network as plain data: class, arguments, compressed layers, frozen names.

    Of a network that has hooks or was changed otherwise the class alone, named as changed.
    """
    name = type(model).__name__
    if NETWORKS.get(name) is not type(model):
        return {"class": name}
    replaced = {}
    for path, module in model.named_modules():
        if hasattr(module, "config") and not any(path.startswith(f"{outer}.parts.") for outer in replaced):
            replaced[path] = module
    if not _is_as_made(model, replaced):
        return {"class": f"changed {name}"}
    return {
        "class": name,
        "arguments": model.arguments,
        "layers": {path: {"class": type(m).__name__, "arguments": m.config()} for path, m in replaced.items()},
        "frozen": [name for name, parameter in model.named_parameters() if not parameter.requires_grad],
    }


def _is_as_made(model, replaced):
    """Return whether the class and its arguments make the same network, but for the layers that were replaced."""
    if is_patched(model):
        return False
    made = type(model)(**model.arguments)

    def described(network):
        leaves = [(path, m) for path, m in network.named_modules() if not next(m.children(), None)]
        return [(path, repr(m)) for path, m in leaves if not any(f"{path}.".startswith(f"{r}.") for r in replaced)]

    floats = {p.dtype for p in model.parameters() if p.is_floating_point()}
    return described(made) == described(model) and floats <= {torch.float32}


def _factory(network, layers, path):
    unknown = {layer["class"] for layer in network.get("layers", {}).values()} - set(layers)
    if network.get("class") not in NETWORKS:
        raise SSHMLError(
            f"{path} holds networks of the class {network.get('class')!r}; pass factory=..., a function"
            " without arguments that builds them as they were saved, compressed layers included."
        )
    if unknown:
        raise SSHMLError(f"{path} holds {', '.join(sorted(unknown))}; pass layers=sshml.compression.LAYERS.")
    return functools.partial(_build, network, layers)


def _build(network, layers):
    model = NETWORKS[network["class"]](**network["arguments"])
    for name, layer in network.get("layers", {}).items():
        model.set_submodule(name, layers[layer["class"]](**layer["arguments"]))
    for name in network.get("frozen", ()):
        model.get_parameter(name).requires_grad_(False)
    return model
