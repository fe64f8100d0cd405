"""All levels of a batch of SSH chains, from the singular value decomposition of h.

h y = sigma x gives the levels -sigma and +sigma with states (x, -y)/sqrt(2) and (x, +y)/sqrt(2). The two
mid-gap states of a topological chain are thus the chiral partners, however small their splitting.
"""

import math

import numpy as np

from sshml.chain.hamiltonian import as_hoppings, block

DEGENERATE = 1e-11
"""Singular values closer than this fraction of the largest count as one degenerate level."""


def eigenstates(v, w, boundary="open"):
    """Return all energies and states of each chain.

    H psi = E psi through h = X diag(sigma) Y^T: E = -+sigma, psi = (x on A, -+y on B)/sqrt(2).

    Two rules make the result a function of the hoppings alone, up to the sign of each state (see `fix_gauge`):

    - Degenerate levels (clean rings, v = 0, w = 0; spacing under 1e-11 of the largest |E|) get the basis that
      Gram-Schmidt makes of the projected sites A1, A2, ... in order: standing waves with an antinode on A1 for
      a ring, single dimers from left to right for v = 0 or w = 0. A degenerate zero level does the same on B.
    - Where the smallest sigma is lost in rounding (under 1e-11 of the largest), which of the two partners lies
      above zero follows from sign(det X det Y) = sign(det h), with det h = prod v on an open chain and
      prod v - (-1)^M prod w on a ring; an exact zero counts as the limit from positive hoppings.

    Args:
        v: intracell hoppings, shape (..., M), M >= 1.
        w: intercell hoppings, shape (..., M - 1) open, (..., M) periodic, in the same energy unit.
        boundary: "open" or "periodic".

    Returns:
        (energies, states): float64 arrays of shape (..., level), ascending, and (..., level, site), unit norm.

    Raises:
        SSHMLError: shapes that do not match, NaN or infinite hoppings, an unknown boundary.

    >>> energies, states = eigenstates([3.0], [])
    >>> energies
    array([-3.,  3.])
    >>> abs(states).round(3)
    array([[0.707, 0.707],
           [0.707, 0.707]])
    """
    v, w = as_hoppings(v, w, boundary)
    batch, cells = v.shape[:-1], v.shape[-1]
    chains = math.prod(batch)
    h = block(v, w, boundary).reshape(chains, cells, cells)
    x, sigma, y = np.linalg.svd(h)
    x = np.swapaxes(x, -1, -2)  # chain, singular value, cell
    _resolve_degenerate(x, sigma, y)
    _order_mid_gap_pair(x, sigma, y, v.reshape(chains, cells), w.reshape(chains, w.shape[-1]))

    energies = np.concatenate([-sigma, sigma[:, ::-1]], axis=-1)
    states = np.empty((len(h), 2 * cells, 2 * cells))
    states[:, :cells, 0::2], states[:, :cells, 1::2] = x, -y
    states[:, cells:, 0::2], states[:, cells:, 1::2] = x[:, ::-1], y[:, ::-1]
    states *= np.sqrt(0.5)
    return energies.reshape(*batch, 2 * cells), states.reshape(*batch, 2 * cells, 2 * cells)


def _resolve_degenerate(x, sigma, y):
    """Give each degenerate group of singular vectors its canonical basis, in place."""
    tolerance = DEGENERATE * sigma[:, :1]
    close = -np.diff(sigma, axis=-1) <= tolerance
    for chain in np.flatnonzero(close.any(axis=-1)):
        starts = np.flatnonzero(np.concatenate([[True], ~close[chain]]))
        for start, stop in zip(starts, [*starts[1:], sigma.shape[-1]], strict=True):
            if stop - start == 1:
                continue
            group = slice(start, stop)
            rotation = _site_ordered_rotation(x[chain, group])
            x[chain, group] = rotation @ x[chain, group]
            if sigma[chain, stop - 1] <= tolerance[chain, 0]:  # a zero level: y is not tied to x
                rotation = _site_ordered_rotation(y[chain, group])
            y[chain, group] = rotation @ y[chain, group]


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


def _order_mid_gap_pair(x, sigma, y, v, w):
    """Flip the y of the smallest sigma where rounding lost its sign, so that x^T h y > 0 in exact arithmetic."""
    lost = np.flatnonzero(sigma[:, -1] <= DEGENERATE * sigma[:, 0])
    if lost.size:
        sign = np.linalg.slogdet(x[lost])[0] * np.linalg.slogdet(y[lost])[0]
        y[lost, -1] *= (sign * _sign_of_determinant(v[lost], w[lost]))[:, None]


def _sign_of_determinant(v, w):
    """Return the sign of det h, prod v - (-1)^M prod w on a ring and prod v on an open chain."""
    cells = v.shape[-1]

    def sign_and_log(hoppings):
        with np.errstate(divide="ignore"):
            return np.where(hoppings < 0, -1.0, 1.0).prod(-1), np.log(np.abs(hoppings)).sum(-1)

    sign_v, log_v = sign_and_log(v)
    if w.shape[-1] < cells:
        return sign_v
    sign_w, log_w = sign_and_log(w)
    return np.where(log_v >= log_w, sign_v, -((-1.0) ** cells) * sign_w)
