"""Where the batches of a training come from: a split on the device, or a stream of one larger than memory."""

import dataclasses

import numpy as np
import torch

from sshml.classifier.loading import EXAMPLES, Stream, resident
from sshml.dataset import View
from sshml.hdf5 import crc32


def source_of(train, training, device, dtype=torch.float32):
    """Return (source of batches, `TrainingSpec` as it is then) of a split or a `Stream`, see `resident` for `dtype`."""
    if isinstance(train, Stream):
        used = dataclasses.replace(training, view=train.view, batch_size=train.batch_size)
        return Streamed(train, device, dtype or torch.float32, _shared(train.view, train.split)), used
    found = resident(train, training.view, device, dtype)
    return Resident(*found, training.batch_size, _shared(training.view, train)), training


def _shared(view, split):
    """Return which of the signs drawn for the levels seen each of them takes, None where each has its own."""
    view, spec = View.parse(view), getattr(split, "spec", None)
    if view.signs is None or spec is None:
        return None
    return torch.from_numpy(np.unique(view.groups(spec.sites), return_inverse=True)[1])


def checksum(tensors):
    """Return a CRC-32 of the bytes of tensors."""
    found = 0
    for tensor in tensors:
        found = crc32(np.ascontiguousarray(tensor.cpu().numpy()), found)
    return found


class Resident:
    """Batches of a split on the device: every member has its own order."""

    def __init__(self, inputs, labels, batch_size, shared=None):
        self.inputs, self.labels, self.batch_size, self.shared = inputs, labels, batch_size, shared
        self.example, self.largest_label, self.device = inputs[:EXAMPLES], int(labels.max()), inputs.device
        self.steps = -(-len(labels) // batch_size)

    def __len__(self):
        return len(self.labels)

    def identity(self):
        """Return what tells these data from others."""
        return [list(self.inputs.shape), checksum((self.inputs, self.labels))]

    def batches(self, epoch, generators):
        """Yield (inputs, labels), shapes (member, sample, ...)."""
        order = torch.stack([torch.randperm(len(self), generator=g) for g in generators]).to(self.device)
        for batch in order.split(self.batch_size, dim=1):
            x = self.inputs.index_select(0, batch.reshape(-1)).reshape(*batch.shape, *self.inputs.shape[1:])
            yield x, self.labels[batch]


class Streamed:
    """Batches of a stream: all members see the same ones."""

    def __init__(self, stream, device, dtype, shared=None):
        self.stream, self.device, self.dtype, self.shared = stream, device, dtype, shared
        self.example = torch.from_numpy(stream.split.inputs(stream.view, slice(EXAMPLES))).to(device, dtype)
        self.largest_label, self.steps = int(stream.split.labels.max()), len(stream)

    def __len__(self):
        return len(self.stream.split)

    def identity(self):
        """Return what tells these data, and the order in which they come, from others."""
        s = self.stream
        labels = torch.from_numpy(s.split.labels)
        return [len(self), s.split.spec.to_json(), s.seed, s._rows, s._per_group, checksum((self.example, labels))]

    def batches(self, epoch, generators):
        """Yield (inputs, labels), shapes (member, sample, ...)."""
        members = len(generators)
        for x, labels in self.stream.batches(epoch):
            x, labels = x.to(self.device, self.dtype, non_blocking=True), labels.to(self.device, non_blocking=True)
            yield x.expand(members, *x.shape), labels.expand(members, -1)
