import json

import pytest
from torch import nn

from sshml.compression import Choice, Plan, compress, n_bytes, plan
from sshml.errors import SSHMLError


@pytest.fixture
def chosen():
    return Plan(
        {"0": Choice("svd", {"rank": 3}, 30, 120, 60, 0.25), "2": Choice("dense", {})},
        {"1": "GRU has no compressed form"},
        400,
        1000,
        0.5,
        notes=["a note"],
    )


def test_json_brings_it_back(chosen):
    assert Plan.from_json(chosen.to_json()) == chosen


def test_a_choice_needs_a_method_and_a_size_only(chosen):
    data = json.loads(chosen.to_json())
    data["choices"] = {"0": {"method": "svd", "size": {"rank": 2}}}
    assert Plan.from_json(json.dumps(data)).choices["0"] == Choice("svd", {"rank": 2})


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": "sshml-plan", "version": 2}', "[" * 10**5, '{"format": 3}']
)
def test_texts_that_are_no_plans(text):
    with pytest.raises(SSHMLError, match="plan"):
        Plan.from_json(text)


def test_it_prints_and_has_rows(chosen):
    text = str(chosen)
    for word in (
        "rank 3",
        "120",
        "0.25",
        "GRU has no compressed form",
        "1000 -> 400 bytes, 40.00%",
        "note: a note",
        "0.5",
    ):
        assert word in text
    assert [row["site"] for row in chosen.rows()] == ["0", "2", "1"]


def test_another_choice(chosen):
    other = chosen.with_choice("2", "svd", rank=1)
    assert (other.choices["2"].size, other.n_bytes, chosen.choices["2"].method) == ({"rank": 1}, None, "dense")
    with pytest.raises(SSHMLError, match="it has 0, 2"):
        chosen.with_choice("1", "svd", rank=1)


def test_an_edited_plan_is_what_is_applied():
    model = nn.Sequential(nn.Linear(30, 20), nn.ReLU(), nn.Linear(20, 10))
    made = plan(model, share=0.5)
    small = compress(model, made.with_choice("0", "svd", rank=2).with_choice("2", "dense"))
    assert n_bytes(small) == 4 * (2 * 50 + 20 + 210)
    assert small[0].rank == 2
    assert type(small[2]) is nn.Linear
