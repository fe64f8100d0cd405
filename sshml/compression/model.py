"""Replace layers of a model by compressed ones, and count what is stored."""

import copy

from torch import nn

from sshml.compression.layer import CompressedLinear
from sshml.compression.lowrank import LowRankLinear
from sshml.compression.mpo import MPOLinear
from sshml.compression.pruning import MaskedLinear
from sshml.errors import SSHMLError

METHODS = {"svd": LowRankLinear, "mpo": MPOLinear, "prune": MaskedLinear}
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
        method: "svd" (rank=...), "mpo" (max_bond=... or cutoff=..., also shape=..., order=...) or "prune" (keep=...).
        **size: passed to the layer's `from_dense`, also allow_growth=True.

    Raises:
        SSHMLError: unknown method or layer, a layer compressed before, a size out of range.

    >>> model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> n_parameters(model), n_parameters(compress(model, 0, "svd", rank=2))
    (90, 58)
    """
    if method not in METHODS:
        raise SSHMLError(f"method {method!r} is unknown; choose one of {', '.join(METHODS)}.")
    kind = METHODS[method]
    if not set(size) & set(kind.sizes) or set(size) - {*kind.sizes, *kind.options, "allow_growth"}:
        got, options = ", ".join(size) or "nothing", f" (options: {', '.join(kind.options)})" * bool(kind.options)
        raise SSHMLError(f"method {method!r} takes {' or '.join(f'{s}=...' for s in kind.sizes)}{options}; got {got}.")
    layers = layer if isinstance(layer, (list, tuple)) else [layer]
    return _replace(model, layers, lambda dense, _: kind.from_dense(dense, **size))


def tensorize(model, shapes, max_bond, orders=None):
    """Return a copy of a model with linear layers as matrix product operators of fresh random cores, to be trained.

    Args:
        model: any `nn.Module`; its weights play no role for the layers named, their biases start anew too.
        shapes: {layer: `MPOShape` or (out_dims, in_dims), or None for the automatic one}; a layer is a name or number.
        max_bond: bond dimension of all layers, or {layer: bond}.
        orders: {layer: (order of the outputs, order of the inputs)}, for the layers whose neurons are not taken as they
            come.

    Raises:
        SSHMLError: no such layer, a shape that does not fit it, a bond under 1.

    >>> model = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))
    >>> n_parameters(tensorize(model, {0: ((4, 4, 4, 4), (4, 7, 7, 4))}, max_bond=4))
    3850
    """
    bonds = max_bond if isinstance(max_bond, dict) else dict.fromkeys(shapes, max_bond)
    if set(bonds) != set(shapes):
        raise SSHMLError(f"max_bond names the layers {list(bonds)} and shapes {list(shapes)}; they must agree.")
    if not set(orders or {}) <= set(shapes):
        raise SSHMLError(f"orders names the layers {list(orders)} and shapes {list(shapes)}; name them alike.")

    def fresh(dense, layer):
        bias, order = dense.bias is not None, (orders or {}).get(layer)
        like = {"device": dense.weight.device, "dtype": dense.weight.dtype}
        return MPOLinear(dense.in_features, dense.out_features, shapes[layer], bonds[layer], bias, order, **like).train(
            dense.training
        )

    return _replace(model, list(shapes), fresh)


def _replace(model, layers, make):
    """Return a copy of a model with make(dense layer, layer) in the place of each of its layers."""
    model = copy.deepcopy(model)
    for layer in layers:
        name = find_layer(model, layer)
        dense = model.get_submodule(name)
        if not isinstance(dense, nn.Linear):
            raise SSHMLError(f"layer {name!r} is a {type(dense).__name__} already; call its to_dense() first.")
        new = make(dense, layer)
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
