"""One power iteration on a small matrix without the cost of a dozen calls of PyTorch."""

import numpy as np
from numba import njit

from sshml.lanes import JIT


@njit(**JIT)
def iterate(weight, kept, columns):
    """Project W on orth(W B^T), in place, and B with it.

    Args:
        weight: W (out, in), contiguous; changed.
        kept: B (rank, in), U'^T W' of the projection before; changed to U^T W.
        columns: (out, rank), for U.
    """
    np.dot(weight, kept.T, columns)
    rows, rank = columns.shape
    largest = 0.0
    for j in range(rank):
        square = 0.0
        for i in range(rows):
            square += np.float64(columns[i, j]) * np.float64(columns[i, j])
        largest = max(largest, square)
    for j in range(rank):
        for _ in range(2):  # Gram-Schmidt twice is enough
            for k in range(j):
                overlap = 0.0
                for i in range(rows):
                    overlap += columns[i, k] * columns[i, j]
                for i in range(rows):
                    columns[i, j] -= overlap * columns[i, k]
        square = 0.0
        for i in range(rows):
            square += np.float64(columns[i, j]) * np.float64(columns[i, j])
        scale = 1 / np.sqrt(square) if square > 1e-30 * largest else 0.0
        for i in range(rows):
            columns[i, j] *= scale
    np.dot(columns.T, weight, kept)
    np.dot(columns, kept, weight)
