import json

import pytest

from sshml.tables import read_csv

SMALL = "points=4 chains=8 cells=20 cut_chains=8 cut_cells=10 seeds=2 edge_cells=40".split()
CHANGES = [word for change in SMALL for word in ("--set", change)]


@pytest.fixture
def phases(call, tmp_path):
    """Run the phase diagram small; return (code, stdout, stderr)."""

    def run(*arguments):
        return call(tmp_path, "reproduce", "phases", *CHANGES, "--workers", 1, *arguments)

    return run


def test_an_experiment_prints_its_claims_and_where_they_are(phases, tmp_path):
    code, out, err = phases()
    assert code == 0
    assert "9 of 9 jobs with 1 worker, about" in err
    assert "9/9 jobs" in err
    assert out.count("Mondragon") == 6
    assert "results/phases: 6 claims in claims.csv" in out
    assert len(read_csv(tmp_path / "results" / "phases" / "claims.csv")) == 6
    code, out, err = phases()  # all is there
    assert code == 0
    assert err.strip() == ""


def test_claims_as_json(phases):
    code, out, _ = phases("--json")
    rows = json.loads(out)
    assert code == 0
    assert [row["id"] for row in rows] == ["T1", "T2", "T3", "T4", "T5", "T6"]
    assert {row["experiment"] for row in rows} == {"phases"}


def test_parts_and_then_the_whole(phases, tmp_path):
    for part in ("1/2", "2/2"):
        code, out, _ = phases("--part", part)
        assert code == 0
        assert f"part {part[0]} of 2" in out
    assert not (tmp_path / "results" / "phases").exists()
    code, out, err = phases()
    assert code == 0
    assert "jobs with" not in err
    assert "verdict" in out
    assert "criterion" not in out  # there is no room for it, claims.csv has it


def test_figures_anew(phases, call, tmp_path):
    phases()
    figure = tmp_path / "results" / "phases" / "phases.png"
    before = figure.read_bytes()
    figure.unlink()
    code, out, _ = call(tmp_path, "reproduce", "phases", "--redraw")
    assert code == 0
    assert "claims.csv" in out
    assert figure.read_bytes() == before


def test_other_settings_need_another_folder(phases, call, tmp_path):
    phases()
    code, _, err = call(tmp_path, "reproduce", "phases")
    assert code == 2
    assert "other settings" in err


def test_images_that_are_not_there_fail_job_by_job(call, tmp_path):
    code, _, err = call(tmp_path, "reproduce", "lenet5", "--root", "nowhere", "--workers", 1, "--device", "cpu")
    lines = [line for line in err.splitlines() if line.startswith("sshml: ")]
    assert code == 1
    assert "3 jobs that need them were left out" in lines[1]
    assert "and 1 more: MNIST: " in lines[0]
    assert "holds no train-images-idx3-ubyte" in lines[0]


def test_the_list_says_what_there_is(call, tmp_path):
    code, out, _ = call(tmp_path, "reproduce", "--list")
    assert code == 0
    assert all(name in out for name in ("poster", "fc2", "lenet5", "entanglement", "phases"))
    code, out, _ = call(tmp_path, "reproduce", "fc2", "--list")
    assert "tuning_epochs" in out
    assert "2,4,6,8,10,12,14,16,18,20,22,24" in out.replace("\n", "")
    code, out, _ = call(tmp_path, "reproduce", "all", "--list")
    assert "tuning_epochs" in out
    assert "cut_cells" in out
    assert list(tmp_path.iterdir()) == []


def test_several_experiments_have_one_table(call, tmp_path):
    """All claims that a rule decides are printed, and written beside the folders of the experiments."""
    sizes = ("points=3", "chains=4", "cells=9", "cut_chains=4", "cut_cells=5", "seeds=2")
    assert call(tmp_path, "reproduce", "phases", *(word for size in sizes for word in ("--set", size)))[0] == 0
    assert not (tmp_path / "results" / "claims.md").exists()
    assert call(tmp_path, "reproduce", "wine", "--set", "seeds=2")[0] == 0
    code, out, _ = call(tmp_path, "reproduce", "phases", "wine", "--redraw")
    assert code == 0
    assert "claims.md: the claims of all experiments" in out
    text = (tmp_path / "results" / "claims.md").read_text()
    assert "## phases" in text
    assert "## wine" in text
    (tmp_path / "results" / "claims.md").write_text("my notes")
    code, out, err = call(tmp_path, "reproduce", "phases", "wine", "--redraw")
    assert (code, err.count("\n")) == (1, 1)
    assert "is not of sshml" in err
    assert "claims in claims.csv" in out
