"""Fit one network, or an ensemble of seeds at once."""

import copy
import dataclasses
import functools
import logging
import numbers

import numpy as np
import torch

from sshml.classifier.chance import Chance
from sshml.classifier.ensemble import NotVectorised, are_plain, check_alike, stack, stacked_state, state_of
from sshml.classifier.loading import Stream, input_type, pick_device, resident
from sshml.classifier.loop import Calls, State, fit_stack
from sshml.classifier.resume import Checkpoint
from sshml.classifier.run import Run, logits_of
from sshml.classifier.source import checksum, source_of
from sshml.classifier.spec import TrainingSpec
from sshml.errors import SSHMLError

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
    training = TrainingSpec() if training is None else training
    if not isinstance(training, TrainingSpec):
        raise SSHMLError(f"training is a {type(training).__name__}; expected a TrainingSpec.")
    seeds, start, factory = _members(factory, seeds)
    device = pick_device(device)
    _check_options(training, loss, checkpoint, project, watch)
    members = _built(factory, start, seeds, device)  # to be looked at; others are trained
    if not any(parameter.requires_grad for parameter in members[0].parameters()):
        raise SSHMLError("the network has no parameters to train; unfreeze some (requires_grad).")
    dtype = input_type(members[0])
    source, training = source_of(train, training, device, dtype)
    if training.flip_signs and source.example.ndim != 3:
        raise SSHMLError(f"flip_signs needs states (sample, level, site); got inputs {tuple(source.example.shape)}.")
    if training.augment and source.example.ndim < 3:
        raise SSHMLError(f"augment needs images (..., height, width); got inputs {tuple(source.example.shape)}.")
    valid = resident(valid, training.view, device, dtype)
    watch = {name: resident(split, training.view, device, dtype) for name, split in (watch or {}).items()}
    initial = _states(members)
    _check_network(members[0], source, {"validation": valid, **watch})
    plain, first = are_plain(members), members[0]
    for member in members if not plain else ():
        _check_kept(factory, source.example.cpu(), stack([member]))
    identity = _identity(first, training, seeds, source, valid, watch, initial) if checkpoint else {}
    kept = Checkpoint(checkpoint, identity)

    def trained(parts):
        calls, found = Calls(on_step, on_epoch, progress, kept, len(parts), training.epochs), []
        for part, own in zip(parts, np.split(seeds, len(parts)), strict=True):
            draws = None if plain else Chance(own[0], device)
            state = State(part.to(device), own, training, source.steps, draws, watch)
            how = {"optimizer": state.steps, "tensors": stacked_state(part), "steps_per_epoch": source.steps}
            after_step = project and project(first, **how)
            if project and not hasattr(after_step, "step"):
                raise SSHMLError(f"project made a {type(after_step).__name__}; expected an object with step().")
            verify = None if plain else functools.partial(_check_kept, factory, source.example)
            found.append(fit_stack(state, source, valid, calls, watch, loss, after_step, verify))
            part.cpu()
        return found

    def fresh():
        """Return the members anew, what was looked at aside; plain ones are as they were."""
        again = _built(factory, start, seeds[:1] if plain else seeds, device)
        pairs = [(tensor, initial[name][: len(again)]) for name, tensor in _states(again).items()]
        if any(((one != other) & (one == one)).any() for one, other in pairs):
            raise SSHMLError(
                "the factory made two networks from one seed; let it draw from torch's global generator only."
            )
        return [member.train() for member in members] if plain else again

    if not plain:
        del members[:]
    together = None if "alone" in kept.state else stack(fresh(), source.example.cpu())
    parts = None
    if together is not None:
        try:
            parts = trained([together])
        except NotVectorised as error:
            log.warning("all networks at once failed, starting again one by one: %.200s", error)
            kept.state = {"parts": {}, "alone": np.array(True)}
    elif "alone" not in kept.state:
        log.warning("%d networks of this kind are trained one after another", len(seeds))
    if parts is None:
        parts = trained([stack([member]) for member in fresh()])
    return Run(
        factory=factory,
        seeds=seeds,
        weights=_merge([part["weights"] for part in parts]),
        initial=initial,
        history={name: np.concatenate([part["history"][name] for part in parts]) for name in parts[0]["history"]},
        epoch=np.concatenate([part["epoch"] for part in parts]),
        training=training,
        data=_spec_json(train.split if isinstance(train, Stream) else train),
    )


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


def _built(factory, start, seeds, device):
    """Return the untrained networks, or copies of those to train further, on the CPU in training mode."""
    members = []
    for number, seed in enumerate(seeds):
        with Chance(seed, device):
            model = factory() if start is None else _copied(start[number])
        if not isinstance(model, torch.nn.Module):
            raise SSHMLError(f"got a {type(model).__name__} for a network; expected an nn.Module.")
        members.append(model.cpu().train())
    return members


def _copied(model):
    if not isinstance(model, torch.nn.Module):
        raise SSHMLError(f"got a {type(model).__name__} for a network; expected an nn.Module.")
    if any(p._backward_hooks for p in model.parameters()):
        raise SSHMLError("the network has hooks on its gradients, which no copy keeps; give a factory instead.")
    try:
        return copy.deepcopy(model)
    except RuntimeError as error:
        raise SSHMLError(f"the network cannot be copied: {' '.join(str(error).split())}") from None


