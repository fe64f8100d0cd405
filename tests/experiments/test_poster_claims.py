"""Planted measurements lead to the right verdicts."""

from types import SimpleNamespace

import numpy as np
import pytest
from sshml.experiments.poster_claims import RANKS_1, claims

from sshml.analysis import Sweep

SEEDS = 5


def planted(k1, k2=1, kept=1000, share=0.01, accuracy=0.99):
    """A view whose networks keep 95 % from rank k1 of layer 1, k2 of layer 2 and `kept` weights on."""
    ranks = np.arange(1, 129)
    sizes = np.unique(np.geomspace(64, 256 * 128, 28).round().astype(int))

    def step(x, at):
        return np.tile(np.where(x >= at, accuracy, 0.6), (SEEDS, 1))

    return SimpleNamespace(
        accuracy=np.full(SEEDS, accuracy),
        ranks=Sweep("svd", "1", ranks, step(ranks, k1), ranks * 384, ranks * 384 * 4, 1 - ranks / 128),
        kept=Sweep("prune", "1", sizes, step(sizes, kept), 2 * sizes, 6 * sizes, 1 - sizes / 2**15),
        grid=np.stack([step(np.arange(1, 65), k2 if rank >= k1 else 65) for rank in RANKS_1], axis=1),
        selection=SimpleNamespace(mid_gap_share=np.full((SEEDS, 4), share)),
        outliers={(layer, when): np.ones(SEEDS) for layer in (1, 2) for when in ("initial", "trained")},
    )


def verdicts(**changes):
    measured = {name: planted(1) for name in ("random", "fixed", "abs", "density", "projector")}
    measured["random"] = planted(**{"k1": 8} | changes)
    found = list(claims(measured, {"eigh (LAPACK)": (0.99, 0.01), "random": (0.501, 0.01)}))
    return {(c.id, c.statement): c for c in found}


def find(found, id_, words):
    (claim,) = [claim for (i, text), claim in found.items() if i == id_ and words in text]
    return claim


@pytest.mark.parametrize(("k1", "holds"), [(8, True), (7, True), (9, True), (3, False), (20, False)])
def test_p1(k1, holds):
    claim = find(verdicts(k1=k1), "P1", "8 of 128")
    assert claim.holds == holds
    np.testing.assert_array_equal(claim.values, k1)


@pytest.mark.parametrize(("k2", "holds"), [(1, True), (2, True), (3, False)])
def test_p2(k2, holds):
    claim = find(verdicts(k2=k2), "P2", "layer 2")
    assert claim.holds == holds
    np.testing.assert_array_equal(claim.values, k2)


def test_p2_without_any_network_that_keeps_95_percent_at_rank_8():
    claim = find(verdicts(k1=30), "P2", "layer 2")
    assert claim.holds is False
    assert np.isnan(claim.values).all()


@pytest.mark.parametrize(("kept", "holds"), [(500, False), (20000, True)])
def test_p3(kept, holds):
    assert find(verdicts(kept=kept), "P3", "bytes of layer 1 at 95 %, pruned / SVD (random)").holds == holds


@pytest.mark.parametrize(("share", "holds"), [(0.01, False), (0.7, True)])
def test_p4(share, holds):
    assert find(verdicts(share=share), "P4", "(random)").holds == holds


def test_signs():
    found = verdicts()
    assert find(found, "signs", "LAPACK").holds is False
    assert find(found, "signs", "(random)").holds is True
