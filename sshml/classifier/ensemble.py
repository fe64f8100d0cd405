"""Many networks of one architecture as one module, so that all of them train at once."""

import copy
import warnings
from collections import OrderedDict

import torch
from torch import nn
from torch.func import functional_call, vmap
from torch.nn.functional import conv2d

from sshml.arguments import as_module, flag, instance, sequence
from sshml.classifier.chance import Chance
from sshml.classifier.loading import EXAMPLES
from sshml.classifier.networks import Square
from sshml.errors import SSHMLError

ELEMENTWISE = (nn.ReLU, nn.Tanh, nn.Sigmoid, nn.GELU, nn.SiLU, nn.Softplus, nn.Identity, Square)
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


class NotVectorised(Exception):
    """A stack failed in use, though a trial of it did not: its members must run one after another."""


def stack(members, example=None, training=True):
    """Return one module that runs all members: inputs (member, sample, ...) -> outputs (member, sample, ...).

    In a Sequential the linear layers become batched matrix products and the convolutions run one after another; other
    layers, and networks that are no Sequential, go through `torch.func.vmap`. Whether that is right, a trial on a few
    samples shows: the outputs of copies, in training the gradients and buffers too, must be those of the members alone.
    A single member is used as it is, not copied, unless all of its layers become batched products.

    Args:
        members: networks of one architecture.
        example: inputs (sample, ...) for the trial, on the device of the members; without them networks that would need
            a trial are not vectorised.
        training: whether the stack is to be trained, or used in evaluation mode only.

    Returns:
        The stacked module, or None where several members cannot be vectorised: what draws chance, has hooks, shares
        parameters, or mixes samples in a way of its own. `stacked_state` reads its weights.

    Raises:
        SSHMLError: networks whose parameters differ in name, shape or type.
    """
    members = [as_module(member, "a member") for member in sequence(members, "members")]
    if not members:
        raise SSHMLError("members is empty; give one network at least.")
    if example is not None:
        instance(example, "example", torch.Tensor, "a tensor (sample, ...)")
    flag(training, "training")
    first = members[0]
    check_alike(members)
    if are_plain(members):
        return _stack_sequential(members)
    if len(members) == 1:
        return _Alone(first)
    if example is None or any(has_hooks(member) or _shares(member) for member in members):
        return None
    if any(type(part).get_extra_state is not nn.Module.get_extra_state for part in first.modules()):
        return None
    try:
        chance = Chance(0)
        with chance, warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            agrees = _Trial(copy.deepcopy(list(members)), example).agrees(training)
        slow = any("performance drop" in str(warning.message) for warning in said)  # of operations vmap does one by one
        return _stacked(members).train(training) if agrees and not slow and not chance.has_drawn() else None
    except Exception:  # of somebody's network, copied or in a transform: it may work alone
        return None


def are_plain(members):
    """Return whether networks are of the same layers, all with a batched form, without anything of their own."""
    return all(map(_is_plain, members)) and len(set(map(repr, members))) == 1


def _is_plain(module):
    if not isinstance(module, nn.Sequential):
        return False
    sequential = type(module).forward is nn.Sequential.forward and type(module).__call__ is nn.Module.__call__
    own = has_hooks(module) or _shares(module) or _holds_more(module)
    return sequential and not own and len(module) > 0 and all(_is_batched(layer) for layer in module)


def _holds_more(module):
    """Return whether a Sequential has tensors or methods of its own beside its layers."""
    more = module._parameters or module._buffers or type(module).get_extra_state is not nn.Module.get_extra_state
    return bool(more) or any("forward" in vars(part) for part in module.modules())


def has_own_code(stacked):
    """Return whether anything in a stack is no batched product, and may do with its inputs what it likes."""
    return any(isinstance(part, (_Alone, _VmapStack)) for part in stacked.modules())


def children_of(module):
    """Return {name: module} of all children, also of one that is there twice."""
    named = as_module(module, "module").named_modules(remove_duplicate=False)
    return {name: child for name, child in named if name and "." not in name}


def stacked_state(stacked):
    """Return {name: tensor (member, ...)} with the names of a member's own state_dict."""
    if not isinstance(stacked, _Alone):
        return stacked.state_dict()
    return {name: tensor[None] for name, tensor in state_of(stacked.member).items()}


def state_of(member):
    """Return the state_dict of a network, which must hold tensors only."""
    state = member.state_dict()
    other = [name for name, value in state.items() if not isinstance(value, torch.Tensor)]
    if other:
        raise SSHMLError(f"the network keeps {', '.join(other)} in its state_dict; a run holds tensors only.")
    return state


def stacked_parameters(stacked):
    """Return {name: parameter} with the names of a member's own; of one that stands alone without the member axis."""
    return dict((stacked.member if isinstance(stacked, _Alone) else stacked).named_parameters())


