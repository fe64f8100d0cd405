import numpy as np
import pytest

from sshml.chain.bracketing import COUNT, ENDS, FIELDS, HIGH, NEXT, POWER, F, X, bracket, choose, narrow, take
from sshml.lanes import LANES


def evaluated(roots, x):
    """Fill in count and determinant prod (root - x) = F 2^POWER of each lane at its x."""
    tried = np.zeros((FIELDS, LANES))
    tried[X], tried[COUNT] = x, (roots < x).sum(0)
    mantissa, power = np.frexp(roots - x)
    tried[F], more = np.frexp(mantissa.prod(0))
    tried[POWER] = power.sum(0) + more
    return tried


def found_by_brackets(roots, grid_points, relative):
    """Return (levels, determinants used) of roots (level, lane), as the kernels find theirs."""
    levels = np.full(roots.shape, np.nan)
    known = [evaluated(roots, np.full(LANES, x)) for x in grid_points]
    grid = np.ascontiguousarray(np.stack(known).transpose(2, 0, 1))  # lane, point, field
    ends, tried, widths = np.zeros((ENDS, FIELDS, LANES)), np.zeros((FIELDS, LANES)), np.zeros((2, LANES))
    ends[HIGH, X], ends[NEXT, X] = (0.0 if relative else -2.0), 2 * grid_points[-1] + 1
    place, level = np.zeros(LANES, np.int64), np.zeros(LANES, np.int64)
    for at in range(LANES):
        place[at] = bracket(ends, grid[at], place[at], widths, 0, at)
    root, found, left, used = np.zeros(LANES), np.zeros(LANES, bool), LANES, 0
    while left and used < 10000:
        choose(ends, tried[X], widths, level, root, found, relative)
        left -= take(ends, grid, place, widths, level, root, found, tried, levels)
        tried[:] = evaluated(roots, tried[X].copy())
        narrow(ends, tried, level)
        used += 1
    return levels, used


@pytest.mark.parametrize("levels", [1, 2, 7, 20])
def test_absolute(rng, levels):
    roots = np.sort(rng.uniform(-1, 1, (levels, LANES)), axis=0)
    found, used = found_by_brackets(roots, np.linspace(-1.001, 1.001, max(3, levels)), False)
    np.testing.assert_allclose(found, roots, atol=3e-16)
    assert used < 24 * levels + 20  # bisection: 53


@pytest.mark.parametrize("levels", [1, 2, 7, 20])
def test_relative(rng, levels):
    """Every lambda to its own accuracy, the lowest down to 1e-280."""
    roots = rng.uniform(0.01, 4, (levels, LANES))
    roots[0] = 10.0 ** -rng.uniform(1, 280, LANES)
    roots = np.sort(roots, axis=0)
    points = np.maximum(1e-300, 4.001 * np.linspace(0, 1, max(3, levels)) ** 2)
    found, used = found_by_brackets(roots, points, True)
    np.testing.assert_allclose(found, roots, rtol=1e-15)
    assert used < 26 * levels + 40


def test_near_ones_are_told_apart():
    roots = np.tile(np.array([[0.3], [0.3 + 1e-13], [0.3 + 2e-13], [0.9]]), (1, LANES))
    for relative in (False, True):
        points = np.array([1e-300 if relative else -1.0, 0.5, 1.0])
        found, _ = found_by_brackets(roots, points, relative)
        np.testing.assert_allclose(found, roots, atol=1e-15)


def test_equal_ones_end_too():
    roots = np.tile(np.array([[0.25], [0.25], [0.5], [0.5]]), (1, LANES))
    found, used = found_by_brackets(roots, np.array([1e-300, 1.0]), True)
    np.testing.assert_allclose(found, roots, rtol=1e-15)
    assert used < 4 * 70
