"""Replace layers of a model by compressed ones, and count what is stored."""

import copy

from torch import nn

from sshml.compression.layer import CompressedLinear
from sshml.compression.lowrank import LowRankLinear
from sshml.compression.pruning import MaskedLinear
from sshml.errors import SSHMLError

METHODS = {"svd": LowRankLinear, "prune": MaskedLinear}
LAYERS = {layer.__name__: layer for layer in METHODS.values()}


def linear_layers(model):
    """Return {name: module} of the linear layers of a model, compressed ones included, in the order it holds them."""
    return {name: m for name, m in model.named_modules() if isinstance(m, (nn.Linear, CompressedLinear))}


def find_layer(model, layer):
    """Return the name of a linear layer given by its name or by its number among the linear layers.

    Raises:
        SSHMLError: there is no such layer; the message lists those that are.
    """
    names = list(linear_layers(model))
    if isinstance(layer, int) and -len(names) <= layer < len(names):
        return names[layer]
    if layer in names:
        return layer
    known = ", ".join(f"{number} ({name})" for number, name in enumerate(names)) or "none"
    raise SSHMLError(f"layer {layer!r} is not a linear layer of this {type(model).__name__}; it has {known}.")


def compress(model, layer=0, method="svd", **size):
    """Return a copy of a model with one linear layer, or several, in compressed form.

    Args:
        model: any `nn.Module` with linear layers; it is left as it is.
        layer: name of the layer, its number among the linear layers, or a list of these.
        method: "svd" (rank=...) or "prune" (keep=...).
        **size: passed to the layer's `from_dense`, also allow_growth=True.

    Raises:
        SSHMLError: unknown method or layer, a layer compressed before, a size out of range.

    >>> model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> n_parameters(model), n_parameters(compress(model, 0, "svd", rank=2))
    (90, 58)
    """
    if method not in METHODS:
        raise SSHMLError(f"method {method!r} is unknown; choose one of {', '.join(METHODS)}.")
    if set(size) - {"allow_growth"} != {METHODS[method].size}:
        got = ", ".join(size) or "nothing"
        raise SSHMLError(f"method {method!r} takes {METHODS[method].size}=...; got {got}.")
    model = copy.deepcopy(model)
    for one in layer if isinstance(layer, (list, tuple)) else [layer]:
        name = find_layer(model, one)
        dense = model.get_submodule(name)
        if not isinstance(dense, nn.Linear):
            raise SSHMLError(f"layer {name!r} is a {type(dense).__name__} already; call its to_dense() first.")
        new = METHODS[method].from_dense(dense, **size)
        if dense is model:
            return new
        for place, module in list(model.named_modules(remove_duplicate=False)):  # a shared layer stays shared
            if module is dense:
                model.set_submodule(place, new)
    return model


def n_parameters(model):
    """Return the number of parameters stored in a model."""
    return sum(parameter.numel() for parameter in model.parameters())


def n_bytes(model):
    """Return the bytes of all parameters and buffers of a model, indices included."""
    return sum(tensor.nbytes for tensor in (*model.parameters(), *model.buffers()))
