"""Fit one network, or an ensemble of seeds at once."""

import copy
import dataclasses
import functools
import itertools
import math

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from sshml.classifier.ensemble import stack, stacked_state
from sshml.classifier.loading import Stream, pick_device, resident
from sshml.errors import SSHMLError

CHUNK = 2**22
"""Inputs evaluated at once: numbers in one block of samples."""


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
        with torch.random.fork_rng(devices=[]):
            model = self.factory()
        state = self.initial if initial else self.weights
        model.load_state_dict({name: tensor[member] for name, tensor in state.items()})
        return model.eval()

    def models(self, initial=False):
        """Return all members as plain modules."""
        return [self.model(member, initial) for member in range(len(self))]

    def accuracy(self, split, device="cpu"):
        """Return the accuracy of every member on a split, shape (member), seen in the view of the training."""
        return self.correct(split, device).mean(axis=1)

    def correct(self, split, device="cpu"):
        """Return whether each member is right on each sample, bool (member, sample)."""
        inputs, labels = resident(split, self.training.view, pick_device(device))
        return np.concatenate([
            (_logits(part.to(inputs.device).eval(), inputs).argmax(-1) == labels).cpu().numpy()
            for part in stacks(self.models())
        ])  # fmt: skip


def fit(factory, train, valid, training=None, seeds=16, device="auto", progress=None, on_epoch=None):
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
        on_epoch: called as on_epoch(epoch, stacked module) after every epoch, epoch from 1.

    Raises:
        SSHMLError: unusable splits, labels beyond the network's classes, or a loss that is no longer finite.
    """
    training = training or TrainingSpec()
    seeds = np.arange(seeds) if np.ndim(seeds) == 0 else np.asarray(seeds)
    start = None if callable(factory) else list(factory)
    if start is not None:
        if len(start) != len(seeds):
            raise SSHMLError(f"{len(start)} networks and {len(seeds)} seeds do not match; give one seed per network.")
        factory = functools.partial(copy.deepcopy, start[0] if start else None)
    if len(seeds) == 0:
        raise SSHMLError("seeds is empty; expected the number of members, at least 1, or a list of seeds.")
    if seeds.dtype.kind not in "iu" or seeds.min() < 0:
        raise SSHMLError(f"seeds are {seeds.tolist()[:8]}; expected integers of at least 0.")
    device = pick_device(device)
    if isinstance(train, Stream):
        training = dataclasses.replace(training, view=train.view, batch_size=train.batch_size)
        source = _Streamed(train, device)
    else:
        source = _Resident(*resident(train, training.view, device), training.batch_size)
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
        together = stacks(members)
        epochs_done, total = itertools.count(1), training.epochs * len(together)

        def report(epoch, model):
            if on_epoch:
                on_epoch(epoch, model)
            if progress:
                progress(next(epochs_done), total)

        parts = []
        for part, own in zip(together, np.split(seeds, len(together)), strict=True):
            torch.manual_seed(int(own[0]))
            parts.append(_fit_stack(part.to(device), own, source, valid, training, report))
    weights, history, epoch = zip(*parts, strict=True)
    return Run(
        factory=factory,
        seeds=seeds,
        weights=_merge(weights),
        initial=initial,
        history={name: np.concatenate([part[name] for part in history]) for name in history[0]},
        epoch=np.concatenate(epoch),
        training=training,
        data=_spec_json(train.split if isinstance(train, Stream) else train),
    )


def _spec_json(split):
    return split.spec.to_json() if hasattr(split, "spec") else None


class _Resident:
    """Batches of a split on the device: every member has its own order."""

    def __init__(self, inputs, labels, batch_size):
        self.inputs, self.labels, self.batch_size = inputs, labels, batch_size
        self.example, self.largest_label, self.device = inputs[:1], int(labels.max()), inputs.device

    def __len__(self):
        return len(self.labels)

    def batches(self, epoch, generators):
        """Yield (inputs, labels), shapes (member, sample, ...)."""
        order = torch.stack([torch.randperm(len(self), generator=g) for g in generators]).to(self.device)
        for batch in order.split(self.batch_size, dim=1):
            x = self.inputs.index_select(0, batch.reshape(-1)).reshape(*batch.shape, *self.inputs.shape[1:])
            yield x, self.labels[batch]


class _Streamed:
    """Batches of a stream: all members see the same ones."""

    def __init__(self, stream, device):
        self.stream, self.device = stream, device
        self.example = torch.from_numpy(stream.split.inputs(stream.view, slice(1))).to(device)
        self.largest_label = int(stream.split.labels.max())

    def __len__(self):
        return len(self.stream.split)

    def batches(self, epoch, generators):
        """Yield (inputs, labels), shapes (member, sample, ...)."""
        members = len(generators)
        for x, labels in self.stream.batches(epoch):
            x, labels = x.to(self.device, non_blocking=True), labels.to(self.device, non_blocking=True)
            yield x.expand(members, *x.shape), labels.expand(members, -1)


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


def stacks(members):
    """Return the members as one stacked module in a list, or as one each where they cannot be vectorised."""
    together = stack(members)
    return [together] if together is not None else [stack([member]) for member in members]


def _merge(states):
    return {name: torch.cat([state[name].cpu() for state in states]) for name in states[0]}


def _fit_stack(model, seeds, source, valid, training, report):
    """Train one stack in place; return its best weights, history and epochs."""
    members, samples = len(seeds), len(source)
    generators = [torch.Generator().manual_seed(int(seed)) for seed in seeds]
    optimizer = torch.optim.Adam(
        model.parameters(), lr=training.learning_rate, weight_decay=training.weight_decay, fused=True
    )
    history = {name: np.empty((members, training.epochs)) for name in ("train_loss", "valid_loss", "valid_accuracy")}
    best, best_epoch, weights = np.full(members, -1.0), np.zeros(members, dtype=np.int64), None
    for epoch in range(training.epochs):
        model.train()
        loss_sum = torch.zeros(members, device=source.device)
        for x, labels in source.batches(epoch, generators):
            if training.flip_signs:
                flips = [torch.randint(2, x.shape[1:3], generator=g, dtype=torch.int8) for g in generators]
                x = x * (torch.stack(flips).to(x.device) * 2 - 1)[..., None]
            losses = _losses(model(x), labels).mean(1)
            optimizer.zero_grad(set_to_none=True)
            losses.sum().backward()  # members share no parameter: each gets the gradient of its own loss
            optimizer.step()
            loss_sum += losses.detach() * labels.shape[1]
        history["train_loss"][:, epoch] = (loss_sum / samples).cpu()
        if not np.isfinite(history["train_loss"][:, epoch]).all():
            raise SSHMLError(
                f"the training loss is not finite in epoch {epoch + 1}; lower learning_rate ({training.learning_rate})."
            )
        logits = _logits(model.eval(), valid[0])
        expected = valid[1].expand(members, -1)
        accuracy = (logits.argmax(-1) == expected).double().mean(1).cpu().numpy()
        history["valid_accuracy"][:, epoch] = accuracy
        history["valid_loss"][:, epoch] = _losses(logits, expected).double().mean(1).cpu()
        better = accuracy > best
        state = stacked_state(model)
        if weights is None:
            weights = {name: tensor.clone() for name, tensor in state.items()}
        for member in np.flatnonzero(better):
            for name, tensor in state.items():
                weights[name][member] = tensor[member]
        best, best_epoch = np.maximum(accuracy, best), np.where(better, epoch + 1, best_epoch)
        report(epoch + 1, model)
    return {name: tensor.cpu() for name, tensor in weights.items()}, history, best_epoch


def _losses(logits, labels):
    """Return the cross-entropy of each sample, (member, sample, class), (member, sample) -> (member, sample)."""
    return cross_entropy(logits.flatten(0, 1), labels.reshape(-1), reduction="none").view(labels.shape)


@torch.no_grad()
def _logits(model, inputs):
    """Return the logits (member, sample, class) of all members on the same inputs (sample, ...)."""
    members = len(next(iter(stacked_state(model).values())))
    rows = max(1, CHUNK // (members * inputs[0].numel()))
    return torch.cat([model(part.expand(members, *part.shape)) for part in inputs.split(rows)], dim=1)
