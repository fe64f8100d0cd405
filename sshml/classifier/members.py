"""The networks of a training: how they are made, and whether a run can keep them."""

import copy
import functools
import os

import numpy as np
import torch

from sshml.arguments import integer, integers
from sshml.classifier.chance import Chance
from sshml.classifier.ensemble import check_alike, stacked_state, state_of
from sshml.classifier.run import logits_of
from sshml.errors import SSHMLError, flat, one_line


def asked_for(factory, seeds):
    """Return (seeds, modules to start from or None, factory)."""
    if not isinstance(seeds, str) and np.iterable(seeds):
        seeds = integers(seeds, "seeds", 0, 2**63 - 1)
    else:
        seeds = range(integer(seeds, "seeds", 1, MOST))
    if len(seeds) == 0:
        raise SSHMLError("seeds is empty; expected the number of members, at least 1, or a list of seeds.")
    seeds = np.array(seeds)
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


def _apart(factory):
    """Return a factory whose networks share no tensors, by copying them where those of two calls do."""
    try:
        with Chance(0):
            one, other = factory(), factory()
    except TypeError as error:
        if error.__traceback__.tb_next is not None and error.__traceback__.tb_next.tb_next is not None:
            raise  # from within it
        raise SSHMLError(f"the factory is called without arguments: {one_line(error)}.") from error
    if not all(isinstance(model, torch.nn.Module) for model in (one, other)):
        raise SSHMLError(f"the factory made a {type(one).__name__}; expected an nn.Module.")
    places = [{id(part) for part in (*m.modules(), *m.parameters(), *m.buffers())} for m in (one, other)]
    return functools.partial(_copy_of, factory) if places[0] & places[1] else factory


def _copy_of(factory):
    return _copied(factory())


def built(factory, start, seeds, device):
    """Return the untrained networks, or copies of those to train further, on the CPU in training mode."""
    members = []
    for number, seed in enumerate(seeds):
        with Chance(seed, device):
            model = factory() if start is None else _copied(start[number])
        if not isinstance(model, torch.nn.Module):
            raise SSHMLError(f"got a {type(model).__name__} for a network; expected an nn.Module.")
        members.append(model.cpu().train())
        if number == 0:
            _check_memory(model, len(seeds))
    return members


MOST = 10**7
"""Members, at most; memory sets an earlier limit."""

COPIES = 6
"""Times that a network is in memory while it is trained: weights, gradients, moments, the best and the first ones."""


def _check_memory(model, count):
    """Raise where so many networks are more than the machine's memory holds."""
    needed = COPIES * count * sum(tensor.nbytes for tensor in (*model.parameters(), *model.buffers()))
    if hasattr(os, "sysconf") and needed > (there := os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")):
        raise SSHMLError(
            f"{count} networks need about {needed / 2**30:.0f} GiB while they are trained and this machine has"
            f" {there / 2**30:.0f}; train fewer at a time."
        )


def _copied(model):
    if not isinstance(model, torch.nn.Module):
        raise SSHMLError(f"got a {type(model).__name__} for a network; expected an nn.Module.")
    if any(p._backward_hooks for p in model.parameters()):
        raise SSHMLError("the network has hooks on its gradients, which no copy keeps; give a factory instead.")
    try:
        return copy.deepcopy(model)
    except RuntimeError as error:
        raise SSHMLError(f"the network cannot be copied: {flat(error)}") from None


def states_of(members):
    """Return {name: tensor (member, ...)} of networks, copied."""
    check_alike(members)
    states = [state_of(member) for member in members]
    return {name: torch.stack([state[name] for state in states]) for name in states[0]}


@torch.no_grad()
def check_takes(model, source, others):
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
        raise SSHMLError(f"the network does not take inputs of shape {shape}: {flat(error):.300}") from error
    if not isinstance(logits, torch.Tensor) or logits.ndim != 2 or len(logits) != len(example):
        got = f"shape {tuple(logits.shape)}" if isinstance(logits, torch.Tensor) else f"a {type(logits).__name__}"
        raise SSHMLError(f"the network gives {got} for {len(example)} samples; expected logits (sample, class).")
    classes = logits.shape[-1]
    largest = max(source.largest_label, *(int(labels.max()) for _, labels in others.values()))
    if largest >= classes:
        raise SSHMLError(f"the splits hold label {largest} but the network has {classes} classes, 0 to {classes - 1}.")


@torch.no_grad()
def check_kept(factory, example, stacked):
    """Raise where networks rebuilt from the factory and the state_dict are not the same: a run could not keep them."""
    with Chance(0):
        together = logits_of(stacked.eval(), example).cpu()
    for number, logits in enumerate(together):
        with Chance(987654321):
            again = factory().cpu()
        try:
            again.load_state_dict({name: tensor[number].cpu() for name, tensor in stacked_state(stacked).items()})
        except RuntimeError as error:
            raise SSHMLError(f"the network's parameters change in number or shape: {flat(error):.200}") from None
        with Chance(0):
            found = again.eval()(example.cpu().clone())
        if found.shape != logits.shape or not torch.allclose(found, logits, rtol=1e-3, atol=1e-5, equal_nan=True):
            raise SSHMLError(
                "the network holds something outside of its state_dict that chance or its training made (a plain"
                " tensor, a buffer that is not persistent, a list of layers, a generator); register it as a parameter,"
                " a buffer or in an nn.ModuleList: a run keeps the state_dict."
            )
