import copy

import pytest
import torch
from torch import nn

from sshml.compression import (
    LowRankLinear,
    MaskedLinear,
    compress,
    find_layer,
    linear_layers,
    n_bytes,
    n_parameters,
)
from sshml.errors import SSHMLError


class Branched(nn.Module):
    def __init__(self):
        super().__init__()
        self.left = nn.Sequential(nn.Linear(6, 8), nn.ReLU())
        self.right = nn.Linear(6, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        return self.head(self.left(x) * self.right(x))


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Branched()


def test_layers_are_found_by_name_and_number(model):
    assert list(linear_layers(model)) == ["left.0", "right", "head"]
    assert find_layer(model, 1) == find_layer(model, "right") == "right"
    assert find_layer(model, -1) == "head"


@pytest.mark.parametrize("layer", [3, -4, "left", "x", None, True, 1.0])
def test_unknown_layers_are_answered_with_those_there_are(model, layer):
    with pytest.raises(SSHMLError, match=r"0 \(left.0\), 1 \(right\), 2 \(head\)"):
        compress(model, layer, "svd", rank=1)


def test_one_layer_is_replaced_in_a_copy(model):
    before = copy.deepcopy(model.state_dict())
    small = compress(model, "left.0", "svd", rank=2)
    assert isinstance(small.left[0], LowRankLinear)
    assert isinstance(model.left[0], nn.Linear)
    assert all(torch.equal(model.state_dict()[name], before[name]) for name in before)
    twin = copy.deepcopy(model)
    twin.left[0] = small.left[0].to_dense()
    x = torch.rand(4, 6)
    torch.testing.assert_close(small(x), twin(x))


def test_several_layers_and_methods(model):
    small = compress(compress(model, [0, 1], "svd", rank=2), "head", "prune", keep=5)
    assert [type(layer) for layer in linear_layers(small).values()] == [LowRankLinear, LowRankLinear, MaskedLinear]
    assert n_parameters(small) == 2 * (2 * 14 + 8) + 5 + 3
    assert n_bytes(small) == 4 * n_parameters(small) + 5 * 2


def test_a_bare_layer_is_a_model():
    assert isinstance(compress(nn.Linear(6, 6), 0, "svd", rank=1), LowRankLinear)


def test_inside_a_transformer():
    model = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    for layer in ("linear1", "self_attn.out_proj"):
        assert compress(model, layer, "svd", rank=2)(torch.rand(1, 3, 8)).shape == (1, 3, 8)


def test_a_shared_layer_stays_shared():
    shared = nn.Linear(6, 6)
    small = compress(nn.Sequential(shared, nn.ReLU(), shared), 0, "svd", rank=1)
    assert isinstance(small[0], LowRankLinear)
    assert small[0] is small[2]


def test_bad_input(model):
    with pytest.raises(SSHMLError, match="svd, mpo, prune"):
        compress(model, 0, "jpeg")
    with pytest.raises(SSHMLError, match=r"takes rank=...; got keep"):
        compress(model, 0, "svd", keep=3)
    with pytest.raises(SSHMLError, match="got nothing"):
        compress(model, 0, "prune")
    with pytest.raises(SSHMLError, match="LowRankLinear already"):
        compress(compress(model, 0, "svd", rank=1), 0, "svd", rank=1)
    with pytest.raises(SSHMLError, match="it has none"):
        compress(nn.ReLU(), 0, "svd", rank=1)


def test_half_precision_does_not_grow_unseen():
    """Indices stay 4 bytes where values shrink to 2."""
    model = nn.Sequential(nn.Linear(300, 300)).bfloat16()
    with pytest.raises(SSHMLError, match="allow_growth"):
        compress(model, 0, "prune", keep=45000)
    assert n_bytes(compress(model, 0, "prune", keep=45000, allow_growth=True)) > n_bytes(model)
    assert n_bytes(compress(model, 0, "prune", keep=20000)) < n_bytes(model)
