import pytest
import torch
from torch import nn

from sshml.compression import Choice, Plan, compress, n_bytes
from sshml.errors import SSHMLError
from sshml.experiments import lowrank
from sshml.experiments.lowrank import _loaded


def test_every_way_at_its_share(small_images, reproduced):
    settings = {"seeds": 2, "epochs": 2, "batch_size": 50, "valid": 100, "networks": ("fc2",)}
    found = reproduced("lowrank", **settings, shares=(0.2,))
    assert found.failures == []
    assert (found.folder / "lowrank.png").exists()
    for way in lowrank.WAYS:
        table = found.tables.columns("networks", network="fc2", way=way, share=0.2)
        assert len(table["accuracy"]) == 2
        assert ((table["used"] > 0.15) & (table["used"] <= 0.2)).all()
    assert found.tables.columns("networks", network="fc2", way="dense", share=1)["used"].tolist() == [1, 1]
    assert len(found.tables.columns("stable", network="fc2")["epoch"]) >= 1
    (line,) = (
        line
        for line in lowrank._draw(found.tables, lowrank.Settings(**settings, shares=(0.2,))).axes[0].get_lines()
        if line.get_label() == "dense"
    )
    dense = found.tables.columns("networks", network="fc2", way="dense", share=1)["accuracy"]
    assert line.get_ydata()[0] == pytest.approx(dense.mean())
    control = [row for row in found.claims if row["id"] == "control"]
    assert len(control) == 1


@pytest.mark.parametrize("name", lowrank.NETWORKS)
@pytest.mark.parametrize("share", [0.4, 0.1])
def test_ranks_fill_their_share(name, share):
    model = lowrank.network(name)
    ranks = lowrank.even_ranks(model, share)
    small = compress(model, Plan({layer: Choice("svd", {"rank": rank}) for layer, rank in ranks.items()}))
    assert len(set(ranks.values())) == 1
    assert 0.94 * share < n_bytes(small) / n_bytes(model) <= share
    assert type(small[-1]) is torch.nn.Linear


def test_ranks_of_the_published_share():
    """At 13.5 % of 784-500x4-10 an even rank is about 35 (published: 27, 40, 37, 38)."""
    assert set(lowrank.even_ranks(lowrank.network("dlrt"), 0.135).values()) == {34}


def test_bad_settings():
    with pytest.raises(SSHMLError, match="unknown here"):
        lowrank.Settings(networks=("vgg",))
    with pytest.raises(SSHMLError, match="above 0 and below 1"):
        lowrank.Settings(shares=(1.0,))


def test_a_member_is_loaded_into_the_network():
    model = nn.Linear(3, 2)
    state = {"weight": torch.randn(4, 2, 3), "bias": torch.randn(4, 2)}
    assert _loaded(model, state, 2) is model
    torch.testing.assert_close(model.weight.detach(), state["weight"][2])
    torch.testing.assert_close(model.bias.detach(), state["bias"][2])
