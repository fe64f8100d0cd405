"""Many networks of one architecture as one module, so that all of them train at once."""

import copy
from collections import OrderedDict

import torch
from torch import nn
from torch.func import functional_call, vmap

ELEMENTWISE = (nn.ReLU, nn.Tanh, nn.Sigmoid, nn.GELU, nn.SiLU, nn.Softplus, nn.Identity)
CROSS_TALK = (
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm),
    *(nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout),
)


def stack(members):
    """Return one module that runs all members: inputs (member, sample, ...) -> outputs (member, sample, ...).

    In a Sequential the linear layers become batched matrix products; other layers, and networks that are no Sequential,
    go through `torch.func.vmap`. Networks that cannot be vectorised (batch norm, dropout, shared parameters, buffers
    outside the state_dict) stack alone only.

    Args:
        members: networks of one architecture.

    Returns:
        The stacked module, or None where several members cannot be vectorised. `stacked_state` reads its weights.
    """
    first = members[0]
    names = [name for name, _ in first.named_parameters(remove_duplicate=False)]
    shared = len(names) > len(list(first.parameters()))  # a stack would untie them
    hidden = {*names, *dict(first.named_buffers())} - set(first.state_dict())
    if shared or hidden or any(isinstance(module, CROSS_TALK) for module in first.modules()):
        return _Alone(first) if len(members) == 1 else None
    if type(first).forward is nn.Sequential.forward and len(first):
        if len(members) == 1 and not all(_is_batched(layer) for layer in first):
            return _Alone(first)  # nothing to vectorise over
        layers = [_stack_layer(layers) for layers in zip(*members, strict=True)]
        return nn.Sequential(OrderedDict(zip(children_of(first), layers, strict=True)))
    return _Alone(first) if len(members) == 1 else _VmapStack(members)


def children_of(module):
    """Return {name: module} of all children, also of one that is there twice."""
    named = module.named_modules(remove_duplicate=False)
    return {name: child for name, child in named if name and "." not in name}


def stacked_state(stacked):
    """Return {name: tensor (member, ...)} with the names of a member's own state_dict."""
    if isinstance(stacked, _Alone):
        return {name: tensor[None] for name, tensor in stacked.member.state_dict().items()}
    return stacked.state_dict()


class StackedLinear(nn.Module):
    """The linear layers of all members: weight (member, out, in), bias (member, out)."""

    def __init__(self, layers):
        super().__init__()
        self.weight = _stack_parameters([layer.weight for layer in layers])
        self.bias = None if layers[0].bias is None else _stack_parameters([layer.bias for layer in layers])

    def forward(self, x):
        """Return x W^T + b member by member, (member, sample, in) -> (member, sample, out)."""
        if self.bias is None:
            return torch.bmm(x, self.weight.mT)  # m b [in], m [in] out
        return _BatchedLinear.apply(x, self.weight, self.bias)


class _BatchedLinear(torch.autograd.Function):
    """x W^T + b with the gradient of W in W's own memory layout, which autograd would first transpose and copy."""

    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(x, weight)
        return torch.baddbmm(bias[:, None], x, weight.mT)  # m b [in], m [in] out

    @staticmethod
    def backward(ctx, grad):
        x, weight = ctx.saved_tensors
        grad_x = torch.bmm(grad, weight) if ctx.needs_input_grad[0] else None  # m b [out], m [out] in
        return grad_x, torch.bmm(grad.mT, x), grad.sum(1)  # m out [b], m [b] in


class _VmapStack(nn.Module):
    """Any network without cross-talk between samples, vectorised over members by `torch.func.vmap`."""

    def __init__(self, members):
        super().__init__()
        object.__setattr__(self, "_template", copy.deepcopy(members[0]).to("meta"))  # not a submodule
        states = [member.state_dict(keep_vars=True) for member in members]
        for name, tensor in states[0].items():
            *path, leaf = name.split(".")
            holder = self
            for part in path:
                if part not in children_of(holder):
                    holder.add_module(part, nn.Module())
                holder = holder.get_submodule(part)
            stacked = torch.stack([state[name].detach() for state in states])
            if isinstance(tensor, nn.Parameter):
                holder.register_parameter(leaf, nn.Parameter(stacked, requires_grad=tensor.requires_grad))
            else:
                holder.register_buffer(leaf, stacked)

    def forward(self, x):
        state = dict(self.named_parameters()) | dict(self.named_buffers())
        return vmap(lambda member, inputs: functional_call(self._template, member, (inputs,)))(state, x)


class _Alone(nn.Module):
    """One network with a member axis of length 1 around it."""

    def __init__(self, member):
        super().__init__()
        self.member = copy.deepcopy(member)

    def forward(self, x):
        return self.member(x[0])[None]


def _stack_parameters(parameters):
    stacked = torch.stack([parameter.detach() for parameter in parameters])
    return nn.Parameter(stacked, requires_grad=parameters[0].requires_grad)


def _is_batched(layer):
    """Return whether a layer has a form for all members that needs no `vmap`."""
    flat = type(layer) is nn.Flatten and layer.start_dim == 1 and layer.end_dim == -1
    return flat or type(layer) in (nn.Linear, *ELEMENTWISE)


def _stack_layer(layers):
    first = layers[0]
    if not _is_batched(first):
        return _VmapStack(layers)
    if type(first) is nn.Linear:
        return StackedLinear(layers)
    if type(first) is nn.Flatten:
        return nn.Flatten(2)
    layer = copy.deepcopy(first)
    if hasattr(layer, "inplace"):
        layer.inplace = False  # the inputs may be shared between the members
    return layer
