import numpy as np
import pytest
import torch

from sshml.compression import median_of_noise, truncated_svd
from sshml.compression.spectrum import Spectrum, shrinkage
from sshml.errors import SSHMLError
from tests.compression.matrices import matrices, moment


def rebuilt(spectrum, rank):
    return torch.stack([left @ right for left, right in spectrum.factors(rank)])


@pytest.mark.parametrize("shape", [(7, 12), (12, 7), (9, 9), (1, 5), (5, 1)])
def test_without_data_it_is_the_truncated_svd(shape):
    weight = matrices(*shape)
    spectrum = Spectrum(weight)
    for rank in range(1, min(shape) + 1):
        left, right = truncated_svd(weight, rank)
        torch.testing.assert_close(rebuilt(spectrum, rank), left @ right)
        loss = float((weight - left @ right).square().sum() / weight.square().sum())
        assert spectrum.losses[rank - 1] == pytest.approx(loss, abs=1e-12)


@pytest.mark.parametrize("shape", [(7, 12), (12, 7), (9, 9)])
@pytest.mark.parametrize("rank_of_data", [None, 4])
def test_with_data_no_other_matrix_of_its_rank_loses_less(shape, rank_of_data):
    weight, square = matrices(*shape), moment(shape[1], rank_of_data)
    spectrum = Spectrum(weight, square)
    values, vectors = torch.linalg.eigh(square)
    root = vectors * values.clamp_min(0).sqrt()[:, None]
    best = torch.linalg.svdvals(weight @ root)[0] ** 2
    for rank in range(1, min(shape) + 1):
        loss = float(best[rank:].sum() / best.sum())  # Eckart and Young for W C^(1/2)
        change = weight - rebuilt(spectrum, rank)
        assert spectrum.loss(change) == pytest.approx(loss, abs=1e-9)
        if rank <= len(spectrum.losses):
            assert spectrum.losses[rank - 1] == pytest.approx(loss, abs=1e-9)
    torch.testing.assert_close(rebuilt(spectrum, min(shape)), weight)  # also where no data ever were


def test_a_dead_layer_loses_nothing():
    spectrum = Spectrum(matrices(4, 5), torch.zeros(1, 5, 5, dtype=torch.float64))
    assert spectrum.loss(matrices(4, 5)) == 0
    assert np.isfinite(spectrum.losses).all()
    assert torch.isfinite(rebuilt(spectrum, 2)).all()


def test_factors_are_balanced():
    for left, right in Spectrum(matrices(6, 9), moment(9)).factors(4):
        torch.testing.assert_close(left.norm(dim=0), right.norm(dim=1))


def test_shrinking_takes_noise_off_the_kept_values():
    """Of signal + noise the shrunk truncation is nearer to the signal: Gavish and Donoho 2017."""
    torch.manual_seed(0)
    n = 200
    signal = 3 * torch.linalg.qr(torch.randn(n, 5))[0] @ torch.linalg.qr(torch.randn(n, 5))[0].T
    weight = (signal + torch.randn(n, n) / n**0.5).double()[None]
    plain, shrunk = (
        sum(left @ right for left, right in Spectrum(weight).factors(5, shrink)) for shrink in (False, True)
    )
    assert (shrunk - signal).norm() < 0.95 * (plain - signal).norm()


@pytest.mark.parametrize("ratio", [0.05, 0.5, 1.0])
def test_the_median_of_noise_is_that_of_random_matrices(ratio):
    torch.manual_seed(0)
    n = 800
    s = torch.linalg.svdvals(torch.randn(round(ratio * n), n, dtype=torch.float64) / n**0.5)
    assert median_of_noise(ratio) == pytest.approx(float(s.square().median()), rel=0.02)


def test_the_median_needs_a_ratio_of_sides():
    for ratio in (0, 1.1, -1):
        with pytest.raises(SSHMLError, match="ratio"):
            median_of_noise(ratio)


@pytest.mark.parametrize("shape", [(60, 60), (40, 90), (90, 40)])
def test_shrinkage_of_a_weight_without_noise_is_none(rng, shape):
    """More than half of the singular values are 0, and so is their median."""
    weight = torch.zeros(1, *shape, dtype=torch.float64)
    weight[:, :4] = torch.from_numpy(rng.normal(size=(4, shape[1])))
    assert Spectrum(weight).shrinkage().isfinite().all()
    ((left, right),) = Spectrum(weight).factors(4, shrink=True)
    torch.testing.assert_close(left @ right, weight[0])


def test_one_formula_of_shrinkage(rng):
    """Gavish and Donoho 2017 by y itself; values within the noise are told from those above."""
    rows, columns = 30, 70
    values = np.linalg.svd(rng.normal(size=(rows, columns)), compute_uv=False)
    values[:3] += [30, 20, 3]
    b = rows / columns
    y = values / (np.median(values) / median_of_noise(b) ** 0.5)
    factors, above = shrinkage(torch.from_numpy(values**2), rows, columns)
    expected = np.sqrt(np.maximum((y**2 - b - 1) ** 2 - 4 * b, 0)) / y**2
    np.testing.assert_array_equal(above.numpy(), y > 1 + b**0.5)
    np.testing.assert_allclose(factors[above].numpy(), expected[above.numpy()], rtol=1e-9)
