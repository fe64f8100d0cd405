import copy

import pytest
import torch
from torch import nn

from sshml.compression import compress
from sshml.compression.modules import copied, evaluating, leaves_chance_alone
from sshml.errors import SSHMLError


def test_hooks_modes_and_frozen_weights_go_along():
    seen = []
    model = nn.Sequential(nn.Linear(6, 6), nn.Dropout(), nn.Linear(6, 6)).train()
    model[0].register_forward_hook(lambda module, args, out: out + 1)
    model[2].register_forward_pre_hook(lambda module, args: seen.append(len(args)))
    model.register_forward_hook(lambda module, args, out: 2 * out)
    model[0].weight.requires_grad_(False)
    small = compress(model, ["0", "2"], "svd", rank=6, allow_growth=True)
    x = torch.randn(3, 6)
    torch.testing.assert_close(small.eval()(x), model.eval()(x), rtol=1e-4, atol=1e-5)
    assert len(seen) == 2
    assert not small[0].left.requires_grad
    assert small[0].bias.requires_grad
    assert compress(model.train(), 0, "svd", rank=2)[1].training


def test_copies_hold_what_was_computed():
    model = nn.Sequential(nn.Linear(3, 3))
    model.cache = model[0](torch.ones(1, 3))
    with pytest.raises(RuntimeError):
        copy.deepcopy(model)
    assert torch.equal(copied(model).cache, model.cache)


def test_modes_come_back_after_an_error():
    model = nn.Sequential(nn.Linear(3, 3), nn.Dropout()).train()
    model[1].eval()
    with pytest.raises(KeyError), evaluating(model):
        _ = {}["no such key"]
    assert (model.training, model[1].training) == (True, False)


def test_models_that_give_themselves_away_as_copies():
    class Single(nn.Linear):
        def __deepcopy__(self, memo):
            return self

    class Stubborn(nn.Linear):
        def __deepcopy__(self, memo):
            raise KeyError("no")

    for kind in (Single, Stubborn):
        model = nn.Sequential(nn.Linear(16, 16), kind(16, 16)) if kind is Stubborn else kind(16, 16)
        with pytest.raises(SSHMLError, match="cop"):
            compress(model, share=0.9)


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(16, 16)
        self.fc.scale = 3.0

    def forward(self, x):
        return self.fc(x) * self.fc.scale


def test_attributes_of_a_layer_go_along():
    model, x = Scaled(), torch.randn(5, 16)
    small = compress(model, "fc", "svd", rank=16, allow_growth=True)
    torch.testing.assert_close(small(x), model(x), rtol=1e-4, atol=1e-5)


@leaves_chance_alone
def draw():
    return torch.rand(3)


def test_chance_is_left_alone():
    torch.manual_seed(0)
    expected = torch.rand(2)
    torch.manual_seed(0)
    draw()
    assert torch.equal(torch.rand(2), expected)
