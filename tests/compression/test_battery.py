"""One battery over all networks, forms and options: exact at full size, within the budget, alike after every road."""

import copy
import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sshml.compression import Choice, Plan, compress, load_model, n_bytes, plan, report, save_model, to_torch
from sshml.compression.batches import output
from sshml.compression.forms import check_methods
from sshml.compression.menu import Menu
from sshml.compression.sites import survey
from sshml.errors import SSHMLError

FORMS = ("svd", "mpo", "prune", "blocks")


def outputs(model, inputs):
    with torch.no_grad():
        return output(model, inputs)


def halves(columns):
    """Return the sizes of two blocks of columns, of one where there is one."""
    return [columns] if columns == 1 else [columns // 2, columns - columns // 2]


def full(site, method):
    """Return the arguments of a form that loses nothing."""
    rows, columns = site.out_features, site.in_features
    sizes = {
        "svd": {"rank": min(rows, columns)},
        "mpo": {"max_bond": rows * columns},
        "prune": {"keep": rows * columns},
        "blocks": {"ranks": [min(rows, size) for size in halves(columns)], "blocks": halves(columns)},
    }
    return sizes[method]


def plan_of(sites, method):
    return Plan({name: Choice(method, full(site, method)) for name, site in sites.items()})


@pytest.mark.parametrize("method", FORMS)
def test_exact_at_full_size(net, method):
    model, x = net
    sites, _ = survey(model)
    assert sites
    small = compress(model, plan_of(sites, method), allow_growth=True)
    left, reasons = survey(small)
    assert not set(sites) & set(left)
    assert "compressed already" in reasons.values()
    torch.testing.assert_close(outputs(small, x), outputs(model, x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("methods", [*FORMS, FORMS], ids=str)
@pytest.mark.parametrize("aware", [False, True])
def test_a_budget_is_kept_and_predicted(net, methods, aware):
    model, x = net
    data = x if aware else None
    menu = Menu(model, data, check_methods(methods))
    least = int(menu.front().bytes[0]) / menu.n_bytes
    for share in (0.9, 0.6, 0.4):
        if share < least:
            with pytest.raises(SSHMLError, match="smallest possible"):
                plan(model, share=share, data=data, methods=methods)
            continue
        chosen = plan(model, share=share, data=data, methods=methods)
        small = compress(model, chosen)
        assert n_bytes(small) == chosen.n_bytes <= share * n_bytes(model)
        assert outputs(small, x).isfinite().all()


def test_nothing_of_the_model_changes(net):
    model, x = net
    before, modes = copy.deepcopy(model.state_dict()), [module.training for module in model.train().modules()]
    small = compress(model, share=0.9, data=x)
    after = model.state_dict()
    assert list(before) == list(after)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert modes == [module.training for module in model.modules()]
    assert all(module.training for module in small.modules())
    assert not any(module._forward_pre_hooks for module in model.modules())


@pytest.mark.parametrize("ending", ["h5", "safetensors"])
@pytest.mark.parametrize("method", FORMS)
def test_files_bring_it_back(net, method, ending, tmp_path):
    model, x = net
    small = compress(model, plan_of(survey(model)[0], method), allow_growth=True)
    save_model(small, tmp_path / f"small.{ending}")
    again = load_model(tmp_path / f"small.{ending}", lambda: copy.deepcopy(model))
    assert torch.equal(outputs(again, x), outputs(small, x))


@pytest.mark.parametrize("method", FORMS)
def test_gradients_reach_all_that_is_stored(net, method):
    model, x = net
    small = compress(model, plan_of(survey(model)[0], method), allow_growth=True).train()
    found = small(x)
    (sum(part.square().mean() for part in found) if isinstance(found, tuple) else found.square().mean()).backward()
    assert all(parameter.grad is not None for parameter in small.parameters())


@pytest.mark.parametrize("method", FORMS)
def test_plain_modules_give_the_same(net, method):
    model, x = net
    small = compress(model, plan_of(survey(model)[0], method), allow_growth=True)
    plain = to_torch(small, dense=True)
    assert {type(module).__module__.split(".")[0] for module in plain.modules()} - {"sshml_test_nets"} == {"torch"}
    torch.testing.assert_close(outputs(plain, x), outputs(small, x), rtol=1e-4, atol=1e-5)


def test_the_report_adds_up(net):
    model, x = net
    small = compress(model, share=0.9, data=x)
    found = report(model, small, x)
    assert found.totals["bytes"] == n_bytes(small)
    sites, reasons = survey(model)
    assert [row["site"] for row in found.rows] == [*sites, *reasons]
    saved = sum(row["bytes_before"] - row["bytes"] for row in found.rows)
    assert saved == n_bytes(model) - n_bytes(small)
    assert str(found).count("\n") > len(found.rows)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ["perceptron", "convolutions", "encoder"])
def test_types_of_numbers_stay(make, name, dtype):
    model, x = make(name, dtype)
    small = compress(model, share=0.8, data=x)
    assert {p.dtype for p in small.parameters()} == {dtype}
    close = {torch.float64: 1e-9, torch.bfloat16: 0.15, torch.float16: 0.02}[dtype]
    exact = compress(model, plan_of(survey(model)[0], "svd"), allow_growth=True)
    torch.testing.assert_close(outputs(exact, x), outputs(model, x), rtol=close, atol=close)


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@settings(max_examples=40, deadline=None)
@given(
    channels=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    groups=st.integers(1, 3),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 2),
    padding=st.sampled_from([0, 1, "same", "valid"]),
    mode=st.sampled_from(["zeros", "reflect", "replicate", "circular"]),
    bias=st.booleans(),
    method=st.sampled_from(FORMS),
)
def test_convolutions_of_every_shape(channels, groups, kernel, stride, dilation, padding, mode, bias, method):
    stride = 1 if padding == "same" else stride
    torch.manual_seed(0)
    conv = nn.Conv2d(
        channels[0] * groups, channels[1] * groups, kernel, stride, padding, dilation, groups, bias, padding_mode=mode
    )
    x = torch.randn(2, channels[0] * groups, 9, 10)
    small = compress(conv, plan_of(survey(conv)[0], method), allow_growth=True)
    torch.testing.assert_close(outputs(small, x), outputs(conv, x), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(outputs(small.to_dense(), x), outputs(conv, x), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(outputs(small, x[0]), outputs(conv, x[0]), rtol=1e-4, atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(
    widths=st.lists(st.integers(1, 24), min_size=2, max_size=5),
    shares=st.tuples(st.floats(0.2, 1.0), st.floats(0.2, 1.0)),
    methods=st.sampled_from(["svd", ("svd", "mpo"), ("svd", "prune")]),
)
def test_a_larger_budget_never_loses_more(widths, shares, methods):
    torch.manual_seed(0)
    model = nn.Sequential(*(nn.Linear(a, b) for a, b in itertools.pairwise(widths)))
    menu = Menu(model, None, check_methods(methods))
    front = menu.front()
    points = [front.within(share * menu.n_bytes) for share in sorted(shares)]
    if None in points:
        return
    assert front.bytes[points[0]] <= front.bytes[points[1]]
    assert front.loss[points[0]] >= front.loss[points[1]]
    assert n_bytes(menu.apply(menu.plan_of(front, points[1]))) == front.bytes[points[1]]
