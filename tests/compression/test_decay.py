import functools

import pytest
import torch
from torch import nn

from sshml.classifier import MLP, TrainingSpec, fit
from sshml.compression import FrobeniusDecay, compress, stable_rank
from sshml.errors import SSHMLError
from tests.compression.test_projection import data, network


def test_frobenius_decay_is_the_gradient_of_the_product():
    torch.manual_seed(0)
    model = compress(nn.Sequential(nn.Linear(6, 5)), 0, "svd", rank=2)
    left, right = (p.detach().clone().requires_grad_() for p in (model[0].left, model[0].right))
    (0.5 * 0.3 * (left @ right).square().sum()).backward()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
    FrobeniusDecay(model, 0.3, optimizer=optimizer).step()
    torch.testing.assert_close(model[0].left.detach(), left.detach() - 0.2 * left.grad)
    torch.testing.assert_close(model[0].right.detach(), right.detach() - 0.2 * right.grad)
    with pytest.raises(SSHMLError, match="no factors to train"):
        FrobeniusDecay(network(), optimizer=optimizer)
    with pytest.raises(SSHMLError, match="give optimizer"):
        FrobeniusDecay(model)
    with pytest.raises(SSHMLError, match="decay is -1"):
        FrobeniusDecay(model, -1, optimizer=optimizer)


def test_frobenius_decay_shrinks_in_an_ensemble():
    split, training = data(), TrainingSpec(epochs=3, batch_size=32)
    decay = functools.partial(FrobeniusDecay, decay=20.0)

    def factors():
        return compress(MLP((40, 30, 5)), 0, "svd", rank=3)

    runs = [fit(factors, split, split, training, 2, "cpu", project=p) for p in (None, decay)]
    norms = [[(run.weights["1.left"] @ run.weights["1.right"])[m].norm() for m in range(2)] for run in runs]
    assert all(with_ < 0.8 * without for without, with_ in zip(*norms, strict=True))


def test_the_stable_rank():
    assert float(stable_rank(torch.diag(torch.tensor([2.0, 1.0, 1.0])))) == pytest.approx(1.5)
    assert stable_rank(torch.zeros(2, 3, 3)).tolist() == [0, 0]


def test_decay_follows_the_groups_and_leaves_what_is_frozen():
    model = compress(MLP((8, 6, 5, 2)), [0, 1], "svd", rank=2)
    groups = [{"params": list(model[1].parameters()), "lr": 0.0}, {"params": list(model[3].parameters()), "lr": 0.5}]
    optimizer = torch.optim.SGD([*groups, {"params": list(model[5].parameters())}], lr=0.1)
    before = [layer.left.detach().clone() for layer in (model[1], model[3])]
    FrobeniusDecay(model, 0.5, optimizer=optimizer).step()
    assert torch.equal(model[1].left, before[0])
    assert not torch.equal(model[3].left, before[1])
    with pytest.raises(SSHMLError, match="are not the optimizer's"):
        FrobeniusDecay(model, 0.5, optimizer=torch.optim.SGD(model[1].parameters(), lr=0.1)).step()
    model.requires_grad_(False)
    with pytest.raises(SSHMLError, match="no factors to train"):
        FrobeniusDecay(model, 0.5, optimizer=optimizer)
