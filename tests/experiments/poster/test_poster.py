import dataclasses

import numpy as np
import pytest

from sshml.classifier import load_run
from sshml.dataset import check, open_dataset
from sshml.errors import SSHMLError
from sshml.experiments import run, settings_of
from sshml.experiments.poster import Settings, experiment
from sshml.experiments.poster.figures import FIGURES
from sshml.experiments.poster.measurements import VIEWS
from sshml.tables import read_csv


def test_every_claim_is_decided(small_poster):
    assert small_poster.failures == []
    assert {row["id"] for row in small_poster.claims} >= {"P1", "P2", "P3", "P4", "accuracy", "signs", "spectrum"}
    for row in small_poster.claims:
        assert row["verdict"] in ("holds", "does not hold", "measured", "not measurable")
        if row["source"] == "sshml":
            assert row["verdict"] in ("measured", "not measurable")
            assert row["published"] == row["criterion"] == ""


def test_claims_are_the_ones_in_the_file(small_poster):
    found = [{k: str(v) for k, v in row.items()} for row in small_poster.claims]
    assert read_csv(small_poster.folder / "claims.csv") == found
    assert len(small_poster.tables.rows("baselines")) == 5


def test_numbers_follow_from_the_saved_runs(small_poster):
    for name, (gauge, view) in VIEWS.items():
        run = load_run(small_poster.file(f'view "name":"{name}"', "run.h5"))
        dataset = check(small_poster.file(f'chains "gauge":"{gauge}"' if gauge != "random" else "chains", "chains.h5"))
        assert run.training.view == view
        assert dataset.spec.gauge == gauge
        own = run.accuracy(dataset.test)
        np.testing.assert_allclose(small_poster.tables.columns("accuracy", view=name)["accuracy"], own, atol=1e-6)
        full = small_poster.tables.columns("fig1", view=name, method="svd", size=128)["accuracy"]
        np.testing.assert_allclose(full, own, atol=0.005)


def test_signs_are_reported_for_every_gauge(small_poster):
    found = small_poster.tables.columns("fig4_signs")
    rows = dict(zip(found["gauge"].tolist(), found["accuracy"].tolist(), strict=True))
    assert rows["eigh (LAPACK)"] > 0.9
    assert abs(rows["random"] - 0.5) < 0.06
    assert abs(rows["fixed"] - 0.5) < 0.02


def test_gauges_share_their_chains(small_poster):
    paths = small_poster.file("chains", "chains.h5"), small_poster.file('chains "gauge":"fixed"', "chains.h5")
    random, fixed = map(open_dataset, paths)
    assert (random.spec.gauge, fixed.spec.gauge) == ("random", "fixed")
    np.testing.assert_array_equal(random.test.read("v"), fixed.test.read("v"))


def test_results_of_other_settings_are_not_overwritten(small_poster):
    with pytest.raises(SSHMLError, match="other settings"):
        run("poster", small_poster.folder.parent, {"seeds": 2})


def test_other_chains_and_networks_without_editing_a_file(reproduced):
    """What a user asks for: more cells, tanh, other widths; no verdict, as the source said nothing of them."""
    changes = {"cells": "9", "activation": "tanh", "hidden": "20,6", "views": "random,abs", "disorder": "0.3"}
    sizes = {"seeds": "2", "epochs": "1", "train": "300", "valid": "50", "test": "100"}
    assert settings_of(experiment, changes=changes | sizes).hidden == (20, 6)
    found = reproduced("poster", **changes | sizes)
    assert found.failures == []
    assert {row["verdict"] for row in found.claims} <= {"measured", "not comparable", "not measurable"}
    assert set(found.tables.columns("fig5_disorder")["W"]) == {0, 0.3}
    assert {p.stem for p in found.folder.glob("*.png")} == set(FIGURES)
    assert found.tables.columns("fig1", view="abs", method="svd")["size"].max() == 20


@pytest.mark.filterwarnings("error")
def test_one_view_alone(reproduced):
    sizes = {"seeds": 2, "epochs": 2, "train": 300, "valid": 50, "test": 100, "disorder": ()}
    found = reproduced("poster", hidden=(12, 6), views=("abs",), **sizes)
    assert found.failures == []


def test_another_depth_has_no_second_figure(reproduced):
    sizes = {"seeds": 2, "epochs": 1, "train": 300, "valid": 50, "test": 100, "disorder": (), "views": ("random",)}
    found = reproduced("poster", hidden=(12,), **sizes)
    assert not list(found.folder.glob("fig2*"))
    assert found.failures == []
    assert "P2" not in {row["id"] for row in found.claims}


@pytest.mark.parametrize("change", [{"seeds": 1}, {"views": ("x-ray",)}, {"hidden": ()}, {"cells": 1}, {"epochs": 0}])
def test_bad_settings(change):
    with pytest.raises(SSHMLError):
        Settings(**change)


def test_only_the_posters_own_network_is_the_sources():
    assert Settings().is_source
    assert Settings(seeds=3, epochs=5, seed=2).is_source
    for change in ({"cells": 7}, {"activation": "tanh"}, {"hidden": (128, 32)}, {"weight_decay": 1e-3}, {"v": "0:2"}):
        assert not dataclasses.replace(Settings(), **change).is_source


@pytest.mark.slow
def test_headline_numbers(reproduced):
    """The published numbers, at 4 seeds: about a minute."""
    found = reproduced("poster", seeds=4)
    mean = {(row["id"], row["claim"]): float(row["mean"]) for row in found.claims if row["mean"]}
    assert mean["P1", "rank of layer 1 that keeps 95 % (random signs)"] == pytest.approx(8, abs=1)
    assert mean["P1", "rank of layer 1 that keeps 95 % (density)"] == 1
    assert mean["accuracy", "test accuracy (random)"] > 0.98
    assert mean["accuracy", "test accuracy (fixed)"] > 0.99
