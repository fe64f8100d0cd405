import numpy as np
import pytest

from sshml.analysis import marchenko_pastur_edge, outliers, singular_values


@pytest.mark.parametrize("shape", [(300, 500), (500, 300), (400, 400)])
def test_random_matrices_end_at_the_edge(rng, shape):
    weight = rng.normal(size=shape) * 0.3
    assert singular_values(weight)[0] == pytest.approx(marchenko_pastur_edge(weight), rel=0.03)
    assert outliers(weight) <= 2


def test_planted_directions_are_the_outliers(rng):
    weight = rng.normal(size=(4, 200, 300))
    for strength in (60, 80, 100):
        u, v = rng.normal(size=(4, 200, 1)), rng.normal(size=(4, 1, 300))
        weight += strength * u * v / np.linalg.norm(u, axis=1, keepdims=True) / np.linalg.norm(v, axis=2, keepdims=True)
    np.testing.assert_array_equal(outliers(weight), 3)


def test_singular_values_descend_and_carry_the_norm(rng):
    weight = rng.normal(size=(2, 5, 7))
    s = singular_values(weight)
    assert (np.diff(s) <= 0).all()
    np.testing.assert_allclose((s**2).sum(-1), (weight**2).sum((1, 2)))
