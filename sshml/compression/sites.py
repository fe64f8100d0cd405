"""Where the matrices of a model are, and what keeps the others from being compressed."""

import contextlib
import copy
import dataclasses
import warnings

import torch
from torch import nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter
from torch.nn.utils import parametrize

from sshml.compression.attention import PARTS, CompressedAttention
from sshml.compression.convolution import CompressedConv
from sshml.compression.layer import HALF, CompressedLinear
from sshml.errors import SSHMLError, one_line

KINDS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.MultiheadAttention)
"""Layers whose matrices can be compressed; so can those of their subclasses that leave the forward pass as it is."""

DTYPES = (*HALF, torch.float32, torch.float64)

PROJECTIONS = ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight")


@dataclasses.dataclass(frozen=True)
class Site:
    """A matrix of a model, or one for each group of a convolution.

    Args:
        path: of the module, "" for the model itself.
        part: "q", "k" or "v" of an attention; "" elsewhere.
        kind: class of the layer, as "Conv2d".
        groups: number of matrices.
        out_features: rows of each; of a convolution output channels / groups.
        in_features: columns of each; of a convolution input channels / groups * kernel.
        numbers: stored for it now, those that parametrise the weight where something does.
        n_bytes: stored for it now.
    """

    path: str
    part: str
    kind: str
    groups: int
    out_features: int
    in_features: int
    numbers: int
    n_bytes: int

    @property
    def name(self):
        """The path, with the part behind it: "encoder.self_attn.q"."""
        return ".".join(filter(None, (self.path, self.part)))

    def matrices(self, model):
        """Return the weight as matrices (group, out, in), detached."""
        with torch.no_grad():
            weight = _weight(model.get_submodule(self.path), self.part)
        return weight.detach().reshape(self.groups, self.out_features, self.in_features)


def survey(model):
    """Return ({name: `Site`}, {path: reason}): what can be compressed, and why the other modules with numbers cannot.

    Raises:
        SSHMLError: not a module, or one whose parameters do not exist yet.
    """
    if not isinstance(model, nn.Module):
        raise SSHMLError(f"got a {type(model).__name__}; expected an nn.Module.")
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if isinstance(tensor, (UninitializedParameter, UninitializedBuffer)):
            raise SSHMLError(f"{name} has no shape yet; run the model once, so that its lazy layers are made.")
    sites, reasons, tied, held, skipped = {}, {}, _tied(model), _held(model), []
    for path, module in model.named_modules():
        if any(path.startswith(start) for start in skipped):
            continue
        prefix = f"{path}." if path else ""
        if isinstance(module, (CompressedLinear, CompressedConv, CompressedAttention)):
            reasons[path] = "compressed already"
            skipped.append(f"{prefix}parts" if isinstance(module, CompressedAttention) else prefix)
            if not prefix and not isinstance(module, CompressedAttention):
                break
            continue
        if parametrize.is_parametrized(module):
            skipped.append(f"{prefix}parametrizations")
        if _kind(module) is None and not [*module.parameters(recurse=False), *module.buffers(recurse=False)]:
            continue
        reason = _reason(path, module, tied, held)
        if reason is None:
            sites |= {site.name: site for site in _sites(path, module)}
        else:
            reasons[path] = reason
    return sites, reasons


