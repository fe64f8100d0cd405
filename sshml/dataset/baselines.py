"""What one number of a chain's states tells of its label: baselines to stand beside every network."""

import numpy as np

from sshml.arguments import as_array, having, integer
from sshml.chain import edge_dipole, inverse_participation_ratio, real_space_winding
from sshml.errors import SSHMLError


def markers(states, energies, boundary="open"):
    """Return one-number markers of chains, {name: float64 array (sample)}.

    "half gap" of the pair of levels next to the middle; of the lowest level at or above the middle its "weight on site
    1" and its "inverse participation ratio"; "edge dipole" (not with half a cell at the end); "real-space winding", see
    `sshml.chain`.

    Args:
        states: all levels, shape (sample, level, site).
        energies: ascending, shape (sample, level).
        boundary: "open" or "periodic".

    Raises:
        SSHMLError: other shapes.
    """
    states = as_array(states, "states", dtype=np.float64, finite=True)
    energies = as_array(energies, "energies", dtype=np.float64, finite=True)
    winding, sites = real_space_winding(states, boundary), states.shape[-1]
    if energies.shape != states.shape[:-1]:
        raise SSHMLError(f"energies {energies.shape} and states {states.shape} do not match.")
    middle = states[..., sites // 2, :]
    found = {"half gap": (energies[..., -(sites // 2)] - energies[..., sites // 2 - 1]) / 2}
    found |= {"weight on site 1": middle[..., 0] ** 2}
    found |= {"inverse participation ratio": inverse_participation_ratio(middle)}
    if not sites % 2:
        found["edge dipole"] = np.nan_to_num(edge_dipole(states))
    return found | {"real-space winding": winding}


def one_number_baselines(dataset, limit=16000):
    """Return how well a threshold on one marker predicts the label, {name: (test accuracy, binomial error)}.

    Threshold and direction are those of the best accuracy on the training split.

    Args:
        dataset: a `Dataset` with labels 0 and 1.
        limit: use at most so many samples of each split, the first ones.

    Raises:
        SSHMLError: labels other than 0 and 1 (longer range), or no dataset.
    """
    limit = integer(limit, "limit", 1)
    having(dataset, "dataset", ("spec", "test"), "a Dataset, as of open_dataset(path)")
    if dataset.spec.is_longer:
        raise SSHMLError("a threshold tells two labels apart; chains with longer range have four.")
    seen = []
    for split in (dataset.train, dataset.test):
        states, energies, winding = split.read(("states", "energies", "winding"), slice(limit))
        seen.append((markers(states, energies, dataset.spec.boundary), winding == 1))
    (train, labels), (test, truth) = seen
    found = {}
    for name, values in train.items():
        threshold, above = _best_threshold(values, labels)
        accuracy = ((test[name] > threshold) == (truth if above else ~truth)).mean()
        found[name] = float(accuracy), float(np.sqrt(accuracy * (1 - accuracy) / len(truth)))
    return found


def _best_threshold(values, labels):
    """Return (threshold, whether the label is 1 above it) with the most right answers."""
    order = np.argsort(values, kind="stable")
    values, labels = values[order], labels[order]
    below = np.concatenate([[0], np.cumsum(~labels)])  # label 0 up to each place
    above = labels.sum() - np.concatenate([[0], np.cumsum(labels)])
    right = below + above
    inside = np.concatenate([[True], values[1:] > values[:-1], [True]])  # a threshold between different values
    up, down = np.where(inside, right, -1), np.where(inside, len(labels) - right, -1)
    best = int(max(up.max(), down.max()) == down.max() and up.max() < down.max())
    at = int((down if best else up).argmax())
    ends = np.concatenate([[-np.inf], (values[1:] + values[:-1]) / 2, [np.inf]])
    return ends[at], not best
