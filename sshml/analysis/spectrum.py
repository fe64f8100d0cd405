"""Singular spectra of weights against the random-matrix baseline."""

import numpy as np
import torch


def marchenko_pastur_edge(weight):
    """Return the upper edge of the singular values of a random matrix with the variance of a weight.

    s_+ = sigma (sqrt(out) + sqrt(in)), sigma^2 the mean square of the entries (Marchenko and Pastur, Math.
    USSR-Sb. 1, 457 (1967)): the edge that the weight would have if its entries were shuffled.

    Args:
        weight: array or tensor (..., out, in).

    Returns:
        float64 array (...).

    >>> float(marchenko_pastur_edge(np.ones((4, 9))))
    5.0
    """
    weight = np.asarray(weight, dtype=np.float64)
    return np.sqrt((weight**2).mean(axis=(-2, -1))) * (np.sqrt(weight.shape[-2]) + np.sqrt(weight.shape[-1]))


def singular_values(weight):
    """Return the singular values of weights (..., out, in), descending, float64 (..., min(out, in))."""
    return torch.linalg.svdvals(torch.as_tensor(np.asarray(weight, dtype=np.float64))).numpy()


def outliers(weight):
    """Return how many singular values of each weight (..., out, in) lie above the Marchenko-Pastur edge."""
    return (singular_values(weight) > marchenko_pastur_edge(weight)[..., None]).sum(-1)
