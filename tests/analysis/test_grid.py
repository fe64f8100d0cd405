from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from sshml.analysis import rank_grid, rank_sweep
from sshml.classifier import MLP, resident
from sshml.compression import truncated_svd
from sshml.errors import SSHMLError


def naive(model, split):
    inputs, labels = resident(split)
    weights = [model[1].weight.data.clone(), model[3].weight.data.clone()]
    grid = np.empty([min(weight.shape) for weight in weights])
    for r1 in range(grid.shape[0]):
        for r2 in range(grid.shape[1]):
            for layer, weight, rank in ((1, weights[0], r1 + 1), (3, weights[1], r2 + 1)):
                left, right = truncated_svd(weight, rank)
                model[layer].weight.data = left @ right
            with torch.no_grad():
                grid[r1, r2] = (model(inputs).argmax(-1) == labels).double().mean()
    return grid


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
@pytest.mark.parametrize("widths", [(20, 9, 7, 2), (20, 6, 11, 4), (20, 3, 2, 3)])
def test_the_whole_grid_as_the_naive_loops(rng, activation, widths):
    torch.manual_seed(1)
    model = MLP(widths, activation)
    samples = 301  # no multiple of the lanes
    split = SimpleNamespace(inputs=rng.normal(size=(samples, 4, 5)), labels=rng.integers(0, widths[-1], samples))
    with torch.no_grad():  # gains and a bias that leave all classes in play
        for parameter in model.parameters():
            parameter.mul_(3)
        model[5].bias -= model(resident(split)[0]).mean(0)
    found = rank_grid(model, split)[0]
    np.testing.assert_allclose(found, naive(model, split), atol=1.5 / samples)
    assert len(np.unique(found)) > 2


def test_full_rank_of_layer_2_is_the_sweep_of_layer_1(run, dataset):
    grid, sweep = rank_grid(run, dataset.test), rank_sweep(run, dataset.test)
    np.testing.assert_allclose(grid[:, :, -1], sweep.accuracy, atol=1.5 / 300)
    np.testing.assert_array_equal(rank_grid(run, dataset.test, ranks=[2, 5]), grid[:, [1, 4]])


@pytest.mark.parametrize(
    "model",
    [
        MLP((64, 8, 2)),
        MLP((64, 8, 8, 8, 2)),
        nn.Linear(64, 2),
        nn.Sequential(nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 2)),
        nn.Sequential(nn.Linear(64, 8), nn.GELU(), nn.Linear(8, 8), nn.GELU(), nn.Linear(8, 2)),
    ],
)
def test_other_architectures_are_refused(model, dataset):
    with pytest.raises(SSHMLError, match="perceptron of three linear layers"):
        rank_grid(model, dataset.test)


def test_bad_ranks(run, dataset):
    with pytest.raises(SSHMLError, match="within 1 to 12"):
        rank_grid(run, dataset.test, ranks=[0, 3])
