"""Mean and standard deviation over seeds, and how they are written: in one place."""

import dataclasses

import numpy as np

from sshml.arguments import as_array, shown
from sshml.errors import SSHMLError


def mean_std(values):
    """Return (mean, standard deviation with n - 1, n) of the finite values; NaN where there are too few of them.

    >>> mean_std([1.0, 3.0, np.nan])
    (2.0, 1.4142135623730951, 2)
    """
    found = as_array(values, "values", kinds="biuf", dtype=float).ravel()
    found = found[np.isfinite(found)]
    mean = float(found.mean()) if found.size else np.nan
    return mean, float(found.std(ddof=1)) if found.size > 1 else np.nan, found.size


@dataclasses.dataclass(frozen=True)
class Spread:
    """Mean, standard deviation and number of the finite ones `of` so many values; as a text "mean ± std (n)"."""

    mean: float
    std: float
    n: int
    of: int

    @classmethod
    def over(cls, values):
        """Return that of values, one per seed."""
        values = as_array(values, "values", kinds="biuf").ravel()
        return cls(*mean_std(values), len(values))

    def __str__(self):
        return written(self.mean, self.std, self.n, self.of)


def spread(values):
    """Return "mean ± std (n)", or the count of those that exist where some are not finite.

    >>> spread([7.0, 8.0, 9.0]), spread([7.0, np.nan]), spread([np.nan])
    ('8 ± 1 (3)', '7 (1 of 2)', 'none of 1')
    """
    return str(Spread.over(values))


def written(mean, std, found, wanted=None):
    """Return "mean ± std (n)" of what `mean_std` found among `wanted` values."""
    if not found:
        return f"none of {wanted or 0}"
    error = f" ± {std:.2g}" if np.isfinite(std) else ""
    return f"{mean:.4g}{error} ({found})" if wanted in (None, found) else f"{mean:.4g}{error} ({found} of {wanted})"


def with_test_error(mean, error, tested):
    """Return an error with that of a test set which all seeds share added: (error^2 + p (1 - p)/n)^(1/2), p the mean.

    Args:
        mean: accuracies, any shape.
        error: errors of theirs, as a standard deviation over seeds, of that shape.
        tested: n, samples in the test set, one number or one for each; 0 where the values are no accuracies on one.

    >>> round(float(with_test_error(0.9, 0.004, 10000)), 4)
    0.005
    """
    tested, mean = as_array(tested, "tested", kinds="iu"), np.clip(as_array(mean, "mean", dtype=float), 0, 1)
    if (tested < 0).any():
        raise SSHMLError(f"tested is {shown(tested)}; expected numbers of samples.")
    shared = np.where(tested > 0, mean * (1 - mean) / np.maximum(tested, 1), 0)
    return np.sqrt(as_array(error, "error", dtype=float) ** 2 + shared)


def group_means(values, groups):
    """Return the means of the finite values of each group, in the order of the groups' numbers; NaN for none.

    >>> group_means([1.0, 3.0, np.nan, 5.0], [0, 0, 1, 1]).tolist()
    [2.0, 5.0]
    """
    values, groups = as_array(values, "values", kinds="biuf", dtype=float), as_array(groups, "groups")
    if values.shape != groups.shape or values.ndim != 1:
        raise SSHMLError(f"values {values.shape} and groups {groups.shape} do not match; give a group for each.")
    return np.array([mean_std(values[groups == one])[0] for one in np.unique(groups)])


def band(values, tested=0):
    """Return (mean, standard deviation) over the first axis, the seeds; a standard deviation of 0 for a single one.

    Of accuracies on one test set of so many samples, `tested`, the deviation is `with_test_error`.
    """
    values = as_array(values, "values", kinds="biuf", dtype=float)
    if values.ndim == 0 or not len(values):
        raise SSHMLError(f"values have shape {values.shape}; expected (seed, ...).")
    mean, std = values.mean(0), values.std(0, ddof=1) if len(values) > 1 else np.zeros(values.shape[1:])
    return mean, with_test_error(mean, std, tested)
