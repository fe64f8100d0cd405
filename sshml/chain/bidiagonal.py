"""Disordered open chains: singular values and vectors of the bidiagonal h to high relative accuracy.

Singular values by brackets (`bracketing`) on the Sturm counts of h h^T - lambda in differential qd form (Fernando,
Parlett, *Accurate singular values and differential qd algorithms*, Numer. Math. 67, 191 (1994)): relatively exact, so
that an edge state's sigma of 1e-100 has as many correct digits as the largest. Vectors by twisted factorisations
(Dhillon, Parlett, *Multiple representations to compute orthogonal eigenvectors*, Lin. Alg. Appl. 387, 1 (2004)) of h
h^T for x and of h^T h for y, each on its own: y = h^T x / sigma is noise for edge states.

With q_n = v_n^2, e_n = w_n^2: h h^T has q_n + e_{n-1} on the diagonal and v_n w_n beside it; h^T h read from the last
cell to the first is the same matrix of the reversed hoppings. A chain that ends in half a cell is one with v = 0 in its
last cell, whose B site is not there: one sigma is 0, with x_{m+1} = -x_m v_m/w_m.
"""

import numpy as np
from numba import njit

from sshml.chain.bracketing import (
    COUNT,
    FIELDS,
    POWER,
    STEPS,
    F,
    X,
    begin,
    bracket,
    choose,
    narrow,
    note,
    power_of,
    take,
)
from sshml.lanes import JIT, LANES

V, W, Q, E, RATIO, STATIONARY, VECTOR, ROWS = range(8)
"""Rows of `work[cell]`: v, w, v^2, w^2; L+ of the factorisation from above, its s (then U of the one from below)."""

SHIFT, S, T, LEAST, TWIST, NORM, FIRST, LAST, X_PROBE, Y_PROBE, X_SUM, Y_SUM, LANE_ROWS = range(13)
"""Rows of `lane`: lambda; two terms of recurrences; least |gamma| and its cell; norm; signs of the end components;
x . r and y . r of a level, and the sums of their squares over the levels."""

SHORT = 12
"""Cells under which counts are so cheap that plain bisection is faster."""

STEP = 8
"""Cells per step of the Sturm count, after which the two terms are scaled back."""

PAST = 4
"""Levels kept for the orthogonalisation of close ones."""

CLOSE = 1e-4
"""Levels nearer than this fraction of their sigma are orthogonalised against each other."""

DISTINCT = 1e-9
"""Levels nearer than this fraction of their sigma are left to the exact path."""

SEPARABLE = 1e-3
"""sigma, in units of the largest hopping, from which on y = h^T x / sigma is as exact as x."""

TINY = 1e-290
SMALLEST, LARGEST = 1e-300, 4.001
"""Bounds of lambda in units of the largest hopping squared; sigma_max <= max v + max w."""

FAINT = 1e-80
"""lambda, in units of the largest hopping squared, under which the squares in the recurrences get lost: one such level
follows from the product of all, two are left to the exact path."""

CERTIFICATE = 1e-11
"""Largest residual, in units of the largest hopping, of a certified chain."""

COMPLETE = 1e-12
"""Largest | sum_levels (x . r)^2 - r . r | / r . r of a certified chain, for one vector r and its x, and its y: levels
that are not orthogonal to each other, near or far, leave some of r out and count some of it twice."""


@njit(**JIT)
def solve(v, w, energies, states, certified):
    """Fill energies (chain, level) and states (chain, level, site) of open chains with positive hoppings.

    Args:
        v: positive intracell hoppings, float64, shape (chain, M).
        w: positive intercell hoppings, float64, shape (chain, M - 1), or (chain, M) with half a cell at the end.
        energies: output, as in `eigenstates`.
        states: output, float64 or float32, as in `eigenstates`.
        certified: output (chain): whether residuals and level spacings prove the states right to 1e-10.
    """
    for first in range(0, len(v), LANES):
        _solve_block(v, w, energies, states, certified, first)


