"""The dataset file: format `sshml-dataset` (tree and data card in data/README.md)."""

import contextlib
import dataclasses
import zlib
from importlib.metadata import version
from pathlib import Path

import numpy as np

from sshml.dataset.draw import solved
from sshml.dataset.spec import SPLITS, DatasetSpec
from sshml.errors import SSHMLError
from sshml.files import open_hdf5, read_attribute

FORMAT, FORMAT_VERSION = "sshml-dataset", 2
CHUNK_BYTES = 2**20
CHUNKS = 16
"""Chunks of states in a block, the unit of writing; the other arrays have one chunk to a block."""

VIEWS = ("states", "abs", "density", "projector")
MADE = ("states", "energies")
"""Arrays that a recipe file leaves out and makes on reading."""


def layout(spec, recipe=False):
    """Return {name: (shape of one sample, dtype)} of the arrays in each split."""
    sites = spec.sites
    arrays = {} if recipe else {"states": ((sites, sites), np.float32), "energies": ((sites,), np.float32)}
    arrays |= {name: ((spec.bonds(name),), np.float64) for name in spec.clean}
    return arrays | ({} if spec.is_longer else {"log_margin": ((), np.float64)}) | {"winding": ((), np.int8)}


def format_version(spec, recipe=False):
    """Return the oldest version of the format that can say what a file holds."""
    return 2 if recipe or spec.is_longer or spec.law != "uniform" else 1


