import random
from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn

from sshml.classifier import MLP, stack
from sshml.classifier.ensemble import stacked_state
from sshml.classifier.loading import input_type
from sshml.compression import compress, tensorize
from sshml.errors import SSHMLError
from tests.classifier.kinds import AT_ONCE, KINDS


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
    "conv of groups": lambda: nn.Sequential(
        nn.Unflatten(1, (1, 3)),
        nn.Conv2d(1, 4, 1, bias=False),
        nn.Conv2d(4, 6, 2, 1, 1, 2, 2),
        nn.Flatten(),
        nn.Linear(72, 3),
    ),
    "conv round the border": lambda: nn.Sequential(
        nn.Unflatten(1, (1, 3)), nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular"), nn.Flatten(), nn.Linear(24, 3)
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
    stacked = stack(members, x[0])
    expected = torch.stack([member(part) for member, part in zip(members, x, strict=True)])
    torch.testing.assert_close(stacked(x), expected, rtol=1e-4, atol=1e-5)
    for number, member in enumerate(members):
        state = {name: tensor[number] for name, tensor in stacked_state(stacked).items()}
        assert state.keys() == member.state_dict().keys()
        for name, tensor in member.state_dict().items():
            assert torch.equal(state[name], tensor)


@pytest.mark.parametrize("name", ["mlp", "no bias", "conv", "conv of groups", "mpo"])
def test_gradients_are_those_of_the_members(name):
    members = [NETWORKS[name]() for _ in range(2)]
    x = torch.rand(2, 5, 3, 4, requires_grad=True)
    stacked = stack(members, x[0].detach())
    stacked(x).square().sum().backward()
    gradients = {key: p.grad for key, p in stacked.named_parameters()}
    for number, member in enumerate(members):
        y = x[number].detach().requires_grad_()
        member(y).square().sum().backward()
        torch.testing.assert_close(x.grad[number], y.grad)
        for key, parameter in member.named_parameters():
            torch.testing.assert_close(gradients[key][number], parameter.grad, rtol=1e-4, atol=1e-5)


def test_members_of_a_batched_stack_are_copied():
    member = MLP((4, 2))
    stacked = stack([member])
    with torch.no_grad():
        next(stacked.parameters()).zero_()
    assert member[1].weight.abs().max() > 0


def test_frozen_parameters_stay_frozen():
    member = MLP((4, 3, 2))
    member[1].weight.requires_grad_(False)
    frozen = {name: p.requires_grad for name, p in stack([member, member]).named_parameters()}
    assert frozen == {"1.weight": False, "1.bias": True, "3.weight": True, "3.bias": True}


@pytest.mark.parametrize("name", KINDS)
def test_what_is_vectorised_is_right_and_what_is_not_stands_alone(name):
    torch.manual_seed(0)
    members = [KINDS[name]().train() for _ in range(3)]
    x = torch.rand(6, 8, 8, dtype=input_type(members[0]))
    before = torch.get_rng_state()
    together = stack(members, x)
    assert (together is not None) == (name in AT_ONCE)
    for mode in (True, False) if together is not None else ():
        expected = torch.stack([member.train(mode)(x) for member in members])
        torch.testing.assert_close(together.train(mode)(x.expand(3, *x.shape)), expected, rtol=1e-4, atol=1e-5)
    if together is not None:
        assert torch.equal(torch.get_rng_state(), before)
    alone = stack([members[0]])
    assert alone.eval()(x[None]).shape == (1, 6, 2)
    state = stacked_state(alone)
    assert state.keys() == members[0].state_dict().keys()
    assert all(tensor.shape[0] == 1 for tensor in state.values())


def test_a_trial_leaves_the_members_as_they_are():
    members = [KINDS["batch norm"]() for _ in range(2)]
    before = [{name: tensor.clone() for name, tensor in m.state_dict().items()} for m in members]
    stack(members, torch.rand(6, 8, 8))
    for member, state in zip(members, before, strict=True):
        assert all(torch.equal(tensor, state[name]) for name, tensor in member.state_dict().items())
        assert all(p.grad is None for p in member.parameters())


def test_without_an_example_nothing_is_tried():
    assert stack([KINDS["layer norm"]() for _ in range(2)]) is None
    assert stack([KINDS["plain"]() for _ in range(2)]) is not None


def test_members_of_different_kinds_are_refused():
    frozen = MLP((4, 3, 2))
    frozen[1].weight.requires_grad_(False)
    for other in (MLP((4, 5, 2)), MLP((4, 3, 2)).double(), frozen, MLP((4, 2))):
        with pytest.raises(SSHMLError, match="networks 0 and 1 differ"):
            stack([MLP((4, 3, 2)), other])
    with pytest.raises(SSHMLError, match="lazy"):
        stack([nn.Sequential(nn.LazyLinear(3))] * 2)
    with pytest.raises(SSHMLError, match="expected a torch"):
        stack([3])


def test_a_linear_layer_takes_further_axes_and_autocast():
    members = [nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(15, 2)) for _ in range(2)]
    x = torch.rand(2, 6, 5, 4)
    expected = torch.stack([member(part) for member, part in zip(members, x, strict=True)])
    stacked = stack(members)
    torch.testing.assert_close(stacked(x), expected)
    with torch.autocast("cpu", torch.bfloat16):
        low = stacked(x)
        low.float().sum().backward()
    torch.testing.assert_close(low.float(), expected, rtol=0.05, atol=0.02)
    assert next(stacked.parameters()).grad.dtype == torch.float32


@pytest.mark.parametrize("draw", [np.random.random, random.random, lambda: torch.rand(()).item()])
def test_what_draws_is_not_vectorised_even_where_the_draw_changes_nothing_yet(draw):
    class Rare(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 2)

        def forward(self, x):
            return self.layer(x) * (2 if draw() < -1 else 1)

    assert stack([Rare(), Rare()], torch.rand(5, 4)) is None
