import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from sshml.classifier import Stream, pick_device, resident
from sshml.dataset import DatasetSpec, ImageSplit, generate, open_dataset
from sshml.errors import SSHMLError


def test_splits_become_tensors(dataset):
    inputs, labels = resident(dataset.train, "density")
    np.testing.assert_array_equal(inputs.numpy(), dataset.train.inputs("density"))
    np.testing.assert_array_equal(labels.numpy(), dataset.train.labels)
    assert inputs.dtype == torch.float32
    assert labels.dtype == torch.int64


def test_any_object_with_inputs_and_labels():
    inputs, labels = resident(SimpleNamespace(inputs=np.ones((3, 2)), labels=[0, 1, 1]))
    assert inputs.shape == (3, 2)
    assert labels.tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    ("inputs", "labels", "words"),
    [
        (np.ones((0, 2)), [], "is empty"),
        (np.ones((3, 2)), [0, 1], "do not match"),
        (np.full((2, 2), np.nan), [0, 1], "NaN"),
        (np.ones((2, 2)), [0.5, 1], "whole numbers"),
        (np.ones((2, 2)), [-1, 1], "class numbers"),
    ],
)
def test_unusable_splits(inputs, labels, words):
    with pytest.raises(SSHMLError, match=words):
        resident(SimpleNamespace(inputs=inputs, labels=np.array(labels)))


def test_devices():
    assert pick_device("cpu").type == "cpu"
    assert pick_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(SSHMLError, match="unknown"):
        pick_device("abacus")
    if not torch.cuda.is_available():
        with pytest.raises(SSHMLError, match="no CUDA device"):
            pick_device("cuda")


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    """A split of many small chunks: 40-site chains, 163 to a chunk."""
    path = tmp_path_factory.mktemp("stream") / "chains.h5"
    spec = DatasetSpec(cells=20, disorder_v=0.3, train=1000, valid=1, test=1)
    generate(spec, path)
    return open_dataset(path).train


class TestStream:
    def epoch_of(self, stream):
        batches = list(stream)
        assert [len(labels) for _, labels in batches[:-1]] == [stream.batch_size] * (len(stream) - 1)
        inputs, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
        return inputs.numpy(), labels.numpy()

    @pytest.mark.parametrize("group_bytes", [1, 2**21, 2**30])
    def test_every_sample_once_per_epoch_in_another_order(self, split, group_bytes):
        stream = Stream(split, "abs", batch_size=64, group_bytes=group_bytes)
        assert len(stream) == 16
        rows = split.inputs("abs").reshape(1000, -1)
        order = np.argsort(rows[:, 0])
        seen = []
        for _ in range(3):
            inputs, labels = self.epoch_of(stream)
            inputs = inputs.reshape(1000, -1)
            back = np.argsort(inputs[:, 0])
            np.testing.assert_array_equal(inputs[back], rows[order])
            np.testing.assert_array_equal(labels[back], split.labels[order])
            seen.append(inputs[:, 0])
        assert not any((a == b).mean() > 0.1 for a, b in itertools.combinations(seen, 2))
        assert (seen[0] == rows[:, 0]).mean() < 0.1

    @pytest.mark.parametrize(("workers", "context"), [(1, "fork"), (2, "fork"), (2, "spawn")])
    def test_workers_give_the_same_batches(self, split, workers, context):
        split.inputs("density")  # the file was open in this process before
        for epochs in (1, 2):
            alone, shared = (
                Stream(split, "density", 100, seed=4, group_bytes=2**20, **options)
                for options in ({}, {"workers": workers, "context": context})
            )
            for _ in range(epochs):
                expected, found = self.epoch_of(alone), self.epoch_of(shared)
                np.testing.assert_array_equal(found[0], expected[0])
                np.testing.assert_array_equal(found[1], expected[1])

    def test_recipes_stream_too(self, split, tmp_path):
        generate(split.spec, tmp_path / "recipe.h5", recipe=True)
        recipe = open_dataset(tmp_path / "recipe.h5").train
        for options in ({}, {"workers": 1, "context": "fork"}):
            full, made = (self.epoch_of(Stream(s, batch_size=300, **options)) for s in (split, recipe))
            np.testing.assert_array_equal(full[0], made[0])

    def test_bad_streams(self, split):
        with pytest.raises(SSHMLError, match="cannot be streamed"):
            Stream(SimpleNamespace(inputs=np.ones((3, 2)), labels=[0, 1, 1]))
        with pytest.raises(SSHMLError, match="batch_size is 0"):
            Stream(split, batch_size=0)
        with pytest.raises(SSHMLError, match="x-ray"):
            Stream(split, "x-ray")


@pytest.mark.parametrize("workers", [0, 2])
def test_torchs_own_loader_works_on_a_split(dataset, workers):
    """Batches, shuffled or not, from this process or from workers."""
    context = "spawn" if workers else None
    loader = torch.utils.data.DataLoader(dataset.test, 64, num_workers=workers, multiprocessing_context=context)
    inputs, labels = (torch.cat(parts) for parts in zip(*loader, strict=True))
    np.testing.assert_array_equal(inputs.numpy(), dataset.test.inputs())
    np.testing.assert_array_equal(labels.numpy(), dataset.test.labels)
    generator = torch.Generator().manual_seed(0)
    shuffled = torch.utils.data.DataLoader(dataset.test, 64, shuffle=True, generator=generator)
    total = sum(x.double().sum(0) for x, _ in shuffled)
    np.testing.assert_allclose(total, dataset.test.inputs().astype(float).sum(0), atol=1e-9)


def test_torchs_own_loader_works_on_images(rng):
    split = ImageSplit(rng.integers(0, 256, (20, 1, 28, 28)).astype(np.uint8), np.arange(20) % 10, padding=2)
    x, labels = next(iter(torch.utils.data.DataLoader(split, 7)))
    assert x.shape == (7, 1, 32, 32)
    np.testing.assert_array_equal(x.numpy(), split.inputs(index=slice(7)))
    np.testing.assert_array_equal(split.inputs(index=[3, 1]), split.inputs()[[3, 1]])
    assert labels.tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert len(list(split)) == 20


def test_numbers_too_large_for_the_network_are_refused():
    split = SimpleNamespace(inputs=lambda view=None: np.array([[1e39], [1.0]]), labels=np.array([0, 1]))
    with pytest.raises(SSHMLError, match="beyond float32"):
        resident(split)
    assert resident(split, dtype=torch.float64)[0][0] == 1e39
