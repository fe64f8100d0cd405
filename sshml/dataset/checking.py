"""Whether a dataset file keeps every rule of its format."""

import numpy as np

from sshml.arguments import function
from sshml.chain import hamiltonian, label, log_margin
from sshml.dataset.layout import FORMAT, FORMAT_VERSION
from sshml.dataset.shards import SHARD_FORMAT, Shard
from sshml.dataset.store import open_dataset, shards_of
from sshml.errors import SSHMLError
from sshml.hdf5 import crc32, open_hdf5, refuse_foreign

TOLERANCE = 1e-5
"""Largest rounding error of float32 states and energies, relative to the largest hopping, that `check` accepts."""


def check(path, progress=None):
    """Check a dataset file against every rule of the format; return the `Dataset` when all hold.

    Format, shapes and dtypes; sample by sample: finite, orthonormal, energies ascending, H psi = E psi for the
    stored hoppings (rounding up to 1e-5 of the largest hopping), margin and label as the hoppings say; the checksum
    of every array, shard by shard; and no chain twice.

    Args:
        path: the HDF5 file.
        progress: called as progress(samples done, samples in all).

    Raises:
        SSHMLError: the first broken rule, with the path inside the file and the sample.
    """
    function(progress, "progress", optional=True)
    dataset = open_dataset(path)
    spec, names, block = dataset.spec, list(dataset.layout.arrays), dataset.layout.block_rows
    total, done, marks = sum(map(len, dataset.splits.values())), 0, []
    with open_hdf5(dataset.path, FORMAT, FORMAT_VERSION) as file:
        shards = [_read_shard(dataset, name) for name in shards_of(file)]
        for split_name, split in dataset.splits.items():
            plain = [(0, len(split), path, {name: file[split_name][name].attrs.get("crc32") for name in names})]
            parts = [part[1:] for part in shards if part[0] == split_name] or plain
            if (expected := _tiling(parts)) != len(split):
                raise SSHMLError(f"{path}: /{split_name} has no shard for sample {expected}.")
            for start, size, where, checksums in parts:
                crc = dict.fromkeys(names, 0)
                for first in range(start, start + size, block):
                    rows = slice(first, min(first + block, start + size))
                    arrays = dict(zip(names, split.read(names, rows, file), strict=True))
                    for name, rule, broken in _broken_rules(arrays, spec):
                        if broken.any():
                            sample = first + int(np.argwhere(broken)[0, 0])
                            raise SSHMLError(f"{path}: /{split_name}/{name} sample {sample} {rule}.")
                    crc = {name: crc32(np.ascontiguousarray(arrays[name]), crc[name]) for name in names}
                    marks.append(_marks([arrays[name] for name in spec.clean]))
                    done += rows.stop - rows.start
                    if progress:
                        progress(done, total)
                for name, found in crc.items():
                    if checksums[name] is not None and checksums[name] != found:
                        raise SSHMLError(f"{where}: /{split_name}/{name} differs from its checksum.")
    marks = np.sort(np.concatenate(marks))
    if (marks[1:] == marks[:-1]).any():
        raise SSHMLError(f"{path}: /*/v and /*/w hold the same chain more than once; splits must share no chain.")
    return dataset


def _read_shard(dataset, name):
    """Return (split, first sample, number of samples, path, checksums) of a shard after checking its attributes."""
    path = dataset.path.parent / name
    with open_hdf5(path, SHARD_FORMAT, FORMAT_VERSION) as file:
        refuse_foreign(file, path)
        try:
            shard = Shard(str(file.attrs["split"]), int(file.attrs["first"]), int(file.attrs["count"]))
            same = file.attrs["spec"] == dataset.spec.to_json()
            checksums = {array: int(file[array].attrs["crc32"]) for array in dataset.layout.arrays}
        except (KeyError, OSError, RuntimeError, TypeError, ValueError) as error:
            raise SSHMLError(f"{path}: the shard is damaged ({error}).") from None
    if not same or not name.endswith(shard.name):
        raise SSHMLError(f"{path}: the shard belongs to another dataset or another place.")
    return shard.split, shard.first, shard.count, path, checksums


def _tiling(parts):
    """Return up to which sample the parts follow one another without a gap."""
    end = 0
    for first, count, *_ in parts:
        if first != end:
            break
        end += count
    return end


def _marks(hoppings):
    """Return a 64-bit mark of each chain: equal for equal chains, else equal with a chance of 2^-64."""
    bits = np.concatenate(hoppings, axis=1).view(np.uint64)
    mark = np.full(len(bits), 0x9E3779B97F4A7C15, np.uint64)
    for column in bits.T:
        mark = (mark ^ column) * np.uint64(0xFF51AFD7ED558CCD)
        mark ^= mark >> np.uint64(32)
    return mark


def _broken_rules(arrays, spec):
    """Yield (array, rule in words, mask of the samples that break it), cheapest rules first."""
    for name in [name for name in arrays if name not in ("winding", "log_margin")]:
        finite = np.isfinite(arrays[name]).reshape(len(arrays[name]), -1).all(axis=1)
        yield name, "holds NaN or infinite numbers", ~finite
    drawn = {name: arrays[name] for name in spec.clean}
    if "states" in arrays:
        yield from _broken_state_rules(arrays, drawn, spec.boundary)
    if "log_margin" in arrays:
        margin = log_margin(*drawn.values(), spec.boundary)
        with np.errstate(invalid="ignore"):
            differs = ~((margin == arrays["log_margin"]) | (np.abs(margin - arrays["log_margin"]) <= 1e-9))
        yield "log_margin", "differs from mean ln|w| - mean ln|v| of its v and w", differs
    winding, closed = label(boundary=spec.boundary, **drawn)
    yield "winding", "is not the winding number of its v and w", closed | (winding != arrays["winding"])


def _broken_state_rules(arrays, drawn, boundary):
    states, energies = (arrays[name].astype(np.float64) for name in ("states", "energies"))
    scale = np.max([np.abs(x).max(axis=1, initial=0) for x in drawn.values()], axis=0)[:, None]
    norm = np.einsum("bls,bls->bl", states, states)
    yield "states", "is not of unit norm at some level", (np.abs(norm - 1) > TOLERANCE).any(axis=1)
    gram = states @ np.swapaxes(states, 1, 2) - np.eye(states.shape[1])  # b level [site], b [site] level
    yield "states", "has levels that are not orthogonal", (np.abs(gram) > TOLERANCE).any(axis=(1, 2))
    yield "energies", "does not ascend", (np.diff(energies, axis=1) < 0).any(axis=1)
    # b level [site], b [site] site'
    residual = np.abs(states @ hamiltonian(boundary=boundary, **drawn) - energies[..., None] * states).max(axis=-1)
    yield "states", "does not solve H psi = E psi for its v and w", (residual > TOLERANCE * scale).any(axis=1)
