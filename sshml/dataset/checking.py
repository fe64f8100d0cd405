"""Whether a dataset file keeps every rule of its format."""

import numpy as np

from sshml.arguments import flag, function
from sshml.chain import hamiltonian, log_margin
from sshml.dataset.draw import labelled, labels_of, solved
from sshml.dataset.layout import FORMAT, FORMAT_VERSION, MADE_BY
from sshml.dataset.shards import SHARD_FORMAT, sources
from sshml.dataset.spec import GivenSpec
from sshml.dataset.store import open_dataset
from sshml.errors import SSHMLError
from sshml.hdf5 import crc32, open_hdf5, read_attribute

TOLERANCE = 1e-5
"""Largest rounding error of float32 states and energies, relative to the largest hopping, that `check` accepts."""


DRAWN = 1e-12
"""Relative difference of hoppings drawn on two machines; nearly all are equal, those of the normal law to rounding."""

WITHOUT = "sshml 0.1"
"""The release that wrote no checksums."""

SAMPLES = 8
"""Samples of a block whose states are made anew, unless all are."""

ISOLATED = 1e-3
"""Relative distance of a level from its neighbours from which on rounding does not turn its state."""


def check(path, progress=None, deep=False):
    """Prove that a dataset file is what its spec makes; return the `Dataset` when it is.

    Format, shapes and dtypes; sample by sample: the hoppings that (seed, split, i) draw, finite, orthonormal, energies
    ascending, H psi = E psi for these hoppings (rounding up to 1e-5 of the largest hopping), margin and label as they
    say; the states of some samples of every block made anew, with their signs in files of this release; the checksum of
    every array, shard by shard; no chain twice; and nothing else in the file.

    Args:
        path: the HDF5 file.
        progress: called as progress(samples done, samples in all).
        deep: make the states of all samples anew.

    Raises:
        SSHMLError: the first broken rule, with the path inside the file and the sample.
    """
    function(progress, "progress", optional=True)
    deep = flag(deep, "deep")
    dataset = open_dataset(path)
    spec, names, block = dataset.spec, list(dataset.layout.arrays), dataset.layout.block_rows
    total, done, marks = sum(map(len, dataset.splits.values())), 0, []
    with open_hdf5(dataset.path, FORMAT, FORMAT_VERSION) as file:
        _refuse_more(dataset, file)
        shards = [(s.split, s.first, s.count, dataset.path.parent / name) for name, s in sources(file)]
        for split_name, split in dataset.splits.items():
            plain = [(0, len(split), path, {name: read_attribute(file[split_name][name], "crc32") for name in names})]
            parts = [(*part[1:], _checksums(part[3], names)) for part in shards if part[0] == split_name] or plain
            if (expected := _tiling(parts)) != len(split):
                raise SSHMLError(f"{path}: /{split_name} has no shard for sample {expected}.")
            for start, size, where, checksums in parts:
                crc = dict.fromkeys(names, 0)
                for first in range(start, start + size, block):
                    rows = slice(first, min(first + block, start + size))
                    arrays = dict(zip(names, split.read(names, rows, file), strict=True))
                    for name, rule, broken in _broken_rules(arrays, dataset, split_name, first, deep):
                        if broken.any():
                            sample = first + int(np.argwhere(broken)[0, 0])
                            raise SSHMLError(f"{path}: /{split_name}/{name} sample {sample} {rule}.")
                    crc = {name: crc32(np.ascontiguousarray(arrays[name]), crc[name]) for name in names}
                    marks.append(marks_of([arrays[name] for name in spec.kinds]))
                    done += rows.stop - rows.start
                    if progress:
                        progress(done, total)
                for name, found in crc.items():
                    if checksums[name] is None and dataset.created_by.startswith(WITHOUT):
                        continue
                    if checksums[name] is None:
                        raise SSHMLError(f"{where}: /{split_name}/{name} has no checksum.")
                    if checksums[name] != found:
                        raise SSHMLError(f"{where}: /{split_name}/{name} differs from its checksum.")
    marks = np.sort(np.concatenate(marks))
    if (marks[1:] == marks[:-1]).any():
        raise SSHMLError(f"{path}: /*/v and /*/w hold the same chain more than once; splits must share no chain.")
    return dataset


def _refuse_more(dataset, file):
    """Raise where a file holds something that its format does not know."""
    for where, group, expected in (
        ("", file, dataset.splits),
        *((f"/{name}", file[name], dataset.layout.arrays) for name in dataset.splits),
    ):
        if more := sorted(set(group) - set(expected)):
            raise SSHMLError(f"{dataset.path}: {where}/{more[0]} is no part of the format.")


