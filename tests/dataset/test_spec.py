import dataclasses
from pathlib import Path

import h5py
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sshml.dataset import DatasetSpec, Range, spec_from_json
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
        ({"disorder_v": "-1:1"}, "disorder_v is -1:1"),
        ({"disorder_v": "2:1"}, "disorder_v: range 2:1 is reversed"),
        ({"disorder_v": "0:1:1"}, "disorder_v: grid"),
        ({"v": 1, "w": 1, "disorder_v": "0:2:5"}, "same clean chains"),
        ({"v": 1, "w": 1, "law": "binary", "disorder_v": 1}, "some twice"),
        ({"v": 1, "w": 1, "law": "binary", "disorder_onsite": 1, "correlated": True}, "some twice"),
        ({"law": "cauchy"}, "law"),
        ({"beta": 0.5}, "has no beta"),
        ({"probability": 0.5}, "has no probability"),
        ({"power": 2}, "has no power"),
        ({"law": "quasiperiodic", "power": 2.5}, "whole number"),
        ({"law": "binary", "probability": "0:2"}, "number from 0 to 1"),
        ({"half_cell": True, "boundary": "periodic"}, "whole cells"),
        ({"half_cell": 1}, "half_cell"),
        ({"correlated": "yes"}, "correlated"),
        ({"onsite": "0:1e40"}, "float32"),
        ({"onsite": "some"}, "onsite 'some'"),
        ({"v": 1, "w": 2, "onsite": 0.5}, "one single chain"),
        ({"v": 1, "w": 2, "onsite": "0:1:5"}, "refine the grid"),
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


FULL = {
    "v": "0:2:5", "disorder_v": "0.1:4", "disorder_w": "0.5:4:8", "law": "quasiperiodic", "power": 3, "beta": "0.3:0.6",
    "onsite": "0:1", "disorder_onsite": "0.1:0.2", "correlated": True, "half_cell": True,
}  # fmt: skip


def test_json_of_everything():
    spec = DatasetSpec(cells=4, **FULL)
    assert spec_from_json(spec.to_json()) == spec
    assert DatasetSpec.from_json(spec.to_json()) == spec
    assert DatasetSpec(**{f.name: getattr(spec, f.name) for f in dataclasses.fields(spec)}) == spec
    assert {"clean_v", "clean_w", "clean_onsite", "disorder_v", "beta"} < set(spec.stored)


def test_json_is_that_of_older_releases():
    """Bytes of the spec are part of the files, the names of shards and the keys of jobs."""
    for name in ("dataset-1.h5", "dataset-2.h5"):
        with h5py.File(Path(__file__).parents[2] / "data" / name) as file:
            text = file.attrs["spec"]
        assert DatasetSpec.from_json(text).to_json() == text


def test_sites_and_bonds():
    half, ring = DatasetSpec(cells=4, half_cell=True), DatasetSpec(cells=4, boundary="periodic")
    assert (half.sites, half.bonds("w"), half.bonds("j3"), half.bonds("j4"), half.bonds("onsite")) == (9, 4, 3, 3, 9)
    assert (ring.sites, ring.bonds("w"), ring.bonds("j3"), ring.bonds("j4")) == (8, 4, 4, 4)
    assert DatasetSpec(cells=4, onsite=0).kinds == ("v", "w", "onsite")
    assert DatasetSpec(cells=4, disorder_onsite=0.1).has_onsite
    assert not DatasetSpec(cells=4).has_onsite


def test_enough_chains_of_a_binary_law_are_allowed():
    small = {"train": 10, "valid": 2, "test": 2}
    assert DatasetSpec(cells=30, v=1, w=1, law="binary", disorder_v=1, **small)
    assert DatasetSpec(cells=4, v="0:1", w=1, law="binary", disorder_v=1)
    assert DatasetSpec(cells=4, v=1, w=1, law="binary", disorder_v="0.5:1")
    with pytest.raises(SSHMLError, match="some twice"):
        DatasetSpec(cells=30, v=1, w=1, law="binary", disorder_v=1, probability=0.01, **small)


def test_correlated_bonds_share_their_numbers():
    """16 cells: 16 choices where v_m and w_m go together, 31 where each has its own."""
    own = {"cells": 16, "v": 1, "w": 1, "disorder_v": 1, "disorder_w": 1, "law": "binary"}
    few = {"train": 800, "valid": 100, "test": 100}
    assert DatasetSpec(**own, **few)
    with pytest.raises(SSHMLError, match="some twice"):
        DatasetSpec(**own, **few, correlated=True)


def test_a_grid_gives_a_binary_law_more_chains():
    small = {"train": 50, "valid": 5, "test": 5, "cells": 12, "w": 1, "law": "binary", "disorder_v": 0.3}
    assert DatasetSpec(v="1:2:1000", **small)  # 60^2 / 1000 points / 2^12 chains at each
    with pytest.raises(SSHMLError, match="some twice"):
        DatasetSpec(v="1:2:2", **small)


def test_a_law_that_multiplies_zero_makes_one_chain():
    options = {"cells": 4, "w": 1, "law": "multiplicative", "train": 8, "valid": 2, "test": 2}
    with pytest.raises(SSHMLError, match="the splits"):
        DatasetSpec(v=0, disorder_v=1, **options)
    DatasetSpec(v=0, disorder_w=1, **options)
