import pytest

from sshml.errors import SSHMLError
from sshml.experiments import joint_claims, run, write_joint
from sshml.experiments.joint import FIRST

PHASES = {"points": 3, "chains": 4, "cells": 9, "cut_chains": 4, "cut_cells": (5,), "seeds": 2}


@pytest.fixture
def results(tmp_path):
    run("phases", tmp_path, PHASES)
    run("wine", tmp_path, {"seeds": 2})
    return tmp_path


def test_all_claims_are_there_by_experiment(results):
    (results / "notes").mkdir()
    (results / "notes" / "claims.csv").write_text("x\n1\n")  # no results: it has no settings
    rows = joint_claims(results)
    assert {row["experiment"] for row in rows} == {"phases", "wine"}
    path = write_joint(results)
    text = path.read_text()
    assert path == results / "claims.md"
    assert text.startswith(FIRST)
    assert text.index("## phases") < text.index("## wine")
    table = [
        line for line in text.splitlines() if line.startswith("| ") and "---" not in line and "| claim |" not in line
    ]
    assert len(table) == len(rows)
    decided = [row for row in rows if row["criterion"]]
    holds = sum(row["verdict"] == "holds" for row in decided)
    assert f"{len(decided)} comparisons" in text
    assert f"{holds} holds" in text
    assert all(line.count(" | ") == 6 for line in table)
    assert write_joint(results).read_text() == text


def test_what_others_wrote_stays(results):
    (results / "claims.md").write_text("my notes")
    with pytest.raises(SSHMLError, match="is not of sshml"):
        write_joint(results)
    assert (results / "claims.md").read_text() == "my notes"


def test_nothing_to_write(tmp_path):
    with pytest.raises(SSHMLError, match="no claims"):
        write_joint(tmp_path)
    with pytest.raises(SSHMLError, match="no folder"):
        joint_claims(tmp_path / "none")
