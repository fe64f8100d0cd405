import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sshml.dataset import DatasetSpec, Range
from sshml.errors import SSHMLError


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.5, Range(0.5)),
        ("0.5", Range(0.5)),
        ("0:1", Range(0, 1)),
        ((0, 1), Range(0, 1)),
        ([0, 2, 21], Range(0, 2, 21)),
        ("0:2:21", Range(0, 2, 21)),
        ("-1:1", Range(-1, 1)),
    ],
)
def test_hoppings_are_read(value, expected):
    assert Range.parse(value) == expected
    assert Range.parse(str(expected)) == expected


@pytest.mark.parametrize(
    "value", ["", "a", "1:0", "0:1:1", "0:1:2.5", "1:2:3:4", "nan", "inf", None, "1:1:5", (), "0:"]
)
def test_unreadable_hoppings(value):
    with pytest.raises(SSHMLError, match="hopping"):
        Range.parse(value)


@given(
    st.builds(
        DatasetSpec,
        cells=st.integers(2, 20),
        v=st.tuples(st.floats(0, 1), st.floats(1.5, 2)),
        disorder_w=st.floats(0, 4),
        boundary=st.sampled_from(["open", "periodic"]),
        gauge=st.sampled_from(["fixed", "random"]),
        train=st.integers(1, 100),
        seed=st.integers(0, 2**64 - 1),
    )
)
def test_json_round_trip(spec):
    assert DatasetSpec.from_json(spec.to_json()) == spec


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cells": 1}, "cells is 1"),
        ({"cells": 2.5}, "cells is 2.5"),
        ({"train": 0}, "train is 0"),
        ({"test": -3}, "test is -3"),
        ({"valid": True}, "valid is True"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 2**64}, "2.64 - 1"),
        ({"disorder_v": -0.1}, "disorder_v"),
        ({"disorder_w": float("nan")}, "disorder_w"),
        ({"disorder_w": "much"}, "disorder_w"),
        ({"boundary": "mobius"}, "choose one of open, periodic"),
        ({"gauge": "landau"}, "choose one of fixed, random"),
        ({"v": "0:1e39"}, "float32"),
        ({"v": "0:1e-46", "w": "0:1e-46"}, "float32"),
        ({"v": 1, "w": 1}, "one single chain"),
        ({"v": 1, "w": 2}, "one single chain"),
        ({"v": "0:1:3", "w": 1}, "refine the grid"),
    ],
)
def test_bad_specs(change, words):
    with pytest.raises(SSHMLError, match=words):
        DatasetSpec(**{"cells": 4} | change)


def test_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        DatasetSpec(cells=2).cells = 3


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"cells": 3}', DatasetSpec(cells=2).to_json()[:-1] + ', "x": 1}'])
def test_foreign_json(text):
    with pytest.raises(SSHMLError, match="not a dataset spec"):
        DatasetSpec.from_json(text)
