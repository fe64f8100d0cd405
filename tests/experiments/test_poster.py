import numpy as np
import pytest

from sshml.classifier import load_run
from sshml.dataset import check, open_dataset
from sshml.errors import SSHMLError
from sshml.experiments.poster import VIEWS, Settings, reproduce
from sshml.tables import read_csv


def test_every_claim_is_decided(small_poster):
    _, claims, _ = small_poster
    assert {row["id"] for row in claims} >= {"P1", "P2", "P3", "P4", "accuracy", "signs", "spectrum"}
    for row in claims:
        assert row["verdict"] in ("holds", "does not hold", "measured")
        assert (row["published"] == "") == (row["verdict"] == "measured")
        assert np.isfinite(float(row["mean"])) or row["seeds"] == 0


def test_claims_are_the_ones_in_the_file(small_poster):
    folder, claims, baselines = small_poster
    assert read_csv(folder / "claims.csv") == [{k: str(v) for k, v in row.items()} for row in claims]
    assert len(read_csv(folder / "baselines.csv")) == len(baselines) == 4


def test_figures_and_their_numbers_are_there(small_poster):
    folder = small_poster[0]
    for number in range(1, 6):
        for suffix in ("png", "pdf"):
            assert (folder / f"fig{number}.{suffix}").stat().st_size > 5000
        assert list(folder.glob(f"fig{number}*.csv"))


def test_numbers_follow_from_the_saved_runs(small_poster):
    folder = small_poster[0]
    for name, (gauge, view) in VIEWS.items():
        run = load_run(folder / "runs" / f"{name}.h5")
        dataset = check(folder / "data" / f"{gauge}.h5")
        assert run.training.view == view
        rows = [row for row in read_csv(folder / "fig4_ranks.csv") if row["view"] == name]
        np.testing.assert_allclose([float(row["accuracy"]) for row in rows], run.accuracy(dataset.test))
        full = [r for r in read_csv(folder / "fig1.csv") if (r["view"], r["method"], r["size"]) == (name, "svd", "128")]
        assert float(full[0]["mean"]) == pytest.approx(run.accuracy(dataset.test).mean(), abs=0.002)


def test_signs_are_reported_for_every_gauge(small_poster):
    rows = {row["gauge"]: float(row["accuracy"]) for row in read_csv(small_poster[0] / "fig4_signs.csv")}
    assert rows["eigh (LAPACK)"] > 0.9
    assert abs(rows["random"] - 0.5) < 0.06
    assert abs(rows["fixed"] - 0.5) < 0.02


def test_gauges_share_their_chains(small_poster):
    random, fixed = (open_dataset(small_poster[0] / "data" / f"{gauge}.h5") for gauge in ("random", "fixed"))
    np.testing.assert_array_equal(random.test.read("v"), fixed.test.read("v"))


def test_results_are_not_overwritten(small_poster):
    with pytest.raises(SSHMLError, match="exists"):
        reproduce(small_poster[0], Settings(seeds=2))


@pytest.mark.slow
def test_headline_numbers(tmp_path):
    """The published numbers, at 4 seeds: about a minute."""
    claims, _ = reproduce(tmp_path / "poster", Settings(seeds=4))
    mean = {(row["id"], row["claim"]): float(row["mean"]) for row in claims}
    assert mean["P1", "8 of 128 singular values of layer 1 keep 95 % (random signs)"] == pytest.approx(8, abs=1)
    assert mean["P1", "rank of layer 1 that keeps 95 % (density)"] == 1
    assert mean["accuracy", "test accuracy (random)"] > 0.98
    assert mean["accuracy", "test accuracy (fixed)"] > 0.99
