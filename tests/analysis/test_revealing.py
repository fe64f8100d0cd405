import copy
import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from sshml.analysis import RankLoss, reveal_ranks
from sshml.analysis.revealing import _Search
from sshml.classifier import MLP, resident
from sshml.compression import truncated_svd
from sshml.errors import SSHMLError


@pytest.fixture(scope="module")
def trained():
    """A small network with strong and weak directions, and data it is good at."""
    torch.manual_seed(3)
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(300) % 4
    centres = torch.randn(4, 12, generator=generator)
    inputs = centres[labels] + 0.5 * torch.randn(300, 12, generator=generator)
    model = MLP((12, 9, 8, 4))
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(150):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs), labels).backward()
        optimizer.step()
    return model.eval(), SimpleNamespace(inputs=inputs.numpy(), labels=labels.numpy())


def loss_at(model, split, ranks):
    """The loss of a network whose layers are cut, in the plainest way."""
    with torch.no_grad():
        again = MLP((12, 9, 8, 4))
        again.load_state_dict(model.state_dict())
        for name, rank in ranks.items():
            if rank is not None:
                left, right = truncated_svd(again.get_submodule(name).weight, rank)
                again.get_submodule(name).weight.copy_(left @ right)
        inputs, labels = resident(split)
        return float(nn.functional.cross_entropy(again(inputs), labels))


def test_the_loss_is_that_of_the_cut_network(trained):
    model, split = trained
    cuts = RankLoss(model, resident(split))
    for ranks in ({"1": 3, "3": 2, "5": None}, {"1": None, "3": 1, "5": 2}):
        assert cuts(ranks) == pytest.approx(loss_at(model, split, ranks), rel=1e-4)
    assert cuts.evaluations == 3
    assert cuts({"1": 3, "3": 2, "5": None})
    assert cuts.evaluations == 3
    assert cuts.numbers({"1": 3, "3": None, "5": 1}) == 3 * 21 + 72 + 12


@pytest.mark.parametrize("epsilon", [0.05, 0.3, 1.0, 5.0])
def test_the_least_numbers_of_all_sets_of_ranks(trained, epsilon):
    model, split = trained
    found = reveal_ranks(model, split, epsilon)
    cuts = RankLoss(model, resident(split))
    names = list(cuts.sites)
    sets = [dict(zip(names, ranks, strict=True)) for ranks in itertools.product(*map(cuts.choices, names))]
    least = min(cuts.numbers(ranks) for ranks in sets if cuts(ranks) <= (1 + epsilon) * cuts.dense)
    assert found.loss <= (1 + epsilon) * found.dense_loss
    assert found.loss == pytest.approx(
        loss_at(model, split, {n: None if r == cuts.full[n] else r for n, r in found.ranks.items()}), rel=1e-4
    )
    assert least <= found.numbers <= 1.1 * least
    assert found.evaluations < len(sets) / 2
    assert all(found.alone[name] <= rank for name, rank in found.ranks.items())


def test_the_network_is_left_as_it_is(trained):
    model, split = trained
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    reveal_ranks(model, split, 0.5, layers=["1"])
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_convolutions_too():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 6, 3), nn.Flatten(), nn.Linear(6 * 36, 3))
    rng = np.random.default_rng(0)
    split = SimpleNamespace(inputs=rng.normal(size=(30, 1, 8, 8)), labels=np.arange(30) % 3)
    found = reveal_ranks(model, split, 0.1)
    assert set(found.ranks) == {"0", "2"}
    assert found.loss <= 1.1 * found.dense_loss


def test_bad_calls(trained):
    model, split = trained
    for epsilon in (0, -1, float("nan"), "0.1", True):
        with pytest.raises(SSHMLError, match="epsilon"):
            reveal_ranks(model, split, epsilon)
    with pytest.raises(SSHMLError, match="'7' cannot be cut"):
        reveal_ranks(model, split, 0.1, layers=["7"])
    with pytest.raises(SSHMLError, match="no matrices"):
        reveal_ranks(nn.Flatten(), split, 0.1)


def test_the_best_exchange_comes_first():
    """Of two layers of one size, the one whose next rank gains most for a number, not the one that will gain later."""
    cuts = SimpleNamespace(choices=lambda name: [1, 2, 3], numbers=lambda ranks: 10 * sum(ranks.values()))
    search = SimpleNamespace(names=("a", "b"), cuts=cuts)
    curves = {"a": [(0, 1.0), (1, 0.9), (2, 0.0)], "b": [(0, 1.0), (1, 0.5), (2, 0.4)]}
    for budget, expected in ((2.1, (1, 1)), (1.6, (1, 2)), (1.45, (2, 2)), (0.6, (3, 2)), (0.41, (3, 3)), (-1, (3, 3))):
        found = _Search._added_up(search, curves, budget)
        assert (found["a"], found["b"]) == expected, budget


def test_data_that_are_no_tensors_are_refused():
    with pytest.raises(SSHMLError, match="tensors"):
        RankLoss(nn.Linear(6, 2), (np.zeros((4, 6)), np.zeros(4, int)))


def test_a_parametrised_weight_is_cut_too(trained):
    model, split = trained
    twin = copy.deepcopy(model)
    nn.utils.parametrizations.weight_norm(twin[1])
    plain, normed = (RankLoss(each, resident(split)) for each in (model, twin))
    ranks = {"1": 1, "3": None, "5": None}
    assert normed(ranks) == pytest.approx(plain(ranks), rel=1e-4)
    assert normed(ranks) > 1.01 * normed.dense
    assert nn.utils.parametrize.is_parametrized(twin[1])
