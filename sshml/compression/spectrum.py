"""The best approximations of a matrix in the metric of its inputs."""

import math

import numpy as np
import torch
from torch import nn

from sshml.arguments import real
from sshml.errors import SSHMLError

NOISE = 1e-14
"""Share of the largest eigenvalue under which those of a second moment are rounding."""


class Spectrum:
    """The best approximations of every rank of a matrix W in the metric of its inputs.

    Of all matrices of rank r, U_r U_r^T W with the first r left singular vectors U_r of W C^(1/2) has the least loss
    ||(W - W') C^(1/2)||^2 / ||W C^(1/2)||^2, C = <x x^T>: Eckart and Young (1936) for W C^(1/2), and no inverse of C is
    needed (a matrix of pixels that are always dark is singular). For C = 1 it is the plain truncated SVD.

    `energies` are the squared singular values in units of `scale`^2 x `size`.

    Args:
        weight: matrices (group, out, in), float64.
        moment: second moments C (group, in, in), float64; None for C = 1.
    """

    def __init__(self, weight, moment=None):
        self.weight = weight
        self.scale = float(weight.abs().max()) or 1.0  # squares of numbers of any size stay numbers
        weight = weight / self.scale
        self.size = 1.0
        if moment is not None:
            self.size = float(moment.diagonal(dim1=1, dim2=2).max()) or 1.0
            moment = moment / self.size
        self.moment = moment
        rows, columns = weight.shape[1:]
        self.wide = moment is not None or rows <= columns  # U is kept; else V, with W V V^T the same matrices
        if rows <= columns:
            gram = weight @ weight.mT if moment is None else weight @ moment @ weight.mT
            values, vectors = _eigen((gram + gram.mT) / 2)
            vectors = vectors[..., : _seen(values)] if moment is not None else vectors
        elif moment is None:
            values, vectors = _eigen(weight.mT @ weight)
        else:  # the Gram matrix of the shorter side, from which U follows
            white = weight @ _root(moment)
            values, vectors = _eigen(white.mT @ white)
            vectors = torch.linalg.qr(white @ vectors[..., : _seen(values)])[0]
        self.basis, self.energies = vectors, values[:, : vectors.shape[2]]
        total = self.energies.sum()
        self.total = float(total)
        kept = self.energies.sum(0).cumsum(0) / total if self.total > 0 else torch.ones(self.energies.shape[1])
        self.losses = (1 - kept).clamp_min(0).cpu().numpy()
        """Loss of rank 1, 2, ..."""

    def loss(self, change):
        """Return ||change C^(1/2)||^2 / ||W C^(1/2)||^2."""
        if self.total == 0:
            return 0.0
        change = change.double() / self.scale
        square = change.square().sum() if self.moment is None else ((change @ self.moment) * change).sum()
        return max(0.0, float(square) / self.total)

    def factors(self, rank, shrink=False):
        """Return [(left, right)] of each group, balanced: (out, rank) and (rank, in)."""
        if rank > self.basis.shape[2]:  # beyond what the metric sees, in the plain one
            rest = self.weight - self.basis @ (self.basis.mT @ self.weight)
            further = torch.linalg.svd(rest, full_matrices=False)[0][..., : rank - self.basis.shape[2]]
            basis = torch.linalg.qr(torch.cat([self.basis, further], 2))[0]
        else:
            basis = self.basis[..., :rank]
        left, right = (basis, basis.mT @ self.weight) if self.wide else (self.weight @ basis, basis.mT)
        if shrink:
            right = right * self.shrinkage()[:, :rank, None]
        scale = (right.norm(dim=2) / left.norm(dim=1).clamp_min(1e-300)).clamp_min(1e-300).sqrt()
        return list(zip(left * scale[:, None], right / scale[..., None], strict=True))

    def shrinkage(self):
        """Return the factors of the singular values that undo the level repulsion of noise, (group, rank).

        Those of the function `shrinkage`; values within the noise keep their factor 1: how many to keep is the rank's
        to say.
        """
        rows, columns = self.weight.shape[1:]
        factors, above = shrinkage(self.energies, rows, columns)
        missing = min(rows, columns) - factors.shape[1]
        return nn.functional.pad(torch.where(above, factors, 1), (0, max(0, missing)), value=1.0)


def shrinkage(squares, rows, columns):
    """Return (factors that undo the level repulsion of noise, whether a value is above the noise) of singular values.

    sqrt((y^2 - b - 1)^2 - 4 b) / y^2 for y = s / (sigma sqrt(n)) > 1 + sqrt(b), b the ratio of the sides and sigma from
    the median singular value: the best ones for the Frobenius loss (Gavish, Donoho, IEEE Trans. Inf. Theory 63, 2137
    (2017)); 1 without noise.

    Args:
        squares: s^2, descending, float64 tensor (..., value).
        rows: outputs of the matrix.
        columns: inputs.
    """
    b = min(rows, columns) / max(rows, columns)
    noise = squares.sqrt().quantile(0.5, dim=-1, keepdim=True) ** 2 / median_of_noise(b)
    inverse = torch.where(squares > noise, noise / squares.clamp_min(1e-300), 1)  # 1/y^2: nothing overflows
    factors = ((1 - (1 + b) * inverse) ** 2 - 4 * b * inverse**2).clamp_min(0).sqrt()
    return factors, inverse * (1 + math.sqrt(b)) ** 2 < 1


def _seen(energies):
    """Return the number of directions that the metric sees, of the group that has most."""
    return max(1, int((energies > NOISE * energies[:, :1]).sum(1).max()))


def _eigen(gram):
    """Return eigenvalues, not below 0, and eigenvectors, largest first."""
    values, vectors = torch.linalg.eigh(gram)
    return values.flip(-1).clamp_min(0), vectors.flip(-1)


def _root(moment):
    """Return a root S of second moments, C = S S^T, (group, in, k), without the directions that never occur."""
    values, vectors = torch.linalg.eigh(moment)
    kept = max(1, int((values > NOISE * values[:, -1:]).sum(1).max()))
    return vectors[..., -kept:] * values[:, None, -kept:].clamp_min(0).sqrt()


def median_of_noise(ratio):
    """Return the median of s^2 / (sigma^2 n) of a random matrix (m, n), m <= n, by quadrature.

    The median of the law of Marchenko and Pastur, Math. USSR-Sb. 1, 457 (1967).

    Args:
        ratio: m / n, above 0, at most 1.

    Raises:
        SSHMLError: a ratio out of range.

    >>> round(median_of_noise(1.0), 3)
    0.653
    """
    ratio = real(ratio, "ratio", above=0)
    if ratio > 1:
        raise SSHMLError(f"ratio is {ratio}; expected the shorter side over the longer one, at most 1.")
    low, high = 1 - math.sqrt(ratio), 1 + math.sqrt(ratio)
    s = np.linspace(low, high, 20001)[1:-1]  # in the singular value the density stays finite, for m = n too
    density = np.sqrt(np.maximum((high**2 - s**2) * (s**2 - low**2), 0)) / s
    return float(np.interp(density.sum() / 2, density.cumsum() - density / 2, s) ** 2)
