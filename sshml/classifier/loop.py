"""The loop that trains a stack of networks, and the state that it carries from epoch to epoch."""

import json

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from sshml.classifier.ensemble import stacked_state
from sshml.classifier.run import logits_of
from sshml.errors import SSHMLError

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
    """One stack in training: networks, optimizer, generators, the best weights so far, history."""

    def __init__(self, model, seeds, training):
        self.model, members = model, len(seeds)
        self.generators = [torch.Generator().manual_seed(int(seed)) for seed in seeds]
        self.optimizer = torch.optim.Adam(
            model.parameters(), lr=training.learning_rate, weight_decay=training.weight_decay, fused=True
        )
        self.history = {name: np.full((members, training.epochs), np.nan) for name in HISTORY}
        self.best, self.epoch = np.full(members, -1.0), np.zeros(members, dtype=np.int64)
        self.weights = {name: tensor.clone() for name, tensor in stacked_state(model).items()}
        self.done, self.steps = 0, 0

    def keep_the_better(self, accuracy, epoch):
        """Keep the weights of the members that are better than ever."""
        better = accuracy > self.best
        for member in np.flatnonzero(better):
            for name, tensor in stacked_state(self.model).items():
                self.weights[name][member] = tensor[member]
        self.best, self.epoch = np.maximum(accuracy, self.best), np.where(better, epoch, self.epoch)

    def as_tree(self):
        """Return all of it as a tree of arrays."""
        device = next(iter(self.weights.values())).device
        optimizer = self.optimizer.state_dict()["state"]
        return {
            "model": dict(stacked_state(self.model)),
            "buffers": dict(self.model.named_buffers()),  # those outside of the state_dict too
            "moments": {str(number): dict(state) for number, state in optimizer.items()},
            "generators": {str(number): g.get_state() for number, g in enumerate(self.generators)},
            "global": torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.random.get_rng_state(),
            "weights": self.weights,
            "history": self.history,
            "best": self.best,
            "epoch": self.epoch,
            "done": self.done,
            "steps": self.steps,
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
        moments = {
            int(number): {name: torch.as_tensor(value) for name, value in state.items()}
            for number, state in tree["moments"].items()
        }
        self.optimizer.load_state_dict({"state": moments, "param_groups": self.optimizer.state_dict()["param_groups"]})
        for number, generator in enumerate(self.generators):
            generator.set_state(torch.as_tensor(tree["generators"][str(number)]))
        device = next(iter(self.weights.values())).device
        if device.type == "cuda":
            torch.cuda.set_rng_state(torch.as_tensor(tree["global"]), device)
        else:
            torch.random.set_rng_state(torch.as_tensor(tree["global"]))
        self.history, self.best, self.epoch = dict(tree["history"]), tree["best"], tree["epoch"]
        self.done, self.steps = int(tree["done"]), int(tree["steps"])


def fit_stack(model, seeds, source, valid, training, calls, loss=None):
    """Train one stack in place; return its best weights, history and epochs."""
    known, now = calls.known()
    if known is not None:
        calls.part += 1
        return known
    state = State(model, seeds, training)
    if now is not None:
        state.load_tree(now)
    while state.done < training.epochs:
        epoch = state.done
        state.history["train_loss"][:, epoch] = _one_epoch(state, source, training, calls, loss)
        if not np.isfinite(state.history["train_loss"][:, epoch]).all():
            raise SSHMLError(
                f"the training loss is not finite in epoch {epoch + 1}; lower learning_rate ({training.learning_rate})."
            )
        logits = logits_of(model.eval(), valid[0])
        expected = valid[1].expand(len(seeds), -1)
        accuracy = (logits.argmax(-1) == expected).double().mean(1).cpu().numpy()
        state.history["valid_accuracy"][:, epoch] = accuracy
        state.history["valid_loss"][:, epoch] = cross_entropies(logits, expected).double().mean(1).cpu()
        state.keep_the_better(accuracy, epoch + 1)
        state.done += 1
        calls.epoch(state.done, state)
    weights = {name: tensor.cpu() for name, tensor in state.weights.items()}
    found = {"weights": weights, "history": state.history, "epoch": state.epoch}
    calls.finished(found)
    return found


def _one_epoch(state, source, training, calls, loss):
    """Train for one pass over the data; return the mean loss of each member."""
    model, generators = state.model.train(), state.generators
    loss_sum = torch.zeros(len(generators), device=source.device)
    for x, labels in source.batches(state.done, generators):
        if training.flip_signs:
            flips = [torch.randint(2, x.shape[1:3], generator=g, dtype=torch.int8) for g in generators]
            x = x * (torch.stack(flips).to(x.device) * 2 - 1)[..., None]
        logits = model(x)
        losses = (cross_entropies(logits, labels) if loss is None else loss(x, logits, labels)).mean(1)
        state.optimizer.zero_grad(set_to_none=True)
        losses.sum().backward()  # members share no parameter: each gets the gradient of its own loss
        state.optimizer.step()
        state.steps += 1
        calls.step(state.steps, model)
        loss_sum += losses.detach() * labels.shape[1]
    return (loss_sum / len(source)).cpu()


def cross_entropies(logits, labels):
    """Return the cross-entropy of each sample, (member, sample, class), (member, sample) -> (member, sample)."""
    return cross_entropy(logits.flatten(0, 1), labels.reshape(-1), reduction="none").view(labels.shape)
