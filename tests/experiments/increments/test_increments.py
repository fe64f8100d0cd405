import numpy as np
import pytest

from sshml.errors import SSHMLError
from sshml.experiments import increments


def test_numbers_figures_and_claims(small_images, reproduced):
    found = reproduced(
        "increments", seeds=2, epochs=2, batch_size=50, valid=100, noise=(0.0, 0.4), shares=(0.3,), lenet_epochs=1
    )
    assert found.failures == []
    assert {path.stem for path in found.folder.glob("*.png")} == {"entropies", "gains"}
    entropies = found.tables.columns("entropies", order="flat", of="change", epoch="last", noise=0.0)
    assert set(entropies["cut"]) == set(range(1, 14))
    middle = entropies["entropy"][entropies["cut"] == 8]
    assert (middle <= np.log(256)).all()
    of_best, of_last = (
        found.tables.columns("denoised", way="shrunk", epoch=epoch, noise=0.4)["accuracy"] for epoch in ("best", "last")
    )
    assert len(of_best) == len(of_last) == 2
    assert not any(row["verdict"] == "not measurable" for row in found.claims)
    decided = [row["claim"] for row in found.claims if row["criterion"]]
    assert len(decided) == 3 + 2
    lost = found.tables.columns("blocks")
    assert set(zip(lost["network"], lost["way"], strict=True)) == {
        (network, way) for network in ("FC2", "LeNet-5") for way in ("svd", "blocks")
    }


def test_the_full_size_shares_networks_with_the_experiment_of_lenet5():
    full = increments.Settings(**increments.FULL)
    needed = {need.key for job in increments.jobs(full) for need in job.needs.values()}
    other = increments.lenet5
    assert needed & {job.key for job in other.jobs(other.Settings(**other.FULL))}


@pytest.mark.parametrize("change", [{"networks": ("x",)}, {"data": ("cifar-10",)}, {"noise": (1.0,)}, {"seeds": 1}])
def test_bad_settings(change):
    with pytest.raises(SSHMLError):
        increments.Settings(**change)
