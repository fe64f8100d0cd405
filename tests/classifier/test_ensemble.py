from collections import OrderedDict

import pytest
import torch
from torch import nn

from sshml.classifier import MLP, stack
from sshml.classifier.ensemble import stacked_state
from sshml.compression import compress, tensorize


class Doubled(nn.Sequential):
    def forward(self, x):
        return 2 * super().forward(x)


NETWORKS = {
    "mlp": lambda: MLP((12, 7, 5, 3)),
    "tanh": lambda: MLP((12, 7, 3), "tanh"),
    "named, in place": lambda: nn.Sequential(
        OrderedDict(a=nn.ReLU(inplace=True), f=nn.Flatten(), b=nn.Linear(12, 4), c=nn.ReLU(True), d=nn.Linear(4, 3))
    ),
    "own forward": lambda: Doubled(nn.Flatten(), nn.Linear(12, 3)),
    "no bias": lambda: nn.Sequential(nn.Flatten(), nn.Linear(12, 4, bias=False), nn.ReLU(), nn.Linear(4, 3)),
    "conv": lambda: nn.Sequential(
        nn.Unflatten(1, (1, 3)), nn.Conv2d(1, 2, 2), nn.ReLU(), nn.Flatten(), nn.Linear(12, 3)
    ),
    "nested": lambda: nn.Sequential(nn.Sequential(nn.Flatten(), nn.Linear(12, 6)), nn.LayerNorm(6), nn.Linear(6, 3)),
    "low rank": lambda: compress(MLP((12, 7, 5, 3)), 0, "svd", rank=2),
    "mpo": lambda: tensorize(MLP((12, 8, 6, 3)), {0: ((2, 4), (3, 4)), 1: None}, 2),
    "pruned": lambda: compress(MLP((12, 7, 5, 3)), 0, "prune", keep=9),
}


@pytest.mark.parametrize("factory", NETWORKS.values(), ids=NETWORKS)
def test_a_stack_is_its_members(factory, device):
    members = [factory().to(device) for _ in range(3)]
    x = torch.rand(3, 5, 3, 4, device=device)
    stacked = stack(members)
    expected = torch.stack([member(part) for member, part in zip(members, x, strict=True)])
    torch.testing.assert_close(stacked(x), expected, rtol=1e-4, atol=1e-5)
    for number, member in enumerate(members):
        state = {name: tensor[number] for name, tensor in stacked_state(stacked).items()}
        assert state.keys() == member.state_dict().keys()
        for name, tensor in member.state_dict().items():
            assert torch.equal(state[name], tensor)


@pytest.mark.parametrize("name", ["mlp", "no bias", "conv", "mpo"])
def test_gradients_are_those_of_the_members(name):
    members = [NETWORKS[name]() for _ in range(2)]
    stacked = stack(members)
    x = torch.rand(2, 5, 3, 4, requires_grad=True)
    stacked(x).square().sum().backward()
    gradients = {key: p.grad for key, p in stacked.named_parameters()}
    for number, member in enumerate(members):
        y = x[number].detach().requires_grad_()
        member(y).square().sum().backward()
        torch.testing.assert_close(x.grad[number], y.grad)
        for key, parameter in member.named_parameters():
            torch.testing.assert_close(gradients[key][number], parameter.grad, rtol=1e-4, atol=1e-5)


def test_members_are_copied():
    member = MLP((4, 2))
    stacked = stack([member])
    with torch.no_grad():
        next(stacked.parameters()).zero_()
    assert member[1].weight.abs().max() > 0


def test_shared_parameters_stay_shared():
    def factory():
        layer = nn.Linear(4, 4)
        return nn.Sequential(layer, nn.ReLU(), layer)

    assert stack([factory(), factory()]) is None
    assert len(list(stack([factory()]).parameters())) == 2


def test_frozen_parameters_stay_frozen():
    member = MLP((4, 3, 2))
    member[1].weight.requires_grad_(False)
    frozen = {name: p.requires_grad for name, p in stack([member, member]).named_parameters()}
    assert frozen == {"1.weight": False, "1.bias": True, "3.weight": True, "3.bias": True}


def test_buffers_outside_the_state_dict_are_not_vectorised():
    member = nn.Sequential(nn.Linear(4, 2))
    member.register_buffer("k", torch.ones(1), persistent=False)
    assert stack([member, member]) is None


@pytest.mark.parametrize("layer", [nn.BatchNorm1d(4), nn.Dropout(0.5)])
def test_cross_talk_is_not_vectorised(layer):
    def factory():
        return nn.Sequential(nn.Linear(4, 4), layer, nn.Linear(4, 2))

    assert stack([factory(), factory()]) is None
    alone = stack([factory()])
    assert alone.eval()(torch.rand(1, 5, 4)).shape == (1, 5, 2)
    assert all(tensor.shape[0] == 1 for tensor in stacked_state(alone).values())
