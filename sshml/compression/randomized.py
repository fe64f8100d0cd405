"""Randomised truncated singular value decomposition, of fixed rank and of fixed precision."""

import torch

from sshml.arguments import instance, integer, real
from sshml.compression.layer import check_weight
from sshml.compression.lowrank import check_rank
from sshml.errors import SSHMLError

LEAST_TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}
"""Below it what is left of a matrix is rounding."""


def randomized_svd(weight, rank=None, *, tolerance=None, oversampling=10, power=2, block=16, generator=None):
    """Return (U, S, V^T) of a truncated SVD, from products with random vectors only.

    Fixed rank: the range of W is sampled by Y = (W W^T)^q W Omega with a Gaussian Omega of rank + p columns, and W is
    decomposed within it (Halko, Martinsson and Tropp, SIAM Review 53, 217 (2011), algorithms 4.4 and 5.1); the more
    power iterations, the nearer the error is to the least. Fixed precision: blocks of random vectors until
    ||W - Q Q^T W||_F = sqrt(||W||_F^2 - ||Q^T W||_F^2) is small enough (Yu, Gu and Li, SIAM J. Matrix Anal. Appl. 39,
    1339 (2018)), then the least rank within the tolerance.

    Args:
        weight: float32 or float64 tensor (..., out, in), of fixed precision (out, in).
        rank: k, from 1 to min(out, in).
        tolerance: instead of a rank: largest ||W - U S V^T||_F / ||W||_F, below 1 and at least 1e-5, in float64 1e-10.
        oversampling: p, further columns.
        power: q, power iterations.
        block: random vectors at a time, of fixed precision.
        generator: `torch.Generator`; one of the CPU draws the same for weights on any device.

    Returns:
        (U (..., out, k), S (..., k) descending, V^T (..., k, in)).

    Raises:
        SSHMLError: rank and tolerance, none of them, or one out of range.
    """
    weight = check_weight(weight)
    if (rank is None) == (tolerance is None):
        raise SSHMLError("give either rank or tolerance.")
    oversampling, power = integer(oversampling, "oversampling", 0), integer(power, "power", 0, 1000)
    block = integer(block, "block", 1)
    if generator is not None:
        instance(generator, "generator", torch.Generator, "a torch.Generator or None")
    if rank is not None:
        rank = check_rank(rank, weight.shape)
        basis = _range(weight, min(rank + oversampling, *weight.shape[-2:]), power, generator)
        return _within(basis, weight, slice(rank))
    tolerance = real(tolerance, "tolerance", LEAST_TOLERANCE[weight.dtype], below=1)
    if weight.ndim != 2:
        raise SSHMLError(f"the weight has shape {tuple(weight.shape)}; a tolerance needs one matrix (out, in).")
    return _of_precision(weight, tolerance, power, block, generator)


def _of_precision(weight, tolerance, power, block, generator):
    total = weight.double().square().sum()
    basis, rest = weight[:, :0], total
    while basis.shape[1] < min(weight.shape) and rest > tolerance**2 * total:
        columns = min(block, min(weight.shape) - basis.shape[1])
        new = _range(weight, columns, power, generator, basis)
        new = torch.linalg.qr(new - basis @ (basis.mT @ new))[0]  # what rounding left of the rest
        basis = torch.cat([basis, new], 1)
        rest = rest - (new.mT @ weight).double().square().sum()
    u, s, vh = _within(basis, weight, slice(None))
    kept = s.double().square().cumsum(0)
    rank = int((kept < total * (1 - tolerance**2)).sum()) + 1
    return u[:, :rank], s[:rank], vh[:rank]


def _range(weight, columns, power, generator, without=None):
    """Return orthonormal columns that span most of the range of a weight, without that of a basis."""

    def reduced(y):
        return y if without is None or not without.shape[1] else y - without @ (without.mT @ y)

    shape, device = (
        (weight.shape[-1], columns),
        generator.device if generator else weight.device,
    )  # one for a whole batch
    omega = torch.randn(shape, dtype=weight.dtype, device=device, generator=generator).to(weight.device)
    basis = torch.linalg.qr(reduced(weight @ omega))[0]
    for _ in range(power):
        basis = torch.linalg.qr(reduced(weight @ torch.linalg.qr(weight.mT @ basis)[0]))[0]
    return basis


def _within(basis, weight, chosen):
    u, s, vh = torch.linalg.svd(basis.mT @ weight, full_matrices=False)
    return (basis @ u)[..., chosen], s[..., chosen], vh[..., chosen, :]
