import math

import numpy as np
import pytest
import torch

from sshml.analysis import cut_entropies, cut_report, gaussian_cuts
from sshml.errors import SSHMLError

SHAPE = ((4, 4, 2), (4, 4, 4))


def planted(seed):
    """A random weight and one strong direction, a product over the sites."""
    torch.manual_seed(seed)
    product = torch.ones(1, 1)
    for o, i in zip(*SHAPE, strict=True):
        product = torch.kron(product, torch.randn(o, i) / math.sqrt(o * i))
    return torch.randn(32, 64), 100 * product


def test_one_planted_direction_is_one_outlier_at_every_cut():
    noise, signal = planted(0)
    report = cut_report([noise + signal, noise], SHAPE, initial=[noise])
    assert report.outliers[0].tolist() == [1, 1]
    assert (report.outliers[1] <= 1).all()  # the largest value of a random matrix lies at the edge
    for name in ("trained", "at initialisation", "shuffled"):
        assert report.entropies[name].shape[1] == 2
    np.testing.assert_allclose(report.entropies["at initialisation"][0], cut_entropies(noise, SHAPE))
    mean, std = gaussian_cuts(SHAPE)
    assert (abs(report.entropies["shuffled"][5:] - mean) < 5 * std).all()
    assert (report.entropies["trained"][0] < mean - 5 * std).all()
    np.testing.assert_allclose(report.ceiling, np.log([16, 8]))


def test_shape_is_balanced_if_not_given():
    assert cut_report([torch.randn(6, 8)]).shape.sites == 2


def test_too_few_or_many_shuffles():
    with pytest.raises(SSHMLError, match="at least 2"):
        cut_report([torch.randn(6, 8)], shuffles=1)
    with pytest.raises(SSHMLError, match="2 to 1000000"):
        cut_report([torch.full((6, 8), math.nan)], shuffles=10**6 + 1)


def test_padded_noise_is_compared_with_padded_noise():
    from sshml.compression import MPOShape

    torch.manual_seed(1)
    report = cut_report([torch.nn.Linear(33, 17)], MPOShape((2, 3, 4), (3, 4, 3), pad=True))
    assert (abs(report.entropies["trained"] - report.mean) < 5 * report.std).all()


def test_no_weights():
    with pytest.raises(SSHMLError, match="one per network"):
        cut_report([], SHAPE)
