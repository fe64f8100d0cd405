import numpy as np
import pytest
import torch

from sshml.analysis import compress_run, rank_sweep
from sshml.compression import compress, plan
from sshml.errors import SSHMLError


def test_members_are_the_compressed_members(run, dataset):
    small = compress_run(run, 0, "svd", rank=3)
    for member, model in enumerate(run.models()):
        expected = compress(model, 0, "svd", rank=3).state_dict()
        for name, tensor in small.model(member).state_dict().items():
            torch.testing.assert_close(tensor, expected[name])
    sweep = rank_sweep(run, dataset.test, ranks=[3])
    np.testing.assert_allclose(small.accuracy(dataset.test), sweep.accuracy[:, 0], atol=1.5 / 300)


def test_a_layer_is_a_number_of_numpy_too(run):
    small = compress_run(run, np.int64(0), "prune", keep=10)
    assert small.weights["1.values"].shape == (3, 10)


def test_the_run_is_left_alone(run, dataset):
    before = run.accuracy(dataset.test)
    small = compress_run(run, [0, 1], "prune", keep=10)
    assert (small.weights["1.values"].shape, small.weights["3.indices"].shape) == ((3, 10), (3, 10))
    np.testing.assert_array_equal(run.accuracy(dataset.test), before)


def test_a_sum_of_ranks_of_blocks_is_spread_as_in_the_first_member(run):
    small = compress_run(run, 0, "blocks", ranks=5, blocks=8)
    ranks = {model[1].ranks for model in small.models()}
    assert ranks == {compress(run.model(), 0, "blocks", ranks=5, blocks=8)[1].ranks}
    assert sum(next(iter(ranks))) == 5


def test_what_has_no_meaning_is_refused(run, dataset):
    with pytest.raises(SSHMLError, match="go with a budget or a plan"):
        compress_run(run, 0, "svd", rank=3, split=dataset.train)
    chosen = plan(run.model(), share=0.6)
    with pytest.raises(SSHMLError, match="made without data"):
        compress_run(run, chosen, split=dataset.train)
    with pytest.raises(SSHMLError, match="a plan says all"):
        compress_run(run, chosen, "prune")
