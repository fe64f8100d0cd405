from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from sshml.classifier import MLP, members_of
from sshml.compression import compress
from sshml.errors import SSHMLError


def test_one_member_is_a_run_of_its_own(run, dataset):
    for member in (0, 2, -1, np.int64(1)):
        one = run[member]
        assert len(one) == 1
        assert one.seeds.tolist() == [run.seeds[member]]
        assert one.epoch.tolist() == [run.epoch[member]]
        assert one.accuracy(dataset.test) == pytest.approx(run.accuracy(dataset.test)[member])
        for name, history in run.history.items():
            np.testing.assert_array_equal(one.history[name], history[[member]])
        assert all(torch.equal(one.initial[name][0], tensor[member]) for name, tensor in run.initial.items())


def test_several_members_and_loops(run):
    assert run[1:].seeds.tolist() == run.seeds[1:].tolist()
    assert run[[2, 0]].seeds.tolist() == run.seeds[[2, 0]].tolist()
    assert [int(one.seeds[0]) for one in run] == run.seeds.tolist()
    with pytest.raises(IndexError, match="member 3 of 3"):
        run[3]


def test_other_modules_in_the_place_of_the_members(run, dataset):
    small = [compress(model, 0, "svd", rank=3) for model in run.models()]
    found = run.with_models(small)
    assert type(found.model(1)[1]).__name__ == "LowRankLinear"
    right = [
        (model(torch.from_numpy(dataset.test.inputs())).argmax(-1).numpy() == dataset.test.labels) for model in small
    ]
    np.testing.assert_array_equal(found.correct(dataset.test), right)
    assert found.seeds.tolist() == run.seeds.tolist()
    assert found.initial == {}
    with pytest.raises(SSHMLError, match="2 modules and 3 members"):
        run.with_models(small[:2])
    with pytest.raises(SSHMLError, match="one architecture"):
        run.with_models([*small[:2], run.model(2)])
    tanh = MLP((64, 12, 6, 2), "tanh")
    with pytest.raises(SSHMLError, match="one architecture"):
        run.with_models([*run.models()[:2], tanh])
    with pytest.raises(SSHMLError, match="no initial weights"):
        found.model(initial=True)
    for member in (None, True):
        with pytest.raises(SSHMLError, match="expected an integer"):
            run[member]


def test_members_of_anything(run):
    assert members_of(run)[1] == run.training.view
    assert members_of(run, "abs")[1] == "abs"
    assert len(members_of(run)[0]) == 3
    model = nn.Linear(2, 2)
    assert members_of(model) == ([model], None)
    assert members_of((model, model), "density") == ([model, model], "density")


def test_accuracy_is_the_share_of_right_ones(run, dataset):
    assert run.accuracy(dataset.test) == pytest.approx(run.correct(dataset.test).mean(1))
    few = SimpleNamespace(inputs=dataset.test.inputs()[:5], labels=dataset.test.labels[:5])
    assert run.correct(few).shape == (3, 5)
    assert isinstance(run.model(), MLP)
    assert not run.model().training


def test_modules_with_hooks_or_of_another_type_are_no_members(run):
    models = run.models()
    models[1][1].register_forward_hook(lambda module, inputs, outputs: -outputs)
    with pytest.raises(SSHMLError, match="have hooks"):
        run.with_models(models)
    models = run.models()
    models[1][1].forward = torch.zeros_like
    with pytest.raises(SSHMLError, match="patched forwards"):
        run.with_models(models)
    models = run.models()
    models[2].double()
    with pytest.raises(SSHMLError, match="shapes or types"):
        run.with_models(models)
