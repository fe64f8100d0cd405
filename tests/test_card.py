"""Every path of the GPU on tensors without numbers: whatever mixes devices fails here as on a card."""

import functools
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from sshml.analysis import evaluate, rank_sweep
from sshml.classifier import MLP, LeNet5, Stream, TrainingSpec, finetune, fit, stack
from sshml.compression import FrobeniusDecay, LowRank, compress, tensorize
from tests.card import CARD, card
from tests.classifier.kinds import KINDS


@pytest.fixture
def data(rng):
    return SimpleNamespace(inputs=rng.normal(size=(30, 8, 8)), labels=np.arange(30) % 2)


RECIPES = {
    "adam": {"flip_signs": True, "clip": 1.0, "average": 0.9},
    "sgd": {"optimizer": "sgd", "momentum": 0.9, "augment": ("crop", "flip"), "label_smoothing": 0.1, "patience": 1},
}


def test_two_devices_are_noticed():
    with card():
        x = torch.randn(3, 4).to(CARD)
        assert (x @ torch.randn(4, 2, device=CARD)).cpu().shape == (3, 2)
        for wrong in (
            lambda: x + torch.randn(4),
            lambda: x @ torch.randn(4, 2),
            lambda: torch.cat([x, torch.rand(1, 4)]),
        ):
            with pytest.raises(RuntimeError, match="same device"):
                wrong()
        with pytest.raises(RuntimeError, match="same device"):
            nn.Linear(4, 2)(x)


@pytest.mark.parametrize(
    ("kind", "recipe"),
    [*((kind, "adam") for kind in KINDS), *((kind, "sgd") for kind in ("plain", "lstm", "batch norm"))],
)
def test_networks_are_trained_and_used(data, kind, recipe):
    training = TrainingSpec(epochs=1, batch_size=15, **RECIPES[recipe])
    with card():
        run = fit(KINDS[kind], data, data, training, 2, "cuda", watch={"test": data})
        assert {tensor.device.type for tensor in run.weights.values()} == {"cpu"}
        assert run.predict(data, "cuda").shape == (2, 30)


@pytest.mark.parametrize("method", ["svd", "randomized", "subspace"])
@pytest.mark.parametrize("kind", ["plain", "layer norm", "dropout", "convolution"])
def test_networks_are_projected(data, kind, method):
    project = functools.partial(LowRank, rank=1, every=1, method=method, moments="project")
    with card():
        training = TrainingSpec(epochs=1, batch_size=12, optimizer="sgd", momentum=0.9)
        fit(KINDS[kind], data, data, training, 2, "cuda", project=project)


def test_streams(dataset):
    with card():
        training, source = TrainingSpec(epochs=1, flip_signs=True), Stream(dataset.train, batch_size=50)
        run = fit(lambda: MLP((64, 8, 2)), source, dataset.valid, training, 2, "cuda")
        evaluate(run, dataset.test, device="cuda")


def factored():
    return compress(MLP((64, 16, 2)), 0, "svd", rank=3)


@pytest.mark.parametrize(
    "factory",
    [
        factored,
        lambda: tensorize(MLP((64, 16, 2)), {0: ((4, 4), (8, 8))}, 2),
        lambda: compress(MLP((64, 16, 2)), 0, "prune", keep=50),
    ],
    ids=["low rank", "mpo", "pruned"],
)
def test_compressed_networks(data, factory):
    with card():
        run = fit(factory, data, data, TrainingSpec(epochs=1, batch_size=12), 2, "cuda")
        run.accuracy(data, "cuda")
        finetune(factory(), data, data, TrainingSpec(epochs=1), teacher=MLP((64, 2)), device="cuda")


def test_decay_of_factors(data):
    with card():
        training = TrainingSpec(epochs=1, batch_size=12)
        fit(factored, data, data, training, 2, "cuda", project=functools.partial(FrobeniusDecay, decay=0.1))


def test_sweeps_over_ranks(run, dataset):
    with card():
        rank_sweep(run, dataset.test, 0, device="cuda")


def test_convolutions_and_attention_in_parts():
    with card():
        for model, shape in (
            (compress(LeNet5(), share=0.3), (2, 1, 28, 28)),
            (compress(nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), share=0.5), (2, 5, 16)),
        ):
            model.to(CARD)(torch.randn(shape, device=CARD)).sum().backward()


def test_stacks(data):
    with card():
        members = [MLP((64, 8, 2)).to(CARD) for _ in range(3)]
        stacked = stack(members)
        stacked(torch.randn(3, 4, 8, 8, device=CARD)).sum().backward()
        assert all(parameter.grad.device.type == CARD.type for parameter in stacked.parameters())
