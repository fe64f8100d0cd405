"""Clean open chains in closed form: levels |v + w e^{ik}| with v sin((M+1)k) + w sin(Mk) = 0.

With phi = arg(w + v e^{ik}) the quantisation reads theta(k) = M k + phi = j pi, j = 1 ... M, and the states are
x_m = (-1)^{j+1} sin((M+1-m)k), y_m = sin(mk), up to the norm. For w/v > (M+1)/M the root j = M leaves the axis
(k = pi + iq): the bound pair, with sigma = v sinh(q)/sinh(Mq).
"""

import numpy as np
from numba import njit

from sshml.lanes import JIT, LANES

C, S, POWER_C, POWER_S, ERROR, NORM, SIGMA, V, W, STEP_C, STEP_S, START_C, START_S, ROWS = range(14)
"""Rows of `lane`: e^{ik}, a power of it, last error of the quantisation, norm, sigma, hoppings, start and its step."""

NEWTON, BOUND_NEWTON = 4, 7
"""Steps from the starting value; each squares the error."""

EXACT = 1e-7
"""Largest error that the last step may have found, in radian or relative; it has squared it since."""

DEEP = 1e60
"""Where (w/v)^M exceeds this, e^q = w/v to all digits."""


@njit(**JIT)
def solve(v, w, energies, states, certified):
    """Fill energies (chain, level) and states (chain, level, site) of clean open chains, 2 cells or more.

    Args:
        v: positive intracell hoppings, float64, shape (chain).
        w: positive intercell hoppings, float64, shape (chain).
        energies: output, as in `eigenstates`.
        states: output, float64 or float32, as in `eigenstates`.
        certified: output (chain): whether every root was found.
    """
    for first in range(0, len(v), LANES):
        _solve_block(v, w, energies, states, certified, first)


@njit(**JIT)
def _solve_block(v, w, energies, states, certified, first):
    chains, cells = len(v), states.shape[1] // 2
    lane, sines = np.zeros((ROWS, LANES)), np.empty((cells, LANES))
    slopes = np.empty((2, LANES))
    good, before = np.ones(LANES, np.bool_), np.full(LANES, 2.0)
    for at in range(LANES):
        lane[V, at], lane[W, at] = v[min(first + at, chains - 1)], w[min(first + at, chains - 1)]
    _first_start(lane, cells)
    for j in range(1, cells + 1):
        _next_start(lane)
        for _ in range(NEWTON):
            _newton(lane, cells, j)
        _waves(lane, sines, cells)
        for at in range(LANES):
            root = (abs(lane[ERROR, at]) <= EXACT) & (lane[C, at] < before[at]) & (lane[S, at] > 0.0)
            good[at] &= root | ((j == cells) & (lane[W, at] > lane[V, at]))
            before[at] = lane[C, at]
        if j == cells:
            _bound_level(lane, sines, slopes, cells, good)
        for at in range(min(LANES, chains - first)):
            bound = (j == cells) & (lane[W, at] > lane[V, at])
            _write(
                sines, cells, j, bound, lane[SIGMA, at], lane[NORM, at], energies[first + at], states[first + at], at
            )
    for at in range(min(LANES, chains - first)):
        certified[first + at] = good[at]


@njit(**JIT)
def _first_start(lane, cells):
    """Prepare the starting values k = j pi/(M + v/(v + w)), as phi = k v/(v + w) is exact for small k and for v = w."""
    for at in range(LANES):
        step = np.pi / (cells + lane[V, at] / (lane[V, at] + lane[W, at]))
        lane[STEP_C, at], lane[STEP_S, at] = np.cos(step), np.sin(step)
        lane[START_C, at], lane[START_S, at] = 1.0, 0.0


@njit(**JIT)
def _next_start(lane):
    for at in range(LANES):
        c, s, step_c, step_s = lane[START_C, at], lane[START_S, at], lane[STEP_C, at], lane[STEP_S, at]
        turned_c, turned_s = c * step_c - s * step_s, c * step_s + s * step_c
        lane[START_C, at], lane[START_S, at] = turned_c, turned_s
        lane[C, at], lane[S, at] = turned_c, turned_s


@njit(**JIT)
def _newton(lane, cells, j):
    """Turn e^{ik} by the error of theta(k) over its slope M + (v^2 + v w cos k)/sigma^2."""
    for at in range(LANES):
        lane[POWER_C, at], lane[POWER_S, at] = lane[C, at], lane[S, at]
    bit = 1
    while 2 * bit <= cells:
        bit *= 2
    bit //= 2
    while bit:  # e^{iMk} by squaring, from the highest bit of M
        odd = cells & bit
        for at in range(LANES):
            c, s, pc, ps = lane[C, at], lane[S, at], lane[POWER_C, at], lane[POWER_S, at]
            qc, qs = pc * pc - ps * ps, 2 * pc * ps
            rc, rs = qc * c - qs * s, qc * s + qs * c
            lane[POWER_C, at] = rc if odd else qc
            lane[POWER_S, at] = rs if odd else qs
        bit //= 2
    parity = -1.0 if j % 2 else 1.0
    for at in range(LANES):
        c, s, v, w = lane[C, at], lane[S, at], lane[V, at], lane[W, at]
        re, im = w + v * c, v * s
        square = re * re + im * im
        sine = parity * (lane[POWER_C, at] * im + lane[POWER_S, at] * re)  # sigma sin(theta - j pi)
        cosine = parity * (lane[POWER_C, at] * re - lane[POWER_S, at] * im)
        sigma = np.sqrt(square)
        # the angle 2 atan(t), t = tan of half of it, to O(t^5), enough for a start
        t = sine / (sigma + max(cosine, 0.0) + 1e-300)
        angle = 2 * t * (1 - t * t * (1.0 / 3.0))
        slope = cells + (v * v + v * w * c) / square
        h = -0.5 * angle / slope
        inverse = 1 / (1 + h * h)
        turn_c, turn_s = (1 - h * h) * inverse, 2 * h * inverse
        lane[C, at] = c * turn_c - s * turn_s
        lane[S, at] = c * turn_s + s * turn_c
        lane[ERROR, at] = angle


