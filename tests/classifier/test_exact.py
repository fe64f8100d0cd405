import numpy as np
import pytest
import torch

from sshml.classifier import exact_network
from sshml.dataset import DatasetSpec, generate, open_dataset
from sshml.errors import SSHMLError


@pytest.fixture(scope="module")
def chains(tmp_path_factory):
    """10 000 clean chains of 16 sites with random signs."""
    path = tmp_path_factory.mktemp("data") / "chains.h5"
    generate(DatasetSpec(cells=8, gauge="random", train=10000, valid=1, test=1, seed=1), path)
    return open_dataset(path).train


@pytest.mark.parametrize("level", [None, *range(16)])
def test_they_are_right_on_every_chain(chains, level):
    network = exact_network(8, level)
    assert int(torch.linalg.matrix_rank(network[1].weight)) == (1 if level is None else 2)
    assert network[1].out_features == (2 if level is None else 4)
    with torch.no_grad():
        found = network(torch.from_numpy(chains.inputs())).argmax(1).numpy()
    wrong = found != chains.labels
    assert (abs(np.log(chains.ratio[wrong])) < 1e-4).all()  # beyond single precision
    assert wrong.sum() <= 1


@pytest.mark.parametrize("cells", [2, 5, 24])
def test_other_lengths(cells, tmp_path):
    generate(DatasetSpec(cells=cells, gauge="random", train=500, valid=1, test=1, seed=2), tmp_path / "c.h5")
    train = open_dataset(tmp_path / "c.h5").train
    x = torch.from_numpy(train.inputs())
    for level in (None, 0, cells - 1, cells):
        with torch.no_grad():
            wrong = exact_network(cells, level)(x).argmax(1).numpy() != train.labels
        assert (abs(np.log(train.ratio[wrong])) < 1e-3).all()


@pytest.mark.parametrize(("cells", "level", "word"), [(1, None, "cells"), (4, 8, "level"), (4, -1, "level")])
def test_what_does_not_exist(cells, level, word):
    with pytest.raises(SSHMLError, match=word):
        exact_network(cells, level)
