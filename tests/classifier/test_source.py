import numpy as np
import torch

from sshml.classifier import Stream, TrainingSpec
from sshml.classifier.source import Resident, Streamed, source_of


def test_every_member_sees_every_sample_once_in_its_own_order(rng):
    inputs, labels = torch.arange(23.0)[:, None], torch.arange(23)
    source = Resident(inputs, labels, 5)
    generators = [torch.Generator().manual_seed(seed) for seed in (1, 2)]
    batches = list(source.batches(0, generators))
    assert [x.shape for x, _ in batches] == [(2, 5, 1)] * 4 + [(2, 3, 1)]
    seen = torch.cat([y for _, y in batches], dim=1)
    assert (torch.cat([x for x, _ in batches], dim=1)[..., 0] == seen).all()
    for member, generator in enumerate(torch.Generator().manual_seed(seed) for seed in (1, 2)):
        assert torch.equal(seen[member], torch.randperm(23, generator=generator))


def test_streams_bring_their_own_view_and_batches(dataset):
    stream = Stream(dataset.train, "abs", batch_size=33)
    source, training = source_of(stream, TrainingSpec(epochs=2), "cpu")
    assert isinstance(source, Streamed)
    assert (training.view, training.batch_size, training.epochs) == ("abs", 33, 2)
    assert len(source) == len(dataset.train)
    x, labels = next(iter(source.batches(1, [None] * 3)))
    assert x.shape == (3, 33, 8, 8)
    assert (labels[0] == labels[2]).all()
    assert source.largest_label == dataset.train.labels.max()


def test_splits_are_held_in_the_view_of_the_training(dataset):
    source, training = source_of(dataset.valid, TrainingSpec(view="density"), torch.device("cpu"))
    assert isinstance(source, Resident)
    np.testing.assert_array_equal(source.inputs.numpy(), dataset.valid.inputs("density"))
    assert training == TrainingSpec(view="density")
