import sys

import numpy as np
import pytest

from sshml.errors import SSHMLError
from sshml.experiments.wine import FORMS, Settings, among, numbers, split, truncated


def test_counts_are_those_of_the_layers():
    assert numbers("absorbed", 10) == 14 * 10 + 10 * 10 + 33  # at full rank the factors are larger than the layer
    assert numbers("apart", 2) == 13 * 2 + 2 * 10 + 10 + 33
    assert numbers("shrunk, tanh", 2) == numbers("shrunk, linear", 2) == 14 * 2 + 2 * 3 + 3


def test_truncation_is_the_best_approximation(rng):
    matrix = rng.normal(size=(14, 10))
    values = np.linalg.svd(matrix, compute_uv=False)
    for rank in (1, 4, 10):
        left, right = truncated(matrix, rank)
        assert left.shape == (14, rank)
        assert np.linalg.norm(matrix - left @ right) == pytest.approx(np.sqrt((values[rank:] ** 2).sum()), abs=1e-12)


def test_tables_claims_and_figure(reproduced):
    found = reproduced("wine", seeds=3)
    assert found.failures == []
    rows = found.tables.rows("accuracy")
    assert len(rows) == 3 * (1 + 4 * 10)
    for form in FORMS:
        assert len(found.tables.columns("accuracy", form=form)["test"]) == 30
    for seed in range(3):
        full = found.tables.columns("accuracy", form="dense", seed=seed)
        for form in ("absorbed", "apart"):  # at full rank nothing is lost
            same = found.tables.columns("accuracy", form=form, seed=seed, rank=10)
            assert (same["train"], same["test"]) == (full["train"], full["test"])
    claims = {row["claim"]: row for row in found.claims}
    assert claims["numbers of the dense network"]["verdict"] == "does not hold"
    assert claims["numbers at rank 2, bias absorbed"]["verdict"] == "holds"
    assert (found.folder / "wine.png").stat().st_size > 10000


def test_one_split_lies_among_many():
    rule = among(0.9)
    assert rule.test(np.array([0.9, 1.0, 0.95]))
    assert not rule.test(np.array([0.99, 1.0, 0.995]))


def test_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(SSHMLError, match="pip install scikit-learn"):
        split(None, 0, 54, 100)


@pytest.mark.parametrize("change", [{"seeds": 1}, {"test": 2}, {"test": 100}])
def test_bad_settings(change):
    with pytest.raises(SSHMLError):
        Settings(**change)
