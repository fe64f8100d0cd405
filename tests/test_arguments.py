import math
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from sshml import arguments
from sshml.errors import SSHMLError


@given(st.integers(-(2**70), 2**70), st.integers(-(2**70), 2**70), st.integers(-(2**70), 2**70))
def test_integers_keep_their_value_within_bounds(value, one, other):
    least, most = sorted((one, other))
    if least <= value <= most:
        assert arguments.integer(value, "n", least, most) == value
    else:
        with pytest.raises(SSHMLError, match="expected an integer"):
            arguments.integer(value, "n", least, most)


@pytest.mark.parametrize("value", [3, np.int8(3), np.array(3), torch.tensor(3)])
def test_whole_numbers_of_any_kind(value):
    found = arguments.integer(value, "n")
    assert (found, type(found)) == (3, int)


def test_bounds_are_named_where_they_help():
    for value, words in ((-1, "of at least 0"), (None, "of at least 0"), (2**50, f"from 0 to {2**40}")):
        with pytest.raises(SSHMLError, match=words):
            arguments.integer(value, "n", 0, 2**40)
    with pytest.raises(SSHMLError, match="from 1 to 3"):
        arguments.integer(0, "n", 1, 3)


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(-1e9, 1e9))
def test_reals_keep_their_value_within_bounds(value, bound):
    calls = {
        "least": value >= bound,
        "most": value <= bound,
        "above": value > bound,
        "below": value < bound,
    }
    for name, fits in calls.items():
        if fits:
            assert arguments.real(value, "x", **{name: bound}) == value
        else:
            with pytest.raises(SSHMLError, match="expected a number"):
                arguments.real(value, "x", **{name: bound})


def test_reals_of_any_kind():
    for value in (1, Fraction(1), np.float32(1), torch.tensor(1.0), torch.tensor(1.0, requires_grad=True), np.int64(1)):
        assert arguments.real(value, "x") == 1.0
    assert arguments.real(math.inf, "x", infinite=True) == math.inf
    for value in (math.inf, True, np.True_, torch.tensor(True), "1", 1j, 10**400, torch.empty((), device="meta")):
        with pytest.raises(SSHMLError):
            arguments.real(value, "x")


def test_arrays_of_any_kind():
    expected = np.array([1.0, 2.0])
    tensor = torch.tensor([1.0, 2.0], requires_grad=True)
    for value in (expected, [1, 2], tensor, tensor.bfloat16(), np.ma.masked_array([1.0, 2.0]), tensor.conj()):
        found = arguments.as_array(value, "x", axes="sample", dtype=np.float64)
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == np.float64
    assert arguments.as_array(expected, "x") is expected
    for value, words in (([[1]], "shape"), ([math.nan], "NaN"), ([1e39], "NaN or infinite")):
        with pytest.raises(SSHMLError, match=words):
            arguments.as_array(value, "x", axes="sample", dtype=np.float32, finite=True)


def test_lists():
    assert arguments.integers(np.array([1, 2]), "n") == arguments.integers((1, 2), "n") == [1, 2]
    for value in ({1, 2}, "12", {1: 2}, 3, None):
        with pytest.raises(SSHMLError, match="expected a list"):
            arguments.sequence(value, "n")
    with pytest.raises(SSHMLError, match=r"n\[1\]"):
        arguments.integers([1, 2.5], "n")


def test_paths(tmp_path):
    assert arguments.as_path(str(tmp_path)) == tmp_path
    for value, words in (
        (b"x", "a text or a path"),
        ("a" * 300, "too long"),
        ("a\0b", "null"),
        (3, "a text or a path"),
    ):
        with pytest.raises(SSHMLError, match=words):
            arguments.as_path(value)


def test_a_working_folder_that_is_gone(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "here").rmdir()
    with pytest.raises(SSHMLError, match="is gone"):
        arguments.as_path("x")


def test_choices_and_flags():
    assert arguments.choice("a", "x", ("a", "b")) == "a"
    assert arguments.flag(np.False_, "x") is False
    for call in (
        lambda: arguments.choice(1, "x", (True, "b")),
        lambda: arguments.choice(np.array(["a", "b"]), "x", ("a", "b")),
        lambda: arguments.flag(1, "x"),
        lambda: arguments.flag("no", "x"),
        lambda: arguments.number_type(None),
        lambda: arguments.number_type("float16"),
        lambda: arguments.function(3, "x"),
        lambda: arguments.function(None, "x"),
    ):
        with pytest.raises(SSHMLError):
            call()
    assert arguments.number_type("f4") == np.float32
    assert arguments.function(None, "x", optional=True) is None


def test_objects():
    layer, split = nn.Linear(2, 2), SimpleNamespace(inputs=[], labels=[])
    assert arguments.as_module(layer) is layer
    assert arguments.as_split(split) is split
    assert arguments.having(split, "x", ("inputs",), "one") is split
    whole = SimpleNamespace(train=split, test=split)
    for call, words in (
        (lambda: arguments.as_module(nn.Linear), r"Linear\(\.\.\.\)"),
        (lambda: arguments.as_module(np.ones(3)), "expected a torch"),
        (lambda: arguments.as_split(whole), "one of its splits"),
        (lambda: arguments.as_split("data.h5"), "open_dataset"),
        (lambda: arguments.having(split, "x", ("rank",), "one"), "expected one"),
    ):
        with pytest.raises(SSHMLError, match=words):
            call()


class Labelled:
    inputs = None

    @property
    def labels(self):
        raise RuntimeError("read")


def test_a_split_is_not_read_to_be_looked_at():
    assert isinstance(arguments.as_split(Labelled()), Labelled)


class Mute:
    def __repr__(self):
        raise RuntimeError


def test_values_are_shown_in_a_line():
    for value in ("a" * 1000, "\x1b[31m", [1] * 1000, 10**5000, Mute(), np.ones((3, 3)), Path("x" * 300), object()):
        text = arguments.shown(value)
        assert len(text) <= 120
        assert text.isprintable()


def test_a_bound_of_64_bits_is_named_in_powers():
    with pytest.raises(SSHMLError, match=r"from 0 to 2\^64 - 1"):
        arguments.integer(2**64, "seed", 0, 2**64 - 1)
