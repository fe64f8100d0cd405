"""Open chains with on-site energies: eigenvalues and eigenvectors of a symmetric tridiagonal H.

Eigenvalues by chords in brackets of Sturm counts: the number of negative pivots of H - lambda is that of the levels
below lambda (Barth, Martin and Wilkinson, Numer. Math. 9, 386 (1967)), exact to rounding of the largest. Vectors by
twisted factorisations (Dhillon and Parlett, Lin. Alg. Appl. 387, 1 (2004)). On-site energies break chiral symmetry, so
that no smaller problem stands behind H and no level is known to more than the absolute accuracy.
"""

import numpy as np
from numba import njit

from sshml.chain.bidiagonal import probe
from sshml.chain.bracketing import COUNT, POWER, STEPS, F, X, begin, bracket, choose, narrow, note, power_of, take
from sshml.lanes import JIT, LANES

ONSITE, HOPPING, SQUARE, ABOVE, BELOW, VECTOR, ROWS = range(7)
"""Rows of `work[site]`: diagonal of H, bond to the next site, its square; ratios of the factorisations; the vector."""

SHIFT, S, T, LEAST, TWIST, NORM, FIRST, PROBE, SUM, LANE_ROWS = range(10)
"""Rows of `lane`: lambda; two terms of recurrences; least |gamma| and its site; norm; sign of the first component;
psi . r of a level, and the sum of its squares over the levels."""

STEP = 8
"""Sites per step of the Sturm count, after which the two terms are scaled back."""

PAST = 4
"""Levels kept for the orthogonalisation of close ones."""

CLOSE = 2e-4
"""Levels nearer than this, where all lie in [-1, 1], are orthogonalised against each other."""

TINY = 1e-290
CERTIFICATE = 1e-11
"""Largest residual, in half the width of the spectrum, of a certified chain."""

COMPLETE = 1e-12
"""Largest | sum_levels (psi . r)^2 - r . r | / r . r of a certified chain, for one vector r."""


@njit(**JIT)
def solve(onsite, hoppings, energies, states, certified):
    """Fill energies (chain, level) and states (chain, level, site) of open chains with positive hoppings.

    Args:
        onsite: on-site energies, float64, shape (chain, N).
        hoppings: positive hoppings v_1, w_1, v_2, ... in the order of the bonds, float64, shape (chain, N - 1).
        energies: output, as in `eigenstates`.
        states: output, float64 or float32, as in `eigenstates`.
        certified: output (chain): whether residuals and completeness prove the states right to 1e-10.
    """
    for first in range(0, len(onsite), LANES):
        _solve_block(onsite, hoppings, energies, states, certified, first)


