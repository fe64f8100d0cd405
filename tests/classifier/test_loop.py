import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from sshml.classifier import MLP, TrainingSpec, stack
from sshml.classifier.loop import HISTORY, State, cross_entropies


def state(epochs=2):
    torch.manual_seed(0)
    return State(stack([MLP((4, 3, 2)) for _ in range(2)]), [5, 7], TrainingSpec(epochs, average=0.9))


def test_cross_entropies_are_those_of_every_member_and_sample(rng):
    logits, labels = torch.from_numpy(rng.normal(size=(3, 5, 4))), torch.from_numpy(rng.integers(0, 4, (3, 5)))
    for member in range(3):
        expected = cross_entropy(logits[member], labels[member], reduction="none")
        torch.testing.assert_close(cross_entropies(logits, labels)[member], expected)


def test_the_first_of_equally_good_epochs_is_kept_member_by_member():
    now = state()
    for epoch, accuracy in enumerate(([0.5, 0.9], [0.7, 0.9], [0.7, 0.8]), 1):
        with torch.no_grad():
            for parameter in now.model.parameters():
                parameter.fill_(epoch)
        now.done = epoch
        now.keep_the_better(np.array(accuracy), np.full(2, True))
    assert now.epoch.tolist() == [2, 1]
    assert now.best.tolist() == [0.7, 0.9]
    for tensor in now.weights.values():
        assert tensor[0].unique().tolist() == [2]
        assert tensor[1].unique().tolist() == [1]


def test_a_state_goes_through_a_tree():
    one, other = state(), state()
    x = torch.randn(2, 6, 4)
    for _ in range(3):
        one.steps.zero()
        one.model(x).square().sum().backward()
        one.steps.step()
        one.average.step(one.steps.done)
        torch.rand(3, generator=one.generators[1])
    one.keep_the_better(np.array([0.3, 0.4]), np.full(2, True))
    one.history["valid_loss"][:, 0] = 2.5
    one.done = 1
    tree = one.as_tree()
    other.load_tree(tree)
    found = other.as_tree()
    assert found.keys() == tree.keys()
    for name in ("model", "weights", "average"):
        assert all(torch.equal(found[name][key], tensor) for key, tensor in tree[name].items())
    for number, moments in tree["steps"]["moments"].items():
        assert all(torch.equal(found["steps"]["moments"][number][key], value) for key, value in moments.items())
    assert torch.equal(other.generators[1].get_state(), one.generators[1].get_state())
    assert (found["done"], found["steps"]["done"]) == (1, 3)
    assert set(found["history"]) == set(HISTORY)
    assert found["history"]["valid_loss"][0, 0] == pytest.approx(2.5)
