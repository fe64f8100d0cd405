"""Data in batches for a model: arrays, tensors, splits, loaders; and the outputs of a model on them."""

import copy
import numbers

import numpy as np
import torch

from sshml.arguments import as_array
from sshml.errors import SSHMLError, one_line

ROWS = 256
"""Samples in a batch that is cut from an array."""


class Batches:
    """Batches (inputs, labels or None) of data of any kind, as often as asked for.

    Args:
        data: an array or tensor of inputs (sample, ...); a tuple (inputs, labels); an object with `inputs` and
            `labels`, as a split of a dataset, which is read in its default view (for networks of a run that saw
            another one give `resident(split, run.training.view)`); or a list or `DataLoader` of batches, each an array,
            a tuple (inputs, labels) or a dictionary of the model's arguments.
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
        if isinstance(data, tuple):
            if len(data) != 2:
                raise SSHMLError(f"data is a tuple of {len(data)}; expected (inputs, labels), or a list of batches.")
            data = tuple(as_tensor(each) for each in data)
            if len(data[0]) != len(data[1]):
                raise SSHMLError(
                    f"data has {len(data[0])} inputs and {len(data[1])} labels; expected a label for each."
                )
        elif isinstance(data, (np.ndarray, torch.Tensor)) or (isinstance(data, list) and data and _is_nested(data[0])):
            data = as_tensor(data), None
        elif not hasattr(data, "__iter__") or isinstance(data, (str, bytes, dict, type)):
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
        with torch.random.fork_rng(devices=[]):  # a DataLoader draws from the global generator
            for inputs, labels in self._pairs():
                inputs, labels = self._ready_batch(inputs, labels)
                count = size_of(inputs)
                if self.limit is not None and seen + count > self.limit and not isinstance(inputs, dict):
                    inputs = inputs[: self.limit - seen]
                    labels = None if labels is None else labels[: self.limit - seen]
                seen += count
                yield inputs, labels
                if self.limit is not None and seen >= self.limit:
                    return
        if not seen:
            raise SSHMLError("data is empty; expected at least one batch.")

    def _ready_batch(self, inputs, labels):
        if isinstance(inputs, dict):
            if not inputs:
                raise SSHMLError("a batch is an empty dictionary; expected the model's arguments.")
            inputs = {name: self._ready(value) for name, value in inputs.items()}
        else:
            inputs = self._ready(inputs)
        if labels is None:
            return inputs, None
        labels = as_tensor(labels).to(self.device)
        if labels.is_complex() or len(labels) != size_of(inputs):
            raise SSHMLError(
                f"a batch has {size_of(inputs)} inputs and labels {tuple(labels.shape)} of {labels.dtype}."
            )
        return inputs, labels

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
        """Return inputs as a tensor of its own, which a forward pass may change, in the model's type of numbers."""
        inputs = as_tensor(inputs)
        if inputs.is_floating_point():
            if not torch.isfinite(inputs).all():
                raise SSHMLError("data holds NaN or infinite numbers; remove them first.")
            inputs = inputs.to(self.dtype)
        return inputs.to(self.device, copy=True)


def size_of(inputs):
    """Return the number of samples of a batch."""
    return len(next(iter(inputs.values())) if isinstance(inputs, dict) else inputs)


def own(inputs):
    """Return a copy of a batch, which a forward pass may change."""
    return {name: x.clone() for name, x in inputs.items()} if isinstance(inputs, dict) else inputs.clone()


def as_tensor(data):
    """Return data (sample, ...) as a dense tensor, or raise."""
    try:
        if isinstance(data, np.ndarray):
            data = as_array(data, "data", kinds="biufc")
            data = np.ascontiguousarray(data, data.dtype.newbyteorder("="))
        found = torch.as_tensor(data).detach()
    except SSHMLError:
        raise
    except (TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise SSHMLError(f"data is no array of numbers ({one_line(error)}).") from None
    if not found.ndim:
        raise SSHMLError("data is a single number; expected an array (sample, ...).")
    if found.layout is not torch.strided or found.device.type == "meta":
        raise SSHMLError(f"data is a tensor of layout {found.layout} on {found.device}; expected a dense one.")
    return found


def output(model, inputs):
    """Return the outputs of a model on a batch as one tensor: its logits, or the first of several that is no number.

    Raises:
        SSHMLError: the model does not take the inputs, or returns no such tensor.
    """
    try:
        found = model(**inputs) if isinstance(inputs, dict) else model(inputs)
    except SSHMLError:
        raise
    except Exception as error:  # whatever a forward pass raises
        raise SSHMLError(f"the model does not take the data: {one_line(error)}") from None
    for tensor in _tensors(found):
        if tensor.ndim:
            return tensor
    raise SSHMLError(f"the model returns a {type(found).__name__} without a tensor (sample, ...).")


def _tensors(found):
    """Yield the tensors in what a model returns, logits first."""
    if isinstance(found, torch.Tensor):
        yield found
    elif isinstance(getattr(found, "logits", None), torch.Tensor):
        yield found.logits
    elif isinstance(found, dict):
        yield from _tensors([value for _, value in sorted(found.items(), key=lambda item: item[0] != "logits")])
    elif isinstance(found, (tuple, list)):
        for each in found:
            yield from _tensors(each)


def _is_nested(value):
    """Return whether a value is a number, or nested lists of numbers rather than a batch of arrays."""
    while isinstance(value, list) and value:
        value = value[0]
    return isinstance(value, (numbers.Number, list))


def is_correct(outputs, labels):
    """Return whether each output (sample, class), or one number per sample, is the one of its label.

    The largest of several numbers is the class; a single number is class 1 above 0. Outputs with NaN are not right.

    Raises:
        SSHMLError: labels that are no classes, or of another shape.
    """
    if labels.is_floating_point():
        raise SSHMLError(f"labels are {labels.dtype}; expected class numbers, or evaluate=... of your own.")
    classes = outputs.shape[1] if outputs.ndim > 1 and outputs.shape[1] > 1 else 2
    if labels.numel() and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        least, most = int(labels.min()), int(labels.max())
        raise SSHMLError(f"labels are from {least} to {most}; expected classes 0 to {classes - 1}.")
    if outputs.ndim > 1 and outputs.shape[1] > 1:
        found = outputs.argmax(1)
    else:
        found = outputs.reshape(len(outputs), -1).squeeze(1) > 0
    labels = labels.reshape(len(labels)) if labels.numel() == len(labels) else labels
    if found.shape != labels.shape:
        raise SSHMLError(f"outputs {tuple(outputs.shape)} and labels {tuple(labels.shape)} do not match.")
    return (found == labels) & ~outputs.reshape(len(outputs), -1).isnan().any(1)
