import math

import numpy as np
import pytest
import torch

from sshml.analysis import (
    ceilings,
    cut_entropies,
    entanglement_entropy,
    gaussian_cuts,
    gaussian_entropy,
    gaussian_spread,
    rotated_cuts,
    shuffled_cuts,
)
from sshml.analysis.random_matrix import _density
from sshml.errors import SSHMLError

SIZES = [(2, 2), (2, 3), (3, 3), (3, 40), (16, 16), (16, 12544), (17, 64), (112, 1792), (256, 256)]


@pytest.mark.parametrize(("m", "n"), SIZES)
def test_the_density_has_the_exact_moments_of_wishart_matrices(m, n):
    """<tr 1> = m, <tr W> = m n, <tr W^2> = m n (m + n + 1)."""
    x, weight = _density(m, n)
    assert weight.sum() == pytest.approx(m, rel=1e-9)
    assert (weight * x).sum() == pytest.approx(m * n, rel=1e-9)
    assert (weight * x**2).sum() == pytest.approx(m * n * (m + n + 1), rel=1e-9)


@pytest.mark.parametrize(("m", "n"), [(2, 2), (3, 5), (8, 8), (9, 30)])
def test_mean_and_spread_are_those_of_sampled_matrices(m, n, rng):
    sampled = entanglement_entropy(np.linalg.svd(rng.normal(size=(20000, m, n)), compute_uv=False))
    error = sampled.std() / len(sampled) ** 0.5
    assert abs(gaussian_entropy(m, n) - sampled.mean()) < 4 * error
    assert gaussian_entropy(n, m) == gaussian_entropy(m, n)
    assert gaussian_spread(m, n, draws=2000) == pytest.approx(sampled.std(), rel=0.08)


def test_the_smallest_case_by_hand():
    """2 x 2: p = (1 +- z)/2 where z = 2 sqrt(1/4 - d^2), d = det/T; numbers by direct integration over the sphere."""
    # W = rotation * diag: for a uniform point of the 3-sphere 2 det/T = cos(chi) is uniform on [-1, 1]
    cosine = np.linspace(-1, 1, 200001)
    p = (1 + np.sqrt(1 - cosine**2)) / 2
    entropy = entanglement_entropy(np.sqrt(np.stack([p, 1 - p], axis=1)))
    assert gaussian_entropy(2, 2) == pytest.approx(np.trapezoid(entropy, cosine) / 2, rel=1e-6)


def test_limits():
    assert gaussian_entropy(1, 7) == 0
    assert gaussian_entropy(300, 300) == pytest.approx(math.log(300) - 0.5, abs=3e-3)  # Page's leading order
    with pytest.raises(SSHMLError, match="at least 1"):
        gaussian_entropy(0, 3)


def test_cuts_of_a_shape():
    shape = ((2, 3, 2), (4, 1, 3))
    mean, std = gaussian_cuts(shape)
    assert mean.tolist() == [gaussian_entropy(8, 18), gaussian_entropy(24, 6)]
    assert (std > 0).all()
    np.testing.assert_allclose(ceilings(shape), np.log([8, 6]))
    assert (mean < ceilings(shape)).all()


def test_shuffled_gaussian_weights_stay_gaussian():
    torch.manual_seed(0)
    shape = ((2, 3, 2), (4, 1, 3))
    weight = torch.randn(12, 12)
    found = shuffled_cuts(weight, shape, draws=40)
    mean, std = gaussian_cuts(shape)
    assert (abs(found.mean(0) - mean) < 2 * std).all()
    low_rank = torch.outer(weight[0], weight[1])
    assert (shuffled_cuts(low_rank, shape) > cut_entropies(low_rank, shape)).all()


def test_rotated_weights_keep_their_spectrum_and_lose_their_vectors():
    """A product operator has no entropy between its sites; with its spectrum and random vectors it has."""
    torch.manual_seed(0)
    shape = ((4, 4), (4, 4))
    product = torch.kron(torch.randn(4, 4), torch.randn(4, 4))
    assert cut_entropies(product, shape)[0] < 1e-4
    found = rotated_cuts(product, shape, draws=30)
    assert found.shape == (30, 1)
    assert found.min() > 0.5
    gaussian = rotated_cuts(torch.randn(16, 16), shape, draws=30)
    mean, std = gaussian_cuts(shape)
    assert abs(gaussian.mean() - mean[0]) < 2 * std[0]


def test_singular_vectors_are_uniform():
    """Householder's QR alone gives matrices of determinant -1: those of size 4 would have .07 nats less."""
    shape = ((2, 2), (2, 2))
    found = rotated_cuts(torch.eye(4), shape, draws=3000)
    torch.manual_seed(0)
    expected = []
    for _ in range(3000):
        u, _, v = torch.linalg.svd(torch.randn(4, 4, dtype=torch.float64))
        expected.append(cut_entropies(u @ v, shape)[0])  # Haar: a Gaussian matrix is alike in all directions
    error = np.hypot(found.std(), np.std(expected)) / 3000**0.5
    assert abs(found.mean() - np.mean(expected)) < 4 * error
    assert error < 0.01


def test_one_shuffle_is_enough_for_an_entropy():
    assert shuffled_cuts(torch.randn(8, 8), ((2, 4), (4, 2)), draws=1).shape == (1, 1)
