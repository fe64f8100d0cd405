import pytest
import torch

from sshml.classifier import MLP, TrainingSpec, fit
from sshml.classifier.denormals import are_flushed, flushed


def network():
    return MLP((64, 4, 2))


def test_small_numbers_are_flushed_inside_only():
    assert not are_flushed()
    with flushed():
        assert are_flushed()
        with flushed():
            pass
        assert are_flushed()  # as it was before the inner one
    assert not are_flushed()


def test_the_default_type_plays_no_role():
    torch.set_default_dtype(torch.float64)
    try:
        with flushed():
            assert are_flushed()
    finally:
        torch.set_default_dtype(torch.float32)


def test_an_error_inside_leaves_the_thread_as_it_was():
    with pytest.raises(KeyError), flushed():
        raise KeyError
    assert not are_flushed()


def test_a_training_flushes_them_and_leaves_the_thread_as_it_was(dataset):
    seen = []
    fit(network, dataset.train, dataset.valid, seeds=1, on_step=lambda step, model: seen.append(are_flushed()))
    assert seen
    assert all(seen)
    assert not are_flushed()


def test_moments_that_fade_do_not_linger_below_the_smallest_normal_number(dataset):
    """A closed ReLU has no gradient: 1000 steps take its first moment below 1e-38, where arithmetic is slow."""

    class Closes:
        def __init__(self, network, tensors, optimizer, steps_per_epoch):
            self.bias, self.optimizer, self.steps = tensors["1.bias"], optimizer, 0

        def step(self):
            self.steps += 1
            if self.steps == 3:
                self.bias.data.fill_(-1000.0)
            if self.steps == 1000:
                moments = self.optimizer.moments()["1.weight"]["exp_avg"].abs()
                found.extend(moments[moments > 0].tolist())
                faded.append(int((moments == 0).sum()))

    found, faded = [], []
    training = TrainingSpec(epochs=10, batch_size=4, learning_rate=1e-6)
    fit(network, dataset.train, dataset.valid, training, seeds=1, device="cpu", project=Closes)
    assert faded[0] > 0
    assert all(moment >= torch.finfo(torch.float32).tiny for moment in found)
