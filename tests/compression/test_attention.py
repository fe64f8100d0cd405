import copy
import pickle

import pytest
import torch
from torch import nn

from sshml.compression import CompressedAttention, LowRankLinear


def compressed(layer, rank):
    weights = layer.in_proj_weight.chunk(3)
    return CompressedAttention.of(layer, [LowRankLinear.of(weight, rank=rank) for weight in weights])


@pytest.fixture
def attention():
    torch.manual_seed(0)
    return nn.MultiheadAttention(12, 3, batch_first=True)


def test_the_forward_is_that_of_the_dense_twin(attention):
    small, x = compressed(attention, 4), torch.randn(2, 5, 12)
    twin = small.to_dense()
    mask = torch.zeros(2, 5, dtype=torch.bool)
    mask[0, 3:] = True
    for options in ({}, {"key_padding_mask": mask}, {"need_weights": False}, {"average_attn_weights": False}):
        for found, wanted in zip(small(x, x, x, **options), twin(x, x, x, **options), strict=True):
            torch.testing.assert_close(found, wanted)


def test_it_copies_pickles_and_trains(attention):
    small, x = compressed(attention, 4), torch.randn(2, 5, 12)
    for twin in (copy.deepcopy(small), pickle.loads(pickle.dumps(small))):
        assert torch.equal(twin(x, x, x)[0], small(x, x, x)[0])
    small(x, x, x)[0].sum().backward()
    assert all(part.left.grad is not None for part in small.parts)
    assert small._now is None


def test_the_fast_path_of_an_encoder_is_the_slow_one():
    layer, x = nn.TransformerEncoderLayer(12, 3, 24, batch_first=True), torch.randn(2, 5, 12)
    layer.self_attn = compressed(layer.self_attn, 5)
    layer.eval()
    with torch.no_grad():
        fast = layer(x)
    torch.testing.assert_close(fast, layer(x).detach())


def test_its_arguments_rebuild_it(attention):
    small, x = compressed(attention, 4), torch.randn(2, 5, 12)
    again = CompressedAttention(**small.config())
    again.load_state_dict(small.state_dict())
    assert torch.equal(again(x, x, x)[0], small(x, x, x)[0])


@pytest.mark.parametrize("widths", [{}, {"kdim": 6, "vdim": 7}])
def test_the_dense_twin_is_frozen_where_its_parts_are(widths):
    layer = nn.MultiheadAttention(8, 2, **widths)
    parts = [nn.Linear(columns, 8, bias=False) for columns in (8, widths.get("kdim", 8), widths.get("vdim", 8))]
    found = CompressedAttention.of(layer, parts)
    for part in parts:
        part.requires_grad_(False)
    assert not any(p.requires_grad for n, p in found.to_dense().named_parameters() if n.endswith("proj_weight"))
    parts[1].requires_grad_(True)
    free = {n for n, p in found.to_dense().named_parameters() if n.endswith("proj_weight") and p.requires_grad}
    assert free == ({"k_proj_weight"} if widths else {"in_proj_weight"})
