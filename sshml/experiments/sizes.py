"""Ranks of networks: those they have, those that fit a share of their bytes, and the plan of an SVD at given ones."""

import numpy as np
import torch

from sshml.compression import Choice, Plan, n_bytes, survey
from sshml.errors import SSHMLError


def ranks_of(model):
    """Return the ranks of the layers that were cut, "-" for dense ones."""
    layers = [m for m in model.modules() if hasattr(m, "rank") or type(m) is torch.nn.Linear]
    return [str(getattr(layer, "rank", "-")) for layer in layers]


def ranks_up_to(most, more):
    """Return the ranks 1 to 32, and `more` from there to the largest, evenly in the logarithm.

    >>> ranks_up_to(128, 3)[-4:]
    array([ 31,  32,  64, 128])
    """
    few = min(32, most)
    return np.unique(np.r_[1 : few + 1, np.geomspace(few, most, more).round().astype(int)])


def ranks_within(model, ranks, share, top=1.0):
    """Return {layer: rank} at the largest setting whose factors keep a model within a share of its bytes.

    Args:
        model: a dense network.
        ranks: called with a setting from 0 to `top`, returns {layer: rank}, which do not fall as it rises; layers that
            it does not name, and those whose factors would store more than the layer, stay dense.
        share: of the bytes of the whole model.
        top: the largest setting.

    Raises:
        SSHMLError: the ranks of setting 0 store more than that.
    """
    sites = survey(model)[0]
    rest = n_bytes(model) - sum(site.n_bytes for site in sites.values())

    def within(setting):
        found = ranks(setting)
        stored = (_stored(site, found[name]) if name in found else site.n_bytes for name, site in sites.items())
        return rest + sum(stored) <= share * n_bytes(model)

    low, high = 0.0, top
    if not within(low):
        raise SSHMLError(f"the smallest ranks, {ranks(low)}, store more than {share:.1%} of the bytes.")
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if within(middle) else (low, middle)
    return ranks(low)


def _stored(site, rank):
    factors = rank * site.groups * (site.out_features + site.in_features)
    return min(site.n_bytes, factors * site.n_bytes // site.numbers)


def plan_of_ranks(model, ranks):
    """Return the `Plan` of an SVD at {layer: rank}; layers whose factors would store no less stay dense."""
    sites = survey(model)[0]
    smaller = {name: rank for name, rank in ranks.items() if _stored(sites[name], rank) < sites[name].n_bytes}
    return Plan({name: Choice("svd", {"rank": rank}) for name, rank in smaller.items()})
