import pytest
import torch
from torch import nn

from sshml.compression import CompressedConv, LowRankLinear, MPOLinear


@pytest.fixture
def conv():
    torch.manual_seed(0)
    return nn.Conv2d(6, 8, 3, stride=2, padding=1, groups=2)


def parts(conv, kind, **size):
    return [kind.of(kernel.flatten(1), **size) for kernel in conv.weight.chunk(conv.groups)]


@pytest.mark.parametrize(("kind", "size"), [(LowRankLinear, {"rank": 2}), (MPOLinear, {"max_bond": 2})])
def test_the_forward_is_that_of_the_dense_twin(conv, kind, size):
    small, x = CompressedConv.of(conv, parts(conv, kind, **size)), torch.randn(3, 6, 7, 8)
    twin = small.to_dense()
    assert not torch.allclose(twin.weight, conv.weight)
    torch.testing.assert_close(small(x), twin(x), rtol=1e-4, atol=1e-5)
    assert torch.equal(small.weight, twin.weight)


def test_a_low_rank_one_never_rebuilds_its_kernel(conv, monkeypatch):
    small, x = CompressedConv.of(conv, parts(conv, LowRankLinear, rank=2)), torch.randn(3, 6, 7, 8)
    expected = small(x)
    monkeypatch.setattr(LowRankLinear, "to_weight", None)
    assert torch.equal(small(x), expected)


def test_its_arguments_rebuild_it(conv):
    small, x = CompressedConv.of(conv, parts(conv, LowRankLinear, rank=2)), torch.randn(3, 6, 7, 8)
    again = CompressedConv(**small.config())
    again.load_state_dict(small.state_dict())
    assert torch.equal(again(x), small(x))


def test_flops_are_those_of_its_products(conv):
    small = CompressedConv.of(conv, parts(conv, LowRankLinear, rank=2))
    assert small.flops == 2 * 2 * 2 * (4 + 27)  # two groups, multiply and add, rank 2, out + in