def _checksums(path, names):
    """Return the checksums of the arrays of a shard."""
    with open_hdf5(path, SHARD_FORMAT, FORMAT_VERSION) as file:
        return {name: read_attribute(file[name], "crc32") for name in names}


def _tiling(parts):
    """Return up to which sample the parts follow one another without a gap."""
    end = 0
    for first, count, *_ in parts:
        if first != end:
            break
        end += count
    return end


def marks_of(hoppings):
    """Return a 64-bit mark of each chain: equal for equal chains, else equal with a chance of 2^-64."""
    bits = np.concatenate(hoppings, axis=1).view(np.uint64)
    mark = np.full(len(bits), 0x9E3779B97F4A7C15, np.uint64)
    for column in bits.T:
        mark = (mark ^ column) * np.uint64(0xFF51AFD7ED558CCD)
        mark ^= mark >> np.uint64(32)
    return mark


def _broken_rules(arrays, dataset, split, first, deep):
    """Yield (array, rule in words, mask of the samples that break it), cheapest rules first."""
    spec, count = dataset.spec, len(arrays["winding"])
    for name in [name for name in arrays if name not in ("winding", "log_margin")]:
        finite = np.isfinite(arrays[name]).reshape(len(arrays[name]), -1).all(axis=1)
        yield name, "holds NaN or infinite numbers", ~finite
    if not isinstance(spec, GivenSpec):
        expected = labelled(spec, split, first, count)
        for name in (*spec.kinds, *spec.stored):
            differs = np.abs(arrays[name] - expected[name]) > DRAWN * np.abs(expected[name]).max(initial=1e-300)
            yield name, "is not what the spec and its seed draw", differs.reshape(count, -1).any(axis=1)
    drawn = {name: arrays[name] for name in spec.kinds}
    if "states" in arrays:
        yield from _broken_state_rules(arrays, drawn, spec.boundary)
    if "log_margin" in arrays:
        margin = log_margin(drawn["v"], drawn["w"], spec.boundary)
        with np.errstate(invalid="ignore"):
            differs = ~((margin == arrays["log_margin"]) | (np.abs(margin - arrays["log_margin"]) <= 1e-9))
        yield "log_margin", "differs from mean ln|w| - mean ln|v| of its v and w", differs
    winding, closed = labels_of(spec, drawn)
    yield "winding", "is not the winding number of its v and w", closed | (winding != arrays["winding"])
    if "states" in arrays and not dataset.recipe:
        numbers = np.arange(count) if deep else np.unique(np.linspace(0, count - 1, SAMPLES).astype(int))
        rule = "are not those of the spec: other states, or other signs, as of another gauge"
        yield "states", rule, _other_states(arrays, dataset, split, first, numbers)


def _other_states(arrays, dataset, split, first, numbers):
    """Return the mask of the samples among some whose states, made anew, differ.

    Signs are compared in files of this release: the random gauge multiplies those of its solver.
    Levels that are nearly degenerate may be any rotation of each other on another machine; the rules before see to
    those.
    """
    spec = dataset.spec
    states, energies = solved(spec, split, first + numbers, {name: arrays[name][numbers] for name in spec.kinds})
    gap = np.diff(energies, axis=1, prepend=-np.inf, append=np.inf)
    alone = np.minimum(gap[:, 1:], gap[:, :-1]) > ISOLATED * np.abs(energies).max(axis=1, keepdims=True)
    overlap = np.einsum("bls,bls->bl", states, arrays["states"][numbers])
    if dataset.created_by != MADE_BY and spec.gauge == "random":
        overlap = np.abs(overlap)
    found = np.zeros(len(arrays["winding"]), bool)
    found[numbers] = (alone & (overlap < 0.99)).any(axis=1)
    return found


def _broken_state_rules(arrays, drawn, boundary):
    states, energies = (arrays[name].astype(np.float64) for name in ("states", "energies"))
    scale = np.max([np.abs(x).max(axis=1, initial=0) for x in drawn.values()], axis=0)[:, None, None]
    norm = np.einsum("bls,bls->bl", states, states)
    yield "states", "is not of unit norm at some level", (np.abs(norm - 1) > TOLERANCE).any(axis=1)
    gram = states @ np.swapaxes(states, 1, 2) - np.eye(states.shape[1])  # b level [site], b [site] level
    yield "states", "has levels that are not orthogonal", (np.abs(gram) > TOLERANCE).any(axis=(1, 2))
    yield "energies", "does not ascend", (np.diff(energies, axis=1) < 0).any(axis=1)
    # b level [site], b [site] site'
    residual = np.abs(states @ hamiltonian(boundary=boundary, **drawn) - energies[..., None] * states)
    yield "states", "does not solve H psi = E psi for its v and w", (residual > TOLERANCE * scale).any(axis=(1, 2))
