"""Orders of the neurons at the two sides of a weight: place p of the tensorised weight holds neuron order[p]."""

import itertools
import math

import torch

from sshml.arguments import function, integer, integers
from sshml.compression.decomposition import discarded_weights, tensorised
from sshml.compression.layer import check_weight
from sshml.compression.shape import MPOShape, as_shape
from sshml.errors import SSHMLError

MOST = 2**30
"""Neurons of a side at most."""


def transposed(rows, columns):
    """Return the order that walks a grid (row, column), stored row by row, column by column.

    For wavefunctions (level, site): site by site instead of level by level.

    >>> transposed(2, 3).tolist()
    [0, 3, 1, 4, 2, 5]
    """
    rows, columns = integer(rows, "rows", 1, MOST), integer(columns, "columns", 1, MOST)
    integer(rows * columns, "rows times columns", 1, MOST)
    return torch.arange(rows * columns).view(rows, columns).T.reshape(-1)


def blocked(row_dims, column_dims):
    """Return the order of a grid whose sites hold blocks: (r_1 c_1), (r_2 c_2), ..., coarse to fine.

    With all dimensions 2 this is the Morton order (Z-order) of an image.

    Args:
        row_dims: factors of the number of rows, coarse to fine.
        column_dims: as many factors of the number of columns.

    >>> blocked((2, 2), (2, 2)).view(4, 4).tolist()
    [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]
    """
    row_dims, column_dims = integers(row_dims, "row_dims", 1, MOST), integers(column_dims, "column_dims", 1, MOST)
    if len(row_dims) != len(column_dims):
        raise SSHMLError(f"row_dims {row_dims} and column_dims {column_dims} differ in length; give as many of each.")
    integer(math.prod((*row_dims, *column_dims)), "the product of all dimensions", 1, MOST)
    n = len(row_dims)
    grid = torch.arange(math.prod(row_dims) * math.prod(column_dims)).view(*row_dims, *column_dims)
    return grid.permute([leg for k in range(n) for leg in (k, n + k)]).reshape(-1)


def shuffled(size, seed):
    """Return a random order, the same for the same seed."""
    size, seed = integer(size, "size", 0, MOST), integer(seed, "seed", 0)
    return torch.randperm(size, generator=torch.Generator().manual_seed(seed))


def spectral(weight):
    """Return (order of the outputs, order of the inputs) that puts neurons with similar weights side by side.

    Sorts by the Fiedler vector, the second eigenvector of the normalised Laplacian of the similarity matrix (Barcza,
    Legeza, Marti and Reiher, Phys. Rev. A 83, 012508 (2011) order orbitals so by mutual information). The similarity
    of two neurons is the mutual information -ln(1 - c^2)/2 of Gaussians with the correlation c of their weights.

    Args:
        weight: tensor (out, in).
    """
    weight = check_weight(weight)
    return _fiedler(weight), _fiedler(weight.T)


def _fiedler(rows):
    rows = rows.detach().double()
    unit = rows / rows.norm(dim=1, keepdim=True).clamp_min(torch.finfo(rows.dtype).tiny)
    overlap = (unit @ unit.T).square().clamp(max=1 - 1e-9).fill_diagonal_(0)
    similarity = -0.5 * torch.log1p(-overlap)
    degree = similarity.sum(1).clamp_min(1e-300).rsqrt()
    vectors = torch.linalg.eigh(degree[:, None] * similarity * degree).eigenvectors
    if len(rows) < 2:
        return torch.zeros(len(rows), dtype=torch.long)
    return (vectors[:, -2] * degree).argsort(stable=True).cpu()


def truncation_error(weight, shape, order, max_bond):
    """Return sum over cuts of the squared Schmidt values beyond the bond, relative to ||W||^2.

    It bounds the squared relative error of the MPO (Oseledets 2011, theorem 2.2).
    """
    weight = check_weight(weight)
    shape = as_shape(shape, *weight.shape)
    cuts = discarded_weights(tensorised(weight, shape, order), exact=False)
    return sum(float(beyond[bond]) for beyond, bond in zip(cuts, shape.bonds(max_bond), strict=True))


def search(weight, shape, max_bond, swaps=200, seed=0, progress=None):
    """Return (shape, order) that lower the truncation error of a weight: the best known ones, then local swaps.

    Tries the dimensions of the shape in the first sequences (64 at most) that cost no more parameters, with the
    neurons of either side as they are and in `spectral` order, and goes on from the best. A swap then exchanges two
    neurons of one side, and stays if `truncation_error` falls.

    Args:
        weight: tensor (out, in).
        shape: `MPOShape` or (out_dims, in_dims).
        max_bond: the bond of the layer to be made, an integer.
        swaps: number of swaps tried.
        seed: of the swaps.
        progress: called as progress(swaps done, swaps in all).

    Returns:
        (`MPOShape`, (order of the outputs, order of the inputs)) for `MPOLinear.from_dense`.
    """
    weight = check_weight(weight)
    shape = as_shape(shape, *weight.shape)
    plain = (torch.arange(size) for size in weight.shape)
    orders = list(itertools.product(*zip(plain, spectral(weight), strict=True)))
    budget, swaps = shape.n_parameters(max_bond), integer(swaps, "swaps", 0)
    function(progress, "progress", optional=True)
    shapes = [s for s in _resequenced(shape) if s.n_parameters(max_bond) <= budget]
    tried = ((truncation_error(weight, *choice, max_bond), *choice) for choice in itertools.product(shapes, orders))
    error, shape, order = min(tried, key=lambda found: found[0])
    generator = torch.Generator().manual_seed(integer(seed, "seed", 0))
    for done in range(swaps):
        side = int(torch.randint(2, (), generator=generator))
        pair = torch.randperm(weight.shape[side], generator=generator)[:2]
        tried = tuple(o.clone() for o in order)
        tried[side][pair] = order[side][pair.flip(0)]
        found = truncation_error(weight, shape, tried, max_bond)
        if found < error:
            order, error = tried, found
        if progress:
            progress(done + 1, swaps)
    return shape, order


def _resequenced(shape):
    """Return the shape and those with its dimensions in other sequences, at most `SEQUENCES` of them."""
    sides = (sorted(set(itertools.permutations(dims))) for dims in (shape.out_dims, shape.in_dims))
    others = (MPOShape(*dims, shape.pad) for dims in itertools.product(*sides))
    return [shape, *itertools.islice((s for s in others if s != shape), SEQUENCES - 1)]


SEQUENCES = 64
"""Sequences of dimensions that `search` looks at."""
