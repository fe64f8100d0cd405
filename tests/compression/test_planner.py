import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn

from sshml.compression import Choice, Plan, compress, front, n_bytes, plan
from sshml.compression import menu as menu_module
from sshml.compression.menu import Menu, accuracy
from sshml.errors import SSHMLError


def trained(widths=(20, 40, 40, 4), noise=0.02):
    """Return (network with a few strong directions in each layer, inputs, labels it gives them)."""
    torch.manual_seed(0)
    layers = []
    for a, b in itertools.pairwise(widths):
        layer = nn.Linear(a, b)
        rank = 3
        strong = torch.randn(b, rank) @ torch.randn(rank, a) / a**0.5
        layer.weight.data = strong + noise * torch.randn(b, a)
        layers += [layer, nn.ReLU()]
    model, x = nn.Sequential(*layers[:-1]).eval(), torch.randn(600, widths[0])
    with torch.no_grad():
        return model, x, model(x).argmax(1)


@pytest.fixture(scope="module")
def problem():
    return trained()


@pytest.mark.parametrize("share", [0.15, 0.3, 0.5, 0.7, 0.9, 0.99])
@pytest.mark.parametrize("aware", [False, True])
def test_a_budget_is_used_and_never_exceeded(problem, share, aware):
    model, x, y = problem
    small = compress(model, share=share, data=(x, y) if aware else None)
    step = 4 * (40 + 40)  # of one rank in the largest layer
    assert share * n_bytes(model) - step <= n_bytes(small) <= share * n_bytes(model)


def test_bytes_are_a_budget_too(problem):
    model, x, _ = problem
    assert n_bytes(compress(model, n_bytes=np.int64(5000), data=x)) <= 5000
    assert compress(model, share=1.0)[0] is not model[0]


def test_with_the_whole_budget_nothing_is_lost(problem):
    model, x, _ = problem
    torch.testing.assert_close(compress(model, share=1.0, data=x)(x), model(x))


def test_an_impossible_budget_names_the_smallest(problem):
    model, _, _ = problem
    with pytest.raises(SSHMLError, match="smallest possible is") as caught:
        plan(model, share=0.001)
    least = int(str(caught.value).split("possible is ")[1].split()[0])
    assert n_bytes(compress(model, n_bytes=least)) == least
    with pytest.raises(SSHMLError, match="impossible"):
        plan(model, n_bytes=least - 1)
    share = float(str(caught.value).split("share ")[1].split(";")[0])
    assert n_bytes(compress(model, share=share)) <= share * n_bytes(model)


def test_a_tolerance_is_kept_by_few_bytes(problem):
    model, x, _ = problem
    sizes = []
    for tolerance in (0.3, 0.1, 0.02):
        chosen = plan(model, tolerance=tolerance, data=x)
        small = compress(model, chosen)
        with torch.no_grad():
            error = float((small(x) - model(x)).norm() / model(x).norm())
        assert error <= tolerance
        assert chosen.error == pytest.approx(error, rel=1e-3)
        sizes.append(n_bytes(small))
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1] < n_bytes(model)


def test_an_accuracy_is_kept(problem):
    model, x, y = problem
    small = compress(model, accuracy=0.9, data=(x, y))
    assert (small(x).argmax(1) == y).double().mean() >= 0.9
    assert n_bytes(small) < 0.5 * n_bytes(model)
    seen = []
    own = compress(
        model, accuracy=0.9, data=x, evaluate=lambda m: seen.append(1) or accuracy(m, Menu(m, (x, y)).batches)
    )
    assert seen
    assert (own(x).argmax(1) == y).double().mean() >= 0.9
    with pytest.raises(SSHMLError, match="out of reach"):
        plan(model, accuracy=1.1, data=(x, y))


def test_data_make_the_outputs_better():
    """Inputs that live in four directions: rank 4 is all they need, and a blind cut does not know which."""
    torch.manual_seed(0)
    model, few = nn.Linear(20, 40), torch.randn(300, 4) @ torch.randn(4, 20)
    aware, blind = (compress(model, n_bytes=4 * (4 * 60 + 40), data=data, methods="svd") for data in (few, None))
    assert aware.rank == blind.rank == 4
    with torch.no_grad():
        errors = [float((small(few) - model(few)).norm() / model(few).norm()) for small in (aware, blind)]
    assert errors[0] < 1e-5
    assert errors[1] > 0.1


def test_constant_and_dead_inputs_are_no_obstacle(problem):
    model, x, _ = problem
    dark = x.clone()
    dark[:, 5:] = 0
    for data in (dark, torch.zeros_like(x), torch.ones_like(x), x[:1]):
        assert compress(model, share=0.3, data=data)(x).isfinite().all()
    assert any("1 rows of data for 20 inputs" in note for note in plan(model, share=0.3, data=x[:1]).notes)


def test_what_may_change_can_be_narrowed(problem):
    model, _, _ = problem
    chosen = plan(model, share=0.75, layers=["2"], methods="svd")
    assert {name: choice.method for name, choice in chosen.choices.items()} == {"2": "svd"}
    small = compress(model, chosen)
    assert small[0].weight.equal(model[0].weight)
    with pytest.raises(SSHMLError, match="those that can: 0, 2, 4"):
        plan(model, share=0.5, layers="7")


