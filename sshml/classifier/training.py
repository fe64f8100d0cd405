"""Fit one network, or an ensemble of seeds at once."""

import copy
import dataclasses
import functools

import numpy as np
import torch

from sshml.classifier.ensemble import stacked_state
from sshml.classifier.loading import Stream, pick_device, resident
from sshml.classifier.loop import HISTORY, Calls, fit_stack
from sshml.classifier.resume import Checkpoint
from sshml.classifier.run import Run, stacks
from sshml.classifier.source import checksum, source_of
from sshml.classifier.spec import TrainingSpec
from sshml.errors import SSHMLError


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
    loss=None,
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
        loss: called as loss(inputs, logits, labels), shapes (member, sample, ...), returns that of each sample (member,
            sample); the cross-entropy if None. Validation goes by accuracy all the same.

    Raises:
        SSHMLError: unusable splits, labels beyond the network's classes, a loss that is no longer finite, or a
            checkpoint of another training.
    """
    if loss is not None and checkpoint is not None:
        raise SSHMLError("a checkpoint cannot tell one loss from another; leave loss=... or checkpoint=... out.")
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
        identity = _identity(members[0], training, seeds, source, valid, initial) if checkpoint else {}
        kept = Checkpoint(checkpoint, identity)
        calls = Calls(on_step, on_epoch, progress, kept, len(together := stacks(members)), training.epochs)
        parts = []
        for part, own in zip(together, np.split(seeds, len(together)), strict=True):
            torch.manual_seed(int(own[0]))
            parts.append(fit_stack(part.to(device), own, source, valid, training, calls, loss))
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


def _identity(network, training, seeds, source, valid, initial):
    """Return what must be the same where a training goes on."""
    return {
        "training": dataclasses.asdict(training),
        "seeds": seeds.tolist(),
        "device": source.device.type,
        "network": repr(network),
        "training data": source.identity(),
        "validation data": checksum(valid),
        "initial weights": checksum(initial.values()),
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
