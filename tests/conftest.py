"""Small datasets and runs shared by the rooms' tests."""

import os

import numpy as np
import pytest
import torch

from sshml.classifier import MLP, TrainingSpec, fit
from sshml.dataset import DatasetSpec, generate, open_dataset


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes():
    """One thread for each process of `pytest -n`, which has a core for each."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory):
    """A clean dataset of 8-site chains in the fixed gauge."""
    path = tmp_path_factory.mktemp("data") / "chains.h5"
    generate(DatasetSpec(cells=4, gauge="fixed", train=400, valid=100, test=300, seed=3), path)
    return open_dataset(path)


def small_mlp():
    return MLP((64, 12, 6, 2))


@pytest.fixture(scope="session")
def run(dataset):
    """Three small networks trained on `dataset`."""
    return fit(small_mlp, dataset.train, dataset.valid, TrainingSpec(epochs=6, batch_size=32), seeds=3, device="cpu")


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request):
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    return request.param
