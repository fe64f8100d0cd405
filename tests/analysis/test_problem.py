import pytest
import torch
from torch import nn

from sshml.analysis.problem import Problem, _SinglePart, _StackedPart
from sshml.classifier import MLP
from sshml.errors import SSHMLError


def test_members_together_and_one_by_one_are_the_same(run, dataset):
    problem = Problem(run, dataset.test, 0, None, "cpu", None)
    (together,) = problem.parts()
    assert type(together) is _StackedPart
    for member, model in enumerate(run.models()):
        alone = _SinglePart(problem, model, member)
        for (x, labels), (own, same) in zip(together.blocks(70), alone.blocks(70), strict=True):
            torch.testing.assert_close(own[0], x[member])
            assert (labels == same).all()
            z = together.start(x) + x @ together.weight.mT
            torch.testing.assert_close(alone.scores(z[member : member + 1])[0], together.scores(z)[member])
            assert alone.hits(z[member : member + 1], labels)[0] == together.hits(z, labels)[member]


def test_progress_counts_the_samples_of_all_members(run, dataset):
    seen = []
    problem = Problem(run, dataset.test, 0, None, "cpu", lambda *now: seen.append(now))
    problem.done(250.5)
    problem.done(649.5)
    assert seen == [(250, 900), (900, 900)]


def test_layers_that_cannot_be_swept(run, dataset):
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.head = nn.Linear(64, 64), nn.Linear(64, 2)

        def forward(self, x):
            return self.head(self.layer(self.layer(x.flatten(1))))

    problem = Problem(Twice(), dataset.test, "layer", None, "cpu", None)
    (part,) = problem.parts()
    with pytest.raises(SSHMLError, match="runs 2 times"):
        list(part.blocks(10))
    for model in (MLP((9, 4, 2)), nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(9, 2))):
        with pytest.raises(SSHMLError, match="does not take inputs"):
            Problem([model] * 2, dataset.test, 0, None, "cpu", None)
