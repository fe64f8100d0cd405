import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sshml.compression import truncated_svd


@settings(deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.data())
def test_error_is_the_norm_of_the_dropped_singular_values(n_out, n_in, data):
    """Eckart and Young."""
    rank = data.draw(st.integers(1, min(n_out, n_in)))
    weight = torch.randn(n_out, n_in, dtype=torch.float64, generator=torch.Generator().manual_seed(n_out * 13 + n_in))
    left, right = truncated_svd(weight, rank)
    dropped = torch.linalg.svdvals(weight)[rank:]
    torch.testing.assert_close(torch.linalg.norm(weight - left @ right), torch.linalg.norm(dropped), atol=1e-12, rtol=0)


def test_rank_is_the_asked_one():
    weight = torch.randn(9, 7, dtype=torch.float64)
    for rank in range(1, 8):
        left, right = truncated_svd(weight, rank)
        assert left.shape == (9, rank)
        assert torch.linalg.matrix_rank(left @ right) == rank


def test_both_factors_carry_the_root_of_the_singular_values():
    left, right = truncated_svd(torch.randn(6, 5, dtype=torch.float64), 3)
    gram = torch.diag(torch.linalg.svdvals(left @ right)[:3])
    torch.testing.assert_close(left.T @ left, gram)
    torch.testing.assert_close(right @ right.T, gram)


def test_batches(rng):
    weights = torch.randn(4, 6, 5)
    left, right = truncated_svd(weights, 2)
    for number in range(4):
        one = truncated_svd(weights[number], 2)
        torch.testing.assert_close((left @ right)[number], one[0] @ one[1])


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_scales(scale):
    weight = torch.randn(6, 5, dtype=torch.float64) * scale
    left, right = truncated_svd(weight, 5)
    torch.testing.assert_close(left @ right / scale, weight / scale)
