"""Awkward networks that the tests of compression share: each a function that returns (module, inputs)."""

import torch
from torch import nn


def perceptron():
    return nn.Sequential(nn.Linear(24, 20), nn.ReLU(), nn.Linear(20, 18), nn.Tanh(), nn.Linear(18, 4)), torch.randn(
        9, 24
    )


def prime_and_narrow():
    return nn.Sequential(nn.Linear(13, 17, bias=False), nn.PReLU(), nn.Linear(17, 1), nn.Linear(1, 11)), torch.randn(
        9, 13
    )


def nested():
    inner = nn.Sequential(nn.Linear(16, 16), nn.Sequential(nn.ReLU(), nn.Linear(16, 12)))
    return nn.Sequential(nn.Flatten(), inner, nn.Sequential(nn.Linear(12, 3))), torch.randn(9, 4, 4)


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(16, 16)
        self.again = self.first
        self.head = nn.Linear(16, 5)

    def forward(self, x):
        return self.head(torch.relu(self.again(torch.relu(self.first(x)))))


def shared():
    return Shared(), torch.randn(9, 16)


class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk, self.a, self.b = nn.Linear(12, 24), nn.Linear(24, 6), nn.Linear(24, 7)

    def forward(self, x):
        x = torch.relu(self.trunk(x))
        return self.a(x), self.b(x)


def two_heads():
    return TwoHeads(), torch.randn(9, 12)


def convolutions():
    layers = [nn.Conv2d(3, 8, 3, padding=1, padding_mode="circular"), nn.BatchNorm2d(8), nn.ReLU()]
    layers += [nn.Conv2d(8, 12, (3, 2), stride=(2, 1), groups=2, bias=False), nn.ReLU(), nn.Conv2d(12, 12, 1, groups=3)]
    layers += [nn.Conv2d(12, 6, 3, padding="same", dilation=2), nn.Flatten(), nn.Linear(6 * 3 * 7, 5)]
    return nn.Sequential(*layers), torch.randn(9, 3, 8, 8)


def long_kernels():
    layers = [
        nn.Conv1d(2, 8, 15, padding=7, padding_mode="reflect"),
        nn.ReLU(),
        nn.Conv1d(8, 6, 15, stride=3, dilation=1),
    ]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(6 * 6, 4)), torch.randn(9, 2, 30)


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.gru, self.head = nn.Linear(5, 16), nn.GRU(16, 12, batch_first=True), nn.Linear(12, 9)

    def forward(self, x):
        return self.head(self.gru(self.embed(x))[0][:, -1])


def recurrent():
    return Recurrent(), torch.randn(9, 6, 5)


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 4, 24, batch_first=True)
        self.encoder, self.head = nn.TransformerEncoder(layer, 2), nn.Linear(16, 3)

    def forward(self, x):
        return self.head(self.encoder(x)[:, 0])


def encoder():
    return Encoder(), torch.randn(9, 5, 16)


class Cross(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(12, 3, kdim=10, vdim=14, add_bias_kv=True)

    def forward(self, x):
        return self.attention(x[..., :12], x[..., :10], x)[0].transpose(0, 1).flatten(1)


def cross_attention():
    return Cross(), torch.randn(4, 6, 14)


def parametrised():
    weight_norm = nn.utils.parametrizations.weight_norm
    return nn.Sequential(weight_norm(nn.Linear(14, 20)), nn.ReLU(), weight_norm(nn.Linear(20, 6))), torch.randn(9, 14)


NETS = {
    make.__name__: make
    for make in (
        perceptron,
        prime_and_narrow,
        nested,
        shared,
        two_heads,
        convolutions,
        long_kernels,
        recurrent,
        encoder,
        cross_attention,
        parametrised,
    )
}


def made(name, dtype=torch.float32):
    """Return (module in evaluation mode, inputs) of a name, always with the same numbers."""
    torch.manual_seed(0)
    module, inputs = NETS[name]()
    return module.eval().to(dtype), inputs.to(dtype)
