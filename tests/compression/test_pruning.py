import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from sshml.compression import MaskedLinear, largest_weights
from sshml.compression.pruning import index_dtype


@given(st.lists(st.floats(-5, 5, width=32), min_size=6, max_size=6), st.integers(1, 6))
def test_no_dropped_weight_is_larger_than_a_kept_one(values, keep):
    weight = torch.tensor(values).view(2, 3)
    kept = largest_weights(weight, keep)
    dropped = [i for i in range(6) if i not in kept.tolist()]
    assert len(set(kept.tolist())) == keep
    assert kept.tolist() == sorted(kept.tolist())
    if dropped:
        assert weight.flatten()[kept].abs().min() >= weight.flatten()[dropped].abs().max()


def test_equal_weights_are_taken_in_order():
    assert largest_weights(torch.ones(3, 3), 4).tolist() == [0, 1, 2, 3]


def test_the_rest_is_zero():
    layer = nn.Linear(5, 4)
    weight = MaskedLinear.from_dense(layer, 7).to_weight()
    assert (weight != 0).sum() == 7
    torch.testing.assert_close(weight[weight != 0], layer.weight[weight != 0])


@pytest.mark.parametrize(("size", "dtype"), [(2**15, torch.int16), (2**15 + 1, torch.int32), (2**31 + 1, torch.int64)])
def test_indices_take_the_smallest_type(size, dtype):
    assert index_dtype(size) == dtype


def test_bytes_count_the_indices():
    assert MaskedLinear.from_dense(nn.Linear(256, 128), 100).n_bytes == 100 * (4 + 2) + 128 * 4
