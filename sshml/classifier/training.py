"""Fit one network, or an ensemble of seeds at once."""

import copy
import dataclasses
import functools

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from sshml.classifier.ensemble import stacked_state
from sshml.classifier.loading import Stream, pick_device, resident
from sshml.classifier.resume import Checkpoint
from sshml.classifier.run import Run, logits_of, stacks
from sshml.classifier.source import source_of
from sshml.classifier.spec import TrainingSpec
from sshml.errors import SSHMLError
from sshml.hdf5 import crc32

HISTORY = ("train_loss", "valid_loss", "valid_accuracy")


def fit(
    factory,
    train,
    valid,
    training=None,
    seeds=16,
    device="auto",
    progress=None,
    on_epoch=None,
    *,
    on_step=None,
    checkpoint=None,
):
    """Train one network per seed, all at once where the architecture allows, and return the `Run`.

    Member s starts from `torch.manual_seed(seeds[s])`, shuffles with a generator of the same seed, and is the same
    network alone or in company up to rounding. The epoch with the best validation accuracy is kept (the first of
    equals). The global random state is left as it was.

    Args:
        factory: callable without arguments that returns an untrained `nn.Module` giving logits (sample, class); or a
            list of modules to train further, copied, one per seed.
        train: split with `inputs` and `labels`, see `resident`; or a `Stream` of a split larger than memory, in its
            own batches and view, the same for all members.
        valid: split that chooses the epoch.
        training: a `TrainingSpec`; its defaults if None.
        seeds: number of members, or their seeds.
        device: "auto", "cpu" or "cuda".
        progress: called as progress(epochs done, epochs in all).
        on_epoch: called as on_epoch(epoch, stacked module) after every epoch, epoch from 1. Where it has the methods
            `state_dict()` (plain data) and `load_state_dict(state)`, its state goes into the checkpoint; else it sees
            only the epochs that are still to come.
        on_step: called as on_step(step, stacked module) after every step of the optimizer, step from 1.
        checkpoint: a file. A training that finds its own state in it goes on from there, with the bytes of an
            undisturbed one; it is written every few seconds, between epochs, and stays when the training ends.

    Raises:
        SSHMLError: unusable splits, labels beyond the network's classes, a loss that is no longer finite, or a
            checkpoint of another training.
    """
    training = training or TrainingSpec()
    seeds, start, factory = _members(factory, seeds)
    device = pick_device(device)
    source, training = source_of(train, training, device)
    valid = resident(valid, training.view, device)
    if training.flip_signs and source.example.ndim != 3:
        raise SSHMLError(f"flip_signs needs states (sample, level, site); got inputs {tuple(source.example.shape)}.")

    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        members = []
        for number, seed in enumerate(seeds):
            torch.manual_seed(int(seed))
            members.append(copy.deepcopy(start[number]).train() if start else factory())
        initial = _merge([stacked_state(part) for part in stacks(members)])
        _check_network(members[0], source, valid)
        kept = Checkpoint(checkpoint, _identity(training, seeds, source, initial) if checkpoint else {})
        calls = _Calls(on_step, on_epoch, progress, kept, len(together := stacks(members)), training.epochs)
        parts = []
        for part, own in zip(together, np.split(seeds, len(together)), strict=True):
            torch.manual_seed(int(own[0]))
            parts.append(_fit_stack(part.to(device), own, source, valid, training, calls))
    return Run(
        factory=factory,
        seeds=seeds,
        weights=_merge([part["weights"] for part in parts]),
        initial=initial,
        history={name: np.concatenate([part["history"][name] for part in parts]) for name in HISTORY},
        epoch=np.concatenate([part["epoch"] for part in parts]),
        training=training,
        data=_spec_json(train.split if isinstance(train, Stream) else train),
    )


def _members(factory, seeds):
    """Return (seeds, modules to start from or None, factory)."""
    seeds = np.arange(seeds) if np.ndim(seeds) == 0 else np.asarray(seeds)
    if len(seeds) == 0:
        raise SSHMLError("seeds is empty; expected the number of members, at least 1, or a list of seeds.")
    if seeds.dtype.kind not in "iu" or seeds.min() < 0:
        raise SSHMLError(f"seeds are {seeds.tolist()[:8]}; expected integers of at least 0.")
    if callable(factory):
        return seeds, None, factory
    start = list(factory)
    if len(start) != len(seeds):
        raise SSHMLError(f"{len(start)} networks and {len(seeds)} seeds do not match; give one seed per network.")
    return seeds, start, functools.partial(copy.deepcopy, start[0])


