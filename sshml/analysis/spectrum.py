"""Singular spectra of weights against the random-matrix baseline."""

import numpy as np
import torch
from torch import nn

from sshml.arguments import as_array
from sshml.compression import CompressedLinear
from sshml.errors import SSHMLError


def marchenko_pastur_edge(weight):
    """Return the upper edge of the singular values of a random matrix with the variance of a weight.

    s_+ = sigma (sqrt(out) + sqrt(in)), sigma^2 the mean square of the entries (Marchenko and Pastur, Math.
    USSR-Sb. 1, 457 (1967)): the edge that the weight would have if its entries were shuffled.

    Args:
        weight: array or tensor (..., out, in), or a layer.

    Returns:
        float64 array (...).

    >>> float(marchenko_pastur_edge(np.ones((4, 9))))
    5.0
    """
    weight, scale = _scaled(weight)
    return scale * np.sqrt((weight**2).mean(axis=(-2, -1))) * (np.sqrt(weight.shape[-2]) + np.sqrt(weight.shape[-1]))


def _scaled(weight):
    """Return weights (..., out, in) with a largest entry of 1, and what it was, (...): squares of 1e-200 underflow."""
    if isinstance(weight, (CompressedLinear, nn.Linear)):
        weight = weight.weight
    weight = as_array(weight, "the weight", dtype=np.float64, finite=True)
    if weight.ndim < 2 or not weight.size:
        raise SSHMLError(f"the weight has shape {weight.shape}; expected (..., out, in).")
    scale = np.abs(weight).max(axis=(-2, -1))
    return weight / np.where(scale == 0, 1, scale)[..., None, None], scale


def singular_values(weight):
    """Return the singular values of weights (..., out, in), descending, float64 (..., min(out, in))."""
    weight, scale = _scaled(weight)
    return torch.linalg.svdvals(torch.from_numpy(weight)).numpy() * scale[..., None]


def outliers(weight):
    """Return how many singular values of each weight (..., out, in) lie above the Marchenko-Pastur edge."""
    weight = _scaled(weight)[0]
    return (singular_values(weight) > marchenko_pastur_edge(weight)[..., None]).sum(-1)
