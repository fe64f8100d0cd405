import numpy as np
import pytest

from sshml.chain.degenerate import resolve


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
