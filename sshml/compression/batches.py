"""Data in batches for a model: arrays, tensors, splits, loaders; and the outputs of a model on them."""

import copy
import numbers

import numpy as np
import torch

from sshml.errors import SSHMLError, one_line

ROWS = 256
"""Samples in a batch that is cut from an array."""


class Batches:
    """Batches (inputs, labels or None) of data of any kind, as often as asked for.

    Args:
        data: an array or tensor of inputs (sample, ...); a tuple (inputs, labels); an object with `inputs` and
            `labels`, as a split of a dataset; or a list or `DataLoader` of batches, each an array, a tuple (inputs,
            labels) or a dictionary of the model's arguments.
        model: whose device and type of numbers floating-point inputs take.

    Raises:
        SSHMLError: data of another kind, that can be read only once, empty, or with NaN.
    """

    def __init__(self, data, model):
        self.limit = None
        tensor = next((t for t in (*model.parameters(), *model.buffers()) if t.is_floating_point()), torch.empty(0))
        self.device, self.dtype = tensor.device, tensor.dtype
        if hasattr(data, "inputs") and hasattr(data, "labels"):
            data = data.inputs() if callable(data.inputs) else data.inputs, data.labels
        if isinstance(data, tuple) and len(data) == 2:
            data = tuple(_array(each) for each in data)
            if len(data[0]) != len(data[1]):
                raise SSHMLError(
                    f"data has {len(data[0])} inputs and {len(data[1])} labels; expected a label for each."
                )
        elif isinstance(data, (np.ndarray, torch.Tensor)) or (
            isinstance(data, list) and data and isinstance(data[0], (numbers.Number, list))
        ):
            data = _array(data), None
        elif not hasattr(data, "__iter__") or isinstance(data, (str, bytes, dict)):
            raise SSHMLError(
                f"data is a {type(data).__name__}; expected an array (sample, ...), (inputs, labels), a split, or a"
                " list or DataLoader of batches."
            )
        elif iter(data) is data:
            raise SSHMLError("data can be read only once; give a list of batches, a DataLoader or an array.")
        if isinstance(data, tuple) and not len(data[0]):
            raise SSHMLError("data is empty; expected at least one sample.")
        self.data = data

    @property
    def count(self):
        """Number of batches, None where nobody knows it."""
        if isinstance(self.data, tuple):
            return -(-len(self.data[0]) // ROWS)
        return len(self.data) if hasattr(self.data, "__len__") else None

    def first(self, limit):
        """Return the batches of the first samples only."""
        new = copy.copy(self)
        new.limit = limit
        return new

    def __iter__(self):
        seen = 0
        for inputs, labels in self._pairs():
            if isinstance(inputs, dict):
                inputs = {name: self._ready(value) for name, value in inputs.items()}
                count = len(next(iter(inputs.values())))
            else:
                inputs = self._ready(inputs)
                count = len(inputs)
            labels = None if labels is None else torch.as_tensor(labels).to(self.device)
            if self.limit is not None and seen + count > self.limit and not isinstance(inputs, dict):
                inputs, labels = inputs[: self.limit - seen], None if labels is None else labels[: self.limit - seen]
            seen += count
            yield inputs, labels
            if self.limit is not None and seen >= self.limit:
                return
        if not seen:
            raise SSHMLError("data is empty; expected at least one batch.")

    def _pairs(self):
        if isinstance(self.data, tuple):
            inputs, labels = self.data
            for first in range(0, len(inputs), ROWS):
                rows = slice(first, first + ROWS)
                yield inputs[rows], None if labels is None else labels[rows]
            return
        for batch in self.data:
            if isinstance(batch, (tuple, list)) and len(batch) == 2:
                yield tuple(batch)
            elif isinstance(batch, (tuple, list)) and len(batch) == 1:
                yield batch[0], None
            elif isinstance(batch, (dict, np.ndarray, torch.Tensor)):
                yield batch, None
            else:
                raise SSHMLError(
                    f"a batch is a {type(batch).__name__}; expected an array, (inputs, labels) or a dictionary."
                )

    def _ready(self, inputs):
        inputs = _array(inputs)
        if inputs.is_floating_point():
            if not torch.isfinite(inputs).all():
                raise SSHMLError("data holds NaN or infinite numbers; remove them first.")
            inputs = inputs.to(self.dtype)
        return inputs.to(self.device)


def _array(data):
    try:
        found = torch.as_tensor(data).detach()
    except (TypeError, ValueError, RuntimeError) as error:
        raise SSHMLError(f"data is no array of numbers ({one_line(error)}).") from None
    if not found.ndim:
        raise SSHMLError("data is a single number; expected an array (sample, ...).")
    return found


def output(model, inputs):
    """Return the outputs of a model on a batch as one tensor (sample, ...): its logits where it returns several things.

    Raises:
        SSHMLError: the model does not take the inputs, or returns no tensor.
    """
    try:
        found = model(**inputs) if isinstance(inputs, dict) else model(inputs)
    except (RuntimeError, TypeError, ValueError, IndexError, AttributeError, AssertionError) as error:
        if isinstance(error, SSHMLError):
            raise
        raise SSHMLError(f"the model does not take the data: {one_line(error)}") from None
    found = getattr(found, "logits", found)
    if isinstance(found, dict):
        found = found.get("logits", next(iter(found.values()), None))
    while isinstance(found, (tuple, list)) and found:
        found = found[0]
    if not isinstance(found, torch.Tensor):
        raise SSHMLError(f"the model returns a {type(found).__name__}; expected a tensor, or one first among others.")
    return found