def test_a_bias_can_be_cut_with_its_weight(problem):
    model, x, _ = problem
    small = compress(model, share=0.3, absorb_bias=True, methods="svd", data=x)
    assert n_bytes(small) <= 0.3 * n_bytes(model)
    low = [layer for layer in small if getattr(layer, "absorbed", False)]
    assert low
    assert all(layer.bias is None and layer.right.shape[1] == layer.in_features + 1 for layer in low)
    exact = Plan({"0": Choice("svd", {"rank": 21})}, absorb_bias=True)
    torch.testing.assert_close(compress(model, exact, allow_growth=True)(x), model(x), rtol=1e-4, atol=1e-5)


def test_slow_layers_stay_dense(problem, monkeypatch):
    model, _, _ = problem
    monkeypatch.setattr(menu_module, "compare", lambda calls: (1.0, 2.0))
    with pytest.raises(SSHMLError, match="smallest possible"):
        plan(model, share=0.3, faster=True)
    kept = plan(model, share=1.0, faster=True)
    assert {choice.method for choice in kept.choices.values()} == {"dense"}


def test_a_plan_from_a_file_asks_for_its_data(problem):
    model, x, _ = problem
    made = plan(model, share=0.3, data=x)
    read = Plan.from_json(made.to_json())
    with pytest.raises(SSHMLError, match="pass the same data"):
        compress(model, read)
    assert torch.equal(compress(model, read, data=x)(x), compress(model, made)(x))
    with pytest.raises(SSHMLError, match="made without data"):
        compress(model, plan(model, share=0.3), data=x)
    blind = dataclasses.replace(plan(model, share=0.3, methods="svd"), shrink=True)
    shrunk = compress(model, blind)
    assert not torch.equal(shrunk(x), compress(model, dataclasses.replace(blind, shrink=False))(x))
    other = trained(noise=0.5)[0]
    with pytest.raises(SSHMLError, match="pass the same data"):
        compress(other, made)
    with pytest.raises(SSHMLError, match="which this model cannot offer"):
        compress(nn.Sequential(nn.Linear(20, 40)), read, data=x)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "give one of share"),
        ({"share": 0.5, "n_bytes": 3}, "give one of share"),
        ({"share": 0}, "share is 0"),
        ({"share": 1.5}, "share is 1.5"),
        ({"share": math.nan}, "share is nan"),
        ({"share": True}, "share is True"),
        ({"share": "0.1"}, "share is '0.1'"),
        ({"n_bytes": -3}, "n_bytes is -3"),
        ({"tolerance": 0.1}, "needs data"),
        ({"tolerance": 1, "data": torch.ones(2, 20)}, "tolerance is 1"),
        ({"accuracy": 0.5}, "needs data"),
        ({"accuracy": 0.5, "data": torch.ones(2, 20)}, "no labels"),
        ({"share": 0.5, "evaluate": len}, "evaluate has a meaning"),
        ({"share": 0.5, "methods": ("svd", "jpeg")}, "choose of svd, mpo, prune"),
        ({"share": 0.5, "methods": ()}, "choose of svd, mpo, prune"),
        ({"share": 0.5, "data": torch.ones(2, 3)}, "does not take the data"),
        ({"share": 0.5, "data": torch.full((2, 20), torch.nan)}, "NaN"),
    ],
    ids=str,
)
def test_bad_input(problem, options, words):
    with pytest.raises(SSHMLError, match=words):
        plan(problem[0], **options)


def test_a_front_says_what_shares_keep(problem):
    model, x, y = problem
    found = front(model, (x[:300], y[:300]), shares=(0.3, 0.001, 0.1), test=(x[300:], y[300:]))
    assert [row["share"] for row in found.rows] == [0.1, 0.3, 1.0]
    assert found.rows[-1] == {"share": 1.0, "bytes": n_bytes(model), "output_error": 0.0, "accuracy": 1.0}
    for row, chosen in zip(found.rows, found.plans, strict=False):
        small = compress(model, chosen)
        assert row["bytes"] == n_bytes(small) <= row["share"] * n_bytes(model)
        assert row["accuracy"] == pytest.approx(float((small(x[300:]).argmax(1) == y[300:]).double().mean()))
    assert any("share 0.001" in note for note in found.notes)
    assert "0.3" in str(found)
    with pytest.raises(SSHMLError, match="shrink"):
        front(model, shrink="no")
    with pytest.raises(SSHMLError, match="no labels"):
        front(model, (x, y), test=x)
    assert front(model, (x, y), (0.3,), test=x, evaluate=lambda _: 0.25).rows[0]["accuracy"] == 0.25
    for methods in ((), "jpeg"):
        with pytest.raises(SSHMLError, match="choose of svd, mpo, prune"):
            front(model, methods=methods)
    assert front(model, shares=(0.3,)).rows[0]["accuracy"] is None