def _identity(training, seeds, source, initial):
    """Return what must be the same where a training goes on."""
    weights = 0
    for tensor in initial.values():
        weights = crc32(np.ascontiguousarray(tensor.numpy()), weights)
    return {
        "training": dataclasses.asdict(training),
        "seeds": seeds.tolist(),
        "device": source.device.type,
        "data": [len(source), list(source.example.shape), crc32(np.ascontiguousarray(source.example.cpu().numpy()))],
        "initial weights": weights,
    }


def _spec_json(split):
    return split.spec.to_json() if hasattr(split, "spec") else None


@torch.no_grad()
def _check_network(model, source, valid):
    """Raise where a network does not take the inputs or has too few classes for the labels."""
    inputs, training = source.example, model.training
    shapes = [tuple(x.shape[1:]) for x in (inputs, valid[0])]
    if shapes[0] != shapes[1]:
        raise SSHMLError(f"training inputs have shape {shapes[0]} and validation inputs {shapes[1]}; they must agree.")
    try:
        classes = model.eval()(inputs[:1].cpu()).shape[-1]
    except RuntimeError as error:
        shape = tuple(inputs.shape[1:])
        raise SSHMLError(
            f"the network does not take inputs of shape {shape}: {' '.join(str(error).split())}."
        ) from None
    model.train(training)
    largest = max(source.largest_label, int(valid[1].max()))
    if largest >= classes:
        raise SSHMLError(f"the splits hold label {largest} but the network has {classes} classes, 0 to {classes - 1}.")


def _merge(states):
    return {name: torch.cat([torch.as_tensor(state[name]).cpu() for state in states]) for name in states[0]}


class _Calls:
    """What is told and kept on the way: steps, epochs, progress, the checkpoint; one part is trained after another."""

    def __init__(self, on_step, on_epoch, progress, checkpoint, parts, epochs):
        self.on_step, self.on_epoch, self.progress = on_step, on_epoch, progress
        self.checkpoint, self.total, self.epochs, self.part = checkpoint, parts * epochs, epochs, 0
        if "on_epoch" in checkpoint.state and hasattr(on_epoch, "load_state_dict"):
            on_epoch.load_state_dict(checkpoint.state["on_epoch"])

    def step(self, number, model):
        if self.on_step:
            self.on_step(number, model)

    def epoch(self, number, state):
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
        return {"on_epoch": self.on_epoch.state_dict()} if hasattr(self.on_epoch, "state_dict") else {}


class _State:
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


def _fit_stack(model, seeds, source, valid, training, calls):
    """Train one stack in place; return its best weights, history and epochs."""
    known, now = calls.known()
    if known is not None:
        calls.part += 1
        return known
    state = _State(model, seeds, training)
    if now is not None:
        state.load_tree(now)
    while state.done < training.epochs:
        epoch = state.done
        state.history["train_loss"][:, epoch] = _one_epoch(state, source, training, calls)
        if not np.isfinite(state.history["train_loss"][:, epoch]).all():
            raise SSHMLError(
                f"the training loss is not finite in epoch {epoch + 1}; lower learning_rate ({training.learning_rate})."
            )
        logits = logits_of(model.eval(), valid[0])
        expected = valid[1].expand(len(seeds), -1)
        accuracy = (logits.argmax(-1) == expected).double().mean(1).cpu().numpy()
        state.history["valid_accuracy"][:, epoch] = accuracy
        state.history["valid_loss"][:, epoch] = _losses(logits, expected).double().mean(1).cpu()
        state.keep_the_better(accuracy, epoch + 1)
        state.done += 1
        calls.epoch(state.done, state)
    weights = {name: tensor.cpu() for name, tensor in state.weights.items()}
    found = {"weights": weights, "history": state.history, "epoch": state.epoch}
    calls.finished(found)
    return found


def _one_epoch(state, source, training, calls):
    """Train for one pass over the data; return the mean loss of each member."""
    model, generators = state.model.train(), state.generators
    loss_sum = torch.zeros(len(generators), device=source.device)
    for x, labels in source.batches(state.done, generators):
        if training.flip_signs:
            flips = [torch.randint(2, x.shape[1:3], generator=g, dtype=torch.int8) for g in generators]
            x = x * (torch.stack(flips).to(x.device) * 2 - 1)[..., None]
        losses = _losses(model(x), labels).mean(1)
        state.optimizer.zero_grad(set_to_none=True)
        losses.sum().backward()  # members share no parameter: each gets the gradient of its own loss
        state.optimizer.step()
        state.steps += 1
        calls.step(state.steps, model)
        loss_sum += losses.detach() * labels.shape[1]
    return (loss_sum / len(source)).cpu()


def _losses(logits, labels):
    """Return the cross-entropy of each sample, (member, sample, class), (member, sample) -> (member, sample)."""
    return cross_entropy(logits.flatten(0, 1), labels.reshape(-1), reduction="none").view(labels.shape)
