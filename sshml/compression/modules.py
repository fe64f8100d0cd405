"""Modules of a model: found, copied, replaced, evaluated."""

import contextlib
import copy
import functools
import numbers
import warnings

import torch
from torch import nn

from sshml.arguments import as_module, shown
from sshml.compression.aliases import STANDARD, has_address
from sshml.compression.layer import CompressedLinear
from sshml.errors import SSHMLError, one_line


def linear_layers(model):
    """Return {name: module} of the linear layers of a model, compressed ones included, in the order it holds them."""
    return {name: m for name, m in as_module(model).named_modules() if isinstance(m, (nn.Linear, CompressedLinear))}


def n_bytes(model):
    """Return the bytes of all parameters and buffers of a model, indices included."""
    model = as_module(model)
    return sum(map(_stored, (*model.parameters(), *model.buffers())))


def _stored(tensor):
    if tensor.layout is torch.sparse_coo:
        tensor = tensor.coalesce()
        return tensor.indices().nbytes + tensor.values().nbytes
    return tensor.nbytes


def find_layer(model, layer):
    """Return the name of a linear layer given by its name or by its number among the linear layers.

    Raises:
        SSHMLError: there is no such layer; the message lists those that are.
    """
    names = list(linear_layers(model))
    number = isinstance(layer, numbers.Integral) and not isinstance(layer, bool)
    if number and -len(names) <= layer < len(names):
        return names[int(layer)]
    if isinstance(layer, str) and layer in names:
        return layer
    known = ", ".join(f"{number} ({name})" for number, name in enumerate(names)) or "none"
    raise SSHMLError(f"layer {shown(layer)} is not a linear layer of this {type(model).__name__}; it has {known}.")


def copied(model):
    """Return a deep copy of a model, also where attributes hold tensors that some computation made.

    Parameters that share their memory go on sharing it.

    Raises:
        SSHMLError: the model cannot be copied.
    """
    made = {
        id(value): value.detach().clone()
        for module in model.modules()
        for value in vars(module).values()
        if isinstance(value, torch.Tensor) and not value.is_leaf
    }
    try:
        with warnings.catch_warnings(), torch.inference_mode(False):
            warnings.simplefilter("ignore", FutureWarning)  # of PyTorch about its own graphs
            new = copy.deepcopy(model, made)
    except Exception as error:  # a model's own __deepcopy__ may raise what it likes
        raise SSHMLError(f"this {type(model).__name__} cannot be copied ({one_line(error)}).") from None
    if new is model or not isinstance(new, nn.Module):
        raise SSHMLError(f"this {type(model).__name__} does not let itself be copied; it is left as it is.")
    first = {}
    for old, parameter in zip(model.parameters(), new.parameters(), strict=True):
        if has_address(old):
            same = first.setdefault((old.data_ptr(), old.shape, old.stride()), parameter)
            if same is not parameter:
                parameter.data = same.data
    return new


def replaced(model, path, new):
    """Return the model with another module at a path, and wherever the same module stands; hooks and mode go along."""
    old = model.get_submodule(path)
    carry_over(old, new)
    if old is model:
        return new
    for place, module in list(model.named_modules(remove_duplicate=False)):  # a shared layer stays shared
        if module is old:
            model.set_submodule(place, new)
    return model


def leaves_chance_alone(function):
    """Decorate a function so that the global random state is afterwards what it was."""

    @functools.wraps(function)
    def call(*args, **kwargs):
        with torch.random.fork_rng(devices=[]):
            return function(*args, **kwargs)

    return call


STATE_HOOKS = (
    "_state_dict_hooks",
    "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)

HOOKS = (
    "_backward_hooks",
    "_backward_pre_hooks",
    "_forward_hooks",
    "_forward_hooks_always_called",
    "_forward_hooks_with_kwargs",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_is_full_backward_hook",
)


def carry_over(old, new):
    """Give a module the hooks, the mode and the attributes of its own of another."""
    for name, value in vars(old).items():
        if name in HOOKS or (name not in STANDARD and name not in vars(new) and not hasattr(type(new), name)):
            vars(new)[name] = value
    new.train(old.training)


@contextlib.contextmanager
def evaluating(model):
    """Put a model in evaluation mode for a block, without gradients; the modes of all modules come back after it."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield model
    finally:
        for module, mode in modes:
            module.training = mode
