"""From singular vectors to levels, and the basis of degenerate levels: a function of the levels' space alone."""

import numpy as np

DEGENERATE = 1e-11
"""Singular values closer than this fraction of the largest count as one degenerate level for LAPACK."""


def resolve(x, sigma, y, tolerance):
    """Give each degenerate group of singular vectors its canonical basis, in place; return which chains have one.

    Args:
        x: left vectors, shape (chain, value, cell).
        sigma: singular values, descending, shape (chain, value).
        y: right vectors, shape (chain, value, cell).
        tolerance: spacing up to which two values next to each other are one, broadcast to (chain, value).
    """
    tolerance = np.broadcast_to(tolerance, sigma.shape)
    close = -np.diff(sigma, axis=-1) <= tolerance[:, :-1]
    for chain in np.flatnonzero(close.any(axis=-1)):
        for group in _groups(close[chain]):
            stop = group.stop
            rotation = _site_ordered_rotation(x[chain, group])
            x[chain, group] = rotation @ x[chain, group]
            if (
                sigma[chain, stop - 1] <= tolerance[chain, stop - 1] or sigma[chain, stop - 1] == 0
            ):  # a zero level: y is not tied to x
                rotation = _site_ordered_rotation(y[chain, group])
            y[chain, group] = rotation @ y[chain, group]
    return close.any(axis=-1)


def resolve_levels(energies, states, tolerance):
    """Give each degenerate group of levels its canonical basis, in place; return which chains have one.

    Args:
        energies: ascending, shape (chain, level).
        states: shape (chain, level, site).
        tolerance: spacing up to which two levels next to each other are one, broadcast to (chain, 1).
    """
    close = np.diff(energies, axis=-1) <= tolerance
    for chain in np.flatnonzero(close.any(axis=-1)):
        for group in _groups(close[chain]):
            states[chain, group] = _site_ordered_rotation(states[chain, group]) @ states[chain, group]
    return close.any(axis=-1)


def levels_of(x, sigma, y, sites):
    """Return energies (chain, level) and states (chain, level, site) of singular vectors, sigma descending.

    Args:
        x: left vectors, shape (chain, value, A cell).
        sigma: singular values, shape (chain, value).
        y: right vectors, shape (chain, value, B cell); with half a cell at the end the last site is not there, and the
            last value, 0, belongs to it.
        sites: number of sites, 2 M or 2 M + 1.
    """
    cells = sigma.shape[1]
    energies, states = np.empty((len(x), sites)), np.empty((len(x), sites, sites))
    energies[:, :cells], energies[:, sites - cells :] = -sigma, sigma[:, ::-1]
    share = np.sqrt(0.5)
    states[:, :cells, 0::2], states[:, :cells, 1::2] = share * x, -share * y[:, :, : sites // 2]
    states[:, sites - cells :, 0::2] = share * x[:, ::-1]
    states[:, sites - cells :, 1::2] = share * y[:, ::-1, : sites // 2]
    if sites % 2:
        states[:, cells - 1] = 0.0
        states[:, cells - 1, 0::2], energies[:, cells - 1] = x[:, -1], 0.0
    return energies, states


def _groups(close):
    """Yield slices of the groups of two levels or more that lie close to the next one."""
    starts = np.flatnonzero(np.concatenate([[True], ~close]))
    for start, stop in zip(starts, [*starts[1:], len(close) + 1], strict=True):
        if stop - start > 1:
            yield slice(start, stop)


def _site_ordered_rotation(basis):
    """Return the rotation (level, level) to the Gram-Schmidt basis of the projected sites, in site order.

    The projection of site j on the span of `basis` (level, site) has coordinates basis[:, j]. Some site always
    keeps a residual weight of 1/sites, so half of that amplitude is a safe threshold for taking a site.
    """
    size, sites = basis.shape
    rows = []
    for coordinates in basis.T:
        for _ in range(2):  # twice is enough
            for row in rows:
                coordinates = coordinates - (row @ coordinates) * row
        norm = np.linalg.norm(coordinates)
        if norm > 0.5 / np.sqrt(sites):
            rows.append(coordinates / norm)
        if len(rows) == size:
            break
    return np.array(rows)
