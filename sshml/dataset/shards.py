"""Shards: the parts of a large dataset, each a file of its own that is whole or absent, and one file over them."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np

from sshml.dataset.draw import labelled, samples
from sshml.dataset.hoppings import SPLITS
from sshml.dataset.layout import FORMAT_VERSION, Layout, Writer, say_labels
from sshml.dataset.spec import DatasetSpec
from sshml.errors import SSHMLError
from sshml.files import new_file
from sshml.hdf5 import new_hdf5, open_hdf5, refuse_foreign, seal

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


def batches(layout, shard):
    """Yield the arrays of a shard, batch by batch; a thread computes the next one meanwhile."""
    rows = layout.block_rows * -(-KERNEL_ROWS // layout.block_rows)
    make = labelled if layout.recipe else samples
    starts = range(shard.first, shard.first + shard.count, rows)

    def batch(first):
        return make(layout.spec, shard.split, first, min(rows, shard.first + shard.count - first))

    with ThreadPoolExecutor(1) as thread:
        ahead = thread.submit(batch, starts[0])
        for following in [*starts[1:], None]:
            arrays = ahead.result()
            if following is not None:
                ahead = thread.submit(batch, following)
            yield arrays


def write_samples(group, layout, shard, report=None):
    """Write the samples of a shard into an HDF5 group; report(number) is called for every part."""
    writer = Writer(group, layout, shard.count)
    for arrays in batches(layout, shard):
        writer.write(arrays)
        if report:
            report(len(arrays["winding"]))
    writer.finish()


def make_shard(layout, folder, shard):
    """Generate one shard into its file in `folder`, unless it is there; return the number of its samples."""
    path = Path(folder) / shard.name
    if not is_complete(path, layout, shard):
        with new_file(path, True, layout.n_bytes(shard.count)) as partial, new_hdf5(partial) as file:
            layout.describe(file, SHARD_FORMAT)
            for name, value in dataclasses.asdict(shard).items():
                file.attrs[name] = value
            write_samples(file, layout, shard)
    return shard.count


def shard_task(spec, recipe, folder, shard, report=None):
    """Make a shard, for `sshml.jobs`: all arguments are plain data."""
    return make_shard(Layout(DatasetSpec.from_json(spec), recipe), folder, Shard(**shard))


def is_complete(path, layout, shard):
    """Return whether a file is this shard of this dataset. Files get their name when they are complete."""
    if not path.exists():
        return False
    try:
        with open_hdf5(path, SHARD_FORMAT, FORMAT_VERSION) as file:
            refuse_foreign(file, path)
            attributes = dict(file.attrs)
            here = set(file)
    except (SSHMLError, OSError, RuntimeError, KeyError):
        return False
    expected = dataclasses.asdict(shard) | {"spec": layout.spec.to_json()}
    same = all(attributes.get(name) == value for name, value in expected.items())
    return bool(same and ("recipe" in attributes) == layout.recipe and here == set(layout.arrays))


def write_virtual(layout, path, folder, parts, force):
    """Write the file of virtual datasets over the shards in `folder`, which lies beside it."""
    with new_file(path, force) as partial:
        with new_hdf5(partial) as file:
            layout.describe(file)
            for split in SPLITS:
                own = [shard for shard in parts if shard.split == split]
                _lay_over(file.create_group(split), layout, folder, own)
        seal(partial)


def _lay_over(group, layout, folder, own):
    """Make the virtual datasets of a split over its own shards (h5py's own way writes the time into them)."""
    for name, (shape, dtype) in layout.arrays.items():
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
