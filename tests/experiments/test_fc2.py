import numpy as np
import pytest

from sshml.errors import SSHMLError
from sshml.experiments import fc2
from sshml.tables import read_columns, read_csv

SETTINGS = fc2.Settings(
    seeds=2, epochs=2, batch_size=50, bonds=(2, 4), rivals=(4,), shares=(0.14, 0.3), data=("mnist", "fashion-mnist")
)


def test_numbers_figures_and_claims(small_images, tmp_path):
    claims = fc2.reproduce(tmp_path / "fc2", SETTINGS, "cpu")
    folder = tmp_path / "fc2"
    assert {path.name for path in folder.glob("*.png")} == {"curve.png", "truncated.png"}
    assert read_csv(folder / "claims.csv") == [{k: str(v) for k, v in row.items()} for row in claims]
    assert {row["id"] for row in claims} == {"G1", "Sander", "H5"}
    for row in claims:
        assert (row["verdict"] == "measured") == (row["criterion"] == "")

    curve = read_columns(folder / "curve.csv", data="mnist")
    assert len(curve["test"]) == 2 * 5  # dense, two bonds, two rivals
    assert curve["test"][curve["family"] == "dense"].min() > 0.8
    shares = {family: curve["share"][curve["family"] == family].max() for family in np.unique(curve["family"])}
    assert shares["two matrices"] == pytest.approx(shares["mpo"], rel=0.02)

    truncated = read_columns(folder / "truncated.csv", data="mnist", share="0.3")
    assert set(truncated["method"]) == set(fc2.TRUNCATED)
    svd = truncated["method"] == "svd"
    assert (abs(truncated["dense"] - truncated["truncated"])[svd] < 0.2).all()


def test_sizes_stay_within_the_share():
    import torch

    torch.manual_seed(0)
    weights = torch.randn(2, 256, 784)
    for share in (0.05, 0.3):
        numbers = share * fc2.FC2_DENSE - 2560
        bonds = fc2._size("automatic", numbers, weights)["max_bond"]
        assert 0.99 * numbers <= fc2.FC2_SHAPE.n_parameters(bonds) <= numbers
        assert 1040 * fc2._size("svd", numbers, weights)["rank"] <= numbers
        assert 2 * fc2._size("prune", numbers, weights)["keep"] <= numbers


def test_unknown_data(tmp_path):
    with pytest.raises(SSHMLError, match="choose among mnist, fashion-mnist"):
        fc2.reproduce(tmp_path / "x", fc2.Settings(data=("emnist",)))


def test_the_full_grid_is_that_of_the_source():
    full = fc2.Settings(**fc2.FULL)
    assert set(fc2.PUBLISHED) <= set(full.bonds)
    assert full.seeds == 5
