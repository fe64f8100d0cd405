import dataclasses
import functools

import numpy as np
import pytest

from sshml.classifier import TrainingSpec
from sshml.dataset import DatasetSpec
from sshml.errors import SSHMLError
from sshml.experiments import Job
from sshml.experiments.experiment import canonical, changed, plain


def measure(where, x, seeds=(1, 2), bias=0.5, other=None):
    return {}


def further(where, x, seeds=(1, 2), bias=0.5, other=None, new=True):
    return {}


def use(where, first, x):
    return {}


def key(**arguments):
    return Job(measure, arguments).key


def test_equal_inputs_have_one_key():
    assert key(x=4) == key(x=4.0) == key(x=np.int64(4)) == key(x=np.float32(4))
    assert key(x=(1, 2)) == key(x=[1, 2.0])
    assert key(x={"a": 1, "b": 2}) == key(x={"b": 2, "a": 1})
    assert len({key(x=value) for value in (1, True, "1", 1.5, None, [1], {"1": 1})}) == 7


def test_large_integers_are_kept_apart():
    assert len({key(x=2**60 + n) for n in range(4)}) == 4
    assert Job(measure, {"x": 2**63 + 1}).plain == {"x": 2**63 + 1}
    assert key(x=10**400) != key(x=10**400 + 1)


@pytest.mark.parametrize("function", [functools.partial(measure, x=1), print, "measure", None, type])
def test_only_functions_of_a_file(function):
    with pytest.raises(SSHMLError, match="give a function of a file"):
        Job(function, {})


def test_arguments_at_their_default_do_not_count():
    assert key(x=1) == key(x=1, seeds=[1, 2]) == key(x=1, bias=0.5, other=None)
    assert key(x=1) != key(x=1, bias=0.25)
    assert key(x=1, other=0) != key(x=1)


def test_a_new_option_keeps_old_results():
    old, new = Job(measure, {"x": 1}).inputs, Job(further, {"x": 1, "new": True}).inputs
    assert old["arguments"] == new["arguments"]


def test_dataclasses_arrive_as_their_changed_fields():
    job = Job(measure, {"x": TrainingSpec(epochs=3, batch_size=64)})
    assert job.plain == {"x": {"epochs": 3}}
    assert job.key == Job(measure, {"x": TrainingSpec(3)}).key
    assert TrainingSpec(**job.plain["x"]) == TrainingSpec(epochs=3)
    spec = DatasetSpec(cells=4, v="0:2:21", disorder_w=0.5)
    assert DatasetSpec(**plain(spec)) == spec


def test_jobs_within_jobs():
    first = Job(measure, {"x": 1})
    after = Job(use, {"first": first, "x": 2})
    assert after.needs == {"first": first}
    assert after.key == Job(use, {"first": Job(measure, {"x": 1.0}), "x": 2}).key
    assert after.key != Job(use, {"first": Job(measure, {"x": 3}), "x": 2}).key
    assert after.code != first.code


def test_how_long_it_takes_is_no_input():
    assert Job(measure, {"x": 1}, work=3).key == Job(measure, {"x": 1}).key


@pytest.mark.parametrize("value", [object(), {1: 2}, np.zeros(3), 1j, measure, [Job(measure, {"x": 1})], b"x"])
def test_only_plain_data(value):
    with pytest.raises(SSHMLError, match="give numbers, texts, lists"):
        _ = Job(measure, {"x": value}).key


def test_keys_say_what_they_are():
    assert key(x=1).startswith("measure-")
    assert Job(measure, {"x": 1}).inputs["function"].endswith("test_experiment.measure")


def test_changed_fields_of_any_dataclass():
    @dataclasses.dataclass(frozen=True)
    class Some:
        a: int
        b: tuple = (1, 2)
        c: list = dataclasses.field(default_factory=list)

    assert changed(Some(1)) == {"a": 1}
    assert changed(Some(1, (1,), [2])) == {"a": 1, "b": [1], "c": [2]}
    assert canonical({"b": 1, "a": [1, 2]}) == '{"a":[1,2],"b":1}'
