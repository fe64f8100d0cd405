"""One-number classifiers to print beside every network: a threshold on one observable of the chain."""

import numpy as np

from sshml.arguments import instance
from sshml.dataset import Dataset


def observables(states, energies):
    """Return observables of each chain, each one number, {name: float64 (sample)}.

    Over the mid-gap state psi (the level just above zero): its weight on site 1, |psi_1|^2; its inverse
    participation ratio, sum_i |psi_i|^4; the half gap sigma_min = E; the edge dipole <x>_B - <x>_A of the pair, in
    cells, <x> the mean cell of each sublattice's half of |psi|^2.

    Args:
        states: shape (sample, level, site).
        energies: shape (sample, level), ascending.
    """
    middle = states.shape[1] // 2
    density = np.asarray(states[:, middle], dtype=np.float64) ** 2
    cell = np.arange(density.shape[1] // 2)
    a, b = density[:, 0::2], density[:, 1::2]
    return {
        "weight on site 1": density[:, 0],
        "inverse participation ratio": (density**2).sum(1),
        "half gap": np.asarray(energies[:, middle], dtype=np.float64),
        "edge dipole": (b @ cell) / b.sum(1) - (a @ cell) / a.sum(1),
    }


def best_threshold(values, labels):
    """Return (threshold, sign): label 1 where sign * values > sign * threshold is most often right.

    Args:
        values: one number per sample, shape (sample).
        labels: 0 or 1, shape (sample).

    >>> best_threshold(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1, 1, 0, 0]))
    (2.5, -1)
    """
    order = np.argsort(values, kind="stable")
    ordered, ones = values[order], np.asarray(labels)[order]
    # right[i]: hits of "label 1 above the i-th gap", which has i samples below
    right = np.concatenate([[0], np.cumsum(ones == 0)]) + ones.sum() - np.concatenate([[0], np.cumsum(ones)])
    edges = np.concatenate([[-np.inf], (ordered[1:] + ordered[:-1]) / 2, [np.inf]])
    up, down = right.argmax(), right.argmin()
    if right[up] >= len(ordered) - right[down]:
        return float(edges[up]), 1
    return float(edges[down]), -1


def baselines(dataset):
    """Return {observable: accuracy on the test split} of thresholds chosen on the training split."""
    found = {}
    instance(dataset, "dataset", Dataset, "a Dataset, as of open_dataset(path)")
    train, test = (observables(*s.read(("states", "energies"))) for s in (dataset.train, dataset.test))
    for name in train:
        threshold, sign = best_threshold(train[name], dataset.train.labels)
        found[name] = float(((sign * test[name] > sign * threshold) == dataset.test.labels).mean())
    return found
