import numpy as np
import pytest
import torch
from torch import nn

from sshml.compression import BlockLowRankLinear, LowRankLinear, compress, n_bytes, plan
from sshml.compression.blocks import BlockSpectrum, as_blocks, in_short
from sshml.compression.spectrum import Spectrum
from sshml.errors import SSHMLError


@pytest.fixture
def layer():
    torch.manual_seed(0)
    return nn.Linear(12, 7)


def test_blocks_in_all_their_ways():
    assert as_blocks(None, 256) == (16,) * 16
    assert as_blocks(None, 784) == (28,) * 28
    assert as_blocks(3, 12) == (4, 4, 4)
    assert as_blocks(np.array([5, 7]), 12) == (5, 7)
    assert in_short((4, 4, 4)) == 3
    assert in_short((5, 7)) == [5, 7]
    for wrong, word in ((5, "divided"), ([5, 5], "in all"), (0, "blocks"), ([0, 12], "blocks"), ("x", "blocks")):
        with pytest.raises(SSHMLError, match=word):
            as_blocks(wrong, 12)
    with pytest.raises(SSHMLError, match="no equal blocks"):
        as_blocks(None, 13)


def test_each_block_is_cut_to_its_largest_singular_values(layer):
    small = BlockLowRankLinear.from_dense(layer, [2, 0, 3], 3)
    weight = layer.weight.detach()
    for rank, place in ((2, slice(0, 4)), (0, slice(4, 8)), (3, slice(8, 12))):
        u, s, vt = torch.linalg.svd(weight[:, place], full_matrices=False)
        torch.testing.assert_close(small.to_weight()[:, place], (u[:, :rank] * s[:rank]) @ vt[:rank])
    assert small.n_parameters == (2 + 3) * (7 + 4) + 7
    assert small.flops == 2 * (2 + 3) * (7 + 4)
    x = torch.randn(5, 3, 12)
    torch.testing.assert_close(small(x), small.to_dense()(x))
    again = BlockLowRankLinear(**small.config())
    again.load_state_dict(small.state_dict())
    torch.testing.assert_close(again(x), small(x))


def test_one_block_is_the_svd(layer):
    small, svd = BlockLowRankLinear.from_dense(layer, [3], 1), LowRankLinear.from_dense(layer, 3)
    torch.testing.assert_close(small.to_weight(), svd.to_weight())
    assert small.n_bytes == svd.n_bytes


def test_a_sum_of_ranks_goes_where_most_is_kept_for_the_numbers():
    layer = nn.Linear(8, 6, bias=False)
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[0, 1], layer.weight[1, 2], layer.weight[2, 6] = 3.0, 2.0, 2.5
    assert BlockLowRankLinear.from_dense(layer, 2, 2).ranks == (1, 1)
    assert BlockLowRankLinear.from_dense(layer, 3, 2, allow_growth=True).ranks == (2, 1)
    # 2.5^2 / (6 + 6) is less than 2^2 / (6 + 1): the smaller block is cheaper
    assert BlockLowRankLinear.from_dense(layer, 2, [1, 1, 6]).ranks == (0, 1, 1)


def test_with_data_the_left_factor_sees_how_blocks_hang_together():
    """No other left factor loses less, and what one block lost another makes good."""
    torch.manual_seed(1)
    weight = torch.randn(1, 6, 8, dtype=torch.float64)
    x = torch.randn(8, 3, dtype=torch.float64) @ torch.randn(3, 200, dtype=torch.float64)
    moment = (x @ x.T)[None]
    metric = Spectrum(weight, moment)
    spectrum = BlockSpectrum(weight, moment, (4, 4))
    ranks = spectrum.ranks(3)
    best = metric.loss(weight - spectrum.approximation(ranks))
    left, rights = spectrum.factors(ranks)[0]
    for _ in range(20):
        other = left + 0.1 * torch.randn_like(left)
        matrix = other @ spectrum._matrix(rights, 3)
        assert metric.loss(weight - matrix[None]) >= best
    alone = [part.factors(rank)[0] for part, rank in zip(spectrum.parts, ranks, strict=True) if rank]
    plain = torch.cat([one for one, _ in alone], 1) @ spectrum._matrix(rights, 3)
    assert best <= metric.loss(weight - plain[None])
    assert metric.loss(weight - spectrum.approximation([4, 4])) < 1e-9


def test_a_plan_takes_blocks_that_are_given(layer):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(12, 30), nn.ReLU(), nn.Linear(30, 4))
    x = torch.randn(400, 12) * torch.tensor([3.0] * 4 + [0.01] * 8)  # only the first block is ever seen
    chosen = plan(net, share=0.6, data=x, methods="blocks", layers=["0"], blocks={"0": 3})
    assert chosen.choices["0"].size["blocks"] == 3
    assert chosen.choices["0"].size["ranks"][1:] == [0, 0]
    small = compress(net, chosen)
    assert n_bytes(small) == chosen.n_bytes
    assert chosen.error < 0.1
    with pytest.raises(SSHMLError, match="blocks are given"):
        plan(net, share=0.5, methods="blocks", blocks={"1": 3})
    with pytest.raises(SSHMLError, match="divided"):
        plan(net, share=0.5, methods="blocks", blocks={"0": 5})


@pytest.mark.parametrize(
    ("ranks", "blocks", "word"),
    [
        ([1, 1], 3, "3 blocks"),
        ([0, 0, 0], 3, "not all 0"),
        ([5, 0, 0], 3, "full rank"),
        (13, 3, "ranks"),
        (0, 3, "ranks"),
    ],
)
def test_ranks_that_do_not_fit(layer, ranks, blocks, word):
    with pytest.raises(SSHMLError, match=word):
        compress(layer, 0, "blocks", ranks=ranks, blocks=blocks)


def test_more_than_the_dense_layer_is_refused(layer):
    with pytest.raises(SSHMLError, match="choose ranks up to 7"):
        compress(layer, 0, "blocks", ranks=[4, 4, 4], blocks=3)
