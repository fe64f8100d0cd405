import pytest

from sshml.errors import SSHMLError
from sshml.experiments.disorder import NETWORKS, RULES, Settings

SMALL = {
    "cells": 4, "strengths": (0.0, 1.0), "chains": (200, 600), "epochs": (1, 1), "test": 300, "lengths": (3,),
    "others": True,
}  # fmt: skip


def test_tables_claims_and_figure(reproduced):
    found = reproduced("disorder", **SMALL)
    assert found.failures == []
    rows = found.tables.rows("accuracy")
    assert {row["network"] for row in rows} == set(NETWORKS)
    assert len(rows) == 2 * 2 * 5 * (2 + 2 + 1) * (2 + 2)  # datasets, seeds, networks, trainings, tests
    assert {row["rule"] for row in found.tables.rows("rules")} == set(RULES)
    exact = found.tables.columns("rules", rule="all states")
    assert (exact["accuracy"] >= 0.99).all()
    levels = found.tables.columns("levels", cells=4, strength=1.0, law="uniform")
    assert set(levels["level"]) == {4, 5, 6, 7}
    assert (levels["condition"] >= 2).all()
    verdicts = {row["verdict"] for row in found.claims if row["id"] == "D4"}
    assert verdicts <= {"holds", "does not hold"}
    assert not any(row["verdict"] == "not measurable" for row in found.claims)
    assert not list(found.folder.parent.rglob("chains.h5"))


@pytest.mark.parametrize(
    "change",
    [{"datasets": 1}, {"chains": (5000, 100)}, {"epochs": (1,)}, {"strengths": (0.0, 2.0)}, {"strengths": (1.0, 1.0)}],
)
def test_bad_settings(change):
    with pytest.raises(SSHMLError):
        Settings(**change)
