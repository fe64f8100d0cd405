"""Singular spectra of weights against the random-matrix baseline."""

import numpy as np
import torch
from torch import nn

from sshml.arguments import as_array, choice
from sshml.compression import CompressedLinear, median_of_noise, shrinkage
from sshml.errors import SSHMLError

SIGMAS = ("median", "entries")


def marchenko_pastur_edge(weight, sigma="median"):
    """Return the upper edge of the singular values of the noise in a weight: s_+ = sigma (sqrt(out) + sqrt(in)).

    Marchenko and Pastur, Math. USSR-Sb. 1, 457 (1967).

    Args:
        weight: array or tensor (..., out, in), or a layer.
        sigma: whose standard deviation the noise has: "median" that of the random matrix with the same median singular
            value, what lies above it aside (Gavish and Donoho, IEEE Trans. Inf. Theory 60, 5040 (2014)); "entries" the
            root mean square of the entries: the edge that the weight would have if they were shuffled.

    Returns:
        float64 array (...).

    Raises:
        SSHMLError: no weight, another sigma.

    >>> float(marchenko_pastur_edge(np.ones((4, 9)), "entries"))
    5.0
    """
    choice(sigma, "sigma", SIGMAS)
    weight, scale = _scaled(weight)
    rows, columns = sorted(weight.shape[-2:])
    if sigma == "entries":
        found = np.sqrt((weight**2).mean(axis=(-2, -1)))
    else:
        found = np.median(singular_values(weight), axis=-1) / np.sqrt(columns * median_of_noise(rows / columns))
    return scale * found * (np.sqrt(rows) + np.sqrt(columns))


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


def shrunk(weight):
    """Return the best estimate of the signal in a weight, in the mean square, if signal and noise are as follows.

    The weight is a matrix of low rank plus independent noise, the singular vectors of the former uniform; sigma is that
    of `marchenko_pastur_edge` by the median. With beta = m/n <= 1 the ratio of the sides and y = s/(sigma n^(1/2))
    every singular value y >= 1 + beta^(1/2) becomes

        ((y^2 - beta - 1)^2 - 4 beta)^(1/2) / y

    and every smaller one 0 (Gavish and Donoho, IEEE Trans. Inf. Theory 63, 2137 (2017)): values above the edge are
    lowered too, as noise had raised them.

    Args:
        weight: array or tensor (..., out, in), or a layer.

    Returns:
        float64 array of the shape of the weight.

    Raises:
        SSHMLError: no weight.

    >>> shrunk(np.diag([9.0, 1.0, 1.0, 1.0])).round(3).diagonal().tolist()
    [8.653, 0.0, 0.0, 0.0]
    """
    weight, scale = _scaled(weight)
    left, values, right = torch.linalg.svd(torch.from_numpy(weight), full_matrices=False)
    factors, above = shrinkage(values**2, *weight.shape[-2:])
    kept = torch.where(above, values * factors, 0)
    return ((left * kept[..., None, :]) @ right).numpy() * scale[..., None, None]


def outliers(weight, sigma="median"):
    """Return how many singular values of each weight (..., out, in) lie above `marchenko_pastur_edge`.

    Those below 1e-6 of the largest are rounding and not counted, as in a weight of low rank.
    """
    weight = _scaled(weight)[0]
    values = singular_values(weight)
    edge = np.maximum(marchenko_pastur_edge(weight, sigma), 1e-6 * values[..., 0])
    return (values > edge[..., None]).sum(-1)
