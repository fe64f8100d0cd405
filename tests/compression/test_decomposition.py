import itertools

import pytest
import torch

from sshml.compression.decomposition import balance, decompose, discarded_weights, tensorised, zero_cores
from sshml.compression.shape import MPOShape

SHAPE = MPOShape((2, 3, 2), (4, 3, 2))


def product(cores):
    """The tensor of cores, one site after the other."""
    tensor = cores[0].flatten(1, 2)
    for core in cores[1:]:
        tensor = torch.tensordot(tensor, core.flatten(1, 2), 1)
    return tensor.squeeze((0, -1))


def weight(dtype=torch.float64):
    return torch.randn(12, 24, generator=torch.Generator().manual_seed(0), dtype=dtype)


def test_a_tensor_has_output_and_input_of_a_site_in_one_leg():
    w, order = weight(), (torch.arange(12).flip(0), None)
    tensor = tensorised(w, SHAPE, order)
    assert tensor.shape == SHAPE.site_dims
    for o, i in itertools.product(range(12), range(24)):
        (a, b, c), (d, e, f) = (
            torch.unravel_index(torch.tensor(o), (2, 3, 2)),
            torch.unravel_index(torch.tensor(i), (4, 3, 2)),
        )
        assert tensor[4 * a + d, 3 * b + e, 2 * c + f] == w[11 - o, i]


def test_cores_of_full_bonds_are_the_tensor():
    tensor = tensorised(weight(), SHAPE)
    torch.testing.assert_close(product(decompose(tensor, SHAPE)), tensor)


@pytest.mark.parametrize("size", [1e-200, 1.0, 1e200])
@pytest.mark.parametrize("exact", [True, False])
def test_discarded_weights_are_those_of_the_best_approximations(size, exact):
    """What a plain SVD of each unfolding leaves beyond a rank; 1 beyond none, 0 beyond all."""
    tensor = tensorised(weight() * size, SHAPE)
    found = list(discarded_weights(tensor, exact))
    assert len(found) == 2
    for cut, beyond in enumerate(found, start=1):
        matrix = tensor.flatten(0, cut - 1).flatten(1) / size
        u, s, v = torch.linalg.svd(matrix, full_matrices=False)
        expected = [
            (matrix - u[:, :k] * s[:k] @ v[:k]).square().sum() / matrix.square().sum() for k in range(len(s) + 1)
        ]
        torch.testing.assert_close(beyond, torch.stack(expected), rtol=1e-10, atol=1e-13)


def test_nothing_is_discarded_of_zero():
    zero = torch.zeros(SHAPE.site_dims)
    assert all(not beyond.any() for beyond in discarded_weights(zero))
    cores = decompose(zero, SHAPE, 2)
    assert [core.shape for core in cores] == [core.shape for core in zero_cores(SHAPE, (2, 2), zero)]
    assert not any(core.any() for core in cores)


def test_balanced_cores_have_equal_norms():
    cores = balance([torch.full((1, 2, 2, 1), 10.0), torch.full((1, 3, 3, 1), 1e-3)])
    torch.testing.assert_close(cores[0].norm(), cores[1].norm())
    torch.testing.assert_close(cores[0].flatten()[0] * cores[1].flatten()[0], torch.tensor(1e-2))
    zero = [torch.zeros(1, 2, 2, 1), torch.ones(1, 3, 3, 1)]
    assert balance(zero) is zero
