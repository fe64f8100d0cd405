"""The networks of the sources, as plain `nn.Sequential` modules."""

import itertools

from torch import nn

from sshml.arguments import choice, integers
from sshml.errors import SSHMLError

MOST = 2**40
"""Neurons in a layer, at most."""


class Square(nn.Module):
    """x^2 of every element."""

    def forward(self, x):
        """Return x^2."""
        return x * x


ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "square": Square}


class MLP(nn.Sequential):
    """Multilayer perceptron: Flatten, Linear, activation, ..., Linear; logits out.

    Args:
        widths: number of inputs, of neurons in each hidden layer, and of classes, e.g. (256, 128, 64, 2).
        activation: "relu", "tanh", "sigmoid" or "square" (x^2).

    Raises:
        SSHMLError: fewer than two widths, a width under 1, an unknown activation.

    >>> sum(p.numel() for p in MLP((256, 128, 64, 2)).parameters())
    41282
    """

    def __init__(self, widths=(256, 128, 64, 2), activation="relu"):
        widths = tuple(integers(widths, "widths", 1, MOST))
        if len(widths) < 2:
            raise SSHMLError(f"widths {widths} do not make a network; give two or more integers >= 1: (256, 128, 2).")
        choice(activation, "activation", tuple(ACTIVATIONS))
        layers = [nn.Flatten()]
        for n_in, n_out in itertools.pairwise(widths):
            layers += [nn.Linear(n_in, n_out), ACTIVATIONS[activation]()]
        super().__init__(*layers[:-1])
        self.arguments = {"widths": widths, "activation": activation}


def FC2():
    """Return the MLP 784-256-10 for images of 28 x 28 pixels, FC2 of Gao et al. 2020.

    >>> sum(p.numel() for p in FC2().parameters())
    203530
    """
    return MLP((784, 256, 10))


class LeNet5(nn.Sequential):
    """LeNet-5 for images of 28 x 28 pixels, with ReLU and max pooling; logits out.

    Two convolutions 5 x 5 of 6 and 16 channels, the first padded by 2, each pooled 2 x 2, then Linear 400-120-84-10
    (LeCun, Bottou, Bengio and Haffner, Proc. IEEE 86, 2278 (1998)).

    >>> sum(p.numel() for p in LeNet5().parameters())
    61706
    """

    def __init__(self):
        super().__init__(
            nn.Conv2d(1, 6, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 16, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(400, 120),
            nn.ReLU(),
            nn.Linear(120, 84),
            nn.ReLU(),
            nn.Linear(84, 10),
        )
        self.arguments = {}
