import numpy as np
import pytest

from sshml.errors import SSHMLError
from sshml.experiments.phases import Settings, crossings, exact_margin, margins

SMALL = {"points": 9, "chains": 20, "cells": 30, "cut_chains": 40, "cut_cells": (10, 20), "seeds": 2, "edge_cells": 400}


@pytest.mark.parametrize(
    ("v", "strength", "ratio"),
    [(1e-300, 4, 0.5), (4 / 3, 4 * 5**0.5 / 3, 0.5), (1e-300, 2 * np.e, 0), (1.50888, 3.62049, 0), (1, 0, 0.5)],
)
def test_known_points_lie_on_the_line(v, strength, ratio):
    assert exact_margin(v, strength, ratio) == pytest.approx(0, abs=2e-5)


def test_the_anderson_insulator():
    signs = [exact_margin(1.12, strength, 0.5) > 0 for strength in (0, 1.856, 1.858, 2.5, 3.625, 3.628, 5)]
    assert signs == [False, False, True, True, True, False, False]


def test_monte_carlo_has_the_exact_mean():
    points = [(0.7, 1.0), (1.12, 2.5), (0.2, 5.0)]
    found = margins(points, 0.5, cells=200, chains=400, seed=1)
    exact = [exact_margin(v, strength, 0.5) for v, strength in points]
    np.testing.assert_allclose(found.mean(axis=1), exact, atol=5 * found.std() / 20)


def test_crossings():
    np.testing.assert_allclose(crossings(np.array([0.0, 1, 2, 3]), np.array([0.0, 1, 1, 0.25])), [0.5, 2 + 2 / 3])


def test_figure_numbers_and_claims(reproduced):
    found = reproduced("phases", **SMALL)
    assert found.failures == []
    assert [row["id"] for row in found.claims] == ["T1", "T2", "T3", "T4", "T5", "T6"]
    assert all(abs(float(row["mean"]) - float(row["published"])) < 0.15 for row in found.claims)
    assert len(found.tables.rows("diagram")) == 2 * 81
    assert {row["cells"] for row in found.tables.rows("cut")} == {"10", "20"}
    assert (found.tables.columns("cut", cells=10)["W_v"] == np.linspace(0, 5, 51).round(6)).all()
    assert (found.folder / "phases.png").stat().st_size > 10000


def test_too_few_of_anything():
    with pytest.raises(SSHMLError, match="2 chains"):
        Settings(chains=1)
