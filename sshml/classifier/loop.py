"""The loop that trains a stack of networks, and the state that it carries from epoch to epoch."""

import contextlib
import json

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from sshml.classifier.augment import augmented
from sshml.classifier.ensemble import NotVectorised, stacked_state
from sshml.classifier.optimizing import Average, Steps
from sshml.classifier.run import logits_of
from sshml.errors import SSHMLError, flat

HISTORY = ("train_loss", "valid_loss", "valid_accuracy")


class Calls:
    """What is told and kept on the way: steps, epochs, progress, the checkpoint; one part is trained after another."""

    def __init__(self, on_step, on_epoch, progress, checkpoint, parts, epochs):
        self.on_step, self.on_epoch, self.progress = on_step, on_epoch, progress
        self.checkpoint, self.total, self.epochs, self.part = checkpoint, parts * epochs, epochs, 0
        if "on_epoch" in checkpoint.state and hasattr(on_epoch, "load_state_dict"):
            on_epoch.load_state_dict(json.loads(checkpoint.state["on_epoch"]))

    def step(self, number, model):
        """Tell of a step of the optimizer, counted from 1."""
        if self.on_step:
            self.on_step(number, model)

    def epoch(self, number, state):
        """Tell of an epoch, counted from 1, and keep the state now and then."""
        if self.on_epoch:
            self.on_epoch(number, state.model)
        if self.progress:
            self.progress(self.part * self.epochs + number, self.total)
        if number < self.epochs and self.checkpoint.path is not None:
            self.checkpoint.save({"now": state.as_tree()} | self._of_callback())

    def finished(self, found):
        """Keep the result of a part, go on to the next."""
        parts = self.checkpoint.state["parts"] | {str(self.part): found}
        self.checkpoint.save({"parts": parts, "now": {}} | self._of_callback(), now=True)
        self.part += 1

    def known(self):
        """Return (result of the part at hand, state of the part at hand), None where there is none."""
        part = str(self.part)
        state = self.checkpoint.state
        return state["parts"].get(part), state.get("now") or None

    def _of_callback(self):
        return {"on_epoch": json.dumps(self.on_epoch.state_dict())} if hasattr(self.on_epoch, "state_dict") else {}


class State:
    """One stack in training: networks, optimizer, generators, the best weights so far, history.

    Args:
        model: the stacked module, on its device.
        seeds: of the members.
        training: the `TrainingSpec`.
        steps_per_epoch: steps of the optimizer in an epoch.
        chance: `Chance` of networks that may draw from global generators, or None.
        watched: names of further splits whose loss and accuracy the history holds.
    """

    def __init__(self, model, seeds, training, steps_per_epoch=1, chance=None, watched=()):
        self.model, self.training, members = model, training, len(seeds)
        self.chance = chance
        self.generators = [torch.Generator().manual_seed(int(seed)) for seed in seeds]
        self.steps = Steps(model, training, steps_per_epoch)
        self.average = Average(model, training.average) if training.average else None
        names = (*HISTORY, *(f"{name}_{what}" for name in watched for what in ("loss", "accuracy")))
        self.history = {name: np.full((members, training.epochs), np.nan) for name in names}
        self.best, self.epoch = np.full(members, -1.0), np.zeros(members, dtype=np.int64)
        self.weights = {name: tensor.clone() for name, tensor in stacked_state(model).items()}
        self.done = 0

    @property
    def going(self):
        """Whether each member still trains: fewer than `patience` epochs since its best."""
        patience = self.training.patience
        return np.full(len(self.best), True) if not patience else (self.done < self.epoch + patience)

    def keep_the_better(self, accuracy, going):
        """Keep the weights of the members that are better than ever, of those that are still going."""
        better = (accuracy > self.best) & going
        for member in np.flatnonzero(better):
            for name, tensor in stacked_state(self.model).items():
                self.weights[name][member] = tensor[member]
        self.best = np.where(better, accuracy, self.best)
        self.epoch = np.where(better, self.done, self.epoch)

    def shown(self):
        """Return a context in which the model holds the weights to validate and keep."""
        return self.average.shown() if self.average else contextlib.nullcontext()

    def as_tree(self):
        """Return all of it as a tree of arrays."""
        return {
            "model": dict(stacked_state(self.model)),
            "buffers": dict(self.model.named_buffers()),  # those outside of the state_dict too
            "steps": self.steps.as_tree(),
            "average": self.average.as_tree() if self.average else {},
            "generators": {str(number): g.get_state() for number, g in enumerate(self.generators)},
            "chance": self.chance.own if self.chance else {},
            "weights": self.weights,
            "history": self.history,
            "best": self.best,
            "epoch": self.epoch,
            "done": self.done,
        }

    def load_tree(self, tree):
        """Go on from what `as_tree` returned."""
        with torch.no_grad():
            for name, tensor in stacked_state(self.model).items():
                tensor.copy_(torch.as_tensor(tree["model"][name]))
            for name, tensor in self.model.named_buffers():
                tensor.copy_(torch.as_tensor(tree["buffers"][name]))
            for name, tensor in self.weights.items():
                tensor.copy_(torch.as_tensor(tree["weights"][name]))
        self.steps.load_tree(tree["steps"])
        if self.average:
            self.average.load_tree(tree["average"])
        for number, generator in enumerate(self.generators):
            generator.set_state(torch.as_tensor(tree["generators"][str(number)]))
        if self.chance:
            self.chance.own = dict(tree["chance"])
        self.history, self.best, self.epoch = dict(tree["history"]), tree["best"], tree["epoch"]
        self.done = int(tree["done"])


