"""How to train."""

import dataclasses
import math

from sshml.arguments import choice, flag, integer, real, shown
from sshml.dataset import View
from sshml.errors import SSHMLError

OPTIMIZERS = ("adam", "adamw", "sgd")
SCHEDULES = ("constant", "cosine", "exponential", "steps")
AUGMENTATIONS = ("crop", "flip")
PRECISIONS = ("float32", "bf16")


@dataclasses.dataclass(frozen=True)
class TrainingSpec:
    """How to train: an optimizer on the mean cross-entropy of shuffled mini-batches, all else as said here.

    The learning rate in epoch t = 0, 1, ... of T, by the schedule: "constant" l; "exponential" l d^t; "steps"
    l d^floor(t / n); "cosine" l (1 + cos(pi x / T)) / 2 with x the epochs done, fractions too (Loshchilov and Hutter,
    arXiv 1608.03983). In the first `warmup` epochs it is multiplied by a factor that rises linearly to 1.

    Args:
        epochs: T, passes through the training split.
        batch_size: samples per step.
        learning_rate: l.
        weight_decay: coefficient of the L2 term, whose gradient is weight_decay x weight; of "adamw" that of the
            decoupled decay.
        view: what the network sees of a sample, passed to `split.inputs(view=...)`; None for the split's own.
        flip_signs: multiply each level of each sample by a fresh fair sign in every epoch (views of states only);
            levels that share a sign in the view share the fresh one.
        optimizer: "adam", "adamw" or "sgd".
        momentum: of "sgd", from 0 to below 1.
        nesterov: whether the momentum of "sgd" is Nesterov's.
        schedule: "constant", "cosine", "exponential" or "steps".
        decay: d, above 0.
        decay_every: n, epochs between two steps of "steps".
        warmup: epochs, fractions too.
        label_smoothing: share of the label that is spread evenly over all classes, from 0 to below 1.
        clip: largest norm of the gradient of a network, 0 for any.
        patience: a network stops after so many epochs without a better validation accuracy, 0 for never.
        augment: "crop" (pad by 4 zeros, cut at random) and "flip" (left and right, half of the samples), of images
            (..., height, width), fresh in every epoch.
        precision: "float32", or "bf16": products in bfloat16 by `torch.autocast`, weights and validation in float32.
        average: decay per step of the exponential moving average of the weights, 0 for none; its first steps t have
            the decay (1 + t) / (10 + t) where that is less. The averaged weights are validated and kept.

    Raises:
        SSHMLError: a value out of its range, or one that the optimizer or schedule has no use for.
    """

    epochs: int = 20
    batch_size: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    view: str | None = None
    flip_signs: bool = False
    optimizer: str = "adam"
    momentum: float = 0.0
    nesterov: bool = False
    schedule: str = "constant"
    decay: float = 1.0
    decay_every: int = 1
    warmup: float = 0.0
    label_smoothing: float = 0.0
    clip: float = 0.0
    patience: int = 0
    augment: tuple = ()
    precision: str = "float32"
    average: float = 0.0

    def __post_init__(self):
        for name, least in (("epochs", 1), ("batch_size", 1), ("decay_every", 1), ("patience", 0)):
            object.__setattr__(self, name, integer(getattr(self, name), name, least, 2**48))
        for name in ("weight_decay", "momentum", "warmup", "label_smoothing", "clip", "average"):
            top = 1 if name in ("momentum", "label_smoothing", "average") else None
            object.__setattr__(self, name, real(getattr(self, name), name, 0, below=top))
        for name in ("learning_rate", "decay"):
            object.__setattr__(self, name, real(getattr(self, name), name, above=0))
        for name in ("flip_signs", "nesterov"):
            object.__setattr__(self, name, flag(getattr(self, name), name))
        for name, choices in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES), ("precision", PRECISIONS)):
            choice(getattr(self, name), name, tuple(choices))
        if self.view is not None:
            object.__setattr__(self, "view", str(View.parse(self.view)))
        augment = (self.augment,) if isinstance(self.augment, str) else self.augment
        if not isinstance(augment, (tuple, list)) or any(
            not isinstance(name, str) or name not in AUGMENTATIONS for name in augment
        ):
            raise SSHMLError(f"augment is {shown(augment)}; choose among {', '.join(AUGMENTATIONS)}.")
        object.__setattr__(self, "augment", tuple(augment))
        if self.flip_signs and (View.parse(self.view).kind != "states" or View.parse(self.view).signs == "none"):
            raise SSHMLError(
                f"flip_signs has no meaning for the view {shown(self.view)}; use it with the view 'states'."
            )
        self._check_used()

    def _check_used(self):
        """Raise where something is given that has no effect."""
        if self.optimizer != "sgd" and (self.momentum or self.nesterov):
            raise SSHMLError(f"momentum and nesterov are of sgd, not of {self.optimizer}; leave them out.")
        if self.nesterov and not self.momentum:
            raise SSHMLError("nesterov needs a momentum above 0.")
        if (self.decay != 1) != (self.schedule in ("exponential", "steps")):
            raise SSHMLError(
                f"decay is {self.decay} and the schedule {self.schedule}; exponential and steps need a decay other than"
                " 1, constant and cosine have none."
            )
        if self.decay_every != 1 and self.schedule != "steps":
            raise SSHMLError(f"decay_every is of the schedule steps, not of {self.schedule}; leave it out.")

    def rate(self, done, step=0.0):
        """Return the learning rate after so many epochs, fractions too, of which one step is a part `step`.

        >>> TrainingSpec(epochs=10, schedule="cosine").rate(5.0)
        0.0005
        """
        done, step, factor = real(done, "done", 0), real(step, "step", 0), 1.0
        if self.schedule == "cosine":
            factor = (1 + math.cos(math.pi * min(1.0, done / self.epochs))) / 2
        elif self.schedule != "constant":
            every = self.decay_every if self.schedule == "steps" else 1
            factor = self.decay ** (int(done) // every)
        if done + step < self.warmup:
            factor *= (done + step) / self.warmup
        return self.learning_rate * factor
