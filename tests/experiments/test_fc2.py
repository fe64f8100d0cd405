import numpy as np
import pytest
import torch

from sshml.errors import SSHMLError
from sshml.experiments import fc2
from sshml.tables import read_csv

SETTINGS = {"seeds": 2, "epochs": 2, "batch_size": 50, "valid": 100, "bonds": (2, 4), "rivals": (4,)}


def test_numbers_figures_and_claims(small_images, reproduced):
    found = reproduced("fc2", **SETTINGS, data=("mnist",), shares=(0.14, 0.3))
    assert found.failures == []
    assert {path.name for path in found.folder.glob("*.png")} == {"curve.png", "truncated.png"}
    assert read_csv(found.folder / "claims.csv") == [{k: str(v) for k, v in row.items()} for row in found.claims]
    assert {row["id"] for row in found.claims} == {"G1", "Sander", "H5"}
    said = {
        row["claim"].split(" of ")[0]: row["criterion"] for row in found.claims if row["published"].startswith("0.0")
    }
    assert said == {"accuracy lost at 30%": "mean <= 0.01", "accuracy lost at 14%": "mean <= 0.05"}
    for row in found.claims:
        assert (row["verdict"] == "measured") == (row["criterion"] == "")
        assert (row["verdict"] == "not comparable") == (row["unlike"] == "2 epochs; 50 are needed")
    assert {row["verdict"] for row in found.claims if row["source"] == "Gao et al. 2020"} == {"not comparable"}

    curve = found.tables.columns("curve", data="mnist")
    assert len(curve["test"]) == 2 * 7  # dense, two bonds, four rivals
    assert curve["test"][curve["family"] == "dense"].min() > 0.8
    shares = {family: curve["share"][curve["family"] == family].max() for family in np.unique(curve["family"])}
    for family in ("two matrices", "two sites", "three sites", "five sites"):
        assert 0.7 * shares["mpo"] < shares[family] <= 1.02 * shares["mpo"]

    ax = fc2._curve_figure(found.tables, fc2.Settings(**SETTINGS, data=("mnist",), shares=(0.14, 0.3))).axes[0]
    (dense,) = (line for line in ax.get_lines() if line.get_label() == "dense")
    np.testing.assert_allclose(dense.get_ydata(), 1 - curve["test"][curve["family"] == "dense"].mean(), atol=1e-12)
    drawn = {bars.get_label(): bars.lines[0].get_data() for bars in ax.containers}
    for family, label in fc2.LABELS.items():
        mine = curve["family"] == family
        x, y = drawn[label]
        np.testing.assert_allclose(x, np.unique(curve["share"][mine]))
        np.testing.assert_allclose(y, [1 - np.median(curve["test"][mine & (curve["share"] == share)]) for share in x])

    truncated = found.tables.columns("truncated", data="mnist", share=0.3)
    assert set(truncated["method"]) == set(fc2.TRUNCATED)
    svd = truncated["method"] == "svd"
    assert (abs(truncated["dense"] - truncated["truncated"])[svd] < 0.2).all()
    alone = found.tables.columns("truncated", data="mnist", method="dense")
    np.testing.assert_array_equal(alone["dense"], alone["truncated"])


def test_nothing_to_truncate_is_no_reason_to_lose_the_training(small_images, reproduced):
    found = reproduced("fc2", **SETTINGS | {"epochs": 1}, shares=())
    assert len(found.tables.columns("curve")["test"]) == 2 * 14
    assert found.failures == []


def test_truncated_networks_are_trained_further_at_a_fifth_of_the_rate():
    rates = {job.arguments["training"].learning_rate for job in fc2.jobs(fc2.Settings()) if "method" in job.arguments}
    assert rates == {fc2.Settings().learning_rate / 5}


def test_sizes_stay_within_the_share():
    torch.manual_seed(0)
    weights = torch.randn(2, 256, 784)
    for share in (0.05, 0.3):
        numbers = share * fc2.FC2_DENSE - 2560
        bonds = fc2._size("automatic", numbers, weights)["max_bond"]
        assert 0.99 * numbers <= fc2.FC2_SHAPE.n_parameters(bonds) <= numbers
        assert 1040 * fc2._size("svd", numbers, weights)["rank"] <= numbers
        assert 2 * fc2._size("prune", numbers, weights)["keep"] <= numbers


def test_unknown_data():
    with pytest.raises(SSHMLError, match="choose among mnist, fashion-mnist"):
        fc2.Settings(data=("emnist",))
    with pytest.raises(SSHMLError, match="an SVD of rank 1, to 1"):
        fc2.Settings(shares=(0.013, 0.3))
    assert fc2._size("svd", 0.018 * fc2.FC2_DENSE - fc2.FC2_HEAD, None) == {"rank": 1}


def test_the_full_grid_is_that_of_the_source():
    full = fc2.Settings(**fc2.FULL)
    assert set(fc2.PUBLISHED) <= set(full.bonds)
    assert full.seeds == 5