def fit_stack(state, source, valid, calls, watch=None, loss=None, project=None, verify=None):
    """Train one stack in place; return its best weights, history and epochs.

    Args:
        state: the `State` at the start.
        source: where the batches come from, see `source`.
        valid: (inputs, labels) that choose the epoch.
        calls: the `Calls`.
        watch: {name: (inputs, labels)} of splits that are measured beside.
        loss: of each sample, the cross-entropy if None.
        project: object whose `step()` is called after every step of the optimizer, or None.
        verify: called with the stacked module after the first epoch, or None.
    """
    known, now = calls.known()
    if known is not None:
        calls.part += 1
        return known
    if now is not None:
        state.load_tree(now)
    while state.done < state.training.epochs and (going := state.going).any():
        epoch = state.done
        losses = _one_epoch(state, source, calls, loss, project)
        if not np.isfinite(losses[going]).all():
            rate = state.training.learning_rate
            raise SSHMLError(f"the training loss is not finite in epoch {epoch + 1}; lower learning_rate ({rate}).")
        if len(going) > 1 and state.chance and state.chance.has_drawn():
            raise NotVectorised("the networks draw random numbers, the same ones for all")
        found = {"train_loss": losses}
        if epoch == 0 and verify is not None:
            verify(state.model)
        with state.shown(), state.chance or contextlib.nullcontext():
            state.done += 1
            found["valid_loss"], found["valid_accuracy"] = _measured(state.model, valid)
            if not np.isfinite(found["valid_loss"][going]).all():
                raise SSHMLError(
                    f"the validation loss is not finite in epoch {epoch + 1}; lower learning_rate"
                    f" ({state.training.learning_rate})."
                )
            for name, split in (watch or {}).items():
                found[f"{name}_loss"], found[f"{name}_accuracy"] = _measured(state.model, split)
            state.keep_the_better(found["valid_accuracy"], going)
        for name, values in found.items():
            state.history[name][:, epoch] = np.where(going, values, np.nan)
        calls.epoch(state.done, state)
    weights = {name: tensor.cpu() for name, tensor in state.weights.items()}
    found = {"weights": weights, "history": state.history, "epoch": state.epoch}
    calls.finished(found)
    return found


def _measured(model, split):
    """Return (cross-entropy, accuracy) of every member, in evaluation mode."""
    logits = logits_of(model.eval(), split[0])
    expected = split[1].expand(len(logits), -1)
    accuracy = (logits.argmax(-1) == expected).double().mean(1).cpu().numpy()
    return cross_entropies(logits, expected).double().mean(1).cpu().numpy(), accuracy


def _one_epoch(state, source, calls, loss, project):
    """Train for one pass over the data; return the mean loss of each member."""
    model, generators, training = state.model.train(), state.generators, state.training
    loss_sum = torch.zeros(len(generators), device=source.device)
    half = training.precision == "bf16"
    for x, labels in source.batches(state.done, generators):
        if training.flip_signs:
            flips = [torch.randint(2, x.shape[1:3], generator=g, dtype=torch.int8) for g in generators]
            flips = torch.stack(flips) if source.shared is None else torch.stack(flips)[..., source.shared]
            x = x * (flips.to(x.device) * 2 - 1)[..., None]
        if training.augment:
            x = augmented(x, training.augment, generators)
        with state.chance or contextlib.nullcontext(), _named_errors("in training"):
            with torch.autocast(x.device.type, torch.bfloat16) if half else contextlib.nullcontext():
                logits = model(x)
            if loss is None:
                losses = cross_entropies(logits, labels, training.label_smoothing).mean(1)
            else:
                losses = loss(x, logits, labels)
                if losses.shape != labels.shape:
                    raise SSHMLError(f"the loss has shape {tuple(losses.shape)}; expected {tuple(labels.shape)}.")
                losses = losses.mean(1)
            state.steps.zero()
            losses.sum().backward()  # members share no parameter: each gets the gradient of its own loss
        with _named_errors("in a step of the optimizer"):
            state.steps.step()
        if project is not None:
            project.step()
        if state.average:
            state.average.step(state.steps.done)
        calls.step(state.steps.done, model)
        loss_sum += losses.detach() * labels.shape[1]
    return (loss_sum / len(source)).cpu().numpy()


@contextlib.contextmanager
def _named_errors(where):
    """Turn what somebody's network raises into a line that says so."""
    try:
        yield
    except (SSHMLError, NotVectorised):
        raise
    except Exception as error:
        raise SSHMLError(f"the network failed {where}: {type(error).__name__}: {flat(error):.300}") from error


def cross_entropies(logits, labels, smoothing=0.0):
    """Return the cross-entropy of each sample, (member, sample, class), (member, sample) -> (member, sample)."""
    flat = logits.float() if logits.dtype == torch.bfloat16 else logits
    found = cross_entropy(flat.flatten(0, 1), labels.reshape(-1), reduction="none", label_smoothing=smoothing)
    return found.view(labels.shape)
