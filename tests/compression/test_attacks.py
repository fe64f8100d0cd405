"""What was wrong in silence once, or ended in an error of PyTorch: each kind with a case."""

import copy
import functools
import itertools

import numpy as np
import pytest
import torch
from torch import nn

from sshml.compression import (
    Choice,
    Plan,
    compress,
    front,
    load_model,
    n_bytes,
    plan,
    report,
    save_model,
    survey,
    to_torch,
)
from sshml.compression.menu import Menu
from sshml.errors import SSHMLError


def network(*widths):
    torch.manual_seed(0)
    layers = []
    for a, b in itertools.pairwise(widths):
        layers += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*layers[:-1]).eval()


@pytest.fixture
def x():
    torch.manual_seed(1)
    return torch.randn(300, 16)


def apart(a, b):
    return float(((a - b).norm() / b.norm()).detach())


def test_a_plan_is_applied_to_the_model_given(x):
    model = network(16, 24, 8).train()
    made = plan(model, share=0.5)
    other = copy.deepcopy(model)
    other[1] = nn.Tanh()
    other[0].weight.requires_grad_(False)
    other[0].register_forward_hook(lambda module, args, out: 100 * out)
    small = compress(other.eval(), made)
    assert type(small[1]) is nn.Tanh
    assert not small.training
    assert len(small[0]._forward_hooks) == 1
    assert not any(parameter.requires_grad for name, parameter in small[0].named_parameters() if name != "bias")


def test_the_order_of_a_loader_plays_no_role(x):
    model, loader = network(16, 24, 8), torch.utils.data.DataLoader(list(x), batch_size=50, shuffle=True)
    before = torch.get_rng_state()
    assert plan(model, share=1.0, data=loader).error == 0
    assert torch.equal(torch.get_rng_state(), before)
    assert n_bytes(compress(model, tolerance=0.5, data=loader)) < n_bytes(model)


def test_chance_in_a_forward_pass_is_said(x):
    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(16, 16)

        def forward(self, x):
            return nn.functional.dropout(self.layer(x), 0.5)

    # PyTorch's generator starts every pass alike; chance of another kind is said
    class Counting(Noisy):
        calls = 0

        def forward(self, x):
            type(self).calls += 1
            return self.layer(x) + type(self).calls

    assert plan(Noisy(), share=0.9, data=x).error < 1
    assert any("differ from pass to pass" in note for note in plan(Counting(), share=0.9, data=x).notes)


def test_a_single_output_is_a_class_above_zero(x):
    model, labels = network(16, 20, 1), (network(16, 20, 1)(x)[:, 0] > 0).long()
    for given in (labels, labels[:, None], labels.bool()):
        found = front(model, (x, given), (0.5,))
        assert found.rows[-1]["accuracy"] == 1.0
        assert report(model, model, (x, given)).totals["accuracy"] == 1.0


