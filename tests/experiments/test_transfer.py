import pytest
import torch

from sshml.errors import SSHMLError
from sshml.experiments.transfer import STRONG, Convolutional, Settings

SMALL = {
    "cells": 8, "window": 4, "strengths": (0.5, 2.0), "train": 300, "test": 120, "epochs": 2, "components": 3,
    "datasets": 2, "seeds": 2,
}  # fmt: skip


def test_the_network_sees_a_square():
    assert Convolutional(8)(torch.zeros(3, 8, 8)).shape == (3, 2)


def test_tables_claims_and_figure(reproduced):
    found = reproduced("transfer", **SMALL)
    assert found.failures == []
    rows = found.tables.rows("accuracy")
    assert len(rows) == 2 * 2 * (1 + 2 * 2)
    assert {row["kind"] for row in rows} == {"clean", "hopping", "onsite"}
    overlaps = found.tables.columns("overlap", kind="onsite")
    assert ((overlaps["overlap"] > 0) & (overlaps["overlap"] <= 1)).all()
    assert ((overlaps["captured"] > 0) & (overlaps["captured"] <= 1)).all()
    claims = {row["claim"]: row for row in found.claims}
    difference = next(
        row for name, row in claims.items() if "hopping less on-site disorder" in name and "accuracy" in name
    )
    means = []
    for kind in ("hopping", "onsite"):
        columns = found.tables.columns("accuracy", kind=kind)
        means.append(columns["accuracy"][columns["strength"] >= STRONG].mean())
    assert float(difference["mean"]) == pytest.approx(means[0] - means[1], abs=1e-3)
    assert difference["verdict"] in ("holds", "does not hold")
    assert (found.folder / "transfer.png").stat().st_size > 10000
    points = found.tables.columns("points", kind="clean")
    assert len(points["first"]) == 120


@pytest.mark.parametrize(
    "change",
    [{"window": 5}, {"window": 40}, {"cells": 7}, {"seeds": 1}, {"strengths": (0.5,)}, {"strengths": (0.0, 2.0)}],
)
def test_bad_settings(change):
    with pytest.raises(SSHMLError):
        Settings(**change)
