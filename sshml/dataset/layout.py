"""What the arrays of a dataset are: format `sshml-dataset` (tree and data card in data/README.md)."""

import dataclasses
from importlib.metadata import version

import numpy as np

from sshml.arguments import flag, instance
from sshml.dataset.spec import DatasetSpec, GivenSpec
from sshml.hdf5 import crc32

FORMAT, FORMAT_VERSION = "sshml-dataset", 3
MADE_BY = f"sshml {version('sshml')}"
CHUNK_BYTES = 2**20
CHUNKS = 16
"""Chunks of states in a block, the unit of writing; the other arrays have one chunk to a block."""

MADE = ("states", "energies")
"""Arrays that a recipe file leaves out and makes on reading."""


@dataclasses.dataclass(frozen=True)
class Layout:
    """The arrays of a spec, all of them, or without states and energies in a recipe."""

    spec: DatasetSpec | GivenSpec
    recipe: bool = False

    def __post_init__(self):
        instance(self.spec, "spec", (DatasetSpec, GivenSpec), "a DatasetSpec")
        flag(self.recipe, "recipe")

    @property
    def arrays(self):
        """{name: (shape of one sample, dtype)} in each split."""
        spec, sites = self.spec, self.spec.sites
        arrays = {} if self.recipe else {"states": ((sites, sites), np.float32), "energies": ((sites,), np.float32)}
        arrays |= {name: ((spec.bonds(name),), np.float64) for name in spec.kinds}
        arrays |= {name: ((), np.float64) for name in spec.stored}
        return arrays | ({} if spec.is_longer else {"log_margin": ((), np.float64)}) | {"winding": ((), np.int8)}

    @property
    def version(self):
        """The oldest version of the format that can say what a file holds."""
        spec = self.spec
        if isinstance(spec, GivenSpec) or spec.stored or spec.has_onsite or spec.half_cell or spec.correlated:
            return 3
        if spec.law not in ("uniform", "normal", "multiplicative"):
            return 3
        return 2 if self.recipe or spec.is_longer or spec.law != "uniform" else 1

    @property
    def block_rows(self):
        """Number of samples in a block of about 16 MiB of states."""
        return CHUNKS * max(1, CHUNK_BYTES // (4 * self.spec.sites**2))

    def n_bytes(self, count):
        """Return the bytes of the arrays of `count` samples."""
        return count * sum(int(np.prod(shape)) * np.dtype(dtype).itemsize for shape, dtype in self.arrays.values())

    def describe(self, file, file_format=FORMAT):
        """Write the attributes that say what a file is."""
        file.attrs["format"] = file_format
        file.attrs["format_version"] = self.version
        file.attrs["spec"] = self.spec.to_json()
        file.attrs["spec_crc32"] = np.uint32(crc32(self.spec.to_json().encode()))
        file.attrs["seed"] = np.uint64(self.spec.seed)
        file.attrs["created_by"] = MADE_BY
        if self.recipe:
            file.attrs["recipe"] = True
            file.attrs["lacks"] = LACKS


LACKS = (
    "/SPLIT/states and /SPLIT/energies of every split: sshml makes them when it reads the file. In other programs:"
    " eigenvectors and eigenvalues of the chains' Hamiltonians, up to the sign of each state, or `sshml generate` the"
    " file again from the spec without --recipe."
)
"""What a recipe file says of itself to other readers."""


def say_labels(group):
    """Say in a group what its labels are."""
    of = "winding number of the realised chain"
    if "onsite" in group:
        of = "winding number of the hoppings alone (on-site energies break chiral symmetry, the chain itself has none)"
    if "log_margin" in group:
        group["winding"].attrs["label"] = f"{of}: 1 where log_margin > 0"
        group["log_margin"].attrs["label"] = "mean ln|w| - mean ln|v| over the bonds of the chain"
    else:
        group["winding"].attrs["label"] = f"{of}, -1 to 2"


class Writer:
    """Write the arrays of `size` samples into an HDF5 group, in order, with a checksum of each.

    Whole chunks go to the file as they are; HDF5's own path, which the last ones take, is half as fast.
    """

    def __init__(self, group, layout, size):
        self.size, self.done, self.arrays, self.rows, self.crc = size, 0, {}, {}, {}
        block = layout.block_rows
        for name, (shape, dtype) in layout.arrays.items():
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
            self.crc[name] = crc32(data, self.crc[name])
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
