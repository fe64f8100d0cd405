import pytest
import torch

from sshml.compression import randomized_svd
from sshml.errors import SSHMLError


def decaying(rows, columns, power=1.0, seed=0, dtype=torch.float64):
    """A matrix with singular values j^-power."""
    generator = torch.Generator().manual_seed(seed)
    u, v = (
        torch.linalg.qr(torch.randn(n, min(rows, columns), generator=generator, dtype=dtype))[0]
        for n in (rows, columns)
    )
    s = torch.arange(1, min(rows, columns) + 1, dtype=dtype) ** -power
    return (u * s) @ v.mT, s


@pytest.mark.parametrize("shape", [(60, 90), (90, 60)])
@pytest.mark.parametrize(("power", "bound"), [(0, 1.25), (1, 1.02), (3, 1.001)])
def test_the_error_is_near_the_least(shape, power, bound):
    matrix, s = decaying(*shape)
    least = s[8:].square().sum().sqrt()
    found = []
    for seed in range(10):
        u, sigma, vh = randomized_svd(matrix, 8, power=power, generator=torch.Generator().manual_seed(seed))
        torch.testing.assert_close(u.mT @ u, torch.eye(8, dtype=torch.float64))
        torch.testing.assert_close(vh @ vh.mT, torch.eye(8, dtype=torch.float64))
        assert (sigma.diff() <= 0).all()
        found.append((matrix - (u * sigma) @ vh).norm() / least)
    mean = float(torch.stack(found).mean())
    assert 1 - 1e-9 <= mean < bound
    if power == 0:
        assert mean > 1.02  # without power iterations it is worse


def test_exact_at_full_rank_and_of_low_rank():
    matrix, _ = decaying(12, 9)
    u, s, vh = randomized_svd(matrix, 9)
    torch.testing.assert_close((u * s) @ vh, matrix)
    low = matrix[:, :3] @ matrix[:3]
    u, s, vh = randomized_svd(low, 3, power=0)
    torch.testing.assert_close((u * s) @ vh, low)


def test_a_batch_is_its_matrices():
    matrices = torch.stack([decaying(20, 30, 2, seed)[0] for seed in range(3)])
    u, s, vh = randomized_svd(matrices, 4)
    for number, matrix in enumerate(matrices):
        exact = torch.linalg.svdvals(matrix)[:4]
        torch.testing.assert_close(s[number], exact, rtol=1e-3, atol=0)
        best = (matrix - (u[number] * s[number]) @ vh[number]).norm()
        assert best < 1.01 * torch.linalg.svdvals(matrix)[4:].norm()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("tolerance", [0.5, 0.1, 0.02])
def test_the_precision_is_kept_with_nearly_the_least_rank(dtype, tolerance):
    matrix, s = decaying(80, 120, 1.5, dtype=dtype)
    u, sigma, vh = randomized_svd(matrix, tolerance=tolerance, generator=torch.Generator().manual_seed(1))
    assert (matrix - (u * sigma) @ vh).norm() <= tolerance * matrix.norm() * (1 + 1e-5)
    tails = s.square().flip(0).cumsum(0).flip(0).sqrt() / s.norm()
    least = int((tails > tolerance).sum())
    assert least <= len(sigma) <= least + max(1, least // 10)


def test_the_generator_decides():
    matrix = decaying(20, 20)[0]
    one, other, third = (randomized_svd(matrix, 5, generator=torch.Generator().manual_seed(s))[1] for s in (1, 1, 2))
    assert torch.equal(one, other)
    assert not torch.equal(one, third)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "either rank or tolerance"),
        ({"rank": 2, "tolerance": 0.1}, "either rank or tolerance"),
        ({"rank": 0}, "rank is 0"),
        ({"rank": 13}, "rank is 13"),
        ({"rank": 2, "power": -1}, "power is -1"),
        ({"rank": 2, "oversampling": 1.5}, "oversampling is 1.5"),
        ({"tolerance": 1.0}, "tolerance is 1.0"),
        ({"tolerance": 1e-12}, "tolerance is 1e-12"),
        ({"tolerance": "0.1"}, "tolerance is '0.1'"),
    ],
)
def test_bad_calls(arguments, words):
    with pytest.raises(SSHMLError, match=words):
        randomized_svd(decaying(12, 14)[0], **arguments)
    with pytest.raises(SSHMLError, match="needs one matrix"):
        randomized_svd(torch.rand(2, 3, 3), tolerance=0.1)