def block_rows(spec):
    """Return the number of samples in a block of about 16 MiB of states."""
    return CHUNKS * max(1, CHUNK_BYTES // (4 * spec.sites**2))


def n_bytes(spec, count, recipe=False):
    """Return the bytes of the arrays of `count` samples."""
    return count * sum(int(np.prod(shape)) * np.dtype(dtype).itemsize for shape, dtype in layout(spec, recipe).values())


def describe(file, spec, recipe, file_format=FORMAT):
    """Write the attributes that say what a file is."""
    file.attrs["format"] = file_format
    file.attrs["format_version"] = format_version(spec, recipe)
    file.attrs["spec"] = spec.to_json()
    file.attrs["spec_crc32"] = np.uint32(zlib.crc32(spec.to_json().encode()))
    file.attrs["seed"] = np.uint64(spec.seed)
    file.attrs["created_by"] = f"sshml {version('sshml')}"
    if recipe:
        file.attrs["recipe"] = True


class Writer:
    """Write the arrays of `size` samples into an HDF5 group, in order, with a checksum of each.

    Whole chunks go to the file as they are; HDF5's own path, which the last ones take, is half as fast.
    """

    def __init__(self, group, spec, size, recipe=False):
        self.size, self.done, self.arrays, self.rows, self.crc = size, 0, {}, {}, {}
        block = block_rows(spec)
        for name, (shape, dtype) in layout(spec, recipe).items():
            self.rows[name] = rows = min(size, block // CHUNKS if name == "states" else block)
            chunks = None if 0 in shape else (rows, *shape)  # an open chain of two cells has no j4
            self.arrays[name] = group.create_dataset(name, (size, *shape), dtype, chunks=chunks)
            self.crc[name] = 0
        say_labels(group)

    def write(self, arrays):
        """Append samples; `arrays` holds those of the layout by name."""
        first, count = self.done, len(arrays["winding"])
        for name, target in self.arrays.items():
            data, rows = np.ascontiguousarray(arrays[name], target.dtype), self.rows[name]
            self.crc[name] = zlib.crc32(data, self.crc[name])
            for start in range(0, count, rows):
                part, where = data[start : start + rows], first + start
                if len(part) == rows and where % rows == 0 and target.chunks:
                    target.id.write_direct_chunk((where, *(0 for _ in part.shape[1:])), part)
                else:
                    target[where : where + len(part)] = part
        self.done += count

    def finish(self):
        """Write the checksums."""
        assert self.done == self.size
        for name, target in self.arrays.items():
            target.attrs["crc32"] = np.uint32(self.crc[name])


def say_labels(group):
    """Say in a group what its labels are."""
    if "log_margin" in group:
        group["winding"].attrs["label"] = "winding number of the realised chain: 1 where log_margin > 0"
        group["log_margin"].attrs["label"] = "mean ln|w| - mean ln|v| over the bonds of the chain"
    else:
        group["winding"].attrs["label"] = "winding number of the realised chain, -1 to 2"


@dataclasses.dataclass(frozen=True)
class Split:
    """One split of a dataset file. Arrays are read when asked for; no file handle is kept.

    So a Split can be pickled, sent to spawned processes and used after a fork.
    """

    path: Path
    name: str
    spec: DatasetSpec

    def __len__(self):
        return getattr(self.spec, self.name)

    def read(self, array, index=slice(None), file=None):
        """Return an array, or rows of it.

        Args:
            array: "states", "energies", "v", "w", "winding", "log_margin" (not with longer range), "j3", "j4" (only
                with). States and energies of a recipe file are made here, with the bytes of a full file.
            index: rows to read, a slice or ascending numbers.
            file: the open HDF5 file, where it is kept open by the caller.

        Raises:
            SSHMLError: not such a file, no such array, or data that cannot be read.
        """
        with contextlib.nullcontext(file) if file else open_hdf5(self.path, FORMAT, FORMAT_VERSION) as file:
            if array in MADE and "recipe" in file.attrs:
                return self._made(file, index)[MADE.index(array)]
            try:
                return file[f"{self.name}/{array}"][index]
            except KeyError:
                raise SSHMLError(f"{self.path}: /{self.name}/{array} is missing.") from None
            except OSError as error:
                raise SSHMLError(f"{self.path}: /{self.name}/{array} cannot be read ({error}).") from None

    def _made(self, file, index):
        drawn = [file[f"{self.name}/{name}"][index] for name in self.spec.clean]
        rows = np.arange(len(self))[index]
        if rows.ndim == 0:
            return [x[0] for x in solved(self.spec, self.name, rows[None], [x[None] for x in drawn])]
        return solved(self.spec, self.name, rows, drawn)

    @property
    def labels(self):
        """Class numbers 0, 1, ... as int64, shape (sample): the winding numbers, plus 1 with longer range."""
        return self.classes(self.read("winding"))

    def classes(self, winding):
        """Return class numbers 0, 1, ... of winding numbers."""
        return winding.astype(np.int64) - self.spec.windings[0]

    @property
    def chunk_rows(self):
        """Samples in a chunk of states: reading goes fastest by whole ones."""
        return min(len(self), block_rows(self.spec) // CHUNKS)

    def open(self):
        """Return the open HDF5 file, for `read` and `inputs`; the caller closes it."""
        import h5py

        with open_hdf5(self.path, FORMAT, FORMAT_VERSION):  # all that can be wrong with it
            return h5py.File(self.path, "r")

    def inputs(self, view="states", index=slice(None), file=None):
        """Return what a network sees of the samples.

        Args:
            view: "states" psi in the file's gauge, "abs" |psi|, "density" |psi|^2, each (sample, level, site), or
                "projector" on the negative levels, sum_{E<0} |psi><psi|, (sample, site, site).
            index: rows to read, a slice or sorted indices.
            file: the open HDF5 file, where it is kept open by the caller.

        Returns:
            float32 array.

        Raises:
            SSHMLError: the view is unknown.
        """
        check_view(view)
        return apply_view(self.read("states", index, file), view)


def check_view(view):
    """Raise where `view` is not one of VIEWS."""
    if view not in VIEWS:
        raise SSHMLError(f"view {view!r} is unknown; choose one of {', '.join(VIEWS)}.")


def apply_view(states, view):
    """Return the view of states (sample, level, site); see `Split.inputs`."""
    check_view(view)
    if view == "abs":
        return np.abs(states)
    if view == "density":
        return states**2
    if view == "projector":
        negative = states[:, : states.shape[1] // 2]
        return np.swapaxes(negative, 1, 2) @ negative  # b site [level], b [level] site
    return states


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A dataset file: its `path`, `spec`, and the splits `train`, `valid`, `test`."""

    path: Path
    spec: DatasetSpec
    created_by: str
    recipe: bool = False

    @property
    def splits(self):
        """The three splits by name."""
        return {name: Split(self.path, name, self.spec) for name in SPLITS}

    @property
    def files(self):
        """The file and the shards behind it."""
        with open_hdf5(self.path, FORMAT, FORMAT_VERSION) as file:
            return [self.path, *(self.path.parent / name for name in shards_of(file))]

    train = property(lambda self: self.splits["train"])
    valid = property(lambda self: self.splits["valid"])
    test = property(lambda self: self.splits["test"])


def open_dataset(path):
    """Open a dataset file lazily after checking its format and the shapes of its arrays.

    Args:
        path: the HDF5 file.

    Returns:
        A `Dataset`.

    Raises:
        SSHMLError: not such a file; the message names the path inside the file where the first rule breaks.
    """
    path = Path(path).absolute()
    with open_hdf5(path, FORMAT, FORMAT_VERSION) as file:
        spec = _read_spec(file, path)
        recipe = bool(read_attribute(file, "recipe"))
        for split in SPLITS:
            for name, (shape, dtype) in layout(spec, recipe).items():
                where, expected = f"/{split}/{name}", (getattr(spec, split), *shape)
                found = file.get(where)
                if found is None or not hasattr(found, "shape"):
                    raise SSHMLError(f"{path}: {where} is missing; expected {np.dtype(dtype)} {expected}.")
                if found.shape != expected or found.dtype != dtype:
                    raise SSHMLError(
                        f"{path}: {where} is {found.dtype} {found.shape}; expected {np.dtype(dtype)} {expected}."
                    )
        for shard in shards_of(file):
            if not (path.parent / shard).is_file():
                raise SSHMLError(f"{path}: its shard {shard} is missing; keep the folder of shards beside the file.")
        return Dataset(path, spec, str(read_attribute(file, "created_by") or "unknown"), recipe)


def _read_spec(file, path):
    text, checksum = read_attribute(file, "spec"), read_attribute(file, "spec_crc32")
    if text is None:
        raise SSHMLError(f"{path}: / lacks the attribute 'spec'.")
    try:
        spec = DatasetSpec.from_json(text)
    except SSHMLError as error:
        raise SSHMLError(f"{path}: / attribute 'spec': {error}") from None
    if checksum is not None and checksum != zlib.crc32(str(text).encode()):
        raise SSHMLError(f"{path}: / attribute 'spec' differs from its checksum.")
    return spec


def shards_of(file):
    """Return the names of the shard files behind a virtual dataset file, relative to it; none for a plain file."""
    found = {}
    for split in SPLITS:
        array = file[f"{split}/winding"]
        if array.is_virtual:
            found |= {source.file_name: None for source in array.virtual_sources()}
    return list(found)
