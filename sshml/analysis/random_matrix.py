"""Entropies that a weight without structure would have: Gaussian, shuffled."""

import functools
import math

import numpy as np
import torch
from scipy.linalg import eigvalsh_tridiagonal
from scipy.special import digamma, gammaln

from sshml.analysis.entanglement import as_weight, cut_entropies, entanglement_entropy
from sshml.arguments import integer, integers
from sshml.compression import as_shape
from sshml.errors import SSHMLError

MOST = 2**40
"""Rows, columns and draws, at most."""

NODES = 16
"""Gauss-Legendre nodes of each panel of the quadrature."""


def gaussian_entropy(rows, columns):
    """Return the exact mean entanglement entropy, in nats, of a real Gaussian matrix; its scale plays no role.

    With x_j the squared singular values (Wishart, n degrees of freedom, size m <= n), T their sum and p = x / T
    independent of it, <S> = <T ln T>/<T> - <sum x ln x>/<T>, where <T> = m n and <T ln T>/<T> = psi(m n/2 + 1) + ln 2.
    The last mean is an integral over the exact density of the x_j, see `_density`. For complex matrices it would be
    Page's formula (Phys. Rev. Lett. 71, 1291 (1993)).

    >>> gaussian_entropy(1, 5), round(gaussian_entropy(2, 2), 6)
    (0.0, 0.277182)
    """
    m, n = sorted((integer(rows, "rows", 1, MOST), integer(columns, "columns", 1, MOST)))
    if m == 1:
        return 0.0
    x, weight = _density(m, n)
    mean = np.sum(weight * x * np.log(x))
    return float(digamma(m * n / 2 + 1) + math.log(2) - mean / (m * n))


