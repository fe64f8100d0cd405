"""All about the cuts of a layer in one place: entropies of several networks beside their baselines."""

import dataclasses

import numpy as np

from sshml.analysis.entanglement import as_weight, cut_entropies, unfolded
from sshml.analysis.random_matrix import ceilings, gaussian_cuts, shuffled_cuts
from sshml.analysis.spectrum import outliers
from sshml.arguments import integer, sequence
from sshml.compression import as_shape
from sshml.errors import SSHMLError


@dataclasses.dataclass(frozen=True)
class CutReport:
    """Entropies in nats at every cut between neighbouring sites.

    `entropies` {"trained", "at initialisation" where known: (member, cut); "shuffled": (member x copy, cut)}; `mean`,
    `std` (cut) of a Gaussian weight; `ceiling` (cut), the largest possible entropy; `outliers` (member, cut): Schmidt
    values above the Marchenko-Pastur edge of the unfolded weight (with a padded shape its zeros count, and the edge is
    a guide only).
    """

    shape: object
    entropies: dict
    mean: np.ndarray
    std: np.ndarray
    ceiling: np.ndarray
    outliers: np.ndarray


def cut_report(weights, shape=None, initial=(), shuffles=5):
    """Return the `CutReport` of the weights of one layer in several networks.

    Args:
        weights: layers or tensors (out, in), one per network.
        shape: `MPOShape` or (out_dims, in_dims); the automatic one if None.
        initial: the weights before training, where known.
        shuffles: shuffled copies of each weight, 2 to 10^6.

    Raises:
        SSHMLError: a shape that does not fit, too few shuffles, NaN weights.
    """
    shuffles = integer(shuffles, "shuffles", 2, 10**6)
    weights, initial = (
        [as_weight(weight) for weight in sequence(given, name)]
        for given, name in ((weights, "weights"), (initial, "initial"))
    )
    if not weights:
        raise SSHMLError("there are no weights; give one per network.")
    shape = as_shape(shape, *weights[0].shape)
    entropies = {"trained": np.array([cut_entropies(weight, shape) for weight in weights])}
    if initial:
        entropies["at initialisation"] = np.array([cut_entropies(weight, shape) for weight in initial])
    shuffled = [shuffled_cuts(weight, shape, shuffles, seed) for seed, weight in enumerate(weights)]
    entropies["shuffled"] = np.concatenate(shuffled)
    found = [[outliers(unfolded(weight, shape, cut)) for cut in range(1, shape.sites)] for weight in weights]
    return CutReport(shape, entropies, *gaussian_cuts(shape, weights[0].shape), ceilings(shape), np.array(found))
