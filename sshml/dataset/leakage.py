"""Whether the signs of the wavefunctions give the label away, and how far apart the splits are."""

import numpy as np

from sshml.arguments import as_array, choice, having, integer, shown
from sshml.chain import fixed_signs
from sshml.errors import SSHMLError


def sign_leakage(states, winding, folds=5, neighbours=5, limit=16000, seed=0):
    """Return how well the signs of the states alone predict the label, cross-validated.

    The overall sign of each state is unobservable. The bits tested here are those signs relative to the gauge
    "fixed": what a choice of signs adds to states known up to their sign. The vote of the nearest training
    samples in Hamming distance (which catches any pattern of bits, parities too), balanced accuracy over the
    two labels on the held-out folds.

    Random signs give 1/2 within the error; so does the gauge "fixed", where all bits are equal
    by construction and ties fall anyhow;
    signs as LAPACK returns them for clean chains give nearly 1.

    Args:
        states: real states, shape (sample, level, site).
        winding: labels 0 or 1, shape (sample).
        folds: number of cross-validation folds.
        neighbours: number of votes, odd.
        limit: use at most this many samples, the first ones.
        seed: seed of the shuffle into folds.

    Returns:
        (balanced accuracy, its binomial standard error); 0.5 is chance.

    Raises:
        SSHMLError: shapes that do not match, labels other than 0 and 1, too few samples of one, an even number of
            neighbours.
    """
    folds, neighbours = integer(folds, "folds", 2), integer(neighbours, "neighbours", 1)
    limit, seed = integer(limit, "limit", 1), integer(seed, "seed", 0)
    if neighbours % 2 == 0:
        raise SSHMLError(f"neighbours is {neighbours}; expected an odd number, so that votes are never equal.")
    states = as_array(states, "states", axes="sample, level, site")[:limit]
    winding = as_array(winding, "winding", axes="sample")[:limit]
    if states.ndim != 3 or winding.shape != states.shape[:1]:
        raise SSHMLError(
            f"states {states.shape} and winding {winding.shape} do not match; expected (sample, level, site) and"
            " (sample)."
        )
    if not np.isin(winding, (0, 1)).all():
        found = shown(np.unique(winding)[:8].tolist())
        raise SSHMLError(f"winding holds {found}; sign_leakage is for labels 0 and 1.")
    target = np.where(winding > 0, 1, -1)
    counts = [int((target == label).sum()) for label in (-1, 1)]
    least = max(folds, neighbours)
    if min(counts) < least:
        raise SSHMLError(f"the labels have {counts[0]} and {counts[1]} samples; sign_leakage needs {least} of each.")

    bits = fixed_signs(states).astype(np.float32)
    order = np.random.default_rng(seed).permutation(len(bits))
    bits, target = bits[order], target[order]
    hits = np.zeros(len(bits))
    for fold in range(folds):
        held_out = np.arange(len(bits)) % folds == fold
        for block in np.array_split(np.flatnonzero(held_out), 1 + held_out.sum() // 1000):
            agreement = bits[block] @ bits[~held_out].T  # b [level], b' [level]: levels - 2 Hamming distance
            nearest = np.argpartition(-agreement, neighbours - 1, axis=1)[:, :neighbours]
            hits[block] = np.sign(target[~held_out][nearest].sum(axis=1)) == target[block]
    share = np.array([hits[target == label].mean() for label in (-1, 1)])
    return float(share.mean()), float(np.sqrt((share * (1 - share) / counts).sum()) / 2)


def split_distance(dataset, queries=1000, of="hoppings"):
    """Return the smallest and the median distance of test chains to their nearest training chain.

    Distance: of hoppings the root mean square difference over those of a chain, in their energy unit; of states the
    root mean square of ||psi_n - phi_n|| over the levels, each with the sign that brings them together, (2 - 2 mean_n
    |<psi_n|phi_n>|)^(1/2): what a network sees, whose chains of equal w/v are one.

    Args:
        dataset: a `Dataset`.
        queries: test chains looked up, the first of the split.
        of: "hoppings" or "states".

    Returns:
        (smallest, median).

    Raises:
        SSHMLError: no dataset, another kind of distance.
    """
    from scipy.spatial import cKDTree

    queries = integer(queries, "queries", 1)
    choice(of, "of", ("hoppings", "states"))
    having(dataset, "dataset", ("spec", "test"), "a Dataset, as of open_dataset(path)")
    if of == "states":
        distance = _between_states(dataset, queries)
        return float(distance.min()), float(np.median(distance))
    train, test = (np.concatenate(s.read(dataset.spec.kinds), axis=1) for s in (dataset.train, dataset.test))
    distance, _ = cKDTree(train).query(test[:queries])
    distance /= np.sqrt(train.shape[1])
    return float(distance.min()), float(np.median(distance))


TOGETHER = 4096
"""Training chains whose states are compared at a time."""


def _between_states(dataset, queries):
    """Return the distance of each test chain's states to those of the nearest training chain."""
    test = dataset.test.read("states", slice(queries)).astype(float)
    found = np.full(len(test), np.inf)
    for first in range(0, len(dataset.train), TOGETHER):
        train = dataset.train.read("states", slice(first, first + TOGETHER)).astype(float)
        squares = (test**2).sum((1, 2))[:, None] + (train**2).sum((1, 2))
        for level in range(test.shape[1]):  # in double precision: near chains differ by less than 1e-4
            squares -= 2 * np.abs(test[:, level] @ train[:, level].T)  # t [site], c [site]
        found = np.minimum(found, squares.min(1))
    return np.sqrt(np.maximum(found, 0) / test.shape[1])