def by_member(stacked, tensor):
    """Return a tensor of `stacked_parameters`, or a gradient of one, as (member, ...)."""
    return tensor[None] if isinstance(stacked, _Alone) else tensor


class StackedLinear(nn.Module):
    """The linear layers of all members: weight (member, out, in), bias (member, out).

    In memory the weight stands as (member, in, out), in which order the products are faster.
    """

    def __init__(self, layers):
        super().__init__()
        self.weight = _stack_parameters([layer.weight.mT for layer in layers], transposed=True)
        self.bias = None if layers[0].bias is None else _stack_parameters([layer.bias for layer in layers])

    def forward(self, x):
        """Return x W^T + b member by member, (member, sample, in) -> (member, sample, out)."""
        if x.ndim != 3 or torch.is_autocast_enabled(x.device.type):
            x, shape = x.flatten(1, -2), (*x.shape[:-1], self.weight.shape[1])
            y = torch.bmm(x, self.weight.mT)  # m b [in], m [in] out
            return (y if self.bias is None else y + self.bias[:, None]).view(shape)
        return _BatchedLinear.apply(x, self.weight, self.bias)


class _BatchedLinear(torch.autograd.Function):
    """x W^T + b with the gradient of W in W's own memory layout, which autograd would first transpose and copy."""

    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(x, weight)
        y = torch.bmm(x, weight.mT)  # m b [in], m [in] out
        return y if bias is None else y.add_(bias[:, None])

    @staticmethod
    def backward(ctx, grad):
        x, weight = ctx.saved_tensors
        grad_x = torch.bmm(grad, weight) if ctx.needs_input_grad[0] else None  # m b [out], m [out] in
        grad_weight = torch.bmm(x.mT, grad).mT if ctx.needs_input_grad[1] else None  # m in [b], m [b] out
        return grad_x, grad_weight, grad.sum(1) if ctx.needs_input_grad[2] else None


class StackedConv2d(nn.Module):
    """The convolutions of all members, weight (member, out, in / groups, row, column), one after another.

    As one convolution in groups, which is what `vmap` makes of it, they take twice as long on a CPU.
    """

    def __init__(self, layers):
        super().__init__()
        first = layers[0]
        self.weight = _stack_parameters([layer.weight for layer in layers])
        self.bias = None if first.bias is None else _stack_parameters([layer.bias for layer in layers])
        self.how = {name: getattr(first, name) for name in ("stride", "padding", "dilation", "groups")}

    def forward(self, x):
        """Return images (member, sample, out, row, column)."""
        biases = [None] * len(x) if self.bias is None else self.bias.unbind()
        parts = zip(x.unbind(), self.weight.unbind(), biases, strict=True)
        return torch.stack([conv2d(images, weight, bias, **self.how) for images, weight, bias in parts])


class _VmapStack(nn.Module):
    """Any network whose members can be computed side by side, vectorised by `torch.func.vmap`."""

    def __init__(self, members):
        super().__init__()
        template = copy.deepcopy(members[0]).to("meta")
        object.__setattr__(self, "_template", template)  # not a submodule
        kept = set(members[0].state_dict())
        for name, tensor in (*members[0].named_parameters(), *members[0].named_buffers()):
            *path, leaf = name.split(".")
            holder = self
            for part in path:
                if part not in children_of(holder):
                    holder.add_module(part, nn.Module())
                holder = holder.get_submodule(part)
            tensors = [_tensor_of(member, name) for member in members]
            if isinstance(tensor, nn.Parameter):
                holder.register_parameter(leaf, _stack_parameters(tensors))
            else:
                holder.register_buffer(leaf, torch.stack([t.detach() for t in tensors]), persistent=name in kept)

    def train(self, mode=True):
        """Set the mode, that of the members' own code too."""
        self._template.train(mode)
        return super().train(mode)

    def forward(self, x):
        state = dict(self.named_parameters()) | dict(self.named_buffers())
        try:
            return vmap(lambda member, inputs: functional_call(self._template, member, (inputs,)))(state, x)
        except Exception as error:
            raise NotVectorised(f"{type(error).__name__}: {error}") from error


class _Alone(nn.Module):
    """One network, itself, with a member axis of length 1 around it."""

    def __init__(self, member):
        super().__init__()
        self.member = member

    def forward(self, x):
        return self.member(x[0])[None]


