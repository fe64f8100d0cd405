"""All levels of a batch of SSH chains.

Without on-site energies from the singular value decomposition of h: h y = sigma x gives the levels -sigma and +sigma
with states (x, -y)/sqrt(2) and (x, +y)/sqrt(2). The two mid-gap states of a topological chain are thus the chiral
partners, however small their splitting. Staggered on-site energies turn each such pair among itself; any others need H
as it is.

Several solvers stand behind one function: the closed form for clean open chains, bidiagonal and tridiagonal kernels for
disordered open ones, and batched LAPACK for everything else, and for every chain that a kernel cannot certify.
"""

import functools
import math

import numpy as np

from sshml.arguments import choice, number_type
from sshml.chain.degenerate import DEGENERATE, levels_of, resolve, resolve_levels
from sshml.chain.hamiltonian import as_hoppings, as_longer, as_onsite, block, hamiltonian, sites_of

SOLVERS = ("auto", "kernels", "svd")

SMALL = 1e-3
"""Levels under this fraction of the largest lose more than three digits to LAPACK, whose errors are as large as that of
the largest; the kernels find them to their own relative accuracy."""

KERNEL_BATCH = 64
"""Chains from which on "auto" takes the kernels, which work on as many at a time."""


def eigenstates(v, w, boundary="open", *, j3=None, j4=None, onsite=None, dtype=np.float64, solver="auto"):
    """Return all energies and states of each chain.

    H psi = E psi through h = X diag(sigma) Y^T: E = -+sigma, psi = (x on A, -+y on B)/sqrt(2). An open chain that ends
    in half a cell, `w` as long as `v`, has one level more: E = 0, psi = x on A with x_{m+1} = -x_m v_m/w_m.

    Three rules make the result a function of the hoppings alone, up to the sign of each state (see `fix_gauge`):

    - Degenerate levels (clean rings, v = 0, w = 0; spacing under 1e-11 of the largest |E|) get the basis that
      Gram-Schmidt makes of the projected sites A1, A2, ... in order: standing waves with an antinode on A1 for
      a ring, single dimers from left to right for v = 0 or w = 0. A degenerate zero level does the same on B.
      The small levels of open chains without zero hoppings are told apart to their own relative accuracy.
    - Where the smallest sigma is lost in rounding (under 1e-11 of the largest), which of the two partners lies
      above zero follows from sign(det X det Y) = sign(det h), with det h = prod v on an open chain and
      prod v - (-1)^M prod w on a ring; an exact zero counts as the limit from positive hoppings.
    - On-site energies a on all A and b on all B (Rice and Mele, PRL 49, 1455 (1982)), m = (a - b)/2: each pair turns to
      E = (a + b)/2 -+ (sigma^2 + m^2)^(1/2), psi = (sin t x, -cos t y) and (cos t x, sin t y) with tan 2t = sigma/m, so
      that edge states stay apart however small sigma is. With any others levels do not pair, two that are nearer than
      1e-11 of the largest |H_ij| get the basis that Gram-Schmidt makes of the projected sites A1, B1, A2, ..., and no
      energy is known to less than 1e-15 of the largest.

    Energies and states do not depend on the other chains of the batch, up to rounding: where the smallest level of an
    open chain is under 1e-3 of the largest, "auto" takes the kernels for any number of chains, which find it to its own
    relative accuracy.

    Args:
        v: intracell hoppings, shape (..., M), M >= 1.
        w: intercell hoppings, shape (..., M - 1) open, (..., M) periodic or with half a cell at the end, in the same
            energy unit.
        boundary: "open" or "periodic".
        j3: longer-range hoppings A_m-B_{m+1}, shapes as in `sshml.chain.as_longer`.
        j4: the same for the bonds B_m-A_{m+2}.
        onsite: on-site energies of the sites A1 B1 A2 ..., shape (..., N), a number for all, or None for 0.
        dtype: of the states, float64 or float32; all is computed in float64.
        solver: "svd" (batched LAPACK); "kernels" (compiled; for open chains without j3 and j4, the others by LAPACK;
            what the kernels do not certify, as hoppings over many decades, by LAPACK's zero-shift QR); or "auto", the
            kernels for 64 open chains or more, and for those with small levels.

    Returns:
        (energies, states): float64 array of shape (..., level), ascending, and array of `dtype`, shape
        (..., level, site), unit norm.

    Raises:
        SSHMLError: shapes that do not match, NaN or infinite hoppings, an unknown boundary or solver.

    >>> energies, states = eigenstates([3.0], [])
    >>> energies
    array([-3.,  3.])
    >>> abs(states).round(3)
    array([[0.707, 0.707],
           [0.707, 0.707]])
    >>> eigenstates([3.0], [], onsite=[4.0, -4.0])[0]
    array([-5.,  5.])
    """
    v, w = as_hoppings(v, w, boundary)
    sites = sites_of(v, w, boundary)
    longer = as_longer(j3, j4, v, boundary, bool(sites % 2))
    onsite = as_onsite(onsite, v, w, boundary)
    choice(solver, "solver", SOLVERS)
    dtype = number_type(dtype)
    batch, chains = v.shape[:-1], math.prod(v.shape[:-1])
    flat = [x.reshape(chains, x.shape[-1]) for x in (v, w, *(longer or ()))]
    energies, states = np.empty((chains, sites)), np.empty((chains, sites, sites), dtype)
    if onsite is None:
        _chiral(flat, boundary, solver, energies, states)
    else:
        _with_onsite(flat, boundary, solver, energies, states, onsite.reshape(chains, sites))
    return energies.reshape(*batch, sites), states.reshape(*batch, sites, sites)


