import numpy as np
import pytest

from sshml.chain.degenerate import levels_of, resolve, resolve_levels


def rotation(rng, size):
    return np.linalg.qr(rng.normal(size=(size, size)))[0]


@pytest.mark.parametrize("size", [2, 3, 5])
def test_the_basis_depends_on_the_space_alone(rng, size):
    x, y = rotation(rng, 7)[None], rotation(rng, 7)[None]
    sigma = np.concatenate([[5.0], np.full(size, 2.0), np.linspace(1, 0.1, 6 - size)])[None]
    group, results = slice(1, 1 + size), []
    for _ in range(4):
        turn = rotation(rng, size)
        a, b = x.copy(), y.copy()
        a[0, group], b[0, group] = turn @ a[0, group], turn @ b[0, group]
        assert resolve(a, sigma, b, 1e-11 * sigma[:, :1]).all()
        np.testing.assert_allclose(a[0] @ a[0].T, np.eye(7), atol=1e-12)
        np.testing.assert_array_equal(np.delete(a, np.r_[group], 1), np.delete(x, np.r_[group], 1))
        results.append((a, b))
    for a, b in results[1:]:
        np.testing.assert_allclose(a, results[0][0], atol=1e-10)
        np.testing.assert_allclose(b, results[0][1], atol=1e-10)


def test_single_dimers_come_from_left_to_right(rng):
    turn = rotation(rng, 4)
    x, y = turn[None].copy(), turn[None].copy()
    resolve(x, np.ones((1, 4)), y, 1e-11)
    np.testing.assert_allclose(x[0], np.eye(4), atol=1e-12)
    np.testing.assert_allclose(y[0], np.eye(4), atol=1e-12)


def test_values_apart_by_more_than_the_tolerance_stay(rng):
    x, y = rotation(rng, 4)[None], rotation(rng, 4)[None]
    before = x.copy()
    sigma = np.array([[1.0, 1e-20, 5e-21, 1e-40]])
    assert not resolve(x, sigma, y, 1e-11 * sigma).any()
    np.testing.assert_array_equal(x, before)
    assert resolve(x, sigma, y, 1e-11 * sigma[:, :1]).all()  # of the largest: three lost levels are one


def test_levels_of_singular_vectors(rng):
    """(x, -+y)/sqrt(2) at -+sigma; with half a cell the last value is the zero mode, alone on A."""
    for sites in (6, 7):
        cells = (sites + 1) // 2
        x, y = (np.linalg.qr(rng.normal(size=(2, cells, cells)))[0] for _ in range(2))
        sigma = np.array([[3.0, 2.0, 1.0, 0.0][:cells]] * 2)
        if sites == 7:
            y[:, :3, 3], y[:, 3], y[:, :3, :3] = 0, np.eye(4)[3], np.linalg.qr(rng.normal(size=(2, 3, 3)))[0]
        energies, states = levels_of(x, sigma, y, sites)
        np.testing.assert_array_equal(energies[0], [-3, -2, -1, 1, 2, 3] if sites == 6 else [-3, -2, -1, 0, 1, 2, 3])
        np.testing.assert_allclose(states @ np.swapaxes(states, 1, 2), np.tile(np.eye(sites), (2, 1, 1)), atol=1e-14)
        np.testing.assert_allclose(states[:, 0, 0::2], np.sqrt(0.5) * x[:, 0])
        np.testing.assert_allclose(states[:, -1, 1::2], np.sqrt(0.5) * y[:, 0, : sites // 2])
        if sites == 7:
            np.testing.assert_array_equal(states[:, 3, 1::2], 0)
            np.testing.assert_allclose(states[:, 3, 0::2], x[:, 3])


def test_degenerate_levels_of_a_symmetric_matrix(rng):
    """Whatever basis of a degenerate group is given, the same comes out; others stay as they are."""
    basis = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    energies, turn = np.array([[1.0, 2.0, 2.0, 2.0, 3.0]]), np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turned = basis.copy()
    turned[1:4] = turn @ basis[1:4]
    one, two = basis[None].copy(), turned[None].copy()
    for states in (one, two):
        assert resolve_levels(energies, states, np.full((1, 1), 1e-11)).tolist() == [True]
    np.testing.assert_allclose(np.abs(one), np.abs(two), atol=1e-12)
    np.testing.assert_array_equal(one[0, [0, 4]], basis[[0, 4]])
    assert resolve_levels(np.array([[1.0, 2.0, 3.0, 4.0, 5.0]]), one, np.full((1, 1), 1e-11)).tolist() == [False]
