import numpy as np
import pytest
from sshml.experiments.poster_numbers import RATIO_EDGES, TABLES

from sshml.classifier import load_run
from sshml.dataset import open_dataset
from sshml.tables import read_csv


def test_every_table_is_written(small_poster):
    written = {path.stem for path in small_poster[0].glob("*.csv")}
    assert written == {*TABLES, "fig4_signs", "fig5_disorder", "splits", "claims", "baselines"}


def test_the_transition_is_an_edge():
    assert np.isclose(RATIO_EDGES, 1).any()
    assert (np.diff(RATIO_EDGES) > 0).all()


def test_accuracy_by_ratio_follows_from_the_run(small_poster):
    folder = small_poster[0]
    run, test = load_run(folder / "runs" / "density.h5"), open_dataset(folder / "data" / "fixed.h5").test
    ratio = test.read("w")[:, 0] / test.read("v")[:, 0]
    correct = run.correct(test)
    rows = [row for row in read_csv(folder / "fig4_ratio.csv") if row["view"] == "density"]
    assert sum(((float(r["low"]) <= ratio) & (ratio < float(r["high"]))).sum() for r in rows) == len(test)
    for row in rows:
        inside = (float(row["low"]) <= ratio) & (ratio < float(row["high"]))
        assert float(row["mean"]) == pytest.approx(correct[:, inside].mean(), abs=1e-5)


def test_shares_sum_to_one(small_poster):
    rows = [row for row in read_csv(small_poster[0] / "fig3_shares.csv") if row["view"] == "abs"]
    for seed in range(3):
        total = sum(float(row["share"]) for row in rows if row["seed"] == str(seed))
        assert total == pytest.approx(1, abs=0.01)
