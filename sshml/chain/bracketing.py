"""Levels by brackets, many chains side by side, each lane at a level of its own.

A level is told apart by counts of the levels below lambda (bisection), and then found where the chord of the
determinant vanishes: interpolate, truncate, project (Oliveira and Takahashi, ACM Trans. Math. Softw. 47, 5 (2020)), as
fast as the secant rule and, from there on, never more than SPARE steps slower than bisection. The kernels bring the
counts and determinants, of a symmetric tridiagonal matrix (`tridiagonal`) or of h h^T to relative accuracy
(`bidiagonal`).
"""

import numpy as np
from numba import njit

from sshml.lanes import JIT, LANES

X, F, POWER, COUNT, FIELDS = range(5)
"""What is known at a lambda: itself, det(... - lambda) = F 2^POWER, and how many levels lie below."""

LOW, HIGH, NEXT, ENDS = range(4)
"""Ends of the bracket of a level, and the lowest lambda seen above the level after it."""

STEPS = 90
"""Determinants of a level, at most, over all levels: bisection needs 55, of bit patterns 62."""

SPARE = 1
"""Steps that a level may take more than by bisection."""

STRAIGHT = 1e-18
"""Error of a chord at which its root is the level; relative to the level, or absolute where all lie in [-1, 1]."""

NARROW = 2.0**-52
"""Width of a bracket at which its level is found, likewise."""


@njit(**JIT)
def begin(points, lowest, highest):
    """Return (grid, place, ends, tried, widths, root, found) of lanes whose levels lie between two numbers."""
    grid, place = np.zeros((LANES, points + 1, FIELDS)), np.zeros(LANES, np.int64)
    ends, tried, widths = np.zeros((ENDS, FIELDS, LANES)), np.zeros((FIELDS, LANES)), np.zeros((2, LANES))
    ends[HIGH, X], ends[NEXT, X] = lowest, highest
    return grid, place, ends, tried, widths, np.zeros(LANES), np.zeros(LANES, np.bool_)


@njit(**JIT)
def power_of(s, t):
    """Return the power of 2 in the size of two numbers, and its inverse."""
    exponent = np.float64(max(abs(s), abs(t), 1e-300)).view(np.int64) >> 52
    return exponent - 1023, np.int64((2046 - exponent) << 52).view(np.float64)


@njit(**JIT)
def note(grid, point, tried):
    """Keep what was found at a point of the grid."""
    for at in range(LANES):
        for field in range(FIELDS):
            grid[at, point, field] = tried[field, at]


@njit(**JIT)
def bracket(ends, grid, place, widths, level, at):
    """Start the bracket of a level from the grid and what was tried for the level before; return its place there.

    Args:
        ends: what is known at the ends of the brackets, shape (end, field, lane).
        grid: what is known on the grid of the lane, shape (point, field), ascending.
        place: point from which on to look.
        widths: state of `choose`, shape (2, lane).
        level: the level.
        at: the lane.
    """
    while grid[place, COUNT] <= level:
        place += 1
    above, below = grid[place], grid[max(place - 1, 0)]
    before = ends[HIGH, X, at]  # at most a little above the level before
    known = ends[NEXT, X, at] < above[X]
    for field in range(FIELDS):
        ends[HIGH, field, at] = ends[NEXT, field, at] if known else above[field]
        ends[LOW, field, at] = below[field]
    more = ends[HIGH, COUNT, at] > level + 1
    for field in range(FIELDS):
        ends[NEXT, field, at] = ends[HIGH, field, at] if more else grid[-1, field]
    if before > below[X]:  # next to the level before, where its determinant tells nothing of this one
        ends[LOW, X, at], ends[LOW, F, at] = before, 0.0
    widths[0, at] = widths[1, at] = 0.0
    return place


