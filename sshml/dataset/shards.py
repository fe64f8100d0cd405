"""Shards: the parts of a large dataset, each a file of its own that is whole or absent, and one file over them."""

import dataclasses
import re
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np

from sshml.dataset.draw import labelled, samples
from sshml.dataset.layout import FORMAT_VERSION, Layout, Writer, say_labels
from sshml.dataset.ranges import SPLITS
from sshml.dataset.spec import DatasetSpec
from sshml.errors import SSHMLError
from sshml.files import new_file
from sshml.hdf5 import crc32, format_of, is_sealed, new_group, new_hdf5, open_hdf5, refuse_foreign, seal

SHARD_FORMAT = "sshml-shard"

AHEAD = 2
"""Batches of disordered chains that are computed ahead of the writing."""

KERNEL_ROWS = 128
"""Samples to compute at a time, at least: the kernels of two cores take 64 each."""


@dataclasses.dataclass(frozen=True)
class Shard:
    """Samples first, ..., first + count - 1 of a split; `mark` is that of the set, "" before 0.5."""

    split: str
    first: int
    count: int
    mark: str = ""

    @property
    def name(self):
        """Name of the shard's file; sets of other marks can lie beside it until they are replaced."""
        return f"{self.split}-{self.first:012d}{'-' * bool(self.mark)}{self.mark}.h5"

    @property
    def attributes(self):
        """What its file says it is."""
        return {"split": self.split, "first": self.first, "count": self.count}


NAME = re.compile(rf"({'|'.join(SPLITS)})-\d{{12}}(-[0-9a-f]{{8}})?\.h5")
"""Names of shards."""


def shards(layout, size):
    """Return the shards of a dataset, up to `size` samples each."""
    found, spec = [], layout.spec
    mark = f"{crc32(f'{spec.to_json()} {layout.recipe} {size}'.encode()):08x}"
    for split in SPLITS:
        total = getattr(spec, split)
        found += [Shard(split, first, min(size, total - first), mark) for first in range(0, total, size)]
    return found


def batches(layout, shard):
    """Yield the arrays of a shard, batch by batch; a thread computes the next ones meanwhile.

    Two of disordered chains, whose kernels are what takes the time, one of clean ones, which wait for the writing.
    """
    rows = layout.block_rows * -(-KERNEL_ROWS // layout.block_rows)
    make = labelled if layout.recipe else samples
    starts = range(shard.first, shard.first + shard.count, rows)

    def batch(first):
        return make(layout.spec, shard.split, first, min(rows, shard.first + shard.count - first))

    with ThreadPoolExecutor(1) as thread:
        depth = 1 if getattr(layout.spec, "is_clean", False) else AHEAD
        ahead = deque(thread.submit(batch, start) for start in starts[:depth])
        for following in [*starts[depth:], *[None] * len(ahead)]:
            arrays = ahead.popleft().result()
            if following is not None:
                ahead.append(thread.submit(batch, following))
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
            for name, value in shard.attributes.items():
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
            here = {name: array.shape for name, array in file.items()}
    except (SSHMLError, OSError, RuntimeError, KeyError, AttributeError):
        return False
    expected = shard.attributes | {"spec": layout.spec.to_json()}
    same = all(np.array_equal(attributes.get(name), value) for name, value in expected.items())
    shapes = {name: (shard.count, *shape) for name, (shape, _) in layout.arrays.items()}
    return bool(same and ("recipe" in attributes) == layout.recipe and here == shapes)


def is_own(path):
    """Return whether a file of a folder of shards is one that `generate` made."""
    try:
        return bool(NAME.fullmatch(path.name)) and not path.is_symlink() and format_of(path) == SHARD_FORMAT
    except SSHMLError:
        return False


def sources(file, array="winding"):
    """Yield (name relative to the file, `Shard`) of what an array of a virtual dataset file shows."""
    for split in SPLITS:
        found = file[f"{split}/{array}"]
        for source in found.virtual_sources() if found.is_virtual else ():
            first, _, count, block = source.vspace.get_regular_hyperslab()
            if source.dset_name != array:
                raise SSHMLError(
                    f"{file.filename}: {array} shows {source.dset_name!r:.60} of its shards: it is forged."
                )
            yield source.file_name, Shard(split, int(first[0]), int(count[0] * block[0]))


def refuse_others(file, path, layout):
    """Raise where a shard behind a virtual dataset file is missing, damaged or of another dataset or place."""
    shown = list(sources(file))
    for array, (shape, _) in layout.arrays.items():
        if 0 not in shape and list(sources(file, array)) != shown:
            raise SSHMLError(f"{path}: {array} shows other shards than winding does; the file is damaged or forged.")
    if shown and not is_sealed(path):
        raise SSHMLError(f"{path} is damaged or truncated: the checksum at its end is missing.")
    for name, shard in shown:
        if not (path.parent / name).is_file():
            raise SSHMLError(f"{path}: its shard {name} is missing; keep the folder of shards beside the file.")
        if not is_complete(path.parent / name, layout, shard):
            raise SSHMLError(
                f"{path}: its shard {name} is damaged, or belongs to another dataset or another place; put the right"
                " one there or generate the set again."
            )


def write_virtual(layout, path, folder, parts, force):
    """Write the file of virtual datasets over the shards in `folder`, which lies beside it."""
    with new_file(path, force) as partial:
        with new_hdf5(partial) as file:
            layout.describe(file)
            for split in SPLITS:
                own = [shard for shard in parts if shard.split == split]
                _lay_over(new_group(file, split), layout, folder, own)
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
