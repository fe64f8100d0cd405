import numpy as np
import pytest

from sshml.errors import SSHMLError
from sshml.experiments import increments


class Split:
    labels = np.arange(1000) % 10

    def inputs(self, view=None):
        return np.zeros((1000, 2), np.float32)


def test_a_share_of_the_labels_is_drawn_anew():
    found = increments.noisy(Split(), 0.4)
    assert len(found) == 1000
    assert (found.labels != Split.labels).mean() == pytest.approx(0.36, abs=0.04)
    assert (increments.noisy(Split(), 0.4).labels == found.labels).all()
    assert (increments.noisy(Split(), 0.0).labels == Split.labels).all()
    assert found.inputs().shape == (1000, 2)


@pytest.mark.parametrize(("name", "layer"), [(n, layer) for n, shapes in increments.SHAPES.items() for layer in shapes])
def test_shapes_fit_the_layers(name, layer):
    widths, number = increments.WIDTHS[name], (int(layer) - 1) // 2
    for shape in (increments.SHAPES[name][layer], increments.flat_shape(widths[number + 1], widths[number])):
        assert (shape.out_features, shape.in_features) == (widths[number + 1], widths[number])


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
