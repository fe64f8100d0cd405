import math

import numpy as np
import pytest
import torch
from torch import nn

from sshml.compression import compress, n_bytes
from sshml.errors import SSHMLError
from sshml.experiments import budgets


def network(noise=0.3):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(40, 30), nn.ReLU(), nn.Linear(30, 30), nn.ReLU(), nn.Linear(30, 5))
    for layer in (model[0], model[2]):
        rows, columns = layer.weight.shape
        strong = torch.randn(rows, 4) @ torch.randn(4, columns)
        layer.weight.data = strong + noise * torch.randn(rows, columns)
    return model


def test_numbers_figures_and_claims(small_images, reproduced):
    settings = {"seeds": 2, "epochs": 1, "batch_size": 50, "valid": 100, "chains": 300, "tuned": (0.3,)}
    found = reproduced("budgets", **settings, networks=("fc2", "ssh"), shares=(0.3,))
    assert found.failures == []
    assert {path.name for path in found.folder.glob("*.png")} == {"fc2.png", "ssh.png"}
    rules = found.tables.columns("rules", network="fc2")
    assert set(rules["rule"]) == set(budgets.RULES)
    within = rules["rule"] != "vbmf"
    assert (rules["used"][within] <= rules["share"][within]).all()
    assert len(found.tables.columns("tuned", network="ssh")["distilled"]) == 2
    for row in found.claims:
        assert (row["verdict"] == "measured") == (row["criterion"] == "") or row["verdict"] == "not measurable"


@pytest.mark.parametrize("rule", ["uniform", "energy", "minimax"])
def test_rules_use_their_budget(rule):
    model = network()
    step = 4 * sum(60 + 10 * k for k in range(2)) * 2  # of one rank in every layer
    for share in (0.4, 0.6):
        small = compress(model, budgets.by_rule(model, rule, share))
        assert share * n_bytes(model) - step <= n_bytes(small) <= share * n_bytes(model)
    with pytest.raises(SSHMLError, match=r"store more than 1\.0%"):
        budgets.by_rule(model, rule, 0.01)


def test_uniform_ranks_leave_the_head_alone():
    chosen = budgets.by_rule(network(), "uniform", 0.5)
    assert set(chosen.choices) == {"0", "2"}
    assert len({choice.size["rank"] for choice in chosen.choices.values()}) == 1


def test_minimax_ranks_have_equal_errors():
    model = network(0.02)
    ranks = {name: choice.size["rank"] for name, choice in budgets.by_rule(model, "minimax", 0.5).choices.items()}
    errors = []
    for name, rank in ranks.items():
        s = torch.linalg.svdvals(model.get_submodule(name).weight.detach())
        errors.append((float(s[rank] / s[0]), float(s[rank - 1] / s[0])))
    assert max(low for low, _ in errors) <= min(high for _, high in errors)


@pytest.mark.parametrize("rank", [0, 3, 8])
def test_vbmf_finds_the_rank_under_noise(rank):
    torch.manual_seed(rank)
    signal = torch.randn(60, rank) @ torch.randn(rank, 90) if rank else torch.zeros(60, 90)
    assert budgets.vbmf_rank(signal + torch.randn(60, 90)) == rank


def test_settings():
    with pytest.raises(SSHMLError, match="choose among ssh, fc2, lenet5, dlrt"):
        budgets.Settings(networks=("vgg",))
    with pytest.raises(SSHMLError, match="above 0"):
        budgets.Settings(shares=(0.0,))


@pytest.mark.parametrize("alpha", [0.2, 0.7, 1.0])
def test_the_free_energy_term_by_term(alpha):
    """psi_0(x) = x - ln x of all values; of those that are kept also psi_1, with tau(x) (Nakajima et al. 2013)."""
    bound = (1 + 2.5129 * alpha**0.5) * (1 + alpha / (2.5129 * alpha**0.5))
    x = np.random.default_rng(0).uniform(0.1, 3 * bound, 50)
    expected = 0.0
    for value in x:
        expected += value - math.log(value)
        if value > bound:
            tau = (value - (1 + alpha) + math.sqrt((value - (1 + alpha)) ** 2 - 4 * alpha)) / 2
            expected += math.log(tau + 1) + alpha * math.log(tau / alpha + 1) - tau
    assert budgets.free_energy(x, alpha, bound) == pytest.approx(expected, rel=1e-12)
