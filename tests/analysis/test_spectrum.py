import numpy as np
import pytest

from sshml.analysis import marchenko_pastur_edge, outliers, shrunk, singular_values
from sshml.errors import SSHMLError


@pytest.mark.parametrize("sigma", ["median", "entries"])
@pytest.mark.parametrize("shape", [(300, 500), (500, 300), (400, 400)])
def test_random_matrices_end_at_the_edge(rng, shape, sigma):
    weight = rng.normal(size=shape) * 0.3
    assert singular_values(weight)[0] == pytest.approx(marchenko_pastur_edge(weight, sigma), rel=0.03)
    assert outliers(weight, sigma) <= 3


def test_what_lies_above_does_not_move_the_edge_of_the_median(rng):
    """A few directions that hold most of the norm hide others from the edge of all entries."""
    noise = rng.normal(size=(128, 256))
    u, v = np.linalg.qr(rng.normal(size=(128, 20)))[0], np.linalg.qr(rng.normal(size=(256, 20)))[0]
    strength = np.r_[np.full(10, 400.0), np.full(10, 40.0)]
    weight = noise + (u * strength) @ v.T
    assert marchenko_pastur_edge(weight) == pytest.approx(marchenko_pastur_edge(noise), rel=0.1)
    assert (outliers(weight), outliers(weight, "entries")) == (20, 10)


def test_a_weight_of_low_rank_has_its_rank_of_outliers(rng):
    weight = rng.normal(size=(30, 4)) @ rng.normal(size=(4, 50))
    assert outliers(weight.astype(np.float32)) == 4


def test_planted_directions_are_the_outliers(rng):
    weight = rng.normal(size=(4, 200, 300))
    for strength in (60, 80, 100):
        u, v = rng.normal(size=(4, 200, 1)), rng.normal(size=(4, 1, 300))
        weight += strength * u * v / np.linalg.norm(u, axis=1, keepdims=True) / np.linalg.norm(v, axis=2, keepdims=True)
    np.testing.assert_array_equal(outliers(weight, "entries"), 3)
    assert set(outliers(weight)) <= {3, 4}  # the largest of the noise lies at the edge, above it in a few of a hundred


def test_singular_values_descend_and_carry_the_norm(rng):
    weight = rng.normal(size=(2, 5, 7))
    s = singular_values(weight)
    assert (np.diff(s) <= 0).all()
    np.testing.assert_allclose((s**2).sum(-1), (weight**2).sum((1, 2)))


@pytest.mark.parametrize("shape", [(150, 400), (400, 150)])
def test_shrinkage_comes_nearer_to_the_signal_than_a_cut(rng, shape):
    """Its mean square error is the sum of x^2 - eta^2, x the strengths (Gavish and Donoho 2017)."""
    n, beta = 400, 150 / 400
    x = np.array([1.2, 1.6, 2.5])
    u, v = np.linalg.qr(rng.normal(size=(shape[0], 3)))[0], np.linalg.qr(rng.normal(size=(shape[1], 3)))[0]
    signal = (u * x * n**0.5) @ v.T
    weight = signal + rng.normal(size=shape)
    found = shrunk(weight)
    left, values, right = np.linalg.svd(weight, full_matrices=False)
    kept = outliers(weight)
    cut = (left[:, :kept] * values[:kept]) @ right[:kept]
    error, error_of_cut = (((one - signal) ** 2).sum() / n for one in (found, cut))
    y = np.sqrt((x + 1 / x) * (x + beta / x))
    expected = (x**2 - ((y**2 - beta - 1) ** 2 - 4 * beta) / y**2).sum()
    assert error == pytest.approx(expected, rel=0.15)
    assert error < error_of_cut


def test_shrinkage_leaves_what_has_no_noise(rng):
    weight = rng.normal(size=(2, 30, 4)) @ rng.normal(size=(2, 4, 50))
    np.testing.assert_allclose(shrunk(weight), weight, atol=1e-9)
    np.testing.assert_allclose(shrunk(weight * 1e-200) * 1e200, shrunk(weight), atol=1e-9)
    assert not shrunk(np.zeros((3, 4))).any()


def test_weights_that_have_no_spectrum():
    for weight, words in ((np.full((3, 4), np.nan), "NaN"), (np.ones(3), "expected"), (np.ones((0, 3)), "expected")):
        for function in (singular_values, marchenko_pastur_edge, outliers, shrunk):
            with pytest.raises(SSHMLError, match=words):
                function(weight)


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1.0, 1e160, 1e300])
def test_the_size_of_a_weight_plays_no_role(rng, scale):
    """Squares of 1e-300 underflow, those of 1e160 overflow."""
    weight = rng.normal(size=(40, 60)) + 3
    assert outliers(weight * scale) == outliers(weight) >= 1
    np.testing.assert_allclose(singular_values(weight * scale) / scale, singular_values(weight), rtol=1e-9)
    assert marchenko_pastur_edge(weight * scale) / scale == pytest.approx(marchenko_pastur_edge(weight))
    assert (singular_values(np.zeros((2, 3))) == 0).all()
