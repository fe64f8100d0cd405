"""Shards: the parts of a large dataset, each a file of its own that is whole or absent, and one file over them."""

import contextlib
import dataclasses
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np

from sshml.dataset.draw import labelled, samples
from sshml.dataset.spec import SPLITS
from sshml.dataset.store import FORMAT_VERSION, Writer, block_rows, describe, layout, n_bytes, say_labels
from sshml.errors import SSHMLError
from sshml.files import new_file, new_hdf5, open_hdf5, seal

SHARD_FORMAT = "sshml-shard"

KERNEL_ROWS = 128
"""Samples to compute at a time, at least: the kernels of two cores take 64 each."""


@dataclasses.dataclass(frozen=True)
class Shard:
    """Samples first, ..., first + count - 1 of a split."""

    split: str
    first: int
    count: int

    @property
    def name(self):
        """Name of the shard's file."""
        return f"{self.split}-{self.first:012d}.h5"


def shards(spec, size):
    """Return the shards of a dataset, up to `size` samples each."""
    found = []
    for split in SPLITS:
        total = getattr(spec, split)
        found += [Shard(split, first, min(size, total - first)) for first in range(0, total, size)]
    return found


def batches(spec, shard, recipe=False):
    """Yield the arrays of a shard, batch by batch; a thread computes the next one meanwhile."""
    rows = block_rows(spec) * -(-KERNEL_ROWS // block_rows(spec))
    make = labelled if recipe else samples
    starts = range(shard.first, shard.first + shard.count, rows)

    def batch(first):
        return make(spec, shard.split, first, min(rows, shard.first + shard.count - first))

    with ThreadPoolExecutor(1) as thread:
        ahead = thread.submit(batch, starts[0])
        for following in [*starts[1:], None]:
            arrays = ahead.result()
            if following is not None:
                ahead = thread.submit(batch, following)
            yield arrays


def make_shard(spec, folder, shard, recipe=False):
    """Generate one shard into its file in `folder`, unless it is there; return the number of its samples."""
    path = Path(folder) / shard.name
    if not is_complete(path, spec, shard, recipe):
        with new_file(path, True, n_bytes(spec, shard.count, recipe)) as partial, new_hdf5(partial) as file:
            describe(file, spec, recipe, SHARD_FORMAT)
            for name, value in dataclasses.asdict(shard).items():
                file.attrs[name] = value
            writer = Writer(file, spec, shard.count, recipe)
            for arrays in batches(spec, shard, recipe):
                writer.write(arrays)
            writer.finish()
    return shard.count


def is_complete(path, spec, shard, recipe):
    """Return whether a file is this shard of this spec. Files get their name when they are complete."""
    if not path.exists():
        return False
    try:
        with open_hdf5(path, SHARD_FORMAT, FORMAT_VERSION) as file:
            attributes = dict(file.attrs)
            here = set(file)
    except (SSHMLError, OSError, RuntimeError, KeyError):
        return False
    expected = dataclasses.asdict(shard) | {"spec": spec.to_json()}
    same = all(attributes.get(name) == value for name, value in expected.items())
    return bool(same and ("recipe" in attributes) == recipe and here == set(layout(spec, recipe)))


def write_virtual(spec, path, folder, parts, recipe, force):
    """Write the file of virtual datasets over the shards in `folder`, which lies beside it."""
    with new_file(path, force) as partial:
        with new_hdf5(partial) as file:
            describe(file, spec, recipe)
            for split in SPLITS:
                own = [shard for shard in parts if shard.split == split]
                _lay_over(file.create_group(split), spec, folder, own, recipe)
        seal(partial)


def _lay_over(group, spec, folder, own, recipe):
    """Make the virtual datasets of a split over its own shards (h5py's own way writes the time into them)."""
    for name, (shape, dtype) in layout(spec, recipe).items():
        whole = (sum(shard.count for shard in own), *shape)
        if 0 in shape:
            group.create_dataset(name, whole, dtype)
            continue
        plan, space = h5py.h5p.create(h5py.h5p.DATASET_CREATE), h5py.h5s.create_simple(whole)
        plan.set_obj_track_times(False)
        plan.set_fill_value(np.array(np.nan if np.issubdtype(dtype, np.floating) else np.iinfo(dtype).min, dtype))
        for shard in own:
            space.select_hyperslab((shard.first, *(0 for _ in shape)), (shard.count, *shape))
            source = h5py.h5s.create_simple((shard.count, *shape))
            plan.set_virtual(space, f"{folder.name}/{shard.name}".encode(), name.encode(), source)
        space.select_all()
        h5py.h5d.create(group.id, name.encode(), h5py.h5t.py_create(np.dtype(dtype)), space, plan)
    say_labels(group)


@contextlib.contextmanager
def only_writer(folder):
    """Hold the lock of a folder of shards, so that two processes do not write it at once.

    Raises:
        SSHMLError: another process holds it.
    """
    try:
        import fcntl
    except ImportError:  # no locks on this system
        yield
        return
    with (folder / ".lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            raise SSHMLError(f"{folder} is being written by another process ({lock.read().strip()}); wait.") from None
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {os.uname().nodename}")
        lock.flush()
        yield
