"""The basis of degenerate levels: a function of the levels' space alone."""

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
        starts = np.flatnonzero(np.concatenate([[True], ~close[chain]]))
        for start, stop in zip(starts, [*starts[1:], sigma.shape[-1]], strict=True):
            if stop - start == 1:
                continue
            group = slice(start, stop)
            rotation = _site_ordered_rotation(x[chain, group])
            x[chain, group] = rotation @ x[chain, group]
            if (
                sigma[chain, stop - 1] <= tolerance[chain, stop - 1] or sigma[chain, stop - 1] == 0
            ):  # a zero level: y is not tied to x
                rotation = _site_ordered_rotation(y[chain, group])
            y[chain, group] = rotation @ y[chain, group]
    return close.any(axis=-1)


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
