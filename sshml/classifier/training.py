"""Fit one network, or an ensemble of seeds at once."""

import dataclasses
import functools
import logging

import numpy as np
import torch

from sshml.arguments import as_path, as_split, function, instance
from sshml.classifier.chance import Chance
from sshml.classifier.denormals import flushed
from sshml.classifier.ensemble import NotVectorised, are_plain, stack, stacked_state
from sshml.classifier.loading import Stream, input_type, pick_device, resident
from sshml.classifier.loop import Calls, State, fit_stack
from sshml.classifier.members import asked_for, built, check_kept, check_takes, states_of
from sshml.classifier.resume import Checkpoint
from sshml.classifier.run import Run
from sshml.classifier.source import checksum, source_of
from sshml.classifier.spec import TrainingSpec
from sshml.errors import SSHMLError, one_line

log = logging.getLogger("sshml")

OWN_NAMES = ("train", "valid")
"""Names in the history that are taken."""


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
    project=None,
    watch=None,
):
    """Train one network per seed and return the `Run`: all at once where that gives the same, else one after another.

    Member s starts from `torch.manual_seed(seeds[s])`, shuffles with a generator of the same seed, draws what it draws
    (dropout, noise of PyTorch, NumPy or Python) from that seed on, and is the same network alone or in company up to
    rounding. Networks are validated in evaluation mode; the epoch with the best validation accuracy is kept (the first
    of equals). The global random states are left as they were, and fits in threads do not disturb each other. That an
    ensemble is trained one by one is said in the log "sshml".

    Args:
        factory: callable without arguments that returns an untrained `nn.Module` giving logits (sample, class), with
            all it learns in its state_dict, in float32 or float64; or a list of modules to train further, copied, one
            per seed. All of a network is in training mode while it is trained.
        train: split with `inputs` and `labels`, see `resident`; or a `Stream` of a split larger than memory, in its
            own batches and view, the same for all members. Whole numbers stay so for networks with an `nn.Embedding`.
        valid: split that chooses the epoch.
        training: a `TrainingSpec`; its defaults if None. See `RECIPES` for those of the sources.
        seeds: number of members, or their seeds.
        device: "auto", "cpu" or "cuda".
        progress: called as progress(epochs done, epochs in all).
        on_epoch: called as on_epoch(epoch, stacked module) after every epoch, epoch from 1 (again from 1 where networks
            turn out not to be trained all at once). Where it has the methods
            `state_dict()` (plain data) and `load_state_dict(state)`, its state goes into the checkpoint; else it sees
            only the epochs that are still to come.
        on_step: called as on_step(step, stacked module) after every step of the optimizer, step from 1.
        checkpoint: a file. A training that finds its own state in it goes on from there, with the bytes of an
            undisturbed one; it is written every few seconds, between epochs, and stays when the training ends.
        loss: called as loss(inputs, logits, labels), shapes (member, sample, ...), returns that of each sample (member,
            sample); the cross-entropy if None. Validation goes by accuracy all the same.
        project: makes what changes the weights after every step of the optimizer, as
            `functools.partial(sshml.compression.LowRank, rank=10)`: called as project(network, tensors={name: tensor
            (member, ...)}, optimizer=an object with `param_groups` and `moments()`, steps_per_epoch=number), returns
            an object whose `step()` follows each step.
        watch: {name: split} measured after every epoch into `history["NAME_loss"]` and `history["NAME_accuracy"]`;
            nothing is chosen by it.

    Raises:
        SSHMLError: unusable splits, labels beyond the network's classes, a network that fails or that a run cannot
            keep, a loss that is no longer finite, or a checkpoint of another training.
    """
    checkpoint = None if checkpoint is None else as_path(checkpoint, "checkpoint")
    training = TrainingSpec() if training is None else training
    instance(training, "training", TrainingSpec, "a TrainingSpec")
    train = train if isinstance(train, Stream) else as_split(train, "train")
    valid = as_split(valid, "valid")
    for name, value in (("progress", progress), ("on_epoch", on_epoch), ("on_step", on_step), ("loss", loss)):
        function(value, name, optional=True)
    seeds, start, factory = asked_for(factory, seeds)
    device = pick_device(device)
    _check_options(training, loss, checkpoint, project, watch)
    members = built(factory, start, seeds, device)  # to be looked at; others are trained
    dtype = _checked_type(members[0], training)
    source, training = source_of(train, training, device, dtype)
    _check_inputs(training, source.example)
    valid = resident(valid, training.view, device, dtype)
    watch = {name: resident(split, training.view, device, dtype) for name, split in (watch or {}).items()}
    initial, plain = states_of(members), are_plain(members)
    check_takes(members[0], source, {"validation": valid, **watch})
    for member in members if not plain else ():
        check_kept(factory, source.example.cpu(), stack([member]))
    identity = {} if checkpoint is None else _identity(members[0], training, seeds, source, valid, watch, initial)
    kept = Checkpoint(checkpoint, identity)
    if not plain:
        del members[1:]
    work = _Work(factory, start, seeds, device, training, source, valid, watch, loss, project, plain, members, initial)
    told = functools.partial(Calls, on_step, on_epoch, progress, kept, epochs=training.epochs)
    together = None if "alone" in kept.state else stack(work.fresh(), source.example.cpu())
    parts = None
    if together is not None:
        try:
            parts = work.trained([together], told(parts=1))
        except NotVectorised as error:
            log.warning("all networks at once failed, starting again one by one: %.200s", error)
            kept.state = {"parts": {}, "alone": np.array(True)}
    elif "alone" not in kept.state:
        log.warning("%d networks of this kind are trained one after another", len(seeds))
    if parts is None:
        parts = work.trained([stack([member]) for member in work.fresh()], told(parts=len(seeds)))
    return Run(
        factory=factory,
        seeds=seeds,
        weights=_merged([part["weights"] for part in parts]),
        initial=initial,
        history={name: np.concatenate([part["history"][name] for part in parts]) for name in parts[0]["history"]},
        epoch=np.concatenate([part["epoch"] for part in parts]),
        training=training,
        data=_spec_json(train.split if isinstance(train, Stream) else train),
    )