def _sites(path, module):
    kind = _kind(module)
    if kind is nn.MultiheadAttention:
        weights = [_weight(module, part) for part in PARTS]
        return [
            Site(path, part, kind.__name__, 1, *w.shape, w.numel(), w.nbytes)
            for part, w in zip(PARTS, weights, strict=True)
        ]
    weight, groups = module.weight, getattr(module, "groups", 1)
    stored = [weight]
    if parametrize.is_parametrized(module, "weight"):
        own = module.parametrizations.weight
        stored = [*own.parameters(), *own.buffers()]
    sizes = sum(t.numel() for t in stored), sum(t.nbytes for t in stored)
    return [Site(path, "", kind.__name__, groups, len(weight) // groups, weight[0].numel(), *sizes)]


def _kind(module):
    return next((kind for kind in KINDS if isinstance(module, kind)), None)


def _weight(module, part):
    if not part:
        return module.weight
    if module.in_proj_weight is None:
        return getattr(module, f"{part}_proj_weight")
    return module.in_proj_weight.chunk(3)[PARTS.index(part)]


def _reason(path, module, tied, held):
    """Return why a module stays as it is, None where it can be compressed."""
    kind, name = _kind(module), type(module).__name__
    if kind is None:
        return f"{name} has no compressed form"
    methods = ("forward", "__call__", "_conv_forward", "__getattr__")
    if any(getattr(type(module), m, None) is not getattr(kind, m, None) for m in methods) or "forward" in vars(module):
        return f"its class {name} has a forward pass of its own"
    wanted = ("bias",) if kind is nn.MultiheadAttention else ("weight", "bias")
    made = [own for own in wanted if own not in module._parameters and not parametrize.is_parametrized(module, own)]
    if kind is nn.MultiheadAttention:
        made = [own for own in PROJECTIONS if own not in module._parameters]
    if made:
        return f"its {made[0]} is made by a hook or a property"
    own = {*module._parameters, *module._buffers} - {"weight", "bias", *PROJECTIONS, "in_proj_bias", "bias_k", "bias_v"}
    if own:
        return f"its class {name} holds {', '.join(sorted(own))} beside its weight"
    with torch.no_grad():
        weights = [_weight(module, part) for part in (PARTS if kind is nn.MultiheadAttention else ("",))]
    for weight in weights:
        if type(weight.data) is not torch.Tensor or weight.layout is not torch.strided:
            return f"its weight is a {type(weight.data).__name__} of layout {weight.layout}"
        if weight.dtype not in DTYPES:
            return f"its weight is {weight.dtype}"
        if weight.device.type == "meta":
            return "its weight is on the meta device, without numbers"
        if not weight.numel():
            return "its weight is empty"
        if not torch.isfinite(weight).all():
            return "its weight holds NaN or infinite numbers"
    for own in (*module._parameters.values(), *module.buffers(recurse=False)):
        if own is not None and own.data_ptr() in tied and own.numel():
            return "its {} is tied to {}".format(*_partner(tied[own.data_ptr()], path))
    if id(module) in held:
        return "it is held in a plain attribute too, which would go on with the dense layer"
    return None


def _tied(model):
    """Return {address: full names} of the tensors that several modules, or attributes of one, share."""
    owners = {}
    for path, module in model.named_modules():
        for name, tensor in (*module._parameters.items(), *module._buffers.items()):
            if tensor is not None and tensor.numel() and tensor.device.type != "meta":
                full = f"{path}.{name}" if path else name
                owners.setdefault(tensor.data_ptr(), []).append(full)
    return {address: names for address, names in owners.items() if len(names) > 1}


def _partner(names, path):
    """Return (own attribute, full name of another tensor) of a tensor with several names."""
    own = next((name for name in names if name.rpartition(".")[0] == path), names[0])
    return own.rpartition(".")[2], next(name for name in names if name != own)


def _held(model):
    """Return the ids of the modules in attributes that are no registered children, also within a list or dictionary."""
    held = set()
    for holder in model.modules():
        for name, value in vars(holder).items():
            if name == "_modules":
                continue
            values = (
                value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else [value]
            )
            held |= {id(each) for each in values if isinstance(each, nn.Module)}
    return held


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


def copied(model):
    """Return a deep copy of a model, also where attributes hold tensors that some computation made.

    Raises:
        SSHMLError: the model cannot be copied.
    """
    made = {
        id(value): value.detach().clone()
        for module in model.modules()
        for value in vars(module).values()
        if isinstance(value, torch.Tensor) and not value.is_leaf
    }
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of PyTorch about its own graphs
            return copy.deepcopy(model, made)
    except (RuntimeError, TypeError, AttributeError, NotImplementedError, RecursionError) as error:
        raise SSHMLError(
            f"this {type(model).__name__} cannot be copied ({one_line(error)}); it is left as it is."
        ) from None


def replaced(model, path, new):
    """Return the model with another module at a path, and wherever the same module stands; hooks and mode go along."""
    old = model.get_submodule(path)
    carry_over(old, new)
    if old is model:
        return new
    for place, module in list(model.named_modules(remove_duplicate=False)):  # a shared layer stays shared
        if module is old:
            model.set_submodule(place, new)
    return model


HOOKS = (
    "_backward_hooks",
    "_backward_pre_hooks",
    "_forward_hooks",
    "_forward_hooks_always_called",
    "_forward_hooks_with_kwargs",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_is_full_backward_hook",
)


def carry_over(old, new):
    """Give a module the hooks and the mode of another."""
    for name in HOOKS:
        if name in vars(old):
            vars(new)[name] = vars(old)[name]
    new.train(old.training)


@contextlib.contextmanager
def evaluating(model):
    """Put a model in evaluation mode for a block, without gradients; the modes of all modules come back after it."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield model
    finally:
        for module, mode in modes:
            module.training = mode