def _chiral(hoppings, boundary, solver, energies, states):
    """Fill in the levels of chains without on-site energies."""
    chains = len(states)
    bidiagonal = boundary == "open" and len(hoppings) == 2
    everything = np.ones(chains, bool)
    if bidiagonal and (solver == "kernels" or (solver == "auto" and chains >= KERNEL_BATCH)):
        left = _by_kernels(*hoppings, energies, states, everything, fresh=True)
        _by_lapack(hoppings, boundary, energies, states, left)
        return
    unresolved = _by_lapack(hoppings, boundary, energies, states, everything)
    if bidiagonal and solver == "auto":
        small = energies[:, -(energies.shape[1] // 2)] <= SMALL * energies[:, -1]
        if (unresolved | small).any():
            _by_kernels(*hoppings, energies, states, unresolved | small, fresh=False)


def _with_onsite(hoppings, boundary, solver, energies, states, onsite):
    """Fill in the levels of chains with on-site energies, shape (chain, N)."""
    from sshml.chain.signs import turn_pairs  # numba is slow to import
    from sshml.lanes import run

    staggered = (onsite[:, 0::2] == onsite[:, :1]).all(axis=1) & (onsite[:, 1::2] == onsite[:, 1:2]).all(axis=1)
    rows = np.flatnonzero(staggered)
    if rows.size:
        whole = rows.size == len(states)
        found = (energies, states) if whole else (energies[rows], states[rows])
        _chiral(hoppings if whole else [x[rows] for x in hoppings], boundary, solver, *found)
        run(turn_pairs, *found, np.ascontiguousarray(onsite[rows, 0]), np.ascontiguousarray(onsite[rows, 1]))
        if not whole:
            energies[rows], states[rows] = found
    left = ~staggered
    if boundary == "open" and len(hoppings) == 2 and solver != "svd":
        v, w = hoppings
        possible = left & (v != 0).all(axis=1) & (w != 0).all(axis=1)
        if possible.sum() >= (1 if solver == "kernels" else KERNEL_BATCH):
            left &= ~_by_tridiagonal(v, w, onsite, energies, states, possible)
    rows = np.flatnonzero(left)
    if rows.size:
        v, w, j3, j4 = [*(x[rows] for x in hoppings), None, None][:4]
        h = hamiltonian(v, w, boundary, j3, j4, onsite[rows])
        energies[rows], vectors = np.linalg.eigh(h)
        vectors = np.ascontiguousarray(np.swapaxes(vectors, 1, 2))
        resolve_levels(energies[rows], vectors, DEGENERATE * np.abs(h).max(axis=(1, 2))[:, None])
        states[rows] = vectors


def _by_tridiagonal(v, w, onsite, energies, states, wanted):
    """Solve the wanted chains by the tridiagonal kernel; return the mask of those that it certifies."""
    from sshml.chain import tridiagonal  # numba is slow to import
    from sshml.chain.signs import multiply_sites
    from sshml.lanes import run

    rows = np.flatnonzero(wanted)
    bonds = np.empty((rows.size, onsite.shape[1] - 1))
    bonds[:, 0::2], bonds[:, 1::2] = np.abs(v[rows]), np.abs(w[rows])
    whole, certified = rows.size == len(v), np.zeros(rows.size, bool)
    found = (energies, states) if whole else (energies[rows], states[rows])
    run(tridiagonal.solve, np.ascontiguousarray(onsite[rows]), bonds, *found, certified)
    if (v < 0).any() or (w < 0).any():
        run(multiply_sites, found[1], _site_signs(v[rows], w[rows]))
    solved = rows[certified]
    if not whole:
        energies[solved], states[solved] = found[0][certified], found[1][certified]
    mask = np.zeros_like(wanted)
    mask[solved] = True
    return mask


def _by_kernels(v, w, energies, states, wanted, fresh):
    """Solve the wanted chains without zero hoppings; return the mask of those that are left.

    What the outputs hold of those that are left stays as it is, unless the outputs are `fresh`.
    """
    from sshml.chain import bidiagonal, closed_form, zero_shift  # numba is slow to import
    from sshml.chain.signs import multiply_sites
    from sshml.lanes import run

    left = wanted.copy()
    possible = wanted & (v != 0).all(axis=1) & (w != 0).all(axis=1)
    size_v, size_w = np.abs(v), np.abs(w)
    equal = (size_v == size_v[:, :1]).all(axis=1) & (size_w == size_w[:, :1]).all(axis=1)
    clean = possible & equal if w.shape[1] == v.shape[1] - 1 > 0 else np.zeros_like(possible)
    for solve, mask, hoppings in (
        (
            functools.partial(run, closed_form.solve),
            lambda: clean & left,
            (size_v[:, 0], size_w[:, 0] if w.shape[1] else size_w),
        ),
        (functools.partial(run, bidiagonal.solve), lambda: possible & left, (size_v, size_w)),
        (zero_shift.solve, lambda: possible & left, (size_v, size_w)),
    ):
        chosen = np.flatnonzero(mask())
        if not chosen.size:
            continue
        whole = fresh and chosen.size == len(v)
        certified = np.zeros(chosen.size, bool)
        found = (energies, states) if whole else (energies[chosen], states[chosen])
        solve(*(np.ascontiguousarray(h if whole else h[chosen]) for h in hoppings), *found, certified)
        solved = chosen[certified]
        if not whole:
            energies[solved], states[solved] = found[0][certified], found[1][certified]
        left[solved] = False
    if (v < 0).any() or (w < 0).any():
        run(multiply_sites, states, np.where((wanted & ~left)[:, None], _site_signs(v, w), np.int8(1)))
    return left


def _site_signs(v, w):
    """Return the signs (chain, site) that turn the hoppings' sizes into the hoppings.

    With a_1 = 1, b_m = a_m sign(v_m), a_{m+1} = b_m sign(w_m): a_m v_m b_m = |v_m| and b_m w_m a_{m+1} = |w_m|.
    """
    steps = np.ones((len(v), v.shape[1] + w.shape[1] + 1), np.int8)
    steps[:, 1::2] = np.where(v < 0, -1, 1)
    steps[:, 2::2] = np.where(w < 0, -1, 1)
    return np.cumprod(steps, axis=1, dtype=np.int8)


def _by_lapack(hoppings, boundary, energies, states, wanted):
    """Solve the wanted chains by batched SVD of h; return the mask of those with levels under DEGENERATE apart."""
    chosen = np.flatnonzero(wanted)
    unresolved = np.zeros_like(wanted)
    if not chosen.size:
        return unresolved
    v, w, *longer = (x[chosen] for x in hoppings)
    h = block(v, w, boundary, *longer)
    x, sigma, y = np.linalg.svd(h)
    x = np.swapaxes(x, -1, -2)  # chain, singular value, cell
    if half_cell := states.shape[1] % 2:  # a site that is not there belongs to the zero mode
        sigma, y = np.pad(sigma, ((0, 0), (0, 1))), np.pad(y, ((0, 0), (0, 1), (0, 1)))
        y[:, -1, -1] = 1.0
    unresolved[chosen] = resolve(x, sigma, y, DEGENERATE * sigma[:, :1])
    if not half_cell:
        _order_mid_gap_pair(x, sigma, y, h if longer else None, v, w)
    energies[chosen], states[chosen] = levels_of(x, sigma, y, states.shape[1])
    return unresolved


def _order_mid_gap_pair(x, sigma, y, h, v, w):
    """Flip the y of the smallest sigma where rounding lost its sign, so that x^T h y > 0 in exact arithmetic."""
    lost = np.flatnonzero(sigma[:, -1] <= DEGENERATE * sigma[:, 0])
    if lost.size:
        sign = np.linalg.slogdet(x[lost])[0] * np.linalg.slogdet(y[lost])[0]
        expected = _sign_of_determinant(v[lost], w[lost]) if h is None else np.linalg.slogdet(h[lost])[0]
        y[lost, -1] *= np.where(sign * expected < 0, -1, 1)[:, None]


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
