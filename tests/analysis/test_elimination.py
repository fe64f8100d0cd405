import copy
import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from sshml.analysis import eliminate_blocks
from sshml.classifier import exact_network, resident
from sshml.compression import compress
from sshml.dataset import DatasetSpec, generate, open_dataset
from sshml.errors import SSHMLError


def test_numbers_and_accuracies_are_those_of_the_form(run, dataset):
    rows = eliminate_blocks(run, dataset.valid, dataset.test, blocks=8, ranks=[2, 3], device="cpu")
    assert len(rows) == 3 * 2 * 8
    for row in rows:
        ranks = [row["rank"] * (block in row["blocks"]) for block in range(8)]
        small = compress(run.model(row["member"]), 0, "blocks", ranks=ranks, blocks=8, allow_growth=True)
        assert small[1].n_parameters - 12 == row["numbers"]
        alone = run[row["member"]].with_models([small])
        assert alone.accuracy(dataset.test)[0] == pytest.approx(row["test"], abs=0.004)
        assert alone.accuracy(dataset.valid)[0] == pytest.approx(row["valid"], abs=0.011)


def test_each_step_takes_the_block_that_costs_least(run, dataset):
    rows = eliminate_blocks(run, dataset.valid, dataset.test, blocks=4, ranks=[16 // 4], device="cpu")
    x, labels = resident(dataset.valid, run.training.view)
    model = run.model(0)

    def loss(kept):
        twin = copy.deepcopy(model)
        for block in set(range(4)) - set(kept):
            twin[1].weight.data[:, 16 * block : 16 * block + 16] = 0
        u, s, vt = torch.linalg.svd(twin[1].weight.data.unflatten(1, (4, 16)).transpose(0, 1), full_matrices=False)
        cut = (u[..., :4] * s[:, None, :4]) @ vt[:, :4]
        twin[1].weight.data = cut.transpose(0, 1).flatten(1)
        with torch.no_grad():
            return float(nn.functional.cross_entropy(twin(x), labels))

    own = [row["blocks"] for row in rows if row["member"] == 0]
    assert [len(kept) for kept in own] == [4, 3, 2, 1]
    for before, after in itertools.pairwise(own):
        options = [tuple(b for b in before if b != gone) for gone in before]
        assert after == options[int(np.argmin([loss(kept) for kept in options]))]


def test_a_network_that_reads_one_level_keeps_it(tmp_path):
    generate(DatasetSpec(cells=4, train=10, valid=200, test=500), tmp_path / "c.h5")
    data = open_dataset(tmp_path / "c.h5")
    rows = eliminate_blocks(exact_network(4, 2), data.valid, data.test, blocks=8, ranks=(1, 2))
    last = {row["rank"]: row for row in rows if len(row["blocks"]) == 1}
    assert last[2]["blocks"] == (2,)
    assert last[2]["test"] > 0.99
    assert last[1]["test"] < 0.9  # f and g are both needed


def test_labels_beyond_the_classes(run, dataset):
    wrong = copy.copy(dataset.test)
    split = SimpleNamespace(inputs=dataset.test.inputs, labels=dataset.test.labels + 5)
    for valid, test in ((split, wrong), (wrong, split)):
        with pytest.raises(SSHMLError, match="label"):
            eliminate_blocks(run, valid, test, blocks=8, ranks=[1])


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"blocks": 5}, "divided"),
        ({"ranks": [9], "blocks": 8}, "inputs have 8"),
        ({"ranks": [0]}, "ranks"),
        ({"blocks": [8, 56]}, "different sizes"),
    ],
)
def test_what_cannot_be_taken_away(run, dataset, options, word):
    with pytest.raises(SSHMLError, match=word):
        eliminate_blocks(run, dataset.valid, dataset.test, **options)
