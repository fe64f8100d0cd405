import numpy as np
import pytest

from sshml.errors import SSHMLError
from sshml.statistics import band, group_means, mean_std, spread, with_test_error


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([1.0, 2.0, 3.0], "2 ± 1 (3)"),
        ([0.5], "0.5 (1)"),
        ([1.0, np.nan, 3.0], "2 ± 1.4 (2 of 3)"),
        ([np.nan, np.nan], "none of 2"),
        ([], "none of 0"),
    ],
)
def test_spread(values, text):
    assert spread(values) == text


def test_mean_and_standard_deviation_by_numpy(rng):
    values = rng.normal(size=9)
    mean, std, count = mean_std([*values, np.inf, np.nan])
    assert (mean, std, count) == (pytest.approx(values.mean()), pytest.approx(values.std(ddof=1)), 9)
    assert np.isnan(mean_std([])[0])
    assert np.isnan(mean_std([1.0])[1])


def test_the_error_of_a_shared_test_set(rng):
    """Networks of accuracies p_i, tested on one set of n: the spread of their mean over sets is that of the set."""
    n, p = 400, 0.8
    right = rng.random((3000, n)) < p  # the same samples are right for all seeds
    means = right.mean(1)
    assert with_test_error(p, 0.0, n) == pytest.approx(means.std(), rel=0.05)
    np.testing.assert_allclose(with_test_error([0.5, 0.5], [0.03, 0.03], [0, 100]), [0.03, (0.03**2 + 0.0025) ** 0.5])
    mean, std = band([[0.5], [0.5]], tested=100)
    assert (mean, std) == (0.5, 0.05)
    with pytest.raises(SSHMLError, match="tested"):
        with_test_error(0.5, 0.1, -1)


def test_a_band_over_seeds(rng):
    values = rng.normal(size=(5, 3))
    for found, expected in zip(band(values), (values.mean(0), values.std(0, ddof=1)), strict=True):
        np.testing.assert_allclose(found, expected)
    np.testing.assert_array_equal(band(values[:1])[1], 0)


def test_means_of_groups():
    np.testing.assert_array_equal(group_means([1.0, np.nan, 3.0, np.nan], [2, 2, 1, 3]), [3.0, 1.0, np.nan])
    with pytest.raises(SSHMLError, match="do not match"):
        group_means([1.0], [0, 1])
