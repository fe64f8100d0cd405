"""Looking at weights on the command line."""

import json

import numpy as np
import pytest

from sshml.classifier import load_run
from sshml.dataset import open_dataset
from sshml.tables import read_csv


@pytest.mark.parametrize("method", ["svd", "mpo", "prune"])
def test_sweep(call, folder, tmp_path, method):
    table, figure = tmp_path / "s.csv", tmp_path / "s.png"
    code, out, _ = call(
        folder,
        "sweep",
        "run.h5",
        "chains.h5",
        "--method",
        method,
        "--out",
        table,
        "--plot",
        figure,
    )
    assert code == 0
    assert "smallest" in out
    rows = read_csv(table)
    assert rows[-1]["removed"] == "0.0"
    assert set(rows[0]) == {"method", "layer", "module", "size", "removed", "bytes", "seed 0", "seed 1"}
    assert (rows[0]["layer"], rows[0]["module"]) == ("0", "1")  # the number asked for, and its name in the network
    assert figure.stat().st_size > 5000


def test_a_threshold_of_each_network(call, folder, tmp_path):
    """Where no network reaches an accuracy, that is said, and what may be lost of its own is asked for instead."""
    run = tmp_path / "r.h5"
    assert call(folder, "train", "chains.h5", run, "--hidden", "8", "--seeds", 2, "--epochs", 12)[0] == 0
    code, out, _ = call(folder, "sweep", run, "chains.h5", "--threshold", 1.1, "--out", tmp_path / "a.csv")
    own = load_run(run).accuracy(open_dataset(folder / "chains.h5").test)
    assert code == 0
    assert "keeps 1.1: none of 2; with the largest, 8: accuracy" in out
    assert f"{own.mean():.4g}" in out
    arguments = ("sweep", run, "chains.h5", "--below", 0.02, "--json", "--out", tmp_path / "b.csv")
    code, out, _ = call(folder, *arguments)
    rows = read_csv(tmp_path / "b.csv")
    assert np.mean([float(rows[1][seed]) for seed in ("seed 0", "seed 1")]) != pytest.approx(own.mean())
    smallest = []
    for seed, whole in zip(("seed 0", "seed 1"), own, strict=True):
        good = [float(row[seed]) >= whole - 0.02 for row in rows]
        smallest.append(len(good) - good[::-1].index(False) + 1 if False in good else 1)
    found = json.loads(out)
    assert found[0]["value"]["mean"] == pytest.approx(np.mean(smallest))
    assert found[1]["value"]["mean"] == pytest.approx(own.mean())


@pytest.mark.parametrize("view", ["states", "projector"])
def test_select(call, folder, tmp_path, view):
    run = tmp_path / "run.h5"
    arguments = ("--view", view, "--hidden", "8", "--seeds", 2, "--epochs", 1)
    assert call(folder, "train", "chains.h5", run, *arguments)[0] == 0
    code, out, _ = call(folder, "select", run, "chains.h5", "--out", tmp_path / "v.png")
    assert code == 0
    assert "Marchenko-Pastur" in out
    assert ("mid-gap" in out) == (view == "states")
    assert (tmp_path / "v.png").stat().st_size > 5000


def test_entanglement_of_a_run_and_of_a_model(call, folder, tmp_path):
    import torch

    from sshml.classifier import load_run

    torch.save(load_run(folder / "run.h5").model().state_dict(), tmp_path / "model.pt")
    torch.save(torch.nn.Linear(4, 4), tmp_path / "pickled.pt")
    options = ("--shape", "2,4:8,8", "--base", 2)
    found = {}
    for name in (folder / "run.h5", tmp_path / "model.pt"):
        figure = tmp_path / f"{name.stem}.png"
        code, found[name.name], _ = call(folder, "entanglement", name, *options, "--out", figure)
        assert code == 0
        assert figure.stat().st_size > 5000
    assert "at initialisation" in found["run.h5"]
    for text in found.values():
        assert "S in bits" in " ".join(text.split())
        assert "4.000" in text  # the ceiling, log2 of 16
        assert "█" in text
    for layer, words in ((("--layer", 3), "0 (1), 1 (3), 2 (5)"), (("--shape", "2,2"), "OUT_DIMS:IN")):
        code, _, err = call(tmp_path, "entanglement", "model.pt", *layer, "--out", "x.png")
        assert code == 2
        assert words in err
    torch.save({"in_proj_weight": torch.ones(3, 3), 0: torch.ones(3, 3)}, tmp_path / "odd.pt")
    for name, words in (("pickled.pt", "no state_dict of tensors"), ("odd.pt", "it has none")):
        code, _, err = call(tmp_path, "entanglement", name, "--out", "x.png")
        assert code == 2
        assert words in err
    torch.save({"weight": torch.randn(1, 7).half()}, tmp_path / "half.pt")
    assert call(tmp_path, "entanglement", "half.pt", "--out", "h.png")[0] == 0
    assert not (tmp_path / "x.png").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("info", "chains.h5"),
        ("sweep", "run.h5", "chains.h5", "--out", "j.csv", "--force"),
        ("select", "run.h5", "chains.h5", "--out", "j.png", "--force"),
        ("entanglement", "run.h5", "--out", "e.png", "--force"),
        ("reproduce", "--list"),
        ("reproduce", "phases", "--list"),
    ],
)
def test_tables_as_json(call, folder, arguments):
    code, out, _ = call(folder, *arguments, "--json")
    assert code == 0
    rows = json.loads(out)
    assert rows
    assert all(isinstance(row, dict) and len(row) == len(rows[0]) for row in rows)