@njit(**JIT)
def _waves(lane, sines, cells):
    """Fill sin(mk), m = 1 ... M, by rotation, and the norm; sigma = |w + v e^{ik}|."""
    for at in range(LANES):
        lane[POWER_C, at], lane[POWER_S, at] = lane[C, at], lane[S, at]
        lane[NORM, at] = 0.0
        re, im = lane[W, at] + lane[V, at] * lane[C, at], lane[V, at] * lane[S, at]
        lane[SIGMA, at] = np.sqrt(re * re + im * im)
    for m in range(cells):
        row = sines[m]
        for at in range(LANES):
            c, s, pc, ps = lane[C, at], lane[S, at], lane[POWER_C, at], lane[POWER_S, at]
            row[at] = ps
            lane[NORM, at] += ps * ps
            lane[POWER_C, at] = pc * c - ps * s
            lane[POWER_S, at] = pc * s + ps * c
    for at in range(LANES):
        lane[NORM, at] = 1 / np.sqrt(2 * lane[NORM, at])


@njit(**JIT)
def _bound_level(lane, sines, slopes, cells, good):
    """Replace the level j = M of topological chains by the root tau = 2 cosh q - 2 of s_{M+1}/s_M = w/v.

    s_{m+1} = s_m + d_{m+1}, d_{m+1} = d_m + tau s_m from s_0 = 0, d_1 = 1: s_m = sinh(mq)/sinh(q), and sin(m kappa) /
    sin(kappa), kappa = pi - k, where tau < 0; one smooth function through the merger at tau = 0. The ratio is concave
    in tau, so that Newton's steps stay on the lower side of the root from the first on.
    """
    for at in range(LANES):
        ratio = lane[W, at] / lane[V, at]
        kappa = np.pi / (2 * cells + 1)  # the root of w = v
        above = ratio > 1 + 1 / cells
        start = (ratio - 1) ** 2 / ratio if above else -4 * np.sin(kappa / 2) ** 2
        slopes[0, at] = start if (ratio > 1) & (cells * np.log(ratio) < np.log(DEEP)) else 0.0
    for _ in range(BOUND_NEWTON):
        for at in range(LANES):
            tau, s, d, ds, dd = slopes[0, at], 0.0, 1.0, 0.0, 0.0
            before, dbefore = 0.0, 0.0
            for _m in range(cells + 1):
                before, dbefore = s, ds
                s, ds = s + d, ds + dd
                d, dd = d + tau * s, dd + s + tau * ds
            ratio, slope = s / before, (ds * before - s * dbefore) / (before * before)
            step = (lane[W, at] / lane[V, at] - ratio) / slope
            slopes[0, at] = tau + step
            slopes[1, at] = step
    for at in range(LANES):
        v, w = lane[V, at], lane[W, at]
        if w <= v:
            continue
        total = 0.0
        if cells * np.log(w / v) < np.log(DEEP):
            tau, s, d = slopes[0, at], 0.0, 1.0
            for m in range(cells):
                s += d
                d += tau * s
                sines[m, at] = s
                good[at] &= s > 0.0
            good[at] &= abs(slopes[1, at]) <= EXACT * max(tau, 1.0 / (cells * cells))
            lane[SIGMA, at] = v / s
            for m in range(cells):
                sines[m, at] /= s
                total += sines[m, at] ** 2
        else:
            p, power = v / w, 1.0
            for m in range(cells, 0, -1):  # sinh(mq)/sinh(Mq) = p^{M-m} (1 - p^{2m})/(1 - p^{2M})
                sines[m - 1, at] = power * (1 - p ** (2 * m))
                total += sines[m - 1, at] ** 2
                power *= p
            lane[SIGMA, at] = w * (1 - p * p) * power
        lane[NORM, at] = 1 / np.sqrt(2 * total)


@njit(**JIT)
def _write(sines, cells, j, bound, sigma, norm, energies, states, at):
    """Write both levels; x_1 and y_1 are positive, as v y_1 = sigma x_1 demands."""
    energies[j - 1], energies[2 * cells - j] = -sigma, sigma
    lower, upper = states[j - 1], states[2 * cells - j]
    turn = -1.0 if bound else 1.0  # from cell to cell: sines hold sin(m kappa), kappa = pi - k
    a, b = norm if j % 2 or bound else -norm, norm
    for m in range(cells):
        x, y = a * sines[cells - 1 - m, at], b * sines[m, at]
        lower[2 * m], lower[2 * m + 1] = x, -y
        upper[2 * m], upper[2 * m + 1] = x, y
        a *= turn
        b *= turn
