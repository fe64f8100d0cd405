"""Where the matrices of a model are, and what keeps the others from being compressed."""

import dataclasses

import torch
from torch import nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter
from torch.nn.utils import parametrize

from sshml.arguments import as_module
from sshml.compression.aliases import has_address, held_elsewhere, tied_tensors
from sshml.compression.attention import COMPRESSED, PARTS, CompressedAttention, projection
from sshml.compression.layer import HALF
from sshml.compression.modules import STATE_HOOKS
from sshml.errors import SSHMLError

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
            weight = weight_of(model.get_submodule(self.path), self.part)
        return weight.detach().reshape(self.groups, self.out_features, self.in_features)


def survey(model):
    """Return ({name: `Site`}, {path: reason}): what can be compressed, and why the other modules with numbers cannot.

    Raises:
        SSHMLError: not a module, or one whose parameters do not exist yet.
    """
    as_module(model)
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if isinstance(tensor, (UninitializedParameter, UninitializedBuffer)):
            raise SSHMLError(f"{name} has no shape yet; run the model once, so that its lazy layers are made.")
    sites, reasons, tied, held, skipped = {}, {}, tied_tensors(model), held_elsewhere(model), []
    for path, module in model.named_modules():
        if any(path.startswith(start) for start in skipped):
            continue
        prefix = f"{path}." if path else ""
        if isinstance(module, COMPRESSED):
            reasons[path] = "compressed already"
            skipped.append(f"{prefix}parts" if isinstance(module, CompressedAttention) else prefix)
            if not prefix and not isinstance(module, CompressedAttention):
                break
            continue
        if parametrize.is_parametrized(module):
            skipped.append(f"{prefix}parametrizations")
        own = [*module.parameters(recurse=False), *module.buffers(recurse=False)]
        if _kind(module) is None and not own and not type(module).__module__.startswith("torch.ao."):
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
        weights = [weight_of(module, part) for part in PARTS]
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


def weight_of(module, part):
    """Return the weight of a layer, or of a part of an attention."""
    return projection(module, part) if part else module.weight


def _reason(path, module, tied, held):
    """Return why a module stays as it is, None where it can be compressed."""
    kind = _kind(module)
    if kind is None:
        return f"{type(module).__name__} has no compressed form"
    return (
        _reason_of_making(module, kind)
        or _reason_of_class(module, kind)
        or _reason_of_weight(module, kind)
        or _reason_of_others(path, module, tied, held)
    )


def _reason_of_making(module, kind):
    """Return whose forward pass it is not, or what weight is not its own, if anything."""
    methods = ("forward", "__call__", "_conv_forward", "__getattr__")
    if any(getattr(type(module), m, None) is not getattr(kind, m, None) for m in methods) or "forward" in vars(module):
        return f"its class {type(module).__name__} has a forward pass of its own"
    wanted = PROJECTIONS if kind is nn.MultiheadAttention else ("weight", "bias")
    made = [own for own in wanted if own not in module._parameters and not parametrize.is_parametrized(module, own)]
    if kind is nn.MultiheadAttention and parametrize.is_parametrized(module):
        return "its projections are parametrised"
    return f"its {made[0]} is made by a hook or a property" if made else None


OWN = {"weight", "bias", *PROJECTIONS, "in_proj_bias", "bias_k", "bias_v"}
"""Tensors of the layers themselves."""

FREE = {"__module__", "__doc__", "__qualname__", "__init__", "__firstlineno__", "__static_attributes__"}
"""What a class may define without anything being lost with it."""


def _reason_of_class(module, kind):
    """Return what a compressed layer would lose of a module's class, if anything."""
    name, own = type(module).__name__, type(module)
    foreign = [c for c in own.__mro__ if not c.__module__.startswith("torch.") and c is not object]
    if parametrize.is_parametrized(module):
        foreign = [c for c in foreign if c is not own]
    more = sorted({word for c in foreign for word in vars(c)} - FREE)
    if more:
        return f"its class {name} defines {more[0]}, which would be lost"
    held = {*module._parameters, *module._buffers} - OWN
    held |= set(module._modules) - ({"out_proj"} if kind is nn.MultiheadAttention else set()) - {"parametrizations"}
    if held:
        return f"its class {name} holds {', '.join(sorted(held))} beside its weight"
    if not parametrize.is_parametrized(module) and any(vars(module).get(hooks) for hooks in STATE_HOOKS):
        return "it has hooks on its state_dict"
    return None


def _reason_of_weight(module, kind):
    """Return what is wrong with a module's weight, if anything."""
    with torch.no_grad():
        weights = [weight_of(module, part) for part in (PARTS if kind is nn.MultiheadAttention else ("",))]
    for weight in weights:
        if weight.layout is not torch.strided or type(weight) not in (torch.Tensor, nn.Parameter):
            return f"its weight is a {type(weight).__name__} of layout {weight.layout}"
        if weight.is_inference():
            return "its weight was made in inference mode"
        if type(weight.data) is not torch.Tensor:
            return f"its weight is a {type(weight.data).__name__}"
        if weight.dtype not in DTYPES:
            return f"its weight is {weight.dtype}"
        if weight.device.type == "meta":
            return "its weight is on the meta device, without numbers"
        if not weight.numel():
            return "its weight is empty"
        if not torch.isfinite(weight).all():
            return "its weight holds NaN or infinite numbers"
    return None


def _reason_of_others(path, module, tied, held):
    """Return who else refers to a module or its tensors, if anybody."""
    tensors = [*module._parameters.values(), *module.buffers(recurse=False)]
    if parametrize.is_parametrized(module):
        tensors += [*module.parametrizations.parameters(), *module.parametrizations.buffers()]
    for own in tensors:
        if own is None or not has_address(own):
            continue
        if own.data_ptr() in tied:
            names = tied[own.data_ptr()]
            mine = next((name for name in names if name.rpartition(".")[0] == path), names[0])
            other = next((name for name in names if name != mine), names[1])
            return f"its {mine.removeprefix(f'{path}.')} is tied to {other}"
        if own.data_ptr() in held[1]:
            return "its weight or bias is held in a plain attribute too, which would go on with the dense one"
    if id(module) in held[0]:
        return "it is held in a plain attribute too, which would go on with the dense layer"
    return None
