"""Steps of the optimizer for all members at once, and the moving average of their weights."""

import contextlib

import torch
from torch import nn
from torch.optim.adam import adam
from torch.optim.swa_utils import get_ema_multi_avg_fn

from sshml.classifier.ensemble import by_member, stacked_parameters, stacked_state


class Steps:
    """The optimizer of a `TrainingSpec` with its schedule and the clipping of gradients.

    Args:
        model: the stacked module.
        training: the `TrainingSpec`.
        per_epoch: steps in an epoch.
    """

    def __init__(self, model, training, per_epoch):
        self.model, self.training, self.per_epoch, self.done = model, training, per_epoch, 0
        named = stacked_parameters(model)
        self.parameters = {name: p for name, p in named.items() if p.requires_grad}
        self._views = {name: _as_in_memory(p) for name, p in self.parameters.items()}
        own, rate, decay = list(self._views.values()), training.rate(0.0, 1 / per_epoch), training.weight_decay
        fused = all(view.is_contiguous() for view in own)  # what is spread in memory is read wrongly by the fused ones
        if training.optimizer == "sgd":
            self.optimizer = torch.optim.SGD(
                own, rate, training.momentum, 0, decay, nesterov=training.nesterov, fused=fused
            )
        else:
            kind = torch.optim.Adam if training.optimizer == "adam" else torch.optim.AdamW
            self.optimizer = kind(own, lr=rate, weight_decay=decay, fused=fused)

        self._is_adam, self._state = training.optimizer == "adam" and fused, None

    def zero(self):
        """Forget the gradients."""
        for parameter in self.parameters.values():
            parameter.grad = None

    def step(self):
        """Change the weights by the gradients."""
        if self.training.clip:
            self._clip()
        for name, parameter in self.parameters.items():
            view, grad = self._views[name], parameter.grad
            if view is not parameter:
                if view.data_ptr() != parameter.data_ptr():  # somebody has put other numbers in its place
                    view.data = parameter.data.mT.contiguous()
                    parameter.data = view.data.mT
                view.grad = None if grad is None else grad.mT
        epoch, step = divmod(self.done, self.per_epoch)
        rate = self.training.rate(epoch + step / self.per_epoch, 1 / self.per_epoch)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        if not self._adam_at_once(rate):
            self.optimizer.step()
        self.done += 1

    def _adam_at_once(self, rate):
        """Make a step of fused Adam by its function: looking for the state anew costs 4 % of a small step."""
        views = list(self._views.values())
        grads = [view.grad for view in views]
        if self._state is None:
            ready = self._is_adam and all(view in self.optimizer.state for view in views)
            if not ready:
                return False
            states = [self.optimizer.state[view] for view in views]
            self._state = [[state[name] for state in states] for name in ("exp_avg", "exp_avg_sq", "step")]
        if any(grad is None for grad in grads):
            return False
        means, squares, steps = self._state
        group = self.optimizer.param_groups[0]
        beta1, beta2 = group["betas"]
        with torch.no_grad():
            adam(
                views, grads, means, squares, [], steps, fused=True, amsgrad=False, beta1=beta1, beta2=beta2, lr=rate,
                weight_decay=group["weight_decay"], eps=group["eps"], maximize=False,
            )  # fmt: skip
        return True

    @property
    def param_groups(self):
        """The groups of the optimizer, with the learning rate of now."""
        return self.optimizer.param_groups

    def moments(self):
        """Return {name: {moment: tensor (member, ...)}} of what the optimizer carries on of each parameter's gradients.

        Of Adam the first moments, of SGD the momentum; views, so that a change of them counts.
        """
        found = {}
        for name, parameter in self.parameters.items():
            view = self._views[name]
            state = self.optimizer.state.get(view, {})
            own = {key: state[key] for key in ("exp_avg", "momentum_buffer") if state.get(key) is not None}
            turned = {key: tensor if view is parameter else tensor.mT for key, tensor in own.items()}
            found[name] = {key: by_member(self.model, tensor) for key, tensor in turned.items()}
        return found

    def as_tree(self):
        """Return all of it as a tree of arrays."""
        states = self.optimizer.state_dict()["state"]
        kept = {str(n): {k: v for k, v in state.items() if v is not None} for n, state in states.items()}
        return {"moments": kept, "done": self.done}

    def load_tree(self, tree):
        """Go on from what `as_tree` returned."""
        moments = {
            int(number): {name: torch.as_tensor(value) for name, value in state.items()}
            for number, state in tree["moments"].items()
        }
        self.optimizer.load_state_dict({"state": moments, "param_groups": self.optimizer.state_dict()["param_groups"]})
        self.done, self._state = int(tree["done"]), None

    @torch.no_grad()
    def _clip(self):
        """Scale the gradients of each member so that their norm is at most `clip`."""
        grads = [by_member(self.model, p.grad) for p in self.parameters.values() if p.grad is not None]
        norm = torch.stack([grad.flatten(1).square().sum(1) for grad in grads]).sum(0).sqrt()
        scale = (self.training.clip / (norm + 1e-6)).clamp(max=1)
        for grad in grads:
            grad.mul_(scale.view(-1, *[1] * (grad.ndim - 1)))


def _as_in_memory(parameter):
    """Return a parameter, or a view of it in the order of its memory, which the fused optimizers need."""
    if parameter.is_contiguous() or not parameter.mT.is_contiguous():
        return parameter
    return nn.Parameter(parameter.detach().mT)


class Average:
    """The exponential moving average of all floating-point weights and buffers of a stack.

    Args:
        model: the stacked module.
        decay: per step; (1 + t) / (10 + t) in the first steps t = 0, 1, ..., where that is less.
    """

    def __init__(self, model, decay):
        self.model, self.decay = model, decay
        state = {name: tensor for name, tensor in stacked_state(model).items() if tensor.is_floating_point()}
        self.names, self.mean = list(state), [tensor.clone() for tensor in state.values()]

    @property
    def live(self):
        """The tensors of the model now; a forward pass may put others in their place."""
        state = stacked_state(self.model)
        return [state[name] for name in self.names]

    @torch.no_grad()
    def step(self, done):
        """Take the weights after so many steps into the average."""
        decay = min(self.decay, done / (9 + done))
        get_ema_multi_avg_fn(decay)(self.mean, self.live, None)

    @contextlib.contextmanager
    def shown(self):
        """Hold the averaged weights in the model for a while."""
        kept = [tensor.clone() for tensor in self.live]
        self._put(self.mean)
        try:
            yield
        finally:
            self._put(kept)

    @torch.no_grad()
    def _put(self, tensors):
        for own, other in zip(self.live, tensors, strict=True):
            own.copy_(other)

    def as_tree(self):
        """Return the averages by name."""
        return dict(zip(self.names, self.mean, strict=True))

    def load_tree(self, tree):
        """Go on from what `as_tree` returned."""
        for name, tensor in zip(self.names, self.mean, strict=True):
            tensor.copy_(torch.as_tensor(tree[name]))
