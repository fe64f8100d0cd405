import copy

import pytest
import torch
from torch import nn

from sshml.classifier import TrainingSpec, finetune
from sshml.compression import LowRankLinear, compress
from sshml.errors import SSHMLError


@pytest.fixture(scope="module")
def problem():
    """A teacher, its truncation that has lost much, and data labelled by the teacher."""
    torch.manual_seed(0)
    teacher, x = nn.Sequential(nn.Linear(12, 40), nn.ReLU(), nn.Linear(40, 3)).eval(), torch.randn(900, 12)
    with torch.no_grad():
        y = teacher(x).argmax(1)
    return teacher, compress(teacher, 0, "svd", rank=3), (x[:600], y[:600]), (x[600:], y[600:])


def accuracy(model, data):
    with torch.no_grad():
        return float((model(data[0]).argmax(1) == data[1]).double().mean())


@pytest.mark.parametrize("share", [None, 0.0, 0.5, 1.0])
def test_factors_are_trained(problem, share):
    teacher, small, train, valid = problem
    options = {} if share is None else {"teacher": teacher, "share": share}
    before = copy.deepcopy(small.state_dict())
    tuned = finetune(small, train, valid, TrainingSpec(20, 64, 3e-3), **options)
    assert isinstance(tuned[0], LowRankLinear)
    assert accuracy(tuned, valid) > accuracy(small, valid) + 0.05
    assert all(torch.equal(before[name], tensor) for name, tensor in small.state_dict().items())
    assert tuned.training == small.training


def test_no_share_of_the_teacher_is_no_teacher(problem):
    teacher, small, train, valid = problem
    training = TrainingSpec(2, 64)
    alone, beside = (
        finetune(small, train, valid, training, **options) for options in ({}, {"teacher": teacher, "share": 0.0})
    )
    for name, tensor in alone.state_dict().items():
        torch.testing.assert_close(tensor, beside.state_dict()[name])


def test_the_loss_is_that_of_the_paper(problem):
    """(1 - a) CE + a T^2 KL against a sum by hand, on one sample."""
    from sshml.classifier.finetuning import _Distilling

    teacher, small, (x, y), _ = problem
    found = _Distilling(teacher, 0.3, 2.0)(x[None, :1], small(x[:1])[None], y[None, :1])
    p, q = (torch.softmax(model(x[:1]) / 2, 1)[0] for model in (teacher, small))
    kl = (p * (p / q).log()).sum()
    ce = -torch.log_softmax(small(x[:1]), 1)[0, y[0]]
    torch.testing.assert_close(found, (0.7 * ce + 0.3 * 4 * kl).view(1, 1))


def test_frozen_layers_stay(problem):
    _, small, train, valid = problem
    small = copy.deepcopy(small)
    small[2].requires_grad_(False)
    tuned = finetune(small, train, valid, TrainingSpec(2, 64))
    assert torch.equal(tuned[2].weight, small[2].weight)
    assert not torch.equal(tuned[0].left, small[0].left)
    assert [p.requires_grad for p in tuned.parameters()] == [p.requires_grad for p in small.parameters()]


def test_networks_that_are_no_sequential():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention, self.head = nn.MultiheadAttention(8, 2, batch_first=True), nn.Linear(8, 2)

        def forward(self, x):
            return self.head(self.attention(x, x, x)[0].mean(1))

    torch.manual_seed(0)
    x, y = torch.randn(64, 5, 8), torch.randint(2, (64,))
    small = compress(Twice().eval(), share=0.8, data=x)
    tuned = finetune(small, (x, y), (x, y), TrainingSpec(2, 16))
    assert not torch.equal(tuned.head.bias, small.head.bias)


def test_bad_input(problem):
    teacher, small, train, valid = problem
    for options in ({"share": 2}, {"temperature": 0}):
        with pytest.raises(SSHMLError, match="expected a number"):
            finetune(small, train, valid, teacher=teacher, **options)
    frozen = copy.deepcopy(small).requires_grad_(False)
    with pytest.raises(SSHMLError, match="no parameters to train"):
        finetune(frozen, train, valid)


def test_modes_come_back_module_by_module(problem):
    _, _, train, valid = problem
    model = nn.Sequential(nn.Linear(12, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)).train()
    model[1].eval()
    tuned = finetune(model, train, valid, TrainingSpec(epochs=1), device="cpu")
    assert [module.training for module in tuned.modules()] == [module.training for module in model.modules()]


@pytest.mark.parametrize("option", [{"share": 0.5}, {"temperature": 3.0}])
def test_what_is_of_a_teacher_needs_one(problem, option):
    _, small, train, valid = problem
    with pytest.raises(SSHMLError, match="are of a teacher"):
        finetune(small, train, valid, **option)
