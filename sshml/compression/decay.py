"""Decay of products of factors, and the stable rank that tells when to make factors of a matrix."""

import torch

from sshml.arguments import as_module, real
from sshml.compression.layer import check_weight
from sshml.compression.lowrank import LowRankLinear
from sshml.errors import SSHMLError


class FrobeniusDecay:
    """Decay of a product of factors: after each step the gradient of (decay / 2) ||U V||_F^2, as a decoupled decay.

    U <- U - l decay U (V V^T), V <- V - l decay (U^T U) V with the learning rate l (Khodak, Tenenholtz, Mackey and
    Fusi, ICLR 2021). It acts on every `LowRankLinear` of a network; the interface is that of `LowRank`.

    Args:
        model: the network; in `fit(..., project=...)` one of its kind.
        decay: coefficient of at least 0.
        optimizer: whose learning rate it is.
        tensors: as of `LowRank`.
        steps_per_epoch: not used.

    Raises:
        SSHMLError: nothing to decay, no optimizer, a decay below 0.
    """

    def __init__(self, model, decay=1e-4, *, optimizer=None, tensors=None, steps_per_epoch=None):
        model, decay = as_module(model), real(decay, "decay", 0)
        if not hasattr(optimizer, "param_groups"):
            raise SSHMLError("give optimizer=..., whose learning rate the decay follows.")
        layers = {path: m for path, m in model.named_modules() if isinstance(m, LowRankLinear)}
        layers = {path: m for path, m in layers.items() if m.left.requires_grad and m.right.requires_grad}
        if not layers:
            raise SSHMLError(
                f"this {type(model).__name__} holds no factors to train; give one with LowRankLinear layers."
            )
        self.decay, self.optimizer, self.layers, self.tensors = decay, optimizer, layers, tensors

    @torch.no_grad()
    def step(self):
        """Decay once."""
        groups = self.optimizer.param_groups
        for path, layer in self.layers.items():
            if self.tensors is None:
                left, right = layer.left, layer.right
                rates = [g["lr"] for g in groups for p in g["params"] if p is left or p is right]
                if len(rates) != 2:
                    raise SSHMLError(f"the factors of {path!r} are not the optimizer's; give the one that trains them.")
            else:
                left, right = (self.tensors[f"{path}.{side}".lstrip(".")] for side in ("left", "right"))
                rates = [groups[0]["lr"]] * 2
            of_left, of_right = left @ (right @ right.mT), (left.mT @ left) @ right
            left.sub_(of_left, alpha=self.decay * rates[0])
            right.sub_(of_right, alpha=self.decay * rates[1])


def stable_rank(weight):
    """Return ||W||_F^2 / ||W||_2^2 of matrices (..., out, in), at least 1; 0 of zero.

    >>> float(stable_rank(torch.eye(5)))
    5.0
    """
    s = torch.linalg.svdvals(check_weight(weight).double())
    return s.square().sum(-1) / s[..., 0].square().clamp(min=1e-300)
