"""One page of results, of a run, of a compressed model."""

import json
import re

import numpy as np
import pytest

from sshml.classifier import load_run, save_run
from sshml.experiments import Where, run


def data_of(path):
    text = path.read_text(encoding="utf-8")
    return json.loads(re.search(r"id=data>(.*?)</script>", text, flags=re.DOTALL)[1])


def test_a_folder_of_results(call, tmp_path):
    small = {"points": 3, "chains": 4, "cells": 10, "cut_cells": (5,), "cut_chains": 4, "seeds": 2, "edge_cells": 10}
    outcome = run("phases", tmp_path / "results", small, where=Where("cpu"))
    code, out, _ = call(tmp_path, "report", "results", "--out", "page.html")
    assert (code, "KiB" in out) == (0, True)
    found = data_of(tmp_path / "page.html")["phases"]
    assert len(found["claims"]) == len(outcome.claims) == 6
    assert found["settings"]["cells"] == 10
    assert len(found["jobs"]) > 5
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert text.count("<svg") == 1
    assert "Share of topological chains among" in text  # the caption
    assert len(text) < 500_000
    before = (tmp_path / "page.html").read_bytes()
    code, _, err = call(tmp_path, "report", "results/phases", "--out", "page.html")
    assert (code, "--force" in err) == (2, True)
    assert call(tmp_path, "report", "results/phases", "--out", "page.html", "--force")[0] == 0
    assert (tmp_path / "page.html").read_bytes() == before  # the one experiment there is

    (tmp_path / "results" / "phases" / "cut.csv").unlink()  # then the picture that was made stands there
    assert call(tmp_path, "report", "results/phases")[0] == 0
    assert "image/png" in (tmp_path / "results" / "phases.html").read_text(encoding="utf-8")


def test_a_run_and_a_model(call, folder, tmp_path):
    code, _, err = call(folder, "report", "run.h5", "--out", tmp_path / "run.html")
    assert code == 0, err
    found = data_of(tmp_path / "run.html")
    assert [row[0] for row in found["members"]] == [0, 1]
    assert "1.weight" in [row[0] for row in found["tensors"]]
    trained = load_run(folder / "run.h5")
    trained.history["valid_accuracy"][:, -1] = np.nan  # a network that stopped before the last epoch
    save_run(trained, tmp_path / "stopped.h5")
    assert call(folder, "report", tmp_path / "stopped.h5")[0] == 0
    best = np.nanmax(trained.history["valid_accuracy"], axis=1)
    assert [row[2] for row in data_of(tmp_path / "stopped.html")["members"]] == pytest.approx(best.tolist())
    arguments = ("compress", "run.h5", tmp_path / "s.h5", "--layer", "0", "--method", "svd", "--rank", 2)
    assert call(folder, *arguments)[0] == 0
    assert call(folder, "report", tmp_path / "s.h5")[0] == 0
    assert data_of(tmp_path / "s.html")["tensors"]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("chains.h5", "sshml-dataset"),
        ("none", "does not exist"),
        (".", "no results"),
        ("note.txt", "no file of sshml"),
    ],
)
def test_what_has_no_page(call, folder, tmp_path, path, words):
    (folder / "note.txt").write_text("none")
    code, out, err = call(folder, "report", path, "--out", tmp_path / "page.html")
    assert (code, out) == (2, "")
    assert words in err
    assert not list(tmp_path.iterdir())
