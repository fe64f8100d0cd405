import numpy as np
import pytest
import torch

from sshml.analysis import level_directions
from sshml.chain import critical_states, fixed_signs
from sshml.classifier import load_run
from sshml.dataset import open_dataset
from sshml.errors import SSHMLError
from sshml.experiments import Result, Where, ranks
from sshml.experiments.experiment import plain
from sshml.tables import read_csv

SMALL = {"datasets": 2, "seeds": 2, "epochs": 3, "train": 2000, "valid": 300, "test": 600}


def test_tables_figures_and_claims(reproduced):
    names = ("the poster's", "level 9 alone", "2 signs", "|v - w| > 0.1")
    found = reproduced("ranks", **SMALL, settings=names)
    assert found.failures == []
    assert {path.stem for path in found.folder.glob("*.png")} == {"formula", "mechanism"}
    rows = read_csv(found.folder / "ranks.csv")
    assert len(rows) == 4 * 2 * 2
    alone = found.tables.columns("ranks", setting="level 9 alone")
    assert alone["of_level"].max() > 0.8
    norms = found.tables.columns("norms", setting="2 signs")
    assert set(norms["group"]) == {0, 1}
    by_setting = {row["claim"]: row for row in found.claims}
    decided = [row["id"] for row in found.claims if row["source"] == ranks.FORMULA]
    assert sorted(decided) == ["F1"] * 3 + ["F4"] + ["F5"] * 3  # not for the gap
    own = by_setting["rank of layer 1 that keeps 95 %, means of 2 datasets"]
    assert (own["seeds"], own["source"]) == (2, ranks.SOURCE)


def test_chains_of_a_gap_have_it(tmp_path):
    spec = ranks.Settings(**SMALL).chains("|v - w| > 0.1", 1)
    ranks.chains(Where(folder=tmp_path), **plain(spec))
    data = open_dataset(tmp_path / ranks.FILE)
    assert (len(data.train), len(data.valid), len(data.test)) == (2000, 300, 600)
    v, w = data.train.read(("v", "w"))
    assert abs(v[:, 0] - w[:, 0]).min() > 0.1
    assert (v == v[:, :1]).all()
    assert 0.4 < data.train.read("winding").mean() < 0.6


def test_the_formula_is_right_by_none_or_one_more(tmp_path):
    class Table:
        def columns(self, name, **where):
            return {"rank": np.array([8, 9, 10, np.nan, 7]), "predicted": np.array([8, 8, 8, 8, 8])}

    assert ranks.is_right(Table(), "any").tolist() == [1, 1, 0, 0, 0]


def test_two_numbers_a_sample_are_the_projection(tmp_path):
    """The accuracy of W P, P the projection on a level's two directions, by networks with that weight."""
    spec = ranks.Settings(**SMALL).chains("levels 6, 9", 0)
    ranks.chains(Where(folder=tmp_path), **plain(spec))
    view = ranks.SETTINGS["levels 6, 9"]["view"]
    made = Result({}, tmp_path)
    training = {"epochs": 2, "view": view}
    ranks.networks(Where("cpu", folder=tmp_path), made, training, (16, 8), "relu", 2)
    data, run = open_dataset(tmp_path / ranks.FILE), load_run(tmp_path / ranks.RUN)
    rows, norms = ranks._directions(data, run)
    alone, levels = [float(row["of_level"]) for row in rows], [row["level"] for row in rows]
    assert [(row["seed"], row["group"]) for row in norms] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    even = critical_states(16)[0]
    even = (even * fixed_signs(even)[:, None])[[6, 9]]
    seen = data.valid.inputs(view="states/levels=6,9/signs=none")
    f, g = level_directions(seen, even, np.array([6, 9]))
    models = run.models()
    for model, level in zip(models, levels, strict=True):
        basis = np.stack([f, g], 1).reshape(2, 2, -1)[level]
        weight = model[1].weight.detach().double().numpy()
        model[1].weight.data = torch.from_numpy(weight @ basis.T @ basis).float()
    np.testing.assert_allclose(run.with_models(models).accuracy(data.test), alone, atol=0.005)


def test_settings_that_cannot_be():
    with pytest.raises(SSHMLError, match="choose among the poster's"):
        ranks.Settings(settings=("N = 1",))
    with pytest.raises(SSHMLError, match="error bars"):
        ranks.Settings(datasets=1)
    assert set(ranks.OUTSIDE) < set(ranks.SETTINGS)
    assert set(ranks.Settings().settings) < set(ranks.FULL["settings"])


def test_the_most_susceptible_level_is_the_first_of_the_bulk():
    """Levels 6 and 9 of 16: not the edge states 7 and 8, which move less at w = v."""

    class Table:
        def columns(self, name, **where):
            norms = np.ones((4, 16))
            norms[0, 6] = norms[1, 9] = norms[2, 7] = norms[3, 5] = 2
            seed, group = np.indices(norms.shape)
            return {"seed": seed.ravel(), "group": group.ravel(), "f": norms.ravel()}

    assert ranks.reads_susceptible(Table(), "any").tolist() == [1, 1, 0, 0]