def _states(members):
    """Return {name: tensor (member, ...)} of networks, copied."""
    check_alike(members)
    states = [state_of(member) for member in members]
    return {name: torch.stack([state[name] for state in states]) for name in states[0]}


@torch.no_grad()
def _check_kept(factory, example, stacked):
    """Raise where networks rebuilt from the factory and the state_dict are not the same: a run could not keep them."""
    with Chance(0):
        together = logits_of(stacked.eval(), example).cpu()
    for number, logits in enumerate(together):
        with Chance(987654321):
            again = factory().cpu()
        try:
            again.load_state_dict({name: tensor[number].cpu() for name, tensor in stacked_state(stacked).items()})
        except RuntimeError as error:
            raise SSHMLError(
                f"the network's parameters change in number or shape: {' '.join(str(error).split()):.200}"
            ) from None
        with Chance(0):
            found = again.eval()(example.cpu().clone())
        if found.shape != logits.shape or not torch.allclose(found, logits, rtol=1e-3, atol=1e-5, equal_nan=True):
            raise SSHMLError(
                "the network holds something outside of its state_dict that chance or its training made (a plain"
                " tensor, a buffer that is not persistent, a list of layers, a generator); register it as a parameter,"
                " a buffer or in an nn.ModuleList: a run keeps the state_dict."
            )


def _apart(factory):
    """Return a factory whose networks share no tensors, by copying them where those of two calls do."""
    with Chance(0):
        one, other = factory(), factory()
    if not all(isinstance(model, torch.nn.Module) for model in (one, other)):
        raise SSHMLError(f"the factory made a {type(one).__name__}; expected an nn.Module.")
    places = [{id(part) for part in (*m.modules(), *m.parameters(), *m.buffers())} for m in (one, other)]
    return functools.partial(_copy_of, factory) if places[0] & places[1] else factory


def _copy_of(factory):
    return _copied(factory())


def _members(factory, seeds):
    """Return (seeds, modules to start from or None, factory)."""
    if isinstance(seeds, numbers.Integral) and not isinstance(seeds, bool) and seeds >= 0:
        seeds = range(seeds)
    elif not isinstance(seeds, (list, tuple, range, np.ndarray)) or np.ndim(seeds) != 1:
        raise SSHMLError(f"seeds are {seeds!r:.60}; expected their number or a list of integers of at least 0.")
    seeds = np.asarray(seeds)
    if len(seeds) == 0:
        raise SSHMLError("seeds is empty; expected the number of members, at least 1, or a list of seeds.")
    if seeds.dtype.kind not in "iu" or seeds.min() < 0:
        raise SSHMLError(f"seeds are {seeds.tolist()[:8]}; expected integers of at least 0.")
    if isinstance(factory, torch.nn.Module) and not isinstance(factory, torch.nn.ModuleList):
        raise SSHMLError("got a module for the factory; give a callable that makes one, or a list of modules.")
    if callable(factory) and not isinstance(factory, torch.nn.ModuleList):
        return seeds, None, _apart(factory)
    if not isinstance(factory, (list, tuple, torch.nn.ModuleList)):
        raise SSHMLError(f"got a {type(factory).__name__} for the factory; give a callable, or a list of modules.")
    start = list(factory)
    if len(start) != len(seeds):
        raise SSHMLError(f"{len(start)} networks and {len(seeds)} seeds do not match; give one seed per network.")
    return seeds, start, functools.partial(copy.deepcopy, start[0])


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


@torch.no_grad()
def _check_network(model, source, others):
    """Raise where a network does not take the inputs, gives no logits, or has too few classes for the labels."""
    example = source.example.cpu()
    shape = tuple(example.shape[1:])
    for name, (inputs, _) in others.items():
        if (found := tuple(inputs.shape[1:])) != shape:
            raise SSHMLError(f"training inputs have shape {shape} and {name} inputs {found}; they must agree.")
    try:
        with Chance(0):
            logits = model.eval()(example.clone())
    except Exception as error:
        text = " ".join(str(error).split())
        raise SSHMLError(f"the network does not take inputs of shape {shape}: {text:.300}") from error
    if not isinstance(logits, torch.Tensor) or logits.ndim != 2 or len(logits) != len(example):
        got = f"shape {tuple(logits.shape)}" if isinstance(logits, torch.Tensor) else f"a {type(logits).__name__}"
        raise SSHMLError(f"the network gives {got} for {len(example)} samples; expected logits (sample, class).")
    classes = logits.shape[-1]
    largest = max(source.largest_label, *(int(labels.max()) for _, labels in others.values()))
    if largest >= classes:
        raise SSHMLError(f"the splits hold label {largest} but the network has {classes} classes, 0 to {classes - 1}.")


def _merge(states):
    return {name: torch.cat([torch.as_tensor(state[name]).cpu() for state in states]) for name in states[0]}
