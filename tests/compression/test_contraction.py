import pytest
import torch

from sshml.compression import contraction
from sshml.compression.contraction import CHUNK, best_groups, contract, cost, merge, plan
from sshml.compression.shape import groupings


def random_cores(dims, bonds, dtype=torch.float64):
    torch.manual_seed(0)
    bonds = (1, *bonds, 1)
    return [torch.randn(bonds[k], o, i, bonds[k + 1], dtype=dtype) for k, (o, i) in enumerate(dims)]


CORES = random_cores([(2, 3), (4, 1), (1, 5), (3, 2)], (4, 7, 3))


def naive_weight(cores):
    """One einsum over all cores, (o1 o2 o3 o4, i1 i2 i3 i4)."""
    return torch.einsum("aoib,bpjc,cqkd,drle->opqrijkl", *cores).reshape(24, 30)


def test_merge_is_the_product_of_the_cores():
    torch.testing.assert_close(merge(CORES)[0, ..., 0], naive_weight(CORES))


@pytest.mark.parametrize("groups", list(groupings(4)))
@pytest.mark.parametrize("samples", [0, 1, 6])
def test_every_grouping_gives_the_same_product_and_gradients(groups, samples):
    x = torch.randn(samples, 30, dtype=torch.float64, requires_grad=True)
    cores = [core.clone().requires_grad_() for core in CORES]
    y = contract(cores, x, groups)
    expected = x @ naive_weight(cores).T
    torch.testing.assert_close(y, expected)
    if samples:
        found = torch.autograd.grad(y.square().sum(), [x, *cores])
        torch.testing.assert_close(found, torch.autograd.grad(expected.square().sum(), [x, *cores]))


def test_plans_follow_the_cost():
    def shapes(bond, sites=5):
        bonds = [1, *[min(bond, 16**k, 16 ** (sites - k)) for k in range(1, sites)], 1]
        return tuple((bonds[k], 4, 4, bonds[k + 1]) for k in range(sites))

    assert len(plan(shapes(4), 128)) == 2  # two halves
    assert len(plan(shapes(200), 4096)) == 1  # dense
    for bond in (1, 4, 32):
        chosen = plan(shapes(bond), 64)
        assert cost(shapes(bond), 64, chosen) == min(cost(shapes(bond), 64, g) for g in groupings(5))


def test_under_vmap_no_matrix_is_copied_for_every_sample():
    stacked = [torch.stack([core, core]) for core in random_cores([(4, 4)] * 5, (4, 4, 4, 4), torch.float32)]
    seen = []

    def member(*cores):
        seen.append(best_groups(cores, 128))
        return cores[0].sum()

    torch.func.vmap(member)(*stacked)
    assert len(seen[0]) == 1
    assert len(best_groups([core[0] for core in stacked], 128)) == 2


@pytest.mark.parametrize("block", [1, 50, 10**6])
def test_blocks_of_the_rebuilt_weight_change_nothing(monkeypatch, block):
    monkeypatch.setattr(contraction, "BLOCK", block)
    whole = ((0, 4),)
    x = torch.randn(6, 30, dtype=torch.float64, requires_grad=True)
    cores = [core.clone().requires_grad_() for core in CORES]
    expected = (x @ naive_weight(cores).T).square().sum()
    found = contract(cores, x, whole).square().sum()
    for inputs in ([x], cores, cores[:1], cores[2:], [x, *cores]):
        slopes = torch.autograd.grad(found, inputs, retain_graph=True)
        torch.testing.assert_close(slopes, torch.autograd.grad(expected, inputs, retain_graph=True))
    assert torch.autograd.gradcheck(
        lambda x, *cores: contract(cores, x, whole), (x[:2].detach().requires_grad_(), *cores)
    )
    assert torch.autograd.gradgradcheck(lambda x: contract(CORES, x, whole).sin(), x[:2].detach().requires_grad_())


HALVES = random_cores([(4, 3), (3, 2), (2, 4)], (5, 3))


@pytest.mark.parametrize("samples", [CHUNK + 1, 2 * CHUNK, 3 * CHUNK - 5])
@pytest.mark.parametrize("cut", [1, 2])
def test_chunks_of_samples_change_nothing(samples, cut):
    groups = ((0, cut), (cut, 3))
    weight = torch.einsum("aoib,bpjc,cqkd->opqijk", *HALVES).reshape(24, 24)
    x = torch.randn(samples, 24, dtype=torch.float64, requires_grad=True)
    cores = [core.clone().requires_grad_() for core in HALVES]
    expected = x @ weight.T
    torch.testing.assert_close(contract(cores, x, groups), expected)
    found = torch.autograd.grad(contract(cores, x, groups).square().sum(), [x, *cores])
    plain = contract(cores, x[:0], groups)
    assert plain.shape == (0, 24)
    cores_again = [core.detach().clone().requires_grad_() for core in HALVES]
    naive = x @ torch.einsum("aoib,bpjc,cqkd->opqijk", *cores_again).reshape(24, 24).T
    torch.testing.assert_close(found, torch.autograd.grad(naive.square().sum(), [x, *cores_again]))


def test_second_derivatives_and_frozen_parts():
    x = torch.randn(CHUNK + 2, 24, dtype=torch.float64, requires_grad=True)
    groups = ((0, 1), (1, 3))
    frozen = contract(HALVES, x, groups).square().sum()
    (slope,) = torch.autograd.grad(frozen, x, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), x)
    weight = torch.einsum("aoib,bpjc,cqkd->opqijk", *HALVES).reshape(24, 24)
    torch.testing.assert_close(curvature, 2 * torch.ones_like(x) @ weight.T @ weight)
    cores = [core.clone().requires_grad_() for core in HALVES]
    contract(cores, x.detach(), groups).sum().backward()
    assert all(core.grad is not None for core in cores)


def test_strided_inputs_and_gradients():
    x = torch.randn(24, 40, dtype=torch.float64).T.requires_grad_()
    cores = [core.clone().requires_grad_() for core in HALVES]
    y = contract(cores, x, ((0, 1), (1, 3)))
    y.T[::2].sum().backward()
    naive = [core.detach().clone().requires_grad_() for core in HALVES]
    expected = x.detach() @ torch.einsum("aoib,bpjc,cqkd->opqijk", *naive).reshape(24, 24).T
    torch.testing.assert_close(y, expected)
    expected.T[::2].sum().backward()
    torch.testing.assert_close([core.grad for core in cores], [core.grad for core in naive])