def test_outputs_of_every_kind(x):
    class Squeezed(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.head = nn.Linear(16, 16), nn.Linear(16, 1)

        def forward(self, x):
            return self.head(self.layer(x)).squeeze(-1)

    class WithLoss(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(16, 16)

        def forward(self, x):
            y = self.layer(x)
            return y.square().mean(), y

    for model in (Squeezed(), WithLoss()):
        assert report(model, compress(model, share=0.99, data=x), x).totals["output_error"] < 1

    class Sums(WithLoss):
        def forward(self, x):
            return self.layer(x).sum()

    with pytest.raises(SSHMLError, match="without a tensor"):
        compress(Sums(), share=0.9, data=x)
    words = nn.Sequential(nn.Embedding(9, 16), nn.Linear(16, 16))
    batches = [torch.randint(9, (4, 7)), torch.randint(9, (4, 9))]
    assert plan(words, share=0.9, data=batches).error < 1


class Holder(nn.Module):
    """A module that goes round its registered layer, in one way or another."""

    def __init__(self, hold, call):
        super().__init__()
        self.fc = nn.Linear(16, 16)
        hold(self)
        self.call = call

    def forward(self, x):
        return self.call(self, x)


class Box:
    def __init__(self, layer):
        self.layer = layer


AROUND = {
    "list of weights": (lambda s: setattr(s, "ws", [s.fc.weight]), lambda s, x: nn.functional.linear(x, s.ws[0])),
    "detached weight": (lambda s: setattr(s, "w", s.fc.weight.detach()), lambda s, x: nn.functional.linear(x, s.w)),
    "bound method": (lambda s: setattr(s, "f", s.fc.forward), lambda s, x: s.f(x)),
    "partial": (lambda s: setattr(s, "f", functools.partial(s.fc)), lambda s, x: s.f(x)),
    "closure": (lambda s: setattr(s, "f", lambda x: s.fc(x)), lambda s, x: s.f(x)),
    "nested lists": (lambda s: setattr(s, "ls", [[s.fc]]), lambda s, x: s.ls[0][0](x)),
    "dictionary of tuples": (lambda s: setattr(s, "d", {"a": (s.fc,)}), lambda s, x: s.d["a"][0](x)),
    "set": (lambda s: setattr(s, "s", {s.fc}), lambda s, x: next(iter(s.s))(x)),
    "object": (lambda s: setattr(s, "b", Box(s.fc)), lambda s, x: s.b.layer(x)),
}


@pytest.mark.parametrize("way", AROUND)
def test_layers_that_are_held_elsewhere_stay(way, x):
    model = Holder(*AROUND[way])
    sites, reasons = survey(model)
    assert sites == {}
    assert "held in a plain attribute" in reasons["fc"]


def test_a_subclass_with_something_of_its_own_stays(x):
    class Gain(nn.Linear):
        gain = 2.0

    _, reasons = survey(nn.Sequential(Gain(16, 16)))
    assert "defines gain, which would be lost" in reasons["0"]


PICKY = {
    "looks at the class": lambda s, x: s.fc(x) if isinstance(s.fc, nn.Linear) else x,
    "changes the weight": lambda s, x: (s.fc.weight.data.clamp_(-0.05, 0.05), s.fc(x))[1],
    "asks for what is missing": lambda s, x: s.fc(x) if hasattr(s.fc, "reset_parameters") else x,
    "calls what is missing": lambda s, x: (s.fc.reset_parameters(), x)[1],
}


@pytest.mark.parametrize("way", PICKY)
def test_with_data_it_is_seen_where_a_model_takes_no_other_layer(way, x):
    model = Holder(lambda s: setattr(s, "other", nn.Linear(16, 16)), lambda s, y: s.other(PICKY[way](s, y)))
    menu = Menu(model, x)
    assert list(menu.sites) == ["other"]
    assert "treats another layer" in menu.reasons["fc"]
    assert plan(model, share=1.0, data=x).error == 0


def test_data_and_model_are_left_alone(x):
    class Shifting(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(16, 24), nn.Linear(24, 8)
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, x):
            x -= 1
            self.calls += 1
            return self.b(torch.relu(self.a(x)))

    model, data = Shifting(), x.numpy().copy()
    assert plan(model, share=1.0, data=data).error == 0
    small = compress(model, share=0.7, data=data)
    report(model, small, data)
    assert np.array_equal(data, x.numpy())
    assert model.calls == small.calls == 0


def test_a_model_that_a_factory_holds_is_left_alone(tmp_path):
    model = network(16, 24, 8)
    save_model(compress(model, share=0.5), tmp_path / "m.h5")
    assert load_model(tmp_path / "m.h5", lambda: model) is not model
    assert type(model[0]) is nn.Linear


def test_how_a_model_is_built_is_under_the_checksum(tmp_path):
    model = nn.Sequential(nn.Conv2d(4, 8, 3, padding=1), nn.Flatten(), nn.Linear(8 * 16, 4))
    save_model(compress(model, share=0.6), tmp_path / "m.safetensors")
    raw = (tmp_path / "m.safetensors").read_bytes()
    for old, new in ((b'padding\\": [1', b'padding\\": [3'), (b'frozen\\": []', b'frozen\\": [ ')):
        assert old in raw
        (tmp_path / "m.safetensors").write_bytes(raw.replace(old, new, 1))
        with pytest.raises(SSHMLError, match="damaged"):
            load_model(tmp_path / "m.safetensors", lambda: model)


def test_frozen_stays_frozen_in_plain_modules():
    model = network(16, 24, 8)
    model[0].weight.requires_grad_(False)
    plain = to_torch(compress(model, ["0", "2"], "svd", rank=3))
    assert [p.requires_grad for p in plain[0].parameters()] == [False, False, True]
    assert all(p.requires_grad for p in plain[2].parameters())


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_numbers_of_any_size(scale):
    model = nn.Linear(16, 24, bias=False, dtype=torch.float64)
    model.weight.data *= scale
    for method in ("svd", "prune"):
        chosen = plan(model, share=0.75, methods=method)
        weight = compress(model, chosen).to_weight().detach()
        dense = model.weight.detach() / scale
        lost = ((weight / scale - dense).norm() / dense.norm()) ** 2
        assert chosen.choices[""].loss == pytest.approx(float(lost), rel=1e-6)


@pytest.mark.parametrize("share", [0.3, 0.5, 0.8, 0.95])
def test_pruning_uses_its_budget(share):
    model = nn.Linear(64, 64)
    assert n_bytes(compress(model, share=share, methods="prune")) >= share * n_bytes(model) - 6


def test_slow_layers_are_found_in_the_end(monkeypatch):
    from sshml.compression import menu

    monkeypatch.setattr(menu, "compare", lambda calls: (1.0, 2.0))
    with pytest.raises(SSHMLError, match="faster=True left"):
        plan(network(64, 256, 64), share=0.95, methods="svd", faster=True)


def test_sparse_buffers_count_and_numbers_of_numpy_are_numbers(x):
    model = network(16, 24, 8)
    model.register_buffer("mask", torch.eye(3).to_sparse())
    assert n_bytes(model) == 4 * (24 * 17 + 8 * 25) + 3 * (2 * 8 + 4)
    assert n_bytes(compress(model, share=0.6)) <= 0.6 * n_bytes(model)
    assert type(compress(model, np.int64(1), "svd", rank=2)[0]) is nn.Linear
    with pytest.raises(SSHMLError, match="where a Linear was"):
        report(network(16, 24, 8), network(16, 20, 8))


def test_attention_alone(tmp_path):
    model, q = nn.MultiheadAttention(16, 4, batch_first=True).eval(), torch.randn(3, 5, 16)
    data = [{"query": q, "key": q, "value": q}]
    small = compress(model, share=0.7, data=data)
    assert n_bytes(small) <= 0.7 * n_bytes(model)
    assert report(model, small, data).totals["output_error"] < 1
    every = Plan({name: Choice("svd", {"rank": 4}) for name in survey(model)[0]})
    save_model(compress(model, every), tmp_path / "m.h5")
    again = load_model(tmp_path / "m.h5", lambda: nn.MultiheadAttention(16, 4, batch_first=True))
    assert torch.equal(again(q, q, q)[0], compress(model, every)(q, q, q)[0])


def test_plans_that_hold_something_else():
    model = network(16, 24, 8)
    made = plan(model, share=0.5, layers="0")
    made.choices["2"] = Choice("svd", {"rank": 2})
    assert compress(model, made)[2].rank == 2
    for choice, words in (
        (Choice("dense", {"rank": 3}), "takes no size"),
        (Choice("svd", None), "expected a method"),
        (Choice("svd", {"rank": 10**9}), "expected"),
        (Choice("mpo", {"colour": 1}), "2: "),
    ):
        with pytest.raises(SSHMLError, match=words):
            compress(model, Plan({"2": choice}))
    for field in ("reasons", "notes", "n_bytes", "error"):
        text = Plan({}, **{field: "x"}).to_json()
        with pytest.raises(SSHMLError, match=field):
            Plan.from_json(text)
    assert '"rank": 3' in made.with_choice("0", "svd", rank=np.int64(3)).to_json()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"share": 0.5, "methods": None}, "methods are None"),
        ({"share": 0.5, "methods": 5}, "methods are 5"),
        ({"share": 0.5, "layers": 0}, "layers are 0"),
        ({"share": 0.5, "layers": [["0"]]}, "layers are"),
        ({"share": 10**400}, "share is"),
        ({"accuracy": 0.5, "evaluate": 3}, "evaluate is 3"),
        ({"accuracy": 0.5, "evaluate": lambda model: "high"}, "evaluate returned 'high'"),
        ({"share": 0.5, "data": [{}]}, "empty dictionary"),
        ({"share": 0.5, "data": (np.ones((3, 16)),) * 3}, "tuple of 3"),
        ({"share": 0.5, "data": [(np.ones((3, 16)), [1])]}, "a batch has 3 inputs"),
        ({"share": 0.5, "data": torch.ones(3, 16).to_sparse()}, "expected a dense one"),
    ],
)
def test_arguments_of_another_kind(options, words):
    with pytest.raises(SSHMLError, match=words):
        plan(network(16, 24, 8), **options)
