"""Networks of every kind on inputs (sample, 8, 8), and whether all seeds of one go at once."""

import random

import numpy as np
import torch
from torch import nn
from torch.nn import functional


class Recurrent(nn.Module):
    def __init__(self, kind=nn.LSTM):
        super().__init__()
        self.cells, self.head = kind(8, 6, batch_first=True), nn.Linear(6, 2)

    def forward(self, x):
        return self.head(self.cells(x)[0][:, -1])


class Own(nn.Module):
    """Flatten, Linear, what `inside` does with the hidden layer, Linear."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(64, 8), nn.Linear(8, 2)

    def forward(self, x):
        return self.second(self.inside(torch.tanh(self.first(x.flatten(1)))))

    def inside(self, x):
        return x


class FunctionalDropout(Own):
    def inside(self, x):
        return functional.dropout(x, 0.3, self.training)


class Noise(Own):
    def inside(self, x):
        return x + 0.1 * torch.randn_like(x) if self.training else x


class NumpyNoise(Own):
    def inside(self, x):
        return x * float(1 + 0.3 * np.random.standard_normal()) if self.training else x  # noqa: NPY002


class PythonChance(Own):
    def inside(self, x):
        return x * 0.5 if self.training and random.random() < 0.5 else x


class LooksAtTraining(Own):
    def inside(self, x):
        return -x if self.training else x


class Flipped(nn.Module):
    """A child of a Sequential that looks at its mode."""

    def forward(self, x):
        return -x if self.training else x


class Normed(Own):
    """The mean over the batch is taken off: samples see each other."""

    def inside(self, x):
        return x - x.mean(0) if self.training else x


class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.head = nn.Embedding(5, 6), nn.Linear(6, 2)

    def forward(self, x):
        return self.head(self.words(x.flatten(1)).mean(1))


class Hidden(Own):
    def __init__(self):
        super().__init__()
        self.register_buffer("scale", torch.full((8,), 2.0), persistent=False)

    def inside(self, x):
        return x * self.scale


def plain(*between, bias=True):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 8, bias=bias), *between, nn.Linear(8, 2))


def frozen():
    model = plain(nn.ReLU())
    model[1].weight.requires_grad_(False)
    return model


def hooked(where):
    model = plain(nn.Tanh())
    chosen = model if where == "whole" else model[1]
    chosen.register_forward_hook(lambda module, inputs, output: 0.5 * output + 0.1)
    return model


def masked_gradient():
    model = plain(nn.Tanh())
    model[1].weight.register_hook(lambda grad: grad * 0.0)
    return model


def shared():
    layer = nn.Linear(8, 8)
    return plain(layer, nn.ReLU(), layer)


def patched():
    model = plain(nn.Tanh())
    first = model[1]
    first.forward = lambda x: 2 * functional.linear(x, first.weight, first.bias)
    return model


def weight_norm():
    model = plain(nn.Tanh())
    nn.utils.parametrizations.weight_norm(model[1])
    return model


def encoder():
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True)
    return nn.Sequential(layer, nn.Flatten(), nn.Linear(64, 2))


AT_ONCE = {
    "plain": lambda: plain(nn.ReLU()),
    "no bias": lambda: plain(nn.Tanh(), bias=False),
    "layer norm": lambda: plain(nn.LayerNorm(8)),
    "batch norm": lambda: plain(nn.BatchNorm1d(8), bias=False),
    "looks at training": LooksAtTraining,
    "child looks at training": lambda: plain(Flipped()),
    "batch mean": Normed,
    "float64": lambda: plain(nn.Tanh()).double(),
    "frozen": frozen,
    "one parameter": lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 2, bias=False)),
    "hidden buffer": Hidden,
    "convolution": lambda: nn.Sequential(
        nn.Unflatten(1, (1, 8)), nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 2)
    ),
}
ONE_BY_ONE = {
    "lstm": Recurrent,
    "gru": lambda: Recurrent(nn.GRU),
    "dropout": lambda: plain(nn.Dropout(0.3)),
    "functional dropout": FunctionalDropout,
    "noise": Noise,
    "noise of numpy": NumpyNoise,
    "chance of python": PythonChance,
    "hook on a layer": lambda: hooked("layer"),
    "hook on the whole": lambda: hooked("whole"),
    "hook on a gradient": masked_gradient,
    "shared layer": shared,
    "batch norm behind a bias": lambda: plain(nn.BatchNorm1d(8)),
    "weight norm": weight_norm,
    "patched forward": patched,
    "encoder": encoder,
}
KINDS = AT_ONCE | ONE_BY_ONE
