"""From a spec to samples, and to a file: sample i depends only on (seed, split, i)."""

import numpy as np

from sshml.chain.eigenstates import eigenstates
from sshml.chain.gauge import fix_gauge, random_gauge
from sshml.chain.streams import uniforms
from sshml.chain.winding import EQUAL, log_margin, winding_number
from sshml.dataset.spec import SPLITS
from sshml.dataset.store import BLOCK_BYTES, new_dataset
from sshml.errors import SSHMLError

ATTEMPTS = 100
"""Redraws of a chain whose gap is closed before the spec is declared hopeless."""


def hoppings(spec, split, first, count):
    """Return the realised hoppings of the samples first, ..., first + count - 1 of a split.

    A chain whose label is undefined (mean ln|w| = mean ln|v|) is redrawn from the next stream.

    Args:
        spec: the `DatasetSpec`.
        split: "train", "valid" or "test".
        first: index of the first sample.
        count: number of samples.

    Returns:
        (v, w): float64 arrays of shape (count, M) and (count, M - 1), or (count, M) on a ring.

    Raises:
        SSHMLError: an unknown split, or a spec whose every draw has a closed gap.
    """
    v, w = _draw(spec, split, first, count, attempt=0)
    for attempt in range(1, ATTEMPTS):
        margin = log_margin(v, w, spec.boundary)
        closed = np.flatnonzero(~(np.abs(margin) > EQUAL))
        if closed.size == 0:
            return v, w
        for i in closed:
            v[i], w[i] = (row[0] for row in _draw(spec, split, first + int(i), 1, attempt))
    raise SSHMLError(f"{ATTEMPTS} draws of v = {spec.v}, w = {spec.w} all had |v| = |w|, a closed gap; change v or w.")


def samples(spec, split, first, count):
    """Return samples first, ..., first + count - 1 of a split as a dictionary of the file's arrays.

    Args as in `hoppings`.

    Returns:
        states (sample, level, site) float32, energies (sample, level) float32, v, w, log_margin float64,
        winding int8.
    """
    v, w = hoppings(spec, split, first, count)
    energies, states = eigenstates(v, w, spec.boundary)
    if spec.gauge == "fixed":
        states = fix_gauge(states)
    else:
        states = random_gauge(states, (spec.seed, SPLITS.index(split)), first)
    return {
        "states": states.astype(np.float32),
        "energies": energies.astype(np.float32),
        "v": v,
        "w": w,
        "log_margin": log_margin(v, w, spec.boundary),
        "winding": winding_number(v, w, spec.boundary),
    }


def generate(spec, path, force=False, progress=None):
    """Generate the dataset of a spec into an HDF5 file (format in data/README.md).

    Memory holds one block of samples at a time. The file appears under its name when it is complete.

    Args:
        spec: the `DatasetSpec`.
        path: the file to make.
        force: replace a file that exists.
        progress: called as progress(samples done, samples in all).

    Raises:
        SSHMLError: the file exists or cannot be written.
    """
    total = sum(getattr(spec, split) for split in SPLITS)
    block = max(1, 16 * BLOCK_BYTES // (4 * spec.sites**2))
    done = 0
    with new_dataset(spec, path, force) as write:
        for split in SPLITS:
            size = getattr(spec, split)
            for first in range(0, size, block):
                count = min(block, size - first)
                write(split, first, samples(spec, split, first, count))
                done += count
                if progress:
                    progress(done, total)


def grid_points(spec):
    """Return the clean values (v, w) on the grid of a spec, shape (point, 2), in a seeded random order.

    A hopping that is not on a grid stands with its lower end. Clean points without a gap are left out.
    """
    axes = [np.linspace(h.low, h.high, h.points) if h.points else np.array([h.low]) for h in (spec.v, spec.w)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    if spec.is_clean and all(h.is_fixed or h.points for h in (spec.v, spec.w)):
        margin = log_margin(points[:, :1], points[:, 1:], "periodic")
        points = points[np.abs(margin) > EQUAL]
    order = uniforms((spec.seed, len(SPLITS)), 0, len(points), 1)[:, 0]
    return points[np.argsort(order, kind="stable")]


def _draw(spec, split, first, count, attempt):
    if split not in SPLITS:
        raise SSHMLError(f"split {split!r} is unknown; choose one of {', '.join(SPLITS)}.")
    cells, bonds = spec.cells, spec.cells - (spec.boundary == "open")
    axes = {"v": spec.v, "w": spec.w}
    draws = uniforms((spec.seed, SPLITS.index(split)), first, count, 2 + cells + bonds, stream=attempt)
    clean = {h: spread.low + (spread.high - spread.low) * draws[:, j] for j, (h, spread) in enumerate(axes.items())}
    if spec.grid_axes:
        points = grid_points(spec)
        chosen = points[_grid_index(split, first + np.arange(count), len(points))]
        clean.update({h: chosen[:, "vw".index(h)] for h in spec.grid_axes})
    v = clean["v"][:, None] + spec.disorder_v * (draws[:, 2 : 2 + cells] - 0.5)
    w = clean["w"][:, None] + spec.disorder_w * (draws[:, 2 + cells :] - 0.5)
    return v, w


def _grid_index(split, i, points):
    """Return which grid point sample i takes: train counts from the front, test and valid in turns from the back."""
    if split == "train":
        return i % points
    return (points - 1 - 2 * i - (split == "valid")) % points
