import os
import subprocess
import sys
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


FORKED = """
import os, sys, threading
import numpy as np, torch
from types import SimpleNamespace
from sshml.analysis import rank_grid
from sshml.classifier import MLP

torch.manual_seed(0)
model, rng = MLP((9, 6, 4, 2)), np.random.default_rng(0)
split = SimpleNamespace(inputs=rng.normal(size=(700, 3, 3)), labels=rng.integers(0, 2, 700))
expected = rank_grid(model, split)
child = os.fork()
if child == 0:
    os._exit(0 if (rank_grid(model, split) == expected).all() else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
found = []
threads = [threading.Thread(target=lambda: found.append(rank_grid(model, split))) for _ in range(4)]
[thread.start() for thread in threads], [thread.join() for thread in threads]
assert len(found) == 4 and all((one == expected).all() for one in found)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_it_runs_in_a_forked_process_and_in_threads_at_once():
    environment = os.environ | {"NUMBA_NUM_THREADS": "2"}
    command = [sys.executable, "-c", FORKED]
    found = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, check=False)
    assert found.returncode == 0, found.stderr


def test_of_equal_logits_the_first_class_counts(rng):
    model = MLP((8, 6, 5, 3))
    with torch.no_grad():
        model[-1].weight.zero_()
        model[-1].bias.zero_()
    split = SimpleNamespace(inputs=rng.normal(size=(30, 8)), labels=np.arange(30) % 3)
    assert (rank_grid(model, split) == 1 / 3).all()
    split.labels = np.zeros(30, int)
    assert (rank_grid(model, split) == 1).all()


def test_hooks_are_refused(run, dataset):
    model = run.model()
    model[1].register_forward_hook(lambda module, inputs, outputs: -outputs)
    with pytest.raises(SSHMLError, match="no hooks"):
        rank_grid(model, dataset.test)
    model = run.model()
    model[3].forward = torch.zeros_like
    with pytest.raises(SSHMLError, match="no hooks"):
        rank_grid(model, dataset.test)
