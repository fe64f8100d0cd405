"""A phase diagram out of one file: where its chains lie in what varies, and how many of them are topological."""

import dataclasses

import numpy as np

from sshml.arguments import as_array, having, integer
from sshml.errors import SSHMLError

BINS = 12
"""Bins of a range; a grid has one for each of its points."""

POINTS = 60
"""Points of a grid, at most, that have bins of their own."""


@dataclasses.dataclass(frozen=True)
class Diagram:
    """Chains of a split binned by two of the numbers that they were drawn from, or by one.

    `names` (x, y), y None where one alone varies; `edges` of the bins of x and of y; `place` (sample): the bin of each
    chain, row-major; `chains` (y, x): how many; `topological` (y, x): share of those with a winding number other than
    0, NaN in an empty bin.
    """

    names: tuple
    edges: tuple
    place: np.ndarray
    chains: np.ndarray
    topological: np.ndarray

    def mean(self, values):
        """Return the means over the chains of each bin, NaN in an empty one.

        Args:
            values: shape (..., sample).

        Returns:
            float64 array, shape (..., y, x).

        Raises:
            SSHMLError: another number of samples.
        """
        values = as_array(values, "values", kinds="iufb").astype(float)
        if not values.ndim or values.shape[-1] != len(self.place):
            raise SSHMLError(f"values have shape {values.shape}; expected (..., {len(self.place)}), one per chain.")
        return _means(values, self.place, self.chains)

    def along(self, means):
        """Return (name, edges, means (..., bin), chains (bin)) over y, or over x where y is None, of means in bins."""
        axis = 1 if self.names[1] else 0
        chains = self.chains.sum(axis=axis)
        known = np.where(np.isfinite(means), self.chains, 0)
        sums, seen = np.nansum(np.asarray(means) * self.chains, axis=axis - 2), known.sum(axis=axis - 2)
        return self.names[axis], self.edges[axis], np.where(seen > 0, sums / np.maximum(seen, 1), np.nan), chains


def diagram(split, bins=BINS):
    """Return the `Diagram` of a split whose file spans strengths of disorder or parameters, None for others.

    x is the first clean hopping that varies, y the first strength (or other parameter) that does; where no clean
    hopping varies, x is the first parameter and y the second, if there is one.

    Args:
        split: a `Split` of a dataset file.
        bins: bins of a range, 1 to 1000.

    Raises:
        SSHMLError: a number of bins out of range.
    """
    bins = integer(bins, "bins", 1, 1000)
    having(split, "split", ("read", "spec"), "a split of a dataset file, as open_dataset(path).test")
    spec, names = split.spec, split.spec.stored
    if not names:
        return None
    clean = [name for name in names if name.startswith("clean_") and name != "clean_onsite"]
    other = sorted((name for name in names if name not in clean), key=lambda name: not name.startswith("disorder_"))
    chosen = [clean[0], other[0]] if clean else other[:2]
    found, edges = split.read(tuple(chosen)), []
    places = []
    for name, values in zip(chosen, found, strict=True):
        kind = name.removeprefix("clean_")
        one = spec.ranges[kind]
        if one.points and one.points <= POINTS:
            step = (one.high - one.low) / (one.points - 1)
            edges.append(np.linspace(one.low - step / 2, one.high + step / 2, one.points + 1))
        else:
            edges.append(np.linspace(one.low, one.high, bins + 1))
        places.append(np.clip(np.searchsorted(edges[-1], values, side="right") - 1, 0, len(edges[-1]) - 2))
    if len(chosen) == 1:
        chosen, places = [*chosen, None], [*places, np.zeros_like(places[0])]
        edges.append(np.array([0.0, 1.0]))
    shape = len(edges[1]) - 1, len(edges[0]) - 1
    place = places[1] * shape[1] + places[0]
    chains = np.bincount(place, minlength=shape[0] * shape[1]).reshape(shape)
    topological = _means((split.read("winding") != 0).astype(float), place, chains)
    return Diagram(tuple(chosen), tuple(edges), place, chains, topological)


def _means(values, place, chains):
    flat = values.reshape(-1, values.shape[-1])
    sums = np.stack([np.bincount(place, weights=row, minlength=chains.size) for row in flat])
    sums = sums.reshape(*values.shape[:-1], *chains.shape)
    return np.where(chains > 0, sums / np.maximum(chains, 1), np.nan)
