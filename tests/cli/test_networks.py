"""Training and evaluating on the command line."""

import json

from sshml.classifier import load_run


def test_a_recipe_by_options(call, folder, tmp_path):
    run, figure = tmp_path / "run.h5", tmp_path / "curves.png"
    options = ("--optimizer", "sgd", "--momentum", 0.9, "--schedule", "steps", "--decay", 0.5, "--decay-every", 2)
    more = ("--patience", 2, "--label-smoothing", 0.1, "--clip", 1, "--warmup", 0.5, "--average", 0.9)
    arguments = ("--seeds", 2, "--epochs", 3, "--hidden", 4, "--plot", figure, *options, *more)
    code, out, _ = call(folder, "train", "chains.h5", run, *arguments)
    assert code == 0
    assert "validation" in out
    assert figure.stat().st_size > 5000
    training = load_run(run).training
    assert (training.optimizer, training.momentum, training.decay, training.average) == ("sgd", 0.9, 0.5, 0.9)
    code, _, err = call(folder, "train", "chains.h5", tmp_path / "b.h5", "--momentum", 0.9)
    assert code == 2
    assert "of sgd, not of adam" in err
    code, _, err = call(folder, "train", "chains.h5", tmp_path / "b.h5", "--plot", figure)
    assert code == 2
    assert "exists" in err
    assert not (tmp_path / "b.h5").exists()


def test_evaluate(call, folder, tmp_path):
    figure = tmp_path / "e.png"
    code, out, _ = call(folder, "evaluate", "run.h5", "chains.h5", "--plot", figure)
    assert code == 0
    assert "label 1 taken for 0" in out
    assert figure.stat().st_size > 5000
    assert call(folder, "generate", tmp_path / "other.h5", "--cells", 4, "--train", 50, "--test", 60)[0] == 0
    code, out, _ = call(folder, "evaluate", "run.h5", "chains.h5", tmp_path / "other.h5", "--json", "--split", "valid")
    rows = json.loads(out)
    assert code == 0
    assert {row["data"] for row in rows} == {"chains.h5", str(tmp_path / "other.h5")}
    found = {row["quantity"]: row for row in rows if row["data"] == "chains.h5"}
    assert found["disorder strengths"]["mean ± std over seeds"] == {"v": 0.2, "w": 0}
    assert found["accuracy"]["samples"] == 50
    assert 0 <= found["accuracy"]["mean ± std over seeds"]["mean"] <= 1


def test_data_of_other_labels_or_sizes_are_refused(call, folder, tmp_path):
    longer = tmp_path / "longer.h5"
    assert call(folder, "generate", longer, "--cells", 4, "--j3", "0:1", "--j4", "0:1", "--train", 50)[0] == 0
    code, _, err = call(folder, "evaluate", "run.h5", longer)
    assert code == 2
    assert "winding numbers (-1, 0, 1, 2)" in err
    code, _, err = call(folder, "evaluate", "run.h5", "chains.h5", "--split", "all")
    assert code == 2
    assert "choose one of train, valid, test" in err


def test_views_of_parts(call, folder, tmp_path):
    """The width of the network follows from the view; a view that the chains do not have is one line."""
    view = ("--view", "states/levels=2,5/signs=pairs", "--flip-signs")
    options = ("--hidden", "4", "--seeds", 1, "--epochs", 1, "--device", "cpu")
    assert call(folder, "train", "chains.h5", tmp_path / "a.h5", *view, *options)[0] == 0
    run = load_run(tmp_path / "a.h5")
    assert run.training.view == "states/levels=2,5/signs=pairs"
    assert run.weights["1.weight"].shape[-1] == 2 * 8
    code, _, err = call(folder, "train", "chains.h5", tmp_path / "b.h5", "--view", "states/levels=8", *options)
    assert (code, err.count("\n")) == (2, 1)
    assert "the chains have 8" in err
    code, _, err = call(folder, "select", tmp_path / "a.h5", "chains.h5", "--out", tmp_path / "s.png")
    assert (code, err.count("\n")) == (2, 1)
    assert "not all levels and sites" in err
