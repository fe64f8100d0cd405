"""Tensors and modules of a model that more than one place refers to."""

import collections
import functools
import types

import torch
from torch import nn
from torch.nn.utils import parametrize

STANDARD = frozenset(vars(nn.Module()))
"""Attributes that every module has, hooks among them."""

DEPTH = 4
"""Containers and objects within each other that are searched."""


def tied_tensors(model):
    """Return {address: full names} of the tensors that several layers, or attributes of one, share.

    What parametrises a weight belongs to the layer with the weight.
    """
    owners, within = {}, {id(part) for m in model.modules() for part in _parametrisations(m)}
    for path, module in model.named_modules():
        if id(module) in within:
            continue
        own = [*module._parameters.items(), *module._buffers.items()]
        for part in _parametrisations(module):
            own += [(f"parametrizations.{name}", t) for name, t in (*part._parameters.items(), *part._buffers.items())]
        for name, tensor in own:
            if tensor is not None and has_address(tensor):
                owners.setdefault(tensor.data_ptr(), []).append(f"{path}.{name}" if path else name)
    return {address: names for address, names in owners.items() if len(names) > 1}


def has_address(tensor):
    """Return whether a tensor's numbers lie side by side in memory."""
    return tensor.layout is torch.strided and tensor.device.type != "meta" and tensor.numel() > 0


def _parametrisations(module):
    return list(module.parametrizations.modules()) if parametrize.is_parametrized(module) else []


def held_elsewhere(model):
    """Return (ids of modules, addresses of tensors) in attributes that are neither registered children nor parameters.

    Lists, dictionaries, functions with what they close over, bound methods and plain objects are searched too. A copy
    of a function still refers to the modules of the original, so that of those all children count.
    """
    modules, tensors, seen = set(), set(), set()

    def visit(value, depth):
        if isinstance(value, nn.Module):
            modules.add(id(value))
            return
        if isinstance(value, torch.Tensor):
            if has_address(value):
                tensors.add(value.data_ptr())
            return
        if depth == 0 or id(value) in seen or isinstance(value, (str, bytes, int, float, type, types.ModuleType)):
            return
        seen.add(id(value))
        for inner in _inside(value):
            if isinstance(value, types.FunctionType) and isinstance(inner, nn.Module):
                modules.update(id(child) for child in inner.modules())
            else:
                visit(inner, depth - 1)

    for holder in model.modules():
        for name, value in vars(holder).items():
            if name not in STANDARD and not type(holder).__module__.startswith(("torch.fx", "torch.nn.modules.rnn")):
                visit(value, DEPTH)
    return modules, tensors


def _inside(value):
    """Return what a container, function or object refers to."""
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, (list, tuple, set, frozenset, collections.deque)):
        return list(value)
    if isinstance(value, functools.partial):
        return [value.func, *value.args, *value.keywords.values()]
    if isinstance(value, types.MethodType):
        return [value.__self__]
    if isinstance(value, types.FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or () if _is_full(cell)]
        return [*cells, *(value.__defaults__ or ())]
    if type(value).__module__.partition(".")[0] in ("torch", "numpy", "builtins"):
        return []
    return list(getattr(value, "__dict__", {}).values())


def _is_full(cell):
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True
