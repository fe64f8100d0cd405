import warnings

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from sshml.compression import compress, n_bytes, report
from sshml.compression.sites import survey
from sshml.errors import SSHMLError


class Doubled(nn.Linear):
    def forward(self, x):
        return 2 * super().forward(x)


class Named(nn.Linear):
    """A subclass that leaves the forward pass alone."""


class Masked(nn.Linear):
    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.register_buffer("mask", torch.ones_like(self.weight))


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.head, self.free = nn.Embedding(11, 6), nn.Linear(6, 11), nn.Linear(6, 6)
        self.head.weight = self.embedding.weight

    def forward(self, x):
        return self.head(self.free(self.embedding(x)))


class Held(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 6)
        self.layers = [self.layer]

    def forward(self, x):
        return self.layers[0](x)


def hooked(make):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make(nn.Linear(6, 6))


REFUSED = {
    "own forward": (lambda: Doubled(6, 6), "forward pass of its own"),
    "own tensors": (lambda: Masked(6, 6), "holds mask"),
    "old weight norm": (lambda: hooked(nn.utils.weight_norm), "made by a hook"),
    "old spectral norm": (lambda: hooked(nn.utils.spectral_norm), "made by a hook"),
    "pruned": (lambda: prune.l1_unstructured(nn.Linear(6, 6), "weight", 0.5), "made by a hook"),
    "pruned bias": (lambda: prune.l1_unstructured(nn.Linear(6, 6), "bias", 0.5), "its bias is made"),
    "recurrent": (lambda: nn.LSTM(6, 6), "LSTM has no compressed form"),
    "embedding": (lambda: nn.Embedding(6, 6), "Embedding has no compressed form"),
    "transposed": (lambda: nn.ConvTranspose2d(3, 3, 2), "ConvTranspose2d has no compressed form"),
    "complex": (lambda: nn.Linear(6, 6, dtype=torch.complex64), "complex64"),
    "meta": (lambda: nn.Linear(6, 6, device="meta"), "meta device"),
    "empty": (lambda: hooked(lambda _: nn.Linear(0, 6)), "empty"),
    "NaN": (lambda: nn.Linear(6, 6).apply(lambda m: m.weight.data.fill_(torch.nan)), "NaN"),
}


@pytest.mark.parametrize(("make", "words"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_compressed_is_left_and_named(make, words):
    model = nn.Sequential(make(), nn.Linear(6, 6))
    sites, reasons = survey(model)
    assert list(sites) == ["1"]
    assert words in reasons["0"]


@pytest.mark.parametrize("name", ["own forward", "own tensors", "old weight norm", "pruned"])
@pytest.mark.parametrize("state", ["fresh", "after a forward", "after a step"])
def test_such_a_layer_stays_right_in_every_state(name, state):
    torch.manual_seed(0)
    model, x = nn.Sequential(REFUSED[name][0](), nn.Linear(6, 6)), torch.randn(5, 6)
    if state != "fresh":
        model(x)
    if state == "after a step":
        model(x).sum().backward()
        torch.optim.SGD(model.parameters(), 0.1).step()
    with pytest.raises(SSHMLError, match=REFUSED[name][1]):
        compress(model, 0, "svd", rank=6, allow_growth=True)
    small = compress(model, 1, "svd", rank=6, allow_growth=True)
    torch.testing.assert_close(small(x), model(x), rtol=1e-4, atol=1e-5)


def test_subclasses_that_act_alike_and_parametrised_layers_are_compressed():
    torch.manual_seed(0)
    normed = nn.utils.parametrizations.weight_norm(nn.Linear(6, 6))
    model, x = (
        nn.Sequential(Named(6, 6), normed, nn.utils.parametrizations.orthogonal(nn.Linear(6, 6))),
        torch.randn(5, 6),
    )
    for layer in range(3):
        small = compress(model, layer, "svd", rank=6, allow_growth=True)
        torch.testing.assert_close(small(x), model(x), rtol=1e-4, atol=1e-5)
    assert survey(model)[0]["1"].numbers == 36 + 6


def test_tied_weights_stay_tied():
    model = Tied()
    sites, reasons = survey(model)
    assert list(sites) == ["free"]
    assert "tied to embedding.weight" in reasons["head"]
    small = compress(model, share=0.9)
    assert small.head.weight is small.embedding.weight
    assert n_bytes(small) <= 0.9 * n_bytes(model)
    with pytest.raises(SSHMLError, match="tied to embedding"):
        compress(model, "head", "svd", rank=1)


def test_a_layer_held_elsewhere_is_left():
    _, reasons = survey(Held())
    assert "plain attribute" in reasons["layer"]


def test_lazy_layers_are_asked_to_run_first():
    with pytest.raises(SSHMLError, match="run the model once"):
        survey(nn.Sequential(nn.LazyLinear(3)))


def test_what_stays_dense_stands_in_the_report():
    model = nn.Sequential(nn.Embedding(9, 6), nn.Flatten(), nn.Linear(12, 6))
    small = compress(model, share=0.9)
    rows = {row["site"]: row for row in report(model, small).rows}
    assert rows["0"]["reason"] == "Embedding has no compressed form"
    assert rows["0"]["bytes"] == 9 * 6 * 4


def test_what_parametrises_a_weight_is_no_layer_of_its_own():
    model = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(6, 5)), nn.ReLU(), nn.Linear(5, 2))
    sites, reasons = survey(model)
    assert set(sites) == {"0", "2"}
    assert reasons == {}
