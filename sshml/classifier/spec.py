"""How to train."""

import dataclasses
import math

from sshml.errors import SSHMLError


@dataclasses.dataclass(frozen=True)
class TrainingSpec:
    """How to train: Adam on the mean cross-entropy, shuffled mini-batches, no schedule.

    Args:
        epochs: passes through the training split.
        batch_size: samples per step.
        learning_rate: of Adam.
        weight_decay: L2 coefficient of Adam.
        view: what the network sees of a sample, passed to `split.inputs(view=...)`; None for the split's own.
        flip_signs: multiply each level of each sample by a fresh fair sign in every epoch (views of states only).
    """

    epochs: int = 20
    batch_size: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    view: str | None = None
    flip_signs: bool = False

    def __post_init__(self):
        for name in ("epochs", "batch_size"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise SSHMLError(f"{name} is {value!r}; expected an integer of at least 1.")
        if not 0 < self.learning_rate < math.inf or not 0 <= self.weight_decay < math.inf:
            raise SSHMLError(
                f"learning_rate {self.learning_rate!r} must be positive and weight_decay {self.weight_decay!r} at"
                " least 0."
            )
        if self.flip_signs and self.view not in (None, "states"):
            raise SSHMLError(f"flip_signs has no meaning for the view {self.view!r}; use it with the view 'states'.")
