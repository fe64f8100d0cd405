"""From a spec to samples: sample i depends only on (seed, split, i)."""

import numpy as np

from sshml.arguments import choice, instance, integer
from sshml.chain import apply_gauge, eigenstates, label, log_margin, uniforms
from sshml.dataset.hoppings import SPLITS, grid_points
from sshml.dataset.spec import MOST, DatasetSpec
from sshml.errors import SSHMLError

ATTEMPTS = 100
"""Redraws of a chain whose gap is closed before the spec is declared hopeless."""


def hoppings(spec, split, first, count):
    """Return the realised hoppings of the samples first, ..., first + count - 1 of a split.

    A chain whose label is undefined (a closed gap, mean ln|w| = mean ln|v|) is redrawn from the next stream.

    Args:
        spec: the `DatasetSpec`.
        split: "train", "valid" or "test".
        first: index of the first sample.
        count: number of samples.

    Returns:
        (v, w): float64 arrays of shape (count, M) and (count, M - 1), or (count, M) on a ring; (v, w, j3, j4) where
        the spec has longer range.

    Raises:
        SSHMLError: an unknown split, or a spec whose every draw has a closed gap.
    """
    return _labelled(spec, split, first, count)[0]


def labelled(spec, split, first, count):
    """Return all of a sample that is no wavefunction, as arrays by name; arguments and errors as in `hoppings`."""
    drawn, winding = _labelled(spec, split, first, count)
    arrays = dict(zip(spec.clean, drawn, strict=True)) | {"winding": winding}
    if not spec.is_longer:
        arrays["log_margin"] = log_margin(*drawn, spec.boundary)
    return arrays


def samples(spec, split, first, count):
    """Return samples first, ..., first + count - 1 of a split as a dictionary of the file's arrays.

    Args as in `hoppings`.

    Returns:
        states (sample, level, site) float32, energies (sample, level) float32, v, w, log_margin float64,
        winding int8; with longer range j3 and j4 in the place of log_margin.
    """
    arrays = labelled(spec, split, first, count)
    first, count = integer(first, "first"), integer(count, "count")
    states, energies = solved(spec, split, first + np.arange(count), [arrays[name] for name in spec.clean])
    return {"states": states, "energies": energies, **arrays}


def solved(spec, split, index, drawn):
    """Return states and energies, float32, of samples whose numbers (ascending) and hoppings are given."""
    longer = dict(zip(("j3", "j4"), drawn[2:], strict=False))
    energies, states = eigenstates(*drawn[:2], spec.boundary, **longer, dtype=np.float32, solver="kernels")
    start = 0
    for run in _runs(index):
        part = states[start : start + len(run)]
        apply_gauge(part, spec.gauge, (spec.seed, SPLITS.index(split)), int(run[0]))
        start += len(run)
    return states, energies.astype(np.float32)


def _labelled(spec, split, first, count):
    """Return (hoppings by kind, winding numbers) with the closed gaps drawn again."""
    instance(spec, "spec", DatasetSpec, "a DatasetSpec")
    choice(split, "split", SPLITS)
    first, count = integer(first, "first", 0, MOST), integer(count, "count", 0, MOST)
    drawn = _draw(spec, split, first, count, attempt=0)
    winding, closed = label(*drawn[:2], spec.boundary, *drawn[2:])
    for attempt in range(1, ATTEMPTS):
        if not closed.any():
            return drawn, winding
        left = np.flatnonzero(closed)
        for run in _runs(left):
            again = _draw(spec, split, first + int(run[0]), len(run), attempt)
            for array, rows in zip(drawn, again, strict=True):
                array[run] = rows
        again = [array[left] for array in drawn]
        winding[left], closed[left] = label(*again[:2], spec.boundary, *again[2:])
    clean = ", ".join(f"{name} = {hopping}" for name, hopping in spec.clean.items())
    raise SSHMLError(f"{ATTEMPTS} draws of {clean} all had a closed gap, as |v| = |w| has; change v or w.")


def _draw(spec, split, first, count, attempt):
    """Draw the hoppings, a list of arrays (sample, bond), from the random numbers of the samples.

    Numbers of a sample: the clean v and w, then the disorder of every v and w; behind them the same of j3 and j4.
    """
    names = list(spec.clean)
    widths = [n for pair in (names[:2], names[2:]) for n in [len(pair), *map(spec.bonds, pair)] if pair]
    draws = uniforms((spec.seed, SPLITS.index(split)), first, count, sum(widths), stream=attempt)
    parts = np.split(draws, np.cumsum(widths)[:-1], axis=1)
    ranges = np.concatenate(parts[0::3], axis=1)
    disorder = [part for i, part in enumerate(parts) if i % 3]
    clean = {name: h.low + (h.high - h.low) * ranges[:, k] for k, (name, h) in enumerate(spec.clean.items())}
    if spec.grid_axes:
        points = grid_points(spec.clean, spec.is_clean, spec.seed)
        chosen = points[_grid_index(split, first + np.arange(count), len(points))]
        clean.update({name: chosen[:, names.index(name)] for name in spec.grid_axes})
    return [
        _disordered(clean[name][:, None], spec.disorder_of(name), part, spec.law)
        for name, part in zip(names, disorder, strict=True)
    ]


def _disordered(clean, strength, uniform, law):
    """Return the hoppings (sample, bond) of clean values (sample, 1) and uniform numbers in [0, 1)."""
    if law == "normal":
        from scipy.special import ndtri

        return clean + strength * ndtri(uniform + 2.0**-54)  # the numbers are multiples of 2^-53: never 0 or 1
    return clean + strength * (clean if law == "multiplicative" else 1.0) * (uniform - 0.5)


def _runs(index):
    """Return ascending numbers cut into runs of consecutive ones."""
    return [run for run in np.split(index, 1 + np.flatnonzero(np.diff(index) != 1)) if run.size]


def _grid_index(split, i, points):
    """Return which grid point sample i takes: train counts from the front, test and valid in turns from the back."""
    if split == "train":
        return i % points
    return (points - 1 - 2 * i - (split == "valid")) % points