@njit(**JIT)
def _solve_block(v, w, energies, states, certified, first):
    chains, cells = len(v), w.shape[1] + 1
    half = v.shape[1] < cells
    padded = -(-cells // STEP) * STEP
    one, two = np.zeros((padded, ROWS, LANES)), np.zeros((padded, ROWS, LANES))  # h h^T, and h^T h reversed
    scale, lane = np.empty(LANES), np.zeros((LANE_ROWS, LANES))
    _load(v, w, one, two, scale, first)
    levels = np.zeros((cells, LANES))
    if cells < SHORT:
        _bisect_levels(one, lane, levels, int(half))
    else:
        _find_levels(one, lane, levels, int(half))
    past, sigmas = np.zeros((PAST, 2, cells, LANES)), np.zeros((cells, LANES))
    good, lost = np.ones(LANES, np.bool_), np.zeros(LANES, np.bool_)
    used = min(LANES, chains - first)
    if half:
        _zero_mode(one, two, cells)
        _certify(one, two, lane, cells, 0, past, sigmas, good)
        for at in range(used):
            _write(one, two, cells, 0, 0.0, energies[first + at], states[first + at], at)
    for level in range(int(half), cells):
        for at in range(LANES):
            lane[SHIFT, at] = levels[level, at]
            sigmas[level, at] = np.sqrt(lane[SHIFT, at])
            if lane[SHIFT, at] < FAINT:
                lost[at] = True
                good[at] &= level == 0
        # positive hoppings and sigma: v_1 y_1 = sigma x_1, so the first components of x and y have one sign
        _factorise(one, lane, cells)
        _vector(one, lane, cells)
        _normalise(one, lane, cells, FIRST)
        _factorise(two, lane, cells)
        _vector(two, lane, cells)
        _normalise(two, lane, cells, LAST)
        if level:
            for at in range(LANES):
                if sigmas[level, at] - sigmas[level - 1, at] < CLOSE * sigmas[level, at]:
                    _separate(one, two, cells, level, past, sigmas, good, at)
        _certify(one, two, lane, cells, level, past, sigmas, good)
        for at in range(used):
            _write(one, two, cells, level, sigmas[level, at] * scale[at], energies[first + at], states[first + at], at)
    whole = 0.0
    for i in range(cells):
        whole += probe(i) ** 2
    for at in range(used):
        missing = max(abs(lane[X_SUM, at] - whole), abs(lane[Y_SUM, at] - whole))
        certified[first + at] = good[at] and missing <= COMPLETE * whole  # False for NaN
        if lost[at] and not half:  # prod sigma = prod v
            log = 0.0
            for i in range(cells):
                log += np.log(one[i, V, at]) - (np.log(sigmas[i, at]) if i else 0.0)
            energies[first + at, cells] = np.exp(log) * scale[at]
            energies[first + at, cells - 1] = -energies[first + at, cells]


@njit(**JIT)
def _zero_mode(one, two, cells):
    """Fill in x of sigma = 0, from its largest component outwards, and y, which is the site that is not there."""
    for at in range(LANES):
        size, largest, peak, norm = 0.0, 0.0, 0, 0.0
        for i in range(cells - 1):
            size += np.log(one[i, V, at]) - np.log(one[i, W, at])
            peak, largest = (i + 1, size) if size > largest else (peak, largest)
        one[peak, VECTOR, at] = 1.0
        for i in range(peak, cells - 1):
            one[i + 1, VECTOR, at] = -one[i, VECTOR, at] * one[i, V, at] / one[i, W, at]
        for i in range(peak - 1, -1, -1):
            one[i, VECTOR, at] = -one[i + 1, VECTOR, at] * one[i, W, at] / one[i, V, at]
        for i in range(cells):
            norm += one[i, VECTOR, at] ** 2
            two[i, VECTOR, at] = 1.0 if i == 0 else 0.0
        norm = (-1.0) ** peak / np.sqrt(norm)  # the first component is positive, also where it underflows
        for i in range(cells):
            one[i, VECTOR, at] *= norm


@njit(**JIT)
def probe(i):
    """Return the component r_i of the vector that every basis must make up: signs and sizes without a pattern.

    The sizes differ from cell to cell, so that states on single cells, one of them twice, are noticed too.
    """
    size = 1.0 + (0.6180339887498949 * (i + 1)) % 1.0
    return size if (i * 2654435761 >> 16) & 1 else -size


@njit(**JIT)
def _load(v, w, one, two, scale, first):
    """Fill `work` with hoppings in units of the largest; lanes without a chain repeat the last one."""
    chains, cells = len(v), w.shape[1] + 1
    one[:, Q], two[:, Q] = 16.0, 16.0  # cells that pad to STEP: decoupled and above all lambda
    for at in range(LANES):
        c = min(first + at, chains - 1)
        scale[at] = v[c].max()
        for i in range(cells - 1):
            scale[at] = max(scale[at], w[c, i])
        for i in range(cells):
            x = v[c, i] / scale[at] if i < v.shape[1] else 0.0
            one[i, V, at], one[i, Q, at] = x, x * x
            two[cells - 1 - i, V, at], two[cells - 1 - i, Q, at] = x, x * x
        for i in range(cells - 1):
            x = w[c, i] / scale[at]
            one[i, W, at], one[i, E, at] = x, x * x
            two[cells - 2 - i, W, at], two[cells - 2 - i, E, at] = x, x * x


@njit(**JIT)
def _find_levels(work, lane, levels, lowest):
    """Fill levels (level, lane), the lambda = sigma^2, from the lowest that is not 0 on."""
    cells = len(levels)
    points = max(2, cells)
    level, left = np.full(LANES, lowest), LANES
    grid, place, ends, tried, widths, root, found = begin(points, 0.0, 2.0 * LARGEST)
    for point in range(points + 1):
        tried[X] = max(SMALLEST, LARGEST * (point / points) ** 2)
        _count_below(work, lane, tried)
        note(grid, point, tried)
    for at in range(LANES):
        place[at] = bracket(ends, grid[at], place[at], widths, level[at], at)
    for _ in range(STEPS * cells):
        choose(ends, tried[X], widths, level, root, found, True)
        left -= take(ends, grid, place, widths, level, root, found, tried, levels)
        if not left:
            break
        _count_below(work, lane, tried)
        narrow(ends, tried, level)


@njit(**JIT)
def _bisect_levels(work, lane, levels, lowest):
    """Fill levels as `_find_levels` does, all lanes at one level, by halving bit patterns alone: 55 cheap steps."""
    low, high, ceiling = np.full(LANES, SMALLEST).view(np.int64), np.empty(LANES, np.int64), np.empty(LANES, np.int64)
    tried, most = np.zeros((FIELDS, LANES)), np.float64(LARGEST).view(np.int64)
    ceiling[:] = most
    for level in range(lowest, len(levels)):
        high[:], ceiling[:] = ceiling, most
        widest = 2
        while widest > 1:
            for at in range(LANES):
                tried[X, at] = np.int64(low[at] + ((high[at] - low[at]) >> 1)).view(np.float64)
            _count_below(work, lane, tried)
            widest = 0
            for at in range(LANES):
                a, b, count = low[at], high[at], tried[COUNT, at]
                middle = a + ((b - a) >> 1)
                above = count <= level
                a, b = middle if above else a, b if above else middle
                low[at], high[at], bound = a, b, ceiling[at]
                ceiling[at] = min(bound, middle) if count > level + 1 else bound
                widest = max(widest, b - a)
        levels[level] = low.view(np.float64)


@njit(**JIT)
def _count_below(work, lane, found):
    """Count the negative pivots d_n = q_n + s_n, s_{n+1} = e_n s_n / d_n - lambda, with s = S/T and no division.

    det(h h^T - lambda) is T, the product of the pivots, times the powers of 2 that were taken out.
    """
    for at in range(LANES):
        lane[S, at] = -found[X, at]
        lane[T, at] = 1.0
        found[COUNT, at] = found[POWER, at] = 0.0
    for i in range(0, work.shape[0], STEP):
        for at in range(LANES):
            shift, s, t, n = found[X, at], lane[S, at], lane[T, at], np.int64(0)
            before = np.float64(t).view(np.int64)
            for k in range(STEP):
                t = work[i + k, Q, at] * t + s  # T_{n+1} = d_n T_n
                s = work[i + k, E, at] * s - shift * t
                after = np.float64(t).view(np.int64)
                n += np.int64(np.uint64(before ^ after) >> np.uint64(63))
                before = after
            power, inverse = power_of(s, t)
            lane[S, at], lane[T, at] = s * inverse, t * inverse
            found[COUNT, at] += n
            found[POWER, at] += power
    found[F] = lane[T]


@njit(**JIT)
def _factorise(work, lane, cells):
    """Factorise from above, d = q + s, and from below, d = e + p; twist where |gamma| = |s + p + lambda| is least."""
    for at in range(LANES):
        work[0, STATIONARY, at] = -lane[SHIFT, at]
        lane[S, at] = work[cells - 1, Q, at] - lane[SHIFT, at]
    for i in range(cells - 1):
        row, following = work[i], work[i + 1]
        for at in range(LANES):
            s = row[STATIONARY, at]
            d = s + row[Q, at]
            inverse = 1.0 / (d if abs(d) > TINY else TINY)
            row[RATIO, at] = row[V, at] * row[W, at] * inverse
            following[STATIONARY, at] = s * (row[E, at] * inverse) - lane[SHIFT, at]
    for at in range(LANES):
        lane[LEAST, at] = abs(work[cells - 1, STATIONARY, at] + work[cells - 1, Q, at])
        lane[TWIST, at] = cells - 1
    for i in range(cells - 2, -1, -1):
        here, row = float(i), work[i]
        for at in range(LANES):
            p, shift, least, twist = lane[S, at], lane[SHIFT, at], lane[LEAST, at], lane[TWIST, at]
            d = row[E, at] + p
            inverse = 1.0 / (d if abs(d) > TINY else TINY)
            p = p * (row[Q, at] * inverse) - shift
            gamma = abs(row[STATIONARY, at] + p + shift)
            row[STATIONARY, at] = row[V, at] * row[W, at] * inverse
            lane[TWIST, at] = here if gamma < least else twist
            lane[LEAST, at] = min(gamma, least)
            lane[S, at] = p


@njit(**JIT)
def _vector(work, lane, cells):
    """Solve from the twist outwards, z = 1 there; signs are kept apart, for components that underflow."""
    for at in range(LANES):
        lane[NORM, at] = lane[FIRST, at] = lane[LAST, at] = work[cells - 1, VECTOR, at] = 1.0
    for i in range(cells - 2, -1, -1):
        here, row, following = float(i), work[i], work[i + 1]
        for at in range(LANES):
            above, ratio, sign = here < lane[TWIST, at], row[RATIO, at], lane[FIRST, at]
            z = -ratio * following[VECTOR, at]
            row[VECTOR, at] = z if above else 1.0
            flipped = -sign if ratio > 0.0 else sign
            lane[FIRST, at] = flipped if above else sign
            lane[NORM, at] += z * z if above else 0.0
    for i in range(cells - 1):
        here, row, following = float(i), work[i], work[i + 1]
        for at in range(LANES):
            below, ratio, sign = here >= lane[TWIST, at], row[STATIONARY, at], lane[LAST, at]
            z, kept = -ratio * row[VECTOR, at], following[VECTOR, at]
            following[VECTOR, at] = z if below else kept
            flipped = -sign if ratio > 0.0 else sign
            lane[LAST, at] = flipped if below else sign
            lane[NORM, at] += z * z if below else 0.0


@njit(**JIT)
def _normalise(work, lane, cells, end):
    """Make the vector of unit norm, and positive at its first or last cell."""
    for at in range(LANES):
        lane[NORM, at] = lane[end, at] / np.sqrt(lane[NORM, at])
    for i in range(cells):
        row = work[i]
        for at in range(LANES):
            row[VECTOR, at] *= lane[NORM, at]


@njit(**JIT)
def _separate(one, two, cells, level, past, sigmas, good, at):
    """Orthogonalise x against close levels before it, and take y = h^T x / sigma where it follows from x.

    For a relative spacing g the independent x and y are off by some 1e-15/g within the span of close levels.
    """
    sigma = sigmas[level, at]
    back = 1
    while back <= level and sigma - sigmas[level - back, at] < CLOSE * sigma:
        if back > PAST or sigma - sigmas[level - back, at] < DISTINCT * sigma:
            good[at] = False
            return
        x = past[(level - back) % PAST, 0]
        overlap = 0.0
        for i in range(cells):
            overlap += one[i, VECTOR, at] * x[i, at]
        for i in range(cells):
            one[i, VECTOR, at] -= overlap * x[i, at]
        back += 1
    if back > 1 and sigma > SEPARABLE:
        norm = 0.0
        for i in range(cells):
            y = one[i, V, at] * one[i, VECTOR, at] + (one[i, W, at] * one[i + 1, VECTOR, at] if i + 1 < cells else 0.0)
            norm += y * y
            two[cells - 1 - i, VECTOR, at] = y
        norm = 1 / np.sqrt(norm)
        for i in range(cells):
            two[i, VECTOR, at] *= norm


@njit(**JIT)
def _certify(one, two, lane, cells, level, past, sigmas, good):
    """Check h y = sigma x, h^T x = sigma y and the overlaps with the level before; keep x and y for the next one.

    The overlaps of all levels are checked at the end, by what each makes up of the probe r.
    """
    for at in range(LANES):
        lane[S, at] = lane[T, at] = lane[LEAST, at] = lane[X_PROBE, at] = lane[Y_PROBE, at] = 0.0
    now, before, sigma = past[level % PAST], past[(level - 1) % PAST], sigmas[level]
    for i in range(cells):
        row, following, mirror = one[i], one[min(i + 1, cells - 1)], two[cells - 1 - i]
        for at in range(LANES):
            # h^T x, whose last row has no w: E, W are 0 there
            r = row[V, at] * row[VECTOR, at] + row[W, at] * following[VECTOR, at] - sigma[at] * mirror[VECTOR, at]
            lane[LEAST, at] = max(lane[LEAST, at], abs(r))
        row, following, mirror = two[i], two[min(i + 1, cells - 1)], one[cells - 1 - i]
        for at in range(LANES):
            r = row[V, at] * row[VECTOR, at] + row[W, at] * following[VECTOR, at] - sigma[at] * mirror[VECTOR, at]
            lane[LEAST, at] = max(lane[LEAST, at], abs(r))
        x, y, x_before, y_before, r = one[i], two[i], before[0, i], before[1, i], probe(i)
        for at in range(LANES):
            lane[S, at] += x[VECTOR, at] * x_before[at]
            lane[T, at] += y[VECTOR, at] * y_before[at]
        for at in range(LANES):
            lane[X_PROBE, at] += x[VECTOR, at] * r
            lane[Y_PROBE, at] += y[VECTOR, at] * r
        x_now, y_now = now[0, i], now[1, i]
        for at in range(LANES):
            x_now[at] = x[VECTOR, at]
        for at in range(LANES):
            y_now[at] = y[VECTOR, at]
    for at in range(LANES):
        worst = max(lane[LEAST, at], max(abs(lane[S, at]), abs(lane[T, at])))
        good[at] &= worst <= CERTIFICATE  # False for NaN
        lane[X_SUM, at] += lane[X_PROBE, at] ** 2
        lane[Y_SUM, at] += lane[Y_PROBE, at] ** 2


@njit(**JIT)
def _write(one, two, cells, level, sigma, energies, states, at):
    sites = len(energies)
    top = sites - cells + level
    energies[cells - 1 - level], energies[top] = -sigma, sigma
    lower, upper, share = states[cells - 1 - level], states[top], np.sqrt(0.5)
    if top == cells - 1 - level:  # the zero mode of a chain that ends in half a cell
        share = 1.0
    for i in range(sites // 2):
        x, y = share * one[i, VECTOR, at], share * two[cells - 1 - i, VECTOR, at]
        lower[2 * i], lower[2 * i + 1] = x, -y
        upper[2 * i], upper[2 * i + 1] = x, y
    if sites % 2:
        lower[sites - 1] = upper[sites - 1] = share * one[cells - 1, VECTOR, at]
