import numpy as np
import pytest

from sshml.compression.iteration import iterate


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_it_is_a_power_iteration(rng, dtype):
    weight, kept = rng.normal(size=(9, 30)).astype(dtype), rng.normal(size=(4, 30)).astype(dtype)
    q = np.linalg.qr(weight.astype(float) @ kept.astype(float).T)[0]
    expected = q @ (q.T @ weight)
    columns = np.empty((9, 4), dtype)
    iterate(weight, kept, columns)
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(columns.T @ columns, np.eye(4), atol=tolerance)
    np.testing.assert_allclose(weight, expected, atol=10 * tolerance)
    np.testing.assert_allclose(columns @ kept, weight, atol=10 * tolerance)


def test_what_is_zero_stays_zero_and_what_is_no_number_stays_so(rng):
    weight, kept, columns = np.zeros((5, 8)), rng.normal(size=(2, 8)), np.empty((5, 2))
    iterate(weight, kept, columns)
    assert not weight.any()
    weight = np.full((5, 8), np.nan)
    iterate(weight, rng.normal(size=(2, 8)), columns)
    assert np.isnan(weight).all()


@pytest.mark.parametrize("scale", [1e-12, 1e-8, 1e8])
def test_its_scale_does_not_matter(rng, scale):
    weight, kept, columns = rng.normal(size=(9, 30)), rng.normal(size=(4, 30)), np.empty((9, 4))
    small, own = weight * scale, kept * scale
    iterate(weight, kept, columns)
    for _ in range(2):
        iterate(small, own, columns)
    iterate(weight, kept, columns)
    np.testing.assert_allclose(small / scale, weight, rtol=1e-9, atol=1e-9)