@njit(**JIT)
def choose(ends, x, widths, level, root, found, relative):
    """Choose the next lambda of each bracket, and say which levels are found.

    The middle of the bracket until it holds one level; then where the chord of the determinant vanishes, moved a little
    towards the middle and kept near it, so that both ends close in. Found is a level where the determinant is straight
    to rounding, at the root of the chord. `relative`: all lambda are positive, and wanted to their own accuracy; until
    the ends are within a factor of 2 the middle is that of the bit patterns, in turns with a lambda somewhat beyond the
    root of the chord, which for a level far below the next is near it.
    """
    low, high, inverse, bound = ends[LOW], ends[HIGH], widths[0], widths[1]
    for at in range(LANES):  # the chord vanishes at a + (b - a) f 2^p / (f 2^p - g 2^q); apart from the rest: faster
        a, b, f = low[X, at], high[X, at], low[F, at]
        apart = np.int64(min(max(high[POWER, at] - low[POWER, at], -1000.0), 1000.0))
        g = high[F, at] * np.int64((1023 + apart) << 52).view(np.float64)
        root[at], x[at] = a + (b - a) * f / (f - g), f * g
    for at in range(LANES):
        a, b = low[X, at], high[X, at]
        middle, half, unit = 0.5 * (a + b), 0.5 * (b - a), a if relative else 1.0
        far = relative & (b > 2.0 * a)
        first, last = np.float64(a).view(np.int64), np.float64(b).view(np.int64)
        start = np.int64(first + ((last - first) >> 1)).view(np.float64) if far else middle
        single = (low[COUNT, at] == level[at]) & (high[COUNT, at] == level[at] + 1) & (x[at] < 0.0)
        alone, jump = single & (not far), single & far & (bound[at] == 0.0)
        guess = root[at] * (1.25 if start > root[at] else 0.8)
        jump &= (guess > a) & (guess < b)
        fresh = alone & (inverse[at] == 0.0)
        about = np.int64((2046 - (np.float64(half).view(np.int64) >> 52)) << 52).view(np.float64)  # 1 / half, up to 2
        over, most = about if fresh else inverse[at], 2.0**SPARE * half if fresh else bound[at]
        inverse[at], bound[at] = over, 0.5 * most if alone else 1.0 if jump else 0.0
        bent, away = half * half * over, middle - root[at]
        size = min(max(abs(away) - (bent + 0.5 * NARROW * unit), 0.0), max(most - half, 0.0))
        x[at] = middle - np.copysign(size, away) if alone else guess if jump else start
        straight = alone & (bent <= STRAIGHT * unit)
        root[at] = root[at] if straight else middle
        found[at] = straight | (2.0 * half <= NARROW * unit)


@njit(**JIT)
def narrow(ends, tried, level):
    """Close each bracket of a level by the count of levels below lambda."""
    low, high, following = ends[LOW], ends[HIGH], ends[NEXT]
    for at in range(LANES):
        x, count = tried[X, at], tried[COUNT, at]
        is_low, is_next = count <= level[at], (count > level[at] + 1) & (x < following[X, at])
        for field in range(FIELDS):
            new = tried[field, at]
            low[field, at] = new if is_low else low[field, at]
            high[field, at] = high[field, at] if is_low else new
            following[field, at] = new if is_next else following[field, at]


@njit(**JIT)
def take(ends, grid, place, widths, level, root, found, tried, levels):
    """Store the levels that are found and start the next ones; return how many lanes have found their last one."""
    sites, done = len(levels), 0
    words = found.view(np.int64)  # eight lanes at a time, of which most have found none
    for word in range(LANES // 8):
        if words[word] == 0:
            continue
        for at in range(8 * word, 8 * word + 8):
            if found[at] and level[at] < sites:
                levels[level[at], at] = root[at]
                level[at] += 1
                if level[at] == sites:
                    done += 1
                    continue
                place[at] = bracket(ends, grid[at], place[at], widths, level[at], at)
                a, b = ends[LOW, X, at], ends[HIGH, X, at]
                tried[X, at] = 0.5 * (a + b) if b < 4.0 * a or a <= 0.0 else np.sqrt(a) * np.sqrt(b)
    return done