class _Trial:
    """A stack of copies beside the copies themselves, on a few samples."""

    def __init__(self, copies, example):
        self.members, self.stacked = copies, _stacked(copies)
        few = example[:EXAMPLES]
        self.x = torch.stack([few.roll(number % len(few), 0) for number in range(len(copies))])

    def agrees(self, training):
        """Return whether they give the same, in evaluation and, where asked, in training."""
        with torch.no_grad():
            alone = torch.stack([m.eval()(x) for m, x in self._pairs()])
            fine = self._agree(self.stacked.eval()(self.x.clone()), alone)
        if fine and training:
            y, alone = self.stacked.train()(self.x.clone()), torch.stack([m.train()(x) for m, x in self._pairs()])
            weight = torch.linspace(-1, 1, y[0].numel(), dtype=y.dtype, device=y.device).view(y[0].shape)
            (y * weight).sum().backward()
            (alone * weight).sum().backward()
            fine = self._agree(y, alone) and self._same_state()
        return fine

    def _pairs(self):
        return zip(self.members, self.x.clone(), strict=True)

    def _agree(self, together, alone):
        """Return whether two tensors are equal up to rounding.

        Also where all is rounding, as in the gradient of a bias before a batch norm: Adam makes it as large as others.
        """
        if together.shape != alone.shape or together.dtype != alone.dtype:
            return False
        tolerance = 1e-9 if alone.dtype == torch.float64 else 1e-4
        size = float(alone.detach().abs().max().nan_to_num(0.0)) if alone.numel() else 0.0
        return torch.allclose(together, alone, rtol=tolerance, atol=tolerance * max(size, 1e-30))

    def _same_state(self):
        """Return whether gradients and buffers are those of the members after a step."""
        for number, member in enumerate(self.members):
            for name, parameter in member.named_parameters():
                mine = _tensor_of(self.stacked, name).grad
                if (parameter.grad is None) != (mine is None):
                    return False
                if mine is not None and not self._agree(mine[number], parameter.grad):
                    return False
            for name, buffer in member.named_buffers():
                if not self._agree(_tensor_of(self.stacked, name)[number], buffer):
                    return False
        return True


def _tensor_of(module, name):
    path, _, leaf = name.rpartition(".")
    return getattr(module.get_submodule(path), leaf)


def _stacked(members):
    """Return all members as one module, right or not."""
    first = members[0]
    sequential = isinstance(first, nn.Sequential) and type(first).forward is nn.Sequential.forward
    if sequential and len(first) and not _holds_more(first):
        return _stack_sequential(members)
    return _VmapStack(members)


def _stack_sequential(members):
    layers = [_stack_layer(layers) for layers in zip(*members, strict=True)]
    return nn.Sequential(OrderedDict(zip(children_of(members[0]), layers, strict=True)))


def check_alike(members):
    """Raise where members are not networks, or differ in what they store."""
    described = []
    for member in members:
        if not isinstance(member, nn.Module):
            raise SSHMLError(f"got a {type(member).__name__} for a network; expected an nn.Module.")
        tensors = (*member.named_parameters(), *member.named_buffers())
        if any(isinstance(tensor, nn.parameter.UninitializedTensorMixin) for _, tensor in tensors):
            raise SSHMLError("the network has lazy layers without shapes; run it once on an example.")
        described.append([(name, tuple(t.shape), t.dtype, t.requires_grad) for name, t in tensors])
    for number, other in enumerate(described):
        if other != described[0]:
            differs = next((b or a for a, b in zip(described[0], other, strict=False) if a != b), "their number")
            raise SSHMLError(
                f"networks 0 and {number} differ in what they store ({differs}); an ensemble is of one architecture,"
                " with the same parameters frozen."
            )


def has_hooks(module):
    """Return whether anything is called on the way through a network or its gradients."""
    if any(getattr(part, hooks) for part in module.modules() for hooks in HOOKS):
        return True
    return any(p._backward_hooks or getattr(p, "_post_accumulate_grad_hooks", None) for p in module.parameters())


def is_patched(module):
    """Return whether a network does what neither its class nor its weights tell: hooks, or a forward of an instance."""
    return has_hooks(module) or any("forward" in vars(part) for part in module.modules())


def _shares(module):
    """Return whether a parameter stands in a network twice, which a stack would untie."""
    named = list(module.named_parameters(remove_duplicate=False))
    return len(named) > len(list(module.parameters()))


def _stack_parameters(parameters, transposed=False):
    stacked = torch.stack([parameter.detach() for parameter in parameters])
    return nn.Parameter(stacked.mT if transposed else stacked, requires_grad=parameters[0].requires_grad)


def _is_batched(layer):
    """Return whether a layer has a form for all members that needs no `vmap`."""
    flat = type(layer) is nn.Flatten and layer.start_dim == 1 and layer.end_dim == -1
    return flat or type(layer) in (nn.Linear, *ELEMENTWISE)


def _stack_layer(layers):
    first = layers[0]
    if type(first) is nn.Conv2d and first.padding_mode == "zeros":
        return StackedConv2d(layers)
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
