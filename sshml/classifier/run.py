"""An ensemble of trained networks."""

import contextlib
import copy
import dataclasses
import functools

import numpy as np
import torch

from sshml.arguments import as_module, flag, integer, integers, sequence, shown
from sshml.classifier.chance import Chance
from sshml.classifier.ensemble import NotVectorised, has_own_code, is_patched, stack, stacked_state
from sshml.classifier.loading import EXAMPLES, input_type, pick_device, resident
from sshml.classifier.spec import TrainingSpec
from sshml.dataset import check_view
from sshml.errors import SSHMLError, flat

CHUNK = 2**19
"""Inputs evaluated at once: numbers of one member in a block of samples, the same for any number of members."""


@dataclasses.dataclass(frozen=True)
class Run:
    """An ensemble of trained networks.

    `factory()` makes an untrained member; `weights` and `initial` are {name: tensor (member, ...)} on the CPU;
    `history` is {"train_loss", "valid_loss", "valid_accuracy": (member, epoch)}; `epoch` (member) is the epoch,
    counted from 1, with the best validation accuracy, whose weights are kept.
    """

    factory: object
    seeds: np.ndarray
    weights: dict = dataclasses.field(repr=False)
    initial: dict = dataclasses.field(repr=False)
    history: dict = dataclasses.field(repr=False)
    epoch: np.ndarray
    training: TrainingSpec
    data: str | None = dataclasses.field(default=None, repr=False)

    def __len__(self):
        return len(self.seeds)

    def model(self, member=0, initial=False):
        """Return one member as a plain module in evaluation mode."""
        member, initial = integer(member, "member", -len(self), len(self) - 1), flag(initial, "initial")
        with Chance(0):
            model = self.factory()
        state = self.initial if initial else self.weights
        if initial and not state:
            raise SSHMLError("this run holds no initial weights, as one of other modules does not.")
        model.load_state_dict({name: tensor[member] for name, tensor in state.items()})
        return model.eval()

    def __getitem__(self, member):
        """Return the `Run` of one member, by its number, or of several, by a slice or numbers."""
        if not isinstance(member, slice) and not np.iterable(member):
            member = integer(member, "member")
            if not -len(self) <= member < len(self):
                raise IndexError(f"member {member} of {len(self)}")  # ends a loop over the run
            member = [member]
        if not isinstance(member, slice):
            member = integers(member, "members", -len(self), len(self) - 1)
        try:
            chosen = np.arange(len(self))[member]
        except (TypeError, IndexError):
            raise SSHMLError(f"members {shown(member)} are no slice of whole numbers.") from None
        if not len(chosen):
            raise SSHMLError(f"members {shown(member)} are none of {len(self)}.")
        own = {
            name: {key: array[chosen] for key, array in getattr(self, name).items()}
            for name in ("weights", "initial", "history")
        }
        return dataclasses.replace(self, seeds=self.seeds[chosen], epoch=self.epoch[chosen], **own)

    def with_models(self, models):
        """Return a `Run` with other modules in the place of the members, one for each, as after compressing them.

        Raises:
            SSHMLError: another number of modules, modules whose weights differ in name, shape or type, or several
                with hooks or a patched forward, which cannot be compared.
        """
        models = [as_module(model, "a model") for model in sequence(models, "models")]
        if len(models) != len(self):
            raise SSHMLError(f"{len(models)} modules and {len(self)} members do not match; give one for each.")
        states = [{name: tensor.clone() for name, tensor in stacked_state(stack([model])).items()} for model in models]
        shapes = {str({name: (tuple(t.shape), t.dtype) for name, t in state.items()}) for state in states}
        if len(models) > 1 and any(map(is_patched, models)):
            raise SSHMLError("the modules have hooks or patched forwards, which cannot be compared; give some without.")
        if len(shapes) > 1 or len({repr(model) for model in models}) > 1:
            raise SSHMLError("the modules differ in their layers, shapes or types; give them one architecture.")
        return dataclasses.replace(
            self,
            factory=functools.partial(copy.deepcopy, models[0]),
            weights={name: torch.cat([state[name] for state in states]) for name in states[0]},
            initial={},
        )

    def models(self, initial=False):
        """Return all members as plain modules."""
        return [self.model(member, initial) for member in range(len(self))]

    def accuracy(self, split, device="auto"):
        """Return the accuracy of every member on a split, shape (member), seen in the view of the training."""
        return self.correct(split, device).mean(axis=1)

    def correct(self, split, device="auto"):
        """Return whether each member is right on each sample, bool (member, sample)."""
        logits, labels = self._logits(split, device)
        check_labels(labels, logits.shape[-1])
        return (logits.argmax(-1) == labels.cpu()).numpy()

    def predict(self, split, device="auto"):
        """Return the class each member sees in each sample, int64 (member, sample)."""
        return self._logits(split, device)[0].argmax(-1).numpy()

    def probabilities(self, split, device="auto"):
        """Return the softmax of the logits, float64 (member, sample, class)."""
        return self._logits(split, device)[0].double().softmax(-1).numpy()

    def _logits(self, split, device):
        """Return (logits (member, sample, class), labels)."""
        models = self.models()
        inputs, labels = resident(split, self.training.view, pick_device(device), input_type(models[0]))
        together = stack(models, inputs[:EXAMPLES].cpu(), training=False)
        if together is not None:
            with contextlib.suppress(NotVectorised):
                return _logits_of([together], inputs), labels
        return _logits_of([stack([model]) for model in self.models()], inputs), labels


def check_labels(labels, classes):
    """Raise where labels name classes that a network does not have."""
    if (largest := int(labels.max())) >= classes:
        raise SSHMLError(f"the data hold label {largest} but the networks have {classes} classes, 0 to {classes - 1}.")


def members_of(models, view=None):
    """Return (list of modules, view) of a `Run`, seen in the view of its training, a list of modules or one module."""
    if view is not None:
        check_view(view)
    if isinstance(models, Run):
        return models.models(), models.training.view if view is None else view
    found = [as_module(model, "models") for model in (models if isinstance(models, (list, tuple)) else [models])]
    if not found:
        raise SSHMLError("models is empty; give one network at least.")
    return found, view


def _logits_of(parts, inputs):
    with Chance(0, inputs.device):
        try:
            logits = torch.cat([logits_of(part.to(inputs.device).eval(), inputs).cpu() for part in parts])
        except NotVectorised:
            raise
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            shape = tuple(inputs.shape[1:])
            raise SSHMLError(f"the networks do not take inputs of shape {shape}: {flat(error):.200}") from error
    if not torch.isfinite(logits).all():
        raise SSHMLError("the networks give NaN or infinite numbers; look at their weights and at the inputs.")
    return logits


@torch.no_grad()
def logits_of(model, inputs):
    """Return the logits (member, sample, class) of all members on the same inputs (sample, ...)."""
    members = len(next(iter(stacked_state(model).values())))
    rows, own = max(1, CHUNK // max(1, inputs[0].numel())), has_own_code(model)
    parts = (part.expand(members, *part.shape) for part in inputs.split(rows))
    return torch.cat([model(part.clone() if own else part) for part in parts], dim=1)  # it may change what it sees
