"""From a spec to samples: sample i depends only on (seed, split, i)."""

import numpy as np

from sshml.arguments import choice, instance, integer
from sshml.chain import LAWS, apply_gauge, eigenstates, label, log_margin, uniforms
from sshml.dataset.ranges import SPLITS, grid_points
from sshml.dataset.spec import KINDS, MOST, PARAMETERS, DatasetSpec
from sshml.errors import SSHMLError

ATTEMPTS = 100
"""Draws of a chain whose gap is closed before the spec is declared hopeless."""

PARAMETER_STREAM, ONSITE_STREAM = 2**33, 2**34
"""Streams of the draws of parameters and on-site energies; those of the hoppings are 0, 1, ..., the attempts."""


def labelled(spec, split, first, count):
    """Return all of the samples first, ..., first + count - 1 of a split that is no wavefunction, as arrays by name.

    A chain whose label is undefined (a closed gap, mean ln|w| = mean ln|v|) is redrawn from the next stream.

    Args:
        spec: the `DatasetSpec`.
        split: "train", "valid" or "test".
        first: index of the first sample.
        count: number of samples.

    Raises:
        SSHMLError: an unknown split, or a spec whose every draw has a closed gap.
    """
    drawn, winding = _labelled(spec, split, first, count)
    return with_labels(spec, {name: drawn[name] for name in (*spec.kinds, *spec.stored)}, winding)


def parameters(spec, split, first, count):
    """Return what the samples were drawn from, {name: float64 array (count)}: clean_v, clean_w, ..., disorder_v, ...

    Arguments and errors as in `labelled`. Numbers that do not vary are there as well.
    """
    drawn = _labelled(spec, split, first, count)[0]
    return {name: drawn[name] for name in drawn if name not in KINDS}


def with_labels(spec, drawn, winding):
    """Return the arrays of chains with their labels."""
    arrays = drawn | {"winding": winding}
    if not spec.is_longer:
        arrays["log_margin"] = log_margin(drawn["v"], drawn["w"], spec.boundary)
    return arrays


def samples(spec, split, first, count):
    """Return samples first, ..., first + count - 1 of a split as a dictionary of the file's arrays.

    Args as in `labelled`.

    Returns:
        states (sample, level, site) float32, energies (sample, level) float32, v, w, log_margin float64,
        winding int8; with longer range j3 and j4 in the place of log_margin; onsite, and what varies beside the
        hoppings, where the spec has it.
    """
    arrays = labelled(spec, split, first, count)
    first, count = integer(first, "first"), integer(count, "count")
    states, energies = solved(spec, split, first + np.arange(count), arrays)
    return {"states": states, "energies": energies, **arrays}


def solved(spec, split, index, drawn):
    """Return states and energies, float32, of samples whose numbers (ascending) and arrays by name are given."""
    chains = {name: drawn[name] for name in spec.kinds}
    energies, states = eigenstates(boundary=spec.boundary, **chains, dtype=np.float32, solver="kernels")
    start = 0
    for run in _runs(index):
        part = states[start : start + len(run)]
        apply_gauge(part, spec.gauge, (spec.seed, SPLITS.index(split)), int(run[0]))
        start += len(run)
    return states, energies.astype(np.float32)


def labels_of(spec, drawn):
    """Return (winding numbers, whether the gap is closed) of hoppings by name."""
    return label(boundary=spec.boundary, **{name: drawn[name] for name in spec.hoppings})


def _labelled(spec, split, first, count):
    """Return (arrays by name, winding numbers) with the closed gaps drawn again."""
    instance(spec, "spec", DatasetSpec, "a DatasetSpec")
    choice(split, "split", SPLITS)
    first, count = integer(first, "first", 0, MOST), integer(count, "count", 0, MOST)
    drawn = _draw(spec, split, first, count, attempt=0)
    winding, closed = labels_of(spec, drawn)
    for attempt in range(1, ATTEMPTS):
        if not closed.any():
            break
        left = np.flatnonzero(closed)
        for run in _runs(left):
            again = _draw(spec, split, first + int(run[0]), len(run), attempt)
            for name, rows in again.items():
                drawn[name][run] = rows
        winding[left], closed[left] = labels_of(spec, {name: drawn[name][left] for name in spec.hoppings})
    if not closed.any():
        return drawn, winding
    clean = ", ".join(f"{name} = {found}" for name, found in spec.clean.items())
    raise SSHMLError(f"{ATTEMPTS} draws of {clean} all had a closed gap, as |v| = |w| has; change v or w.")


def _draw(spec, split, first, count, attempt):
    """Draw chains: {kind: (sample, bond)} and {name of a parameter: (sample)}, from the random numbers of the samples.

    Numbers of a sample: the clean v and w, then the disorder of every v and w; behind them the same of j3 and j4; in
    streams of their own the parameters, in the order of PARAMETERS, and the on-site energies.
    """
    names, key = list(spec.hoppings), (spec.seed, SPLITS.index(split))
    widths = [n for pair in (names[:2], names[2:]) for n in [len(pair), *map(spec.bonds, pair)] if pair]
    draws = uniforms(key, first, count, sum(widths), stream=attempt)
    parts = np.split(draws, np.cumsum(widths)[:-1], axis=1)
    clean = np.concatenate(parts[0::3], axis=1)
    numbers = dict(zip(names, [part for i, part in enumerate(parts) if i % 3], strict=True))
    values = {name: found.at(clean[:, k]) for k, (name, found) in enumerate(spec.clean.items())}
    if spec.stored:
        draws = uniforms(key, first, count, len(PARAMETERS), stream=PARAMETER_STREAM + attempt)
    for name, found in spec.parameters.items():
        varies = not found.is_fixed
        values[name] = found.at(draws[:, PARAMETERS.index(name)]) if varies else np.full(count, found.low)
    if spec.grid_axes:
        points = grid_points(spec.ranges, spec.is_clean, spec.seed)
        chosen = points[_grid_index(split, first + np.arange(count), len(points))]
        values.update({name: chosen[:, list(spec.ranges).index(name)].copy() for name in spec.grid_axes})
    if spec.has_onsite:
        numbers["onsite"] = uniforms(key, first, count, spec.sites, stream=ONSITE_STREAM + attempt)
    given = {name: values[name][:, None] for name in LAWS[spec.law].parameters if name in values}
    given |= {"power": spec.power} if "power" in LAWS[spec.law].parameters else {}
    arrays = {}
    for kind in spec.kinds:
        centre = values[kind][:, None]
        if kind == "onsite":
            centre = centre * np.where(np.arange(spec.sites) % 2, -1.0, 1.0)
        shared = spec.correlated and kind in names
        u = numbers["v"][:, : spec.bonds(kind)] if shared else numbers[kind]
        arrays[kind] = LAWS[spec.law].draw(centre, values[f"disorder_{kind}"][:, None], u, **given)
    return arrays | {f"clean_{name}" if name in KINDS else name: x for name, x in values.items()}


def _runs(index):
    """Return ascending numbers cut into runs of consecutive ones."""
    return [run for run in np.split(index, 1 + np.flatnonzero(np.diff(index) != 1)) if run.size]


def _grid_index(split, i, points):
    """Return which grid point sample i takes: train counts from the front, test and valid in turns from the back."""
    if split == "train":
        return i % points
    return (points - 1 - 2 * i - (split == "valid")) % points