@functools.lru_cache(256)
def _density(m, n):
    """Return nodes x and weights with sum weight f(x) = <sum_j f(x_j)> for the m x m real Wishart matrix of n degrees.

    The joint density is prod_{i<j} |x_i - x_j| prod_i w(x_i), w = x^((n-m-1)/2) e^(-x/2). By de Bruijn's formula (J.
    Indian Math. Soc. 19, 133 (1955)) its generating function is the Pfaffian of A_jk = int g_j(x) I_k(x) dx, where
    g_j = w times a polynomial of degree j and I_k(x) = int sgn(y - x) g_k(y) dy; for odd m it is bordered by I = 1,
    g = 0. Hence the density sum_jk (A^-1)_kj g_j(x) I_k(x). Polynomials are Laguerre's, the variable is t = sqrt(x).
    """
    a = n - m
    low, high = math.sqrt(n) - math.sqrt(m) - 9, math.sqrt(n) + math.sqrt(m) + 9  # beyond: less than e^-40
    edges = np.linspace(max(low, 0), high, m // 3 + 24)
    points, weights = np.polynomial.legendre.leggauss(NODES)
    half = np.diff(edges)[:, None] / 2
    t = ((edges[:-1] + edges[1:])[:, None] / 2 + half * points).ravel()
    dt = (half * weights).ravel()
    g = _laguerre_functions(m, a, t)
    # running integrals: of the panels before, and within the panel by the integrals of its Lagrange polynomials
    legendre = np.polynomial.legendre.legvander(points, NODES - 1)
    powers = np.stack([
        np.polynomial.legendre.legval(points, np.polynomial.legendre.legint(c, lbnd=-1)) for c in np.eye(NODES)
    ])  # fmt: skip
    within = np.linalg.solve(legendre.T, powers).T  # at node . of node .
    panels = g.reshape(m, -1, NODES)
    sums = (g * dt).reshape(m, -1, NODES).sum(-1)
    before = np.cumsum(sums, axis=1) - sums
    running = (before[..., None] + half * (panels @ within.T)).reshape(m, -1)
    integral = sums.sum(1)[:, None] - 2 * running
    if m % 2:
        g, integral = np.vstack([g, np.zeros_like(t)]), np.vstack([integral, np.ones_like(t)])
    matrix = (g * dt) @ integral.T
    matrix = np.triu(matrix, 1) - np.triu(matrix, 1).T
    density = np.einsum("kt,kt->t", integral, np.linalg.solve(matrix, g))
    return t**2, density * dt


def _laguerre_functions(m, a, t):
    """Return 2 t^a e^(-t^2/2) L_j^(a)(t^2), normalised by sqrt(j!/Gamma(j + a + 1)), shape (j, t), free of overflow."""
    x = t**2
    logs = a * np.log(t) - x / 2 + math.log(2) - gammaln(a + 1) / 2
    before, now = np.zeros_like(x), np.ones_like(x)
    found = np.empty((m, len(t)))
    for j in range(m):
        found[j] = now * np.exp(logs)
        after = ((2 * j + 1 + a - x) * now - math.sqrt(j * (j + a)) * before) / math.sqrt((j + 1) * (j + 1 + a))
        large = np.maximum(np.abs(now), np.abs(after))
        scale = np.where(large > 1e100, large, 1.0)
        before, now, logs = now / scale, after / scale, logs + np.log(scale)
    return found


def gaussian_spread(rows, columns, draws=200, seed=0):
    """Return the standard deviation of the entropy over real Gaussian matrices, by sampling their bidiagonal form.

    The singular values are those of a bidiagonal matrix of chi variables (Dumitriu and Edelman, J. Math. Phys. 43,
    5830 (2002)).
    """
    m, n = sorted((integer(rows, "rows", 1, MOST), integer(columns, "columns", 1, MOST)))
    draws, rng = integer(draws, "draws", 2, MOST), np.random.default_rng(integer(seed, "seed", 0))
    diagonal = np.sqrt(rng.chisquare(np.arange(n, n - m, -1), (draws, m)))
    below = np.sqrt(rng.chisquare(np.arange(m - 1, 0, -1), (draws, m - 1))) if m > 1 else np.zeros((draws, 0))
    entropies = []
    for d, b in zip(diagonal, below, strict=True):  # B B^T
        main = d**2 + np.concatenate([[0], b**2])
        squares = eigvalsh_tridiagonal(main, b * d[:-1]) if m > 1 else main
        entropies.append(entanglement_entropy(np.sqrt(np.maximum(squares, 0))))
    return float(np.std(entropies, ddof=1))


def ceilings(shape, max_bond=None):
    """Return the largest possible entropy at each cut, ln of the bond, in nats, shape (cut).

    >>> ceilings(((4, 4, 4, 4), (4, 7, 7, 4)), 24).round(3).tolist()
    [2.773, 3.178, 2.773]
    """
    return np.log(np.array(as_shape(shape).bonds(max_bond), dtype=float))


def gaussian_cuts(shape, size=None):
    """Return (mean, standard deviation) of the entropy of a Gaussian weight at each cut, each of shape (cut).

    Args:
        shape: `MPOShape` or (out_dims, in_dims).
        size: (out, in) of a layer smaller than a padded shape; then both are over 50 sampled weights.
    """
    shape = as_shape(shape)
    size = None if size is None else integers(size, "size, (out, in),", 1, MOST)
    if size is not None and len(size) != 2:
        raise SSHMLError(f"size is {size}; expected (out, in).")
    if size is not None and tuple(size) != (shape.out_features, shape.in_features):
        generator = torch.Generator().manual_seed(0)
        found = np.stack([cut_entropies(torch.randn(*size, generator=generator), shape) for _ in range(50)])
        return found.mean(0), found.std(0, ddof=1)
    sides = [(math.prod(shape.site_dims[:cut]), math.prod(shape.site_dims[cut:])) for cut in range(1, shape.sites)]
    return np.array([gaussian_entropy(*s) for s in sides]), np.array([gaussian_spread(*s, draws=50) for s in sides])


def shuffled_cuts(weight, shape, draws=5, seed=0, order=None):
    """Return the entropies at every cut of a weight with its entries shuffled, shape (draw, cut).

    What is left is the distribution of the entries; a difference to `gaussian_cuts` is due to heavy tails.
    """
    draws, seed = integer(draws, "draws", 1, MOST), integer(seed, "seed", 0, 2**63 - 1)
    weight = as_weight(weight)
    generator = torch.Generator().manual_seed(seed)
    found = []
    for _ in range(draws):
        shuffled = weight.flatten()[torch.randperm(weight.numel(), generator=generator)].view_as(weight)
        found.append(cut_entropies(shuffled, shape, order))
    return np.stack(found)


def _haar(rows, columns, generator):
    """Return orthonormal columns drawn uniformly: those of a QR whose R has a positive diagonal."""
    q, r = torch.linalg.qr(torch.randn(rows, columns, dtype=torch.float64, generator=generator))
    return q * r.diagonal().sign()


def rotated_cuts(weight, shape, draws=5, seed=0, order=None):
    """Return the entropies at every cut of matrices with a weight's singular values, shape (draw, cut).

    Their singular vectors are uniform (Haar). What is left is the spectrum; a difference is due to the vectors.
    """
    draws, seed = integer(draws, "draws", 1, MOST), integer(seed, "seed", 0, 2**63 - 1)
    weight = as_weight(weight).double()
    values, generator, found = torch.linalg.svdvals(weight), torch.Generator().manual_seed(seed), []
    for _ in range(draws):
        left, right = (_haar(side, len(values), generator) for side in weight.shape)
        found.append(cut_entropies((left * values.to(left.device)) @ right.mT, shape, order))
    return np.stack(found)
