"""The dataset file: format `sshml-dataset`, version 1 (tree and data card in data/README.md)."""

import contextlib
import dataclasses
from importlib.metadata import version
from pathlib import Path

import numpy as np

from sshml.chain.hamiltonian import hamiltonian
from sshml.chain.winding import log_margin, winding_number
from sshml.dataset.spec import SPLITS, DatasetSpec
from sshml.errors import GapClosedError, SSHMLError
from sshml.files import new_file, open_hdf5, read_attribute

FORMAT, FORMAT_VERSION = "sshml-dataset", 1
BLOCK_BYTES = 2**20
VIEWS = ("states", "abs", "density", "projector")
TOLERANCE = 1e-5
"""Largest rounding error of float32 states and energies, relative to the largest hopping, that `check` accepts."""


def layout(spec):
    """Return {name: (shape of one sample, dtype)} of the arrays in each split."""
    cells, sites = spec.cells, spec.sites
    bonds = cells - (spec.boundary == "open")
    return {
        "states": ((sites, sites), np.float32),
        "energies": ((sites,), np.float32),
        "v": ((cells,), np.float64),
        "w": ((bonds,), np.float64),
        "log_margin": ((), np.float64),
        "winding": ((), np.int8),
    }


@contextlib.contextmanager
def new_dataset(spec, path, force=False):
    """Yield write(split, first, arrays) for a new dataset file, which is renamed when the block ends."""
    import h5py

    per_sample = sum(int(np.prod(shape)) * np.dtype(dtype).itemsize for shape, dtype in layout(spec).values())
    size = per_sample * sum(getattr(spec, split) for split in SPLITS)
    with new_file(path, force, size) as partial, h5py.File(partial, "w") as file:
        file.attrs["format"] = FORMAT
        file.attrs["format_version"] = FORMAT_VERSION
        file.attrs["spec"] = spec.to_json()
        file.attrs["seed"] = np.uint64(spec.seed)
        file.attrs["created_by"] = f"sshml {version('sshml')}"
        for split in SPLITS:
            size = getattr(spec, split)
            for name, (shape, dtype) in layout(spec).items():
                row = int(np.prod(shape)) * np.dtype(dtype).itemsize
                chunk = min(size, max(1, BLOCK_BYTES // row))
                file.create_dataset(f"{split}/{name}", (size, *shape), dtype, chunks=(chunk, *shape))
            file[f"{split}/winding"].attrs["label"] = "winding number of the realised chain: 1 where log_margin > 0"
            file[f"{split}/log_margin"].attrs["label"] = "mean ln|w| - mean ln|v| over the bonds of the chain"

        def write(split, first, arrays):
            for name, array in arrays.items():
                file[f"{split}/{name}"][first : first + len(array)] = array

        yield write


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

    def read(self, array, index=slice(None)):
        """Return an array of the file ("states", "energies", "v", "w", "log_margin", "winding"), or rows of it."""
        with open_hdf5(self.path, FORMAT, FORMAT_VERSION) as file:
            return file[f"{self.name}/{array}"][index]

    @property
    def labels(self):
        """Winding numbers as int64, shape (sample)."""
        return self.read("winding").astype(np.int64)

    def inputs(self, view="states", index=slice(None)):
        """Return what a network sees of the samples.

        Args:
            view: "states" psi in the file's gauge, "abs" |psi|, "density" |psi|^2, each (sample, level, site), or
                "projector" on the negative levels, sum_{E<0} |psi><psi|, (sample, site, site).
            index: rows to read, a slice or sorted indices.

        Returns:
            float32 array.

        Raises:
            SSHMLError: the view is unknown.
        """
        check_view(view)
        return apply_view(self.read("states", index), view)


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

    @property
    def splits(self):
        """The three splits by name."""
        return {name: Split(self.path, name, self.spec) for name in SPLITS}

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
        try:
            spec = DatasetSpec.from_json(file.attrs["spec"])
        except (KeyError, OSError, RuntimeError):
            raise SSHMLError(f"{path}: / lacks the attribute 'spec'.") from None
        except SSHMLError as error:
            raise SSHMLError(f"{path}: / attribute 'spec': {error}") from None
        for split in SPLITS:
            for name, (shape, dtype) in layout(spec).items():
                where, expected = f"/{split}/{name}", (getattr(spec, split), *shape)
                found = file.get(where)
                if found is None or not hasattr(found, "shape"):
                    raise SSHMLError(f"{path}: {where} is missing; expected {np.dtype(dtype)} {expected}.")
                if found.shape != expected or found.dtype != dtype:
                    raise SSHMLError(
                        f"{path}: {where} is {found.dtype} {found.shape}; expected {np.dtype(dtype)} {expected}."
                    )
        return Dataset(path, spec, str(read_attribute(file, "created_by") or "unknown"))


def check(path, progress=None):
    """Check a dataset file against every rule of the format; return the `Dataset` when all hold.

    Format, shapes and dtypes; then sample by sample: finite, orthonormal, energies ascending, H psi = E psi for the
    stored hoppings (rounding up to 1e-5 of the largest hopping), margin and label as the hoppings say; and no
    chain twice.

    Args:
        path: the HDF5 file.
        progress: called as progress(samples done, samples in all).

    Raises:
        SSHMLError: the first broken rule, with the path inside the file and the sample.
    """
    dataset = open_dataset(path)
    total, done, chains = sum(map(len, dataset.splits.values())), 0, []
    block = max(1, 16 * BLOCK_BYTES // (4 * dataset.spec.sites**2))
    for name, split in dataset.splits.items():
        for first in range(0, len(split), block):
            rows = slice(first, first + block)
            try:
                arrays = {array: split.read(array, rows) for array in layout(dataset.spec)}
            except OSError as error:
                raise SSHMLError(f"{path}: /{name} cannot be read from sample {first} on ({error}).") from None
            for where, rule, broken in _broken_rules(arrays, dataset.spec.boundary):
                if broken.any():
                    sample = first + int(np.argwhere(broken)[0, 0])
                    raise SSHMLError(f"{path}: /{name}/{where} sample {sample} {rule}.")
            chains.append(np.concatenate([arrays["v"], arrays["w"]], axis=1))
            done += len(arrays["winding"])
            if progress:
                progress(done, total)
    chains = np.concatenate(chains)
    if len(np.unique(chains, axis=0)) < len(chains):
        raise SSHMLError(f"{path}: /*/v and /*/w hold the same chain more than once; splits must share no chain.")
    return dataset


def _broken_rules(arrays, boundary):
    """Yield (array, rule in words, mask of the samples that break it), cheapest rules first."""
    for name in ("states", "energies", "v", "w"):
        finite = np.isfinite(arrays[name]).reshape(len(arrays[name]), -1).all(axis=1)
        yield name, "holds NaN or infinite numbers", ~finite
    states, energies, v, w = (arrays[name].astype(np.float64) for name in ("states", "energies", "v", "w"))
    scale = np.maximum(np.abs(v).max(axis=1), np.abs(w).max(axis=1))[:, None]
    norm = np.einsum("bls,bls->bl", states, states)
    yield "states", "is not of unit norm at some level", (np.abs(norm - 1) > TOLERANCE).any(axis=1)
    gram = states @ np.swapaxes(states, 1, 2) - np.eye(states.shape[1])  # b level [site], b [site] level
    yield "states", "has levels that are not orthogonal", (np.abs(gram) > TOLERANCE).any(axis=(1, 2))
    yield "energies", "does not ascend", (np.diff(energies, axis=1) < 0).any(axis=1)
    # b level [site], b [site] site'
    residual = np.abs(states @ hamiltonian(v, w, boundary) - energies[..., None] * states).max(axis=-1)
    yield "states", "does not solve H psi = E psi for its v and w", (residual > TOLERANCE * scale).any(axis=1)
    margin = log_margin(v, w, boundary)
    with np.errstate(invalid="ignore"):
        differs = ~((margin == arrays["log_margin"]) | (np.abs(margin - arrays["log_margin"]) <= 1e-9))
    yield "log_margin", "differs from mean ln|w| - mean ln|v| of its v and w", differs
    try:
        wrong = winding_number(v, w, boundary) != arrays["winding"]
    except GapClosedError:
        wrong = ~(np.abs(margin) > 0)
    yield "winding", "is not the winding number of its v and w", wrong
