import functools

import numpy as np
import pytest
import torch
from torch import nn

from sshml.classifier import MLP
from sshml.classifier.chance import Chance
from sshml.classifier.members import asked_for, built, states_of
from sshml.errors import SSHMLError


def factory():
    return MLP((6, 4, 2))


def test_a_member_is_what_its_seed_gives_alone():
    members = built(factory, None, np.array([3, 5]), "cpu")
    torch.manual_seed(5)
    expected = factory()
    for mine, theirs in zip(members[1].parameters(), expected.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    assert all(member.training for member in members)
    state = states_of(members)
    assert torch.equal(state["3.weight"][1], expected[3].weight)


def test_numbers_and_lists_of_seeds_and_modules():
    assert asked_for(factory, 3)[0].tolist() == [0, 1, 2]
    assert asked_for(factory, [7, 7, 2**40])[0].tolist() == [7, 7, 2**40]
    seeds, start, copy = asked_for(nn.ModuleList([factory(), factory()]), 2)
    assert len(start) == len(seeds) == 2
    assert copy() is not start[0]


@pytest.mark.parametrize("seeds", ["3", None, {0, 1}, [[0, 1]], True, -1, 2.5, [0.5], [-1], []])
def test_bad_seeds(seeds):
    with pytest.raises(SSHMLError, match="seeds"):
        asked_for(factory, seeds)


@pytest.mark.parametrize("bad", [None, 3, "network", MLP((6, 2)), lambda: 3])
def test_bad_factories(bad):
    with pytest.raises(SSHMLError, match=r"factory"):
        asked_for(bad, 1)


def test_networks_that_share_are_copied_and_others_are_not():
    own = asked_for(factory, 1)[2]
    assert own is factory
    net = factory()
    made = asked_for(lambda: net, 1)[2]
    assert made() is not net
    act = nn.ReLU()
    one, other = (asked_for(functools.partial(nn.Sequential, act, nn.Linear(2, 2)), 1)[2]() for _ in range(2))
    assert one[0] is not other[0]


def test_building_leaves_the_global_state():
    with Chance(1):
        before = torch.get_rng_state()
        built(factory, None, np.arange(3), "cpu")
        assert torch.equal(torch.get_rng_state(), before)


def test_more_networks_than_memory_holds_are_refused():
    with pytest.raises(SSHMLError, match="train fewer at a time"):
        built(factory, None, range(10**10), "cpu")
