"""Reading a dataset file: lazily, row by row where asked, in the view that a network sees."""

import contextlib
import dataclasses
import os
from pathlib import Path

import numpy as np

from sshml.arguments import as_array, as_path, choice, instance, integer, sequence, shown
from sshml.dataset.draw import parameters, solved
from sshml.dataset.layout import CHUNKS, FORMAT, FORMAT_VERSION, MADE, Layout
from sshml.dataset.ranges import SPLITS
from sshml.dataset.shards import refuse_others, sources
from sshml.dataset.spec import DatasetSpec, GivenSpec, spec_from_json
from sshml.dataset.views import View
from sshml.errors import SSHMLError
from sshml.hdf5 import crc32, open_hdf5, read_attribute, refuse_foreign


@dataclasses.dataclass(frozen=True)
class Split:
    """One split of a dataset file. Arrays are read when asked for; no file handle is kept.

    So a Split can be pickled, sent to spawned processes and used after a fork.
    """

    path: Path
    name: str
    spec: DatasetSpec | GivenSpec

    def __post_init__(self):
        choice(self.name, "split", SPLITS)
        instance(self.spec, "spec", (DatasetSpec, GivenSpec), "a DatasetSpec")

    def __len__(self):
        return getattr(self.spec, self.name)

    def __getitem__(self, number):
        """Return (states (level, site) float32, class number) of a sample, as a torch `DataLoader` takes them.

        Each call reads a chunk of the file; `sshml.classifier.Stream` reads every chunk once per epoch.
        """
        number = integer(number, "the sample's number")
        if not -len(self) <= number < len(self):
            raise IndexError(f"sample {number} of {len(self)}")  # ends a loop over the split
        return self.__getitems__([number])[0]

    def __getitems__(self, numbers):
        """Return the samples of a batch, in any order; a torch `DataLoader` calls this where it can."""
        states, winding = self.read(("states", "winding"), numbers)
        return list(zip(states, self.classes(winding).tolist(), strict=True))

    def read(self, array, index=slice(None), file=None):
        """Return an array, or rows of it.

        Args:
            array: "states", "energies", "v", "w", "winding", "log_margin" (not with longer range), "j3", "j4" (only
                with), "onsite", and the names of `spec.stored`; or a tuple of these, for a list of arrays. States and
                energies of a recipe file are made here, once for both, with the bytes of a full file.
            index: rows to read: a number, a slice, a mask, or numbers in any order.
            file: the open HDF5 file, where it is kept open by the caller.

        Raises:
            SSHMLError: not such a file, no such array, rows out of range, or data that cannot be read.
        """
        names = (array,) if isinstance(array, str) else tuple(sequence(array, "array"))
        for name in names:
            choice(name, "array", tuple(Layout(self.spec).arrays))
        rows, back = rows_of(index, len(self))
        with contextlib.nullcontext(file) if file else open_hdf5(self.path, FORMAT, FORMAT_VERSION) as file:
            made = {}
            if set(names) & set(MADE) and "recipe" in file.attrs:
                drawn = {name: self._stored(file, name, rows) for name in self.spec.kinds}
                numbers = self._numbers(rows)
                made = dict(zip(MADE, solved(self.spec, self.name, numbers, drawn), strict=True))
            found = [made[name] if name in made else self._stored(file, name, rows) for name in names]
        found = [part if back is None else part[back] for part in found]
        return found[0] if isinstance(array, str) else found

    def _numbers(self, rows):
        """Return the numbers of rows as `rows_of` gives them."""
        return np.arange(*rows.indices(len(self))) if isinstance(rows, slice) else rows

    def _stored(self, file, name, rows):
        try:
            return file[f"{self.name}/{name}"][rows]
        except KeyError:
            raise SSHMLError(f"{self.path}: /{self.name}/{name} is missing.") from None
        except OSError as error:
            raise SSHMLError(f"{self.path}: /{self.name}/{name} cannot be read ({error}).") from None

    @property
    def labels(self):
        """Class numbers 0, 1, ... as int64, shape (sample): the winding numbers, plus 1 with longer range."""
        return self.classes(self.read("winding"))

    @property
    def ratio(self):
        """w/v of each chain, shape (sample): the ratio of the geometric means of its hoppings, within e^-20 ... e^20.

        Raises:
            SSHMLError: chains with longer range, whose phase it does not tell.
        """
        if self.spec.is_longer:
            raise SSHMLError("w/v does not tell the phase of chains with longer range; it needs chains without.")
        return np.exp(np.clip(self.read("log_margin"), -20, 20))

    @property
    def parameters(self):
        """What each chain was drawn from, {name: float64 array (sample)}: clean_v, clean_w, ..., disorder_v, ...

        From the file where it holds them, else from the seed; empty for hoppings that were given.
        """
        if isinstance(self.spec, GivenSpec):
            return {}
        names = self.spec.stored
        found = dict(zip(names, self.read(names), strict=True)) if names else {}
        fixed = {f"clean_{name}" if name in self.spec.kinds else name: x for name, x in self.spec.ranges.items()}
        if not names and not all(x.is_fixed for x in fixed.values()):
            return parameters(self.spec, self.name, 0, len(self))
        return {name: found[name] if name in found else np.full(len(self), x.low) for name, x in fixed.items()}

    def classes(self, winding):
        """Return class numbers 0, 1, ... of winding numbers."""
        return as_array(winding, "winding", kinds="iu").astype(np.int64) - self.spec.windings[0]

    @property
    def chunk_rows(self):
        """Samples in a chunk of states: reading goes fastest by whole ones."""
        return min(len(self), Layout(self.spec).block_rows // CHUNKS)

    def open(self):
        """Return the open HDF5 file, for `read` and `inputs`; the caller closes it."""
        import h5py

        with open_hdf5(self.path, FORMAT, FORMAT_VERSION):  # all that can be wrong with it
            return h5py.File(self.path, "r")

    def inputs(self, view="states", index=slice(None), file=None):
        """Return what a network sees of the samples.

        Args:
            view: a `View` or the text of one: "states" psi in the file's gauge, "abs" |psi|, "density" |psi|^2, each
                (sample, level, site), or "projector" on the lower half of the levels, sum |psi><psi|, (sample, site,
                site); "states/levels=6,9/signs=pairs", "projector/sites=4-11".
            index: as in `read`.
            file: the open HDF5 file, where it is kept open by the caller.

        Returns:
            float32 array.

        Raises:
            SSHMLError: the view is unknown, or shows levels or sites that there are not.
        """
        view, states = View.parse(view), self.read("states", index, file)
        one = states.ndim == 2
        rows, back = rows_of(index, len(self))
        numbers = self._numbers(rows)
        numbers = numbers if back is None else np.atleast_1d(numbers[back])
        found = view.of(states[None] if one else states, self.spec, SPLITS.index(self.name), numbers)
        return found[0] if one else found


def rows_of(index, size):
    """Return (rows as h5py takes them: a slice or ascending numbers, what brings them into the order asked or None)."""
    if isinstance(index, slice) and _is_plain(index):
        return index, None
    if isinstance(index, slice):
        try:
            chosen = np.arange(size)[index]
        except (TypeError, ValueError):
            raise SSHMLError(f"rows {shown(index)} are no slice of whole numbers.") from None
    else:
        chosen = as_array(index, "rows", kinds="iub")
    chosen = chosen if chosen.dtype == bool else chosen.astype(np.int64)
    if chosen.dtype == bool and chosen.shape == (size,):
        chosen = np.flatnonzero(chosen)
    if chosen.size == 0:
        return slice(0), None
    if chosen.dtype.kind not in "iu" or chosen.ndim > 1 or chosen.min() < -size or chosen.max() >= size:
        raise SSHMLError(f"rows {shown(index)} are not among {size} samples; give numbers from 0 to {size - 1}.")
    rows, back = np.unique(chosen % size, return_inverse=True)
    if chosen.ndim == 0:
        return rows, 0
    return rows, None if np.array_equal(rows, chosen) else back


def _is_plain(index):
    """Return whether h5py takes a slice as it is."""
    whole = all(part is None or type(part) is int for part in (index.start, index.stop, index.step))
    return whole and (index.step is None or index.step > 0)


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A dataset file: its `path`, `spec`, and the splits `train`, `valid`, `test`."""

    path: Path
    spec: DatasetSpec | GivenSpec
    created_by: str
    recipe: bool = False

    @property
    def layout(self):
        """The `Layout` of the file's arrays."""
        return Layout(self.spec, self.recipe)

    @property
    def splits(self):
        """The three splits by name."""
        return {name: Split(self.path, name, self.spec) for name in SPLITS}

    def to_xarray(self, arrays=None):
        """Return an `xarray.Dataset` of the chains of all splits, in memory.

        Dimension `sample` with the coordinates split and number (in the split); level, site (A1, B1, ...), and for each
        kind of hopping a dimension of its bonds. Attributes: spec (JSON), created_by, and what the label is.

        Args:
            arrays: names of the arrays to take, as "states" or "winding"; all if None.

        Raises:
            SSHMLError: xarray is not installed, or no such array.
        """
        try:
            import xarray
        except ImportError:
            raise SSHMLError("to_xarray needs xarray; install it with: pip install 'sshml[xarray]'.") from None
        known = tuple(Layout(self.spec).arrays)
        names = known if arrays is None else tuple(sequence(arrays, "arrays"))
        for name in names:
            choice(name, "array", known)
        found = {name: [] for name in names}
        for split in self.splits.values():
            for name, part in zip(names, split.read(names), strict=True):
                found[name].append(part)
        axes = {"states": ("level", "site"), "energies": ("level",), "onsite": ("site",)}
        axes |= {name: (f"bond_{name}",) for name in self.spec.hoppings}
        sizes = [len(split) for split in self.splits.values()]
        coordinates = {
            "split": ("sample", np.repeat(SPLITS, sizes)),
            "number": ("sample", np.concatenate([np.arange(size) for size in sizes])),
            "site": [f"{'AB'[i % 2]}{i // 2 + 1}" for i in range(self.spec.sites)],
        }
        data = {name: (("sample", *axes.get(name, ())), np.concatenate(parts)) for name, parts in found.items()}
        label = "winding number of the hoppings alone" if self.spec.has_onsite else "winding number of the chain"
        attributes = {"spec": self.spec.to_json(), "created_by": self.created_by, "winding": label}
        return xarray.Dataset(data, coordinates, attributes)

    @property
    def files(self):
        """The file and the shards behind it."""
        with open_hdf5(self.path, FORMAT, FORMAT_VERSION) as file:
            return [self.path, *(self.path.parent / name for name, _ in sources(file))]

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
    path = as_path(path).absolute()
    path = Path(os.path.realpath(path)) if path.is_symlink() else path  # its shards lie beside the file itself
    with open_hdf5(path, FORMAT, FORMAT_VERSION) as file:
        refuse_foreign(file, path, shards=True)
        spec = _read_spec(file, path)
        recipe = read_attribute(file, "recipe")
        if "recipe" in file.attrs and recipe is not True:
            raise SSHMLError(f"{path}: / attribute 'recipe' is {shown(recipe)}; expected True or none.")
        recipe = recipe is not None
        for split in SPLITS:
            for name, (shape, dtype) in Layout(spec, recipe).arrays.items():
                where, expected = f"/{split}/{name}", (getattr(spec, split), *shape)
                found = file.get(where)
                if found is None or not hasattr(found, "shape"):
                    raise SSHMLError(f"{path}: {where} is missing; expected {np.dtype(dtype)} {expected}.")
                if found.shape != expected or found.dtype != dtype:
                    raise SSHMLError(
                        f"{path}: {where} is {found.dtype} {found.shape}; expected {np.dtype(dtype)} {expected}."
                    )
        refuse_others(file, path, Layout(spec, recipe))
        return Dataset(path, spec, str(read_attribute(file, "created_by") or "unknown"), recipe)


def _read_spec(file, path):
    text, checksum = read_attribute(file, "spec"), read_attribute(file, "spec_crc32")
    if text is None:
        raise SSHMLError(f"{path}: / lacks the attribute 'spec'.")
    try:
        spec = spec_from_json(text)
    except SSHMLError as error:
        raise SSHMLError(f"{path}: / attribute 'spec': {error}") from None
    if "spec_crc32" in file.attrs and checksum != crc32(str(text).encode()):
        raise SSHMLError(f"{path}: / attribute 'spec' differs from its checksum.")
    return spec