@dataclasses.dataclass
class _Work:
    """What `fit` trains on what; `members` are those that were looked at, of others than plain ones the first."""

    factory: object
    start: object
    seeds: np.ndarray
    device: torch.device
    training: TrainingSpec
    source: object
    valid: tuple
    watch: dict
    loss: object
    project: object
    plain: bool
    members: list
    initial: dict

    def trained(self, parts, calls):
        """Return what `fit_stack` finds for each part, a stack of networks, one after another."""
        found = []
        for part, own in zip(parts, np.split(self.seeds, len(parts)), strict=True):
            draws = None if self.plain else Chance(own[0], self.device)
            state = State(part.to(self.device), own, self.training, self.source.steps, draws, self.watch)
            after_step = self._projection(state)
            verify = None if self.plain else functools.partial(check_kept, self.factory, self.source.example)
            with flushed():
                found.append(
                    fit_stack(state, self.source, self.valid, calls, self.watch, self.loss, after_step, verify)
                )
            part.cpu()
        return found

    def fresh(self):
        """Return the members anew, what was looked at aside; plain ones are as they were."""
        again = built(self.factory, self.start, self.seeds[:1] if self.plain else self.seeds, self.device)
        pairs = [(tensor, self.initial[name][: len(again)]) for name, tensor in states_of(again).items()]
        if any(((one != other) & (one == one)).any() for one, other in pairs):
            raise SSHMLError(
                "the factory made two networks from one seed; let it draw from torch's global generator only."
            )
        return [member.train() for member in self.members] if self.plain else again

    def _projection(self, state):
        """Return what follows each step, or None."""
        if self.project is None:
            return None
        how = {"optimizer": state.steps, "tensors": stacked_state(state.model), "steps_per_epoch": self.source.steps}
        try:
            made = self.project(self.members[0], **how)
        except TypeError as error:
            raise SSHMLError(f"project does not take (network, {', '.join(how)}): {one_line(error)}.") from error
        if not hasattr(made, "step"):
            raise SSHMLError(f"project made a {type(made).__name__}; expected an object with step().")
        return made


def _checked_type(network, training):
    """Return the type of the inputs of a network that can be trained so."""
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise SSHMLError("the network has no parameters to train; unfreeze some (requires_grad).")
    dtype = input_type(network)
    if dtype == torch.float64 and training.precision != "float32":
        raise SSHMLError(
            "precision bf16 has no meaning for a network in float64; leave it out, or convert by .float()."
        )
    return dtype


def _check_inputs(training, example):
    """Raise where a training has a use for other inputs only."""
    if training.flip_signs and example.ndim != 3:
        raise SSHMLError(f"flip_signs needs states (sample, level, site); got inputs {tuple(example.shape)}.")
    if training.augment and example.ndim < 3:
        raise SSHMLError(f"augment needs images (..., height, width); got inputs {tuple(example.shape)}.")


def _check_options(training, loss, checkpoint, project, watch):
    """Raise where options do not go together."""
    if loss is not None and training.label_smoothing:
        raise SSHMLError("label_smoothing is of the cross-entropy, not of a loss of one's own; leave one of them out.")
    if project is not None and not callable(project):
        raise SSHMLError("project is called with the network; give functools.partial(LowRank, rank=...).")
    for name, value in (("loss", loss), ("project", project)):
        if value is not None and checkpoint is not None:
            raise SSHMLError(f"a checkpoint cannot tell one {name} from another; leave {name}= or checkpoint= out.")
    if project is not None and training.average:
        raise SSHMLError("an average of projected weights is not projected; leave project=... or average out.")
    if watch is not None and not isinstance(watch, dict):
        raise SSHMLError(f"watch is a {type(watch).__name__}; expected {{name: split}}.")
    bad = [name for name in watch or {} if not isinstance(name, str) or not name.isidentifier() or name in OWN_NAMES]
    if bad:
        raise SSHMLError(f"watch {bad} cannot name splits; give words other than train and valid.")


def _identity(network, training, seeds, source, valid, watch, initial):
    """Return what must be the same where a training goes on."""
    return {
        "training": dataclasses.asdict(training),
        "seeds": seeds.tolist(),
        "device": source.device.type,
        "network": repr(network),
        "training data": source.identity(),
        "validation data": checksum(valid),
        "watched data": {f"watched {name}": checksum(split) for name, split in watch.items()},
        "initial weights": checksum(initial.values()),
    }


def _spec_json(split):
    return split.spec.to_json() if hasattr(split, "spec") else None


def _merged(states):
    return {name: torch.cat([torch.as_tensor(state[name]).cpu() for state in states]) for name in states[0]}
