import pytest
import torch

from sshml.compression import MPOLinear, n_parameters
from sshml.errors import SSHMLError
from sshml.experiments import deep

SMALL = {"seeds": 2, "epochs": 1, "train": 40, "valid": 20}


def test_counts_trainings_and_claims(small_images, reproduced, monkeypatch):
    monkeypatch.setattr(deep, "NETWORKS", {name: deep.NETWORKS[name] for name in ("resnet20-1", "densenet40")})
    found = reproduced("deep", **SMALL)
    assert found.failures == []
    sizes = found.tables.columns("sizes", network="densenet40")
    assert sizes["parameters"].tolist() == [1019722, 1019722 - 4480 + 576]
    assert sizes["MFLOP"] == pytest.approx(529.6, abs=0.1)
    assert len(found.tables.columns("accuracy", network="resnet20-1", form="mpo")["test"]) == 2
    by_claim = {row["claim"]: row for row in found.claims}
    assert by_claim["weights of the MPOs over those they replace, DenseNet-40, k = 12"]["verdict"] == "holds"
    assert {row["verdict"] for row in found.claims} == {"holds", "measured"}
    assert (found.folder / "accuracy.png").is_file()


@pytest.mark.parametrize("name", deep.NETWORKS)
def test_mpo_forms_have_the_published_share(name):
    """The layers that become MPOs, and the convolutions that become linear layers before, are those counted."""
    network = deep.NETWORKS[name]
    with torch.device("meta"):
        dense = deep.factory(name, "dense", 3)()
    mpo = deep.factory(name, "mpo", 3)()
    layers = [m for m in mpo.modules() if isinstance(m, MPOLinear)]
    cores = sum(p.numel() for m in layers for key, p in m.named_parameters() if key != "bias")
    weights, counted = deep.replaced_weights(name)
    assert cores == counted
    norms = 2 * 2 * (2048 - 512) if network.flat else 0  # of 2048 numbers in the place of 512 channels
    assert n_parameters(dense) - n_parameters(mpo) == weights - cores - norms
    if network.rho:
        assert cores / weights == pytest.approx(network.rho, rel=0.08)


def test_the_schedule_keeps_the_proportions_of_the_source():
    assert deep.Settings(**deep.FULL).training() == deep.dataclasses.replace(deep.RECIPE, precision="bf16")
    assert deep.Settings(epochs=13).training().decay_every == 2
    assert deep.Settings(epochs=2).training().decay_every == 1


def test_only_the_source_is_compared_with_the_source():
    assert deep.Settings(**deep.FULL).unlike == ""
    assert "Fashion-MNIST at 32 x 32, 2 epochs" in deep.Settings().unlike
    assert "CIFAR-10, 10 epochs" in deep.Settings(data="cifar-10", epochs=10).unlike
    assert "325 epochs of 100 images" in deep.Settings(**deep.FULL | {"train": 100}).unlike


@pytest.mark.parametrize(
    ("change", "word"),
    [({"seeds": 1}, "error bars"), ({"data": "mnist"}, "choose"), ({"trained": ("vgg",)}, "unknown")],
)
def test_settings_that_cannot_be(change, word):
    with pytest.raises(SSHMLError, match=word):
        deep.Settings(**change)
