"""Hand-made tables lead to the right numbers and verdicts."""

import numpy as np
import pytest

from sshml.experiments.poster import Settings
from sshml.experiments.poster.claims import poster_claims
from sshml.experiments.poster.measurements import VIEWS
from sshml.tables import Tables, write_csv

SEEDS, RANKS, SIZES = 5, 128, [64, 512, 1024, 2048, 8192, 32768]


def planted(folder, k1=8, k2=1, kept=1024, share=0.01):
    """Write tables of networks that keep 95 % from rank k1 of layer 1, k2 of layer 2 and `kept` weights on.

    Layer 1 stores 384 numbers a rank, 1536 bytes, and 6 bytes a kept weight. In views other than random signs one
    rank is enough.
    """
    compression, grid, rows = [], [], []
    for view in VIEWS:
        first = k1 if view == "random" else 1
        for seed in range(SEEDS):
            for method, sizes, least, stored in (("svd", range(1, RANKS + 1), first, 1536), ("prune", SIZES, kept, 6)):
                compression += [
                    {"view": view, "method": method, "size": size, "bytes": stored * size, "seed": seed}
                    | {"accuracy": 0.99 if size >= least else 0.6}
                    for size in sizes
                ]
            rows.append({"view": view, "seed": seed, "accuracy": 0.99})
    for seed in range(SEEDS):
        grid += [
            {"rank_1": k, "rank_2": r, "seed": seed, "accuracy": 0.99 if k1 <= k and r >= k2 else 0.6}
            for k in (8, 9)
            for r in range(1, 65)
        ]
    quantity = "share of v1 on the mid-gap levels"
    summary = [{"view": v, "quantity": quantity, "seed": s, "value": share} for v in VIEWS for s in range(SEEDS)]
    signs = [{"gauge": g, "accuracy": a} for g, a in (("eigh (LAPACK)", 0.99), ("random", 0.501), ("fixed", 0.5))]
    found = {"fig1": compression, "fig2": grid, "accuracy": rows, "fig3_summary": summary, "fig4_signs": signs}
    for name, table in found.items():
        write_csv(folder / f"{name}.csv", table)
    return Tables(folder)


@pytest.fixture
def find(tmp_path):
    """Return the row of the claim of an id with some words, from planted tables."""

    def call(id_, words, settings=None, **changes):
        tables = planted(tmp_path / str(len(list(tmp_path.iterdir()))), **changes)
        (claim,) = [c for c in poster_claims(tables, settings or Settings()) if c.id == id_ and words in c.statement]
        return claim.row()

    return call


@pytest.mark.parametrize(
    ("k1", "verdict"), [(8, "holds"), (7, "holds"), (9, "holds"), (3, "does not hold"), (20, "does not hold")]
)
def test_p1(find, k1, verdict):
    row = find("P1", "keeps 95 % (random signs)", k1=k1)
    assert (row["mean"], row["std"], row["verdict"]) == (str(k1), "0", verdict)


def test_a_rank_that_no_network_reaches_is_not_measurable(find):
    row = find("P1", "keeps 95 % (random signs)", k1=129)
    assert (row["verdict"], row["mean"]) == ("not measurable", "")


@pytest.mark.parametrize(("k2", "verdict"), [(1, "holds"), (2, "holds"), (3, "does not hold")])
def test_p2(find, k2, verdict):
    row = find("P2", "9 in layer 1", k2=k2)
    assert (row["mean"], row["verdict"]) == (str(k2), verdict)


def test_p2_without_any_network_that_keeps_95_percent_at_rank_8(find):
    assert find("P2", "8 in layer 1", k1=30)["verdict"] == "not measurable"


@pytest.mark.parametrize(
    ("kept", "ratio", "verdict"),
    [(1024, 1024 * 6 / (8 * 1536), "does not hold"), (8192, 8192 * 6 / (8 * 1536), "holds")],
)
def test_p3_by_hand(find, kept, ratio, verdict):
    """8 ranks of 1536 bytes are 12 288; 1024 weights of 6 bytes are 6144, half of it."""
    row = find("P3", "pruned / SVD (random)", kept=kept)
    assert float(row["mean"]) == pytest.approx(ratio)
    assert row["verdict"] == verdict


def test_p3_at_equal_shares(find):
    """15/16 removed leaves 8 ranks and 2048 weights: .99 on both sides, or .6 of the weights."""
    assert float(find("P3", "93.75 % removed, SVD - pruned (random)")["mean"]) == 0
    row = find("P3", "93.75 % removed, SVD - pruned (random)", kept=8192)
    assert float(row["mean"]) == pytest.approx(0.39)
    assert row["verdict"] == "holds"


def test_verdicts_only_on_what_the_poster_said(find, tmp_path):
    rows = [
        c.row() for c in poster_claims(planted(tmp_path / "x"), Settings()) if c.id in ("P1", "P2", "P3", "P4", "signs")
    ]
    decided = [row["claim"] for row in rows if row["verdict"] != "measured"]
    assert decided == [
        "rank of layer 1 that keeps 95 % (random signs)",
        "accuracy with 8 singular values in layer 1 (random signs)",
        "singular values of layer 2 that keep 95 %, 9 in layer 1, where those keep it (random signs)",
        "singular values of layer 2 that keep 95 %, 8 in layer 1, where those keep it (random signs)",
        "bytes of layer 1 at 95 %, pruned / SVD (random)",
        "accuracy with 93.75 % removed, SVD - pruned (random)",
    ]
    other = Settings(activation="tanh")
    assert find("P1", "keeps 95 % (random signs)", other)["verdict"] == "not comparable"


def test_p4_and_signs_are_measured(find):
    assert find("P4", "(abs)", share=0.7)["mean"] == "0.7"
    assert np.isclose(float(find("signs", "LAPACK")["mean"]), 0.99)
