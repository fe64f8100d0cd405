import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sshml.compression import MPOLinear, MPOShape
from sshml.compression.budget import bond_path, choose_bonds
from sshml.compression.decomposition import tensorised
from sshml.errors import SSHMLError

SHAPE = MPOShape((2, 2, 2, 2), (2, 3, 2, 1))


def weight_of(seed, decay=0.7):
    """A weight with falling singular values."""
    torch.manual_seed(seed)
    u, s, v = torch.linalg.svd(torch.randn(16, 12, dtype=torch.float64), full_matrices=False)
    return u @ torch.diag((decay ** torch.arange(len(s))).double()) @ v


def bound(weight, shape, bonds):
    """Naive twin: the squared Schmidt values beyond each bond, relative."""
    total, rows = 0.0, 1
    for bond, dim in zip(bonds, shape.site_dims, strict=False):
        rows *= dim
        values = torch.linalg.svdvals(tensorised(weight, shape).reshape(rows, -1))
        total += float(values[bond:].square().sum() / values.square().sum())
    return total


def every(shape):
    choices = itertools.product(*(range(1, bond + 1) for bond in shape.bonds()))
    return [bonds for bonds in choices if shape.bonds(bonds) == bonds]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.floats(0.05, 1.2))
def test_a_budget_is_used_and_spent_well(seed, share):
    weight = weight_of(seed)
    budget = max(SHAPE.n_parameters(1), share * SHAPE.n_parameters())
    bonds = choose_bonds(weight, SHAPE, budget=budget)
    assert SHAPE.bonds(bonds) == bonds
    assert SHAPE.n_parameters(bonds) <= budget
    possible = [b for b in every(SHAPE) if SHAPE.n_parameters(b) <= budget]
    best = min(bound(weight, SHAPE, b) for b in possible)
    used = [b for b in possible if SHAPE.n_parameters(b) >= 0.99 * budget and bound(weight, SHAPE, b) <= 2 * best]
    if used:
        assert SHAPE.n_parameters(bonds) >= 0.99 * budget
        best = min(bound(weight, SHAPE, b) for b in used)
    assert bound(weight, SHAPE, bonds) <= 1.001 * best + 1e-12


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.floats(0.01, 0.9))
def test_a_tolerance_is_kept_at_nearly_the_least_cost(seed, tolerance):
    weight = weight_of(seed)
    bonds = choose_bonds(weight, SHAPE, tolerance=tolerance)
    assert bound(weight, SHAPE, bonds) <= tolerance**2 + 1e-12
    layer = nn.Linear(12, 16, bias=False, dtype=torch.float64)
    layer.weight.data = weight
    mpo = MPOLinear.from_dense(layer, SHAPE, bonds, allow_growth=True)
    assert (mpo.to_weight() - weight).norm() <= tolerance * weight.norm() * (1 + 1e-9)
    least = min(SHAPE.n_parameters(b) for b in every(SHAPE) if bound(weight, SHAPE, b) <= tolerance**2)
    assert SHAPE.n_parameters(bonds) <= 1.1 * least


def test_bonds_go_where_the_entanglement_is():
    """A product across the first cut, full rank across the second: nothing is spent on the first."""
    torch.manual_seed(0)
    weight = torch.kron(torch.randn(2, 2), torch.randn(8, 6))
    shape = MPOShape((2, 2, 4), (2, 2, 3))
    assert choose_bonds(weight, shape, tolerance=1e-3) == (1, 4)
    assert choose_bonds(weight, shape, budget=shape.n_parameters((1, 3)))[0] == 1


def test_better_than_uniform_bonds_with_as_many_parameters():
    torch.manual_seed(1)
    weight = torch.randn(256, 40) @ torch.randn(40, 784) + 0.3 * torch.randn(256, 784)
    shape = MPOShape((4, 4, 4, 4), (4, 7, 7, 4))
    for bond in (4, 16, 64):
        numbers = shape.n_parameters(bond)
        bonds = choose_bonds(weight, shape, budget=numbers)
        assert 0.99 * numbers <= shape.n_parameters(bonds) <= numbers
        assert bound(weight, shape, bonds) <= bound(weight, shape, shape.bonds(bond))


def test_a_budget_is_not_filled_at_any_price():
    torch.manual_seed(1)
    weight = torch.randn(24, 36, dtype=torch.float64) @ torch.diag(torch.arange(1, 37).double() ** -2.1)
    shape = MPOShape((2, 3, 4), (3, 4, 3))
    losses = [bound(weight, shape, choose_bonds(weight, shape, budget=budget)) for budget in (195, 198, 200)]
    assert max(losses) <= 2 * min(losses)


def test_several_weights_share_their_bonds():
    weights = torch.stack([weight_of(seed) for seed in range(3)])
    bonds = choose_bonds(weights, SHAPE, tolerance=0.3)
    mean = sum(bound(weight, SHAPE, bonds) for weight in weights) / 3
    assert mean <= 0.09 + 1e-12


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "either a budget"),
        ({"budget": 50, "tolerance": 0.1}, "either a budget"),
        ({"budget": 3}, "at least 16"),
        ({"budget": math.nan}, "at least 16"),
        ({"tolerance": -0.1}, "at least 0 and below 1"),
        ({"tolerance": "0.1"}, "at least 0 and below 1"),
    ],
)
def test_bad_input(options, words):
    with pytest.raises(SSHMLError, match=words):
        choose_bonds(weight_of(0), SHAPE, **options)


def test_the_path_grows_to_the_full_bonds():
    """Step by step dearer and truer, from bonds 1 to exactness, and no further than it may."""
    weight = weight_of(1)
    path = bond_path(weight, SHAPE)
    assert path[0][0] == (1, 1, 1)
    assert path[-1][0] == tuple(SHAPE.bonds())
    costs = [numbers for _, numbers in path]
    assert costs == [SHAPE.n_parameters(bonds) for bonds, _ in path]
    assert all(a < b for a, b in itertools.pairwise(costs))
    losses = [bound(weight, SHAPE, bonds) for bonds, _ in path]
    assert all(a >= b - 1e-12 for a, b in itertools.pairwise(losses))
    short = bond_path(weight, SHAPE, costs[2])
    assert [step for step in path if step[1] <= costs[2]] == short