@njit(**JIT)
def _solve_block(onsite, hoppings, energies, states, certified, first):
    chains, sites = onsite.shape
    work, lane = np.zeros((-(-sites // STEP) * STEP, ROWS, LANES)), np.zeros((LANE_ROWS, LANES))
    centre, scale = np.empty(LANES), np.empty(LANES)
    _load(onsite, hoppings, work, centre, scale, first)
    levels = np.zeros((sites, LANES))
    _find_levels(work, lane, levels)
    past, good = np.zeros((PAST, sites, LANES)), np.ones(LANES, np.bool_)
    used = min(LANES, chains - first)
    for level in range(sites):
        lane[SHIFT] = levels[level]
        _factorise(work, lane, sites)
        _vector(work, lane, sites)
        for at in range(LANES):
            back = 1
            while back <= level and levels[level, at] - levels[level - back, at] < CLOSE:
                if back > PAST:
                    good[at] = False
                    break
                _separate(work, lane, past[(level - back) % PAST], sites, at)
                back += 1
        _certify(work, lane, past[level % PAST], sites, good)
        for at in range(used):
            energies[first + at, level] = centre[at] + scale[at] * levels[level, at]
        kept = past[level % PAST]
        for i in range(0, sites, STEP):
            for at in range(used):
                psi = states[first + at, level]
                for j in range(i, min(i + STEP, sites)):
                    psi[j] = kept[j, at]
    whole = 0.0
    for i in range(sites):
        whole += probe(i) ** 2
    for at in range(used):
        certified[first + at] = good[at] and abs(lane[SUM, at] - whole) <= COMPLETE * whole  # False for NaN


@njit(**JIT)
def _load(onsite, hoppings, work, centre, scale, first):
    """Fill `work` with H moved and scaled so that all levels lie in [-1, 1]; spare lanes repeat the last chain."""
    chains, sites = onsite.shape
    work[:, ONSITE] = 16.0  # sites that pad to STEP: decoupled and above all levels
    for at in range(LANES):
        c = min(first + at, chains - 1)
        lowest, highest = np.inf, -np.inf
        for i in range(sites):  # Gershgorin's circles
            radius = (hoppings[c, i - 1] if i else 0.0) + (hoppings[c, i] if i < sites - 1 else 0.0)
            lowest, highest = min(lowest, onsite[c, i] - radius), max(highest, onsite[c, i] + radius)
        centre[at], scale[at] = 0.5 * (lowest + highest), 0.5 * (highest - lowest)
        for i in range(sites):
            work[i, ONSITE, at] = (onsite[c, i] - centre[at]) / scale[at]
        for i in range(sites - 1):
            x = hoppings[c, i] / scale[at]
            work[i, HOPPING, at], work[i, SQUARE, at] = x, x * x


@njit(**JIT)
def _find_levels(work, lane, levels):
    """Fill levels (level, lane)."""
    sites = len(levels)
    points = max(2, sites)
    level, left = np.zeros(LANES, np.int64), LANES
    grid, place, ends, tried, widths, root, found = begin(points, -2.0, 2.0)
    for point in range(points + 1):
        tried[X] = -1.001 + 2.002 * point / points
        _count_below(work, lane, tried)
        note(grid, point, tried)
    for at in range(LANES):
        place[at] = bracket(ends, grid[at], place[at], widths, 0, at)
    for _ in range(STEPS * sites):
        choose(ends, tried[X], widths, level, root, found, False)
        left -= take(ends, grid, place, widths, level, root, found, tried, levels)
        if not left:
            break
        _count_below(work, lane, tried)
        narrow(ends, tried, level)


@njit(**JIT)
def _count_below(work, lane, found):
    """Count the changes of sign of p_{n+1} = (a_n - lambda) p_n - b_{n-1}^2 p_{n-1}, with no division, for given X."""
    for at in range(LANES):
        lane[S, at] = 0.0  # b_{n-1}^2 p_{n-1}
        lane[T, at] = 1.0
        found[COUNT, at] = found[POWER, at] = 0.0
    for i in range(0, work.shape[0], STEP):
        for at in range(LANES):
            shift, s, t, n = found[X, at], lane[S, at], lane[T, at], np.int64(0)
            before = np.float64(t).view(np.int64)
            for k in range(STEP):
                p = (work[i + k, ONSITE, at] - shift) * t - s
                s = work[i + k, SQUARE, at] * t
                t = p
                after = np.float64(t).view(np.int64)
                n += np.int64(np.uint64(before ^ after) >> np.uint64(63))
                before = after
            power, inverse = power_of(s, t)
            lane[S, at], lane[T, at] = s * inverse, t * inverse
            found[COUNT, at] += n
            found[POWER, at] += power
    found[F] = lane[T]


@njit(**JIT)
def _factorise(work, lane, sites):
    """Factorise H - lambda from above and from below; twist where |gamma| is least."""
    for at in range(LANES):
        lane[S, at] = work[0, ONSITE, at] - lane[SHIFT, at]
        work[0, VECTOR, at] = lane[S, at]
    for i in range(sites - 1):
        row, following = work[i], work[i + 1]
        for at in range(LANES):
            d = lane[S, at]
            inverse = 1.0 / (d if abs(d) > TINY else TINY)
            row[ABOVE, at] = row[HOPPING, at] * inverse
            d = following[ONSITE, at] - lane[SHIFT, at] - row[SQUARE, at] * inverse
            following[VECTOR, at] = lane[S, at] = d
    for at in range(LANES):
        lane[LEAST, at], lane[TWIST, at] = abs(work[sites - 1, VECTOR, at]), sites - 1
        lane[S, at] = work[sites - 1, ONSITE, at] - lane[SHIFT, at]
    for i in range(sites - 2, -1, -1):
        here, row = float(i), work[i]
        for at in range(LANES):
            d, least, twist = lane[S, at], lane[LEAST, at], lane[TWIST, at]
            inverse = 1.0 / (d if abs(d) > TINY else TINY)
            row[BELOW, at] = row[HOPPING, at] * inverse
            taken = row[SQUARE, at] * inverse
            gamma = abs(row[VECTOR, at] - taken)
            lane[TWIST, at] = here if gamma < least else twist
            lane[LEAST, at] = min(gamma, least)
            lane[S, at] = row[ONSITE, at] - lane[SHIFT, at] - taken


@njit(**JIT)
def _vector(work, lane, sites):
    """Solve from the twist outwards, 1 there; NORM makes it of unit norm and its first site, be it lost, positive."""
    for at in range(LANES):
        lane[NORM, at] = lane[FIRST, at] = work[sites - 1, VECTOR, at] = 1.0
    for i in range(sites - 2, -1, -1):
        here, row, following = float(i), work[i], work[i + 1]
        for at in range(LANES):
            above, ratio, sign = here < lane[TWIST, at], row[ABOVE, at], lane[FIRST, at]
            z = -ratio * following[VECTOR, at]
            row[VECTOR, at] = z if above else 1.0
            flipped = -sign if ratio > 0.0 else sign
            lane[FIRST, at] = flipped if above else sign
            lane[NORM, at] += z * z if above else 0.0
    for i in range(sites - 1):
        here, row, following = float(i), work[i], work[i + 1]
        for at in range(LANES):
            below = here >= lane[TWIST, at]
            z, kept = -row[BELOW, at] * row[VECTOR, at], following[VECTOR, at]
            following[VECTOR, at] = z if below else kept
            lane[NORM, at] += z * z if below else 0.0
    for at in range(LANES):
        lane[NORM, at] = lane[FIRST, at] / np.sqrt(lane[NORM, at])


@njit(**JIT)
def _separate(work, lane, other, sites, at):
    """Take a close level out of the vector: the error there is of the order of rounding over their distance."""
    overlap = norm = 0.0
    for i in range(sites):
        overlap += work[i, VECTOR, at] * other[i, at]
    for i in range(sites):
        work[i, VECTOR, at] -= overlap * other[i, at]
        norm += work[i, VECTOR, at] ** 2
    lane[NORM, at] = lane[FIRST, at] / np.sqrt(norm)


@njit(**JIT)
def _certify(work, lane, kept, sites, good):
    """Check H psi = E psi, add to what the levels make up of the probe, and keep psi for the next ones."""
    for at in range(LANES):
        lane[LEAST, at] = lane[PROBE, at] = lane[S, at] = 0.0  # S: bond to the site before times its psi
    for i in range(sites):
        row, following, r, mine = work[i], work[min(i + 1, sites - 1)], probe(i), kept[i]
        for at in range(LANES):
            norm, hopping = lane[NORM, at], row[HOPPING, at]  # that of the last site is 0
            psi = row[VECTOR, at] * norm
            residual = (row[ONSITE, at] - lane[SHIFT, at]) * psi + lane[S, at] + hopping * norm * following[VECTOR, at]
            lane[LEAST, at] = max(lane[LEAST, at], abs(residual))
            lane[S, at] = hopping * psi
            lane[PROBE, at] += psi * r
            mine[at] = psi
    for at in range(LANES):
        good[at] &= lane[LEAST, at] <= CERTIFICATE  # False for NaN
        lane[SUM, at] += lane[PROBE, at] ** 2
