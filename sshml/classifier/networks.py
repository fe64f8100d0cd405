"""The networks of the sources, as plain `nn.Sequential` modules."""

import itertools

from torch import nn

from sshml.errors import SSHMLError

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}


class MLP(nn.Sequential):
    """Multilayer perceptron: Flatten, Linear, activation, ..., Linear; logits out.

    Args:
        widths: number of inputs, of neurons in each hidden layer, and of classes, e.g. (256, 128, 64, 2).
        activation: "relu", "tanh" or "sigmoid".

    Raises:
        SSHMLError: fewer than two widths, a width under 1, an unknown activation.

    >>> sum(p.numel() for p in MLP((256, 128, 64, 2)).parameters())
    41282
    """

    def __init__(self, widths=(256, 128, 64, 2), activation="relu"):
        widths = tuple(widths)
        if len(widths) < 2 or not all(isinstance(width, int) and width >= 1 for width in widths):
            raise SSHMLError(f"widths {widths} do not make a network; give two or more integers >= 1: (256, 128, 2).")
        if activation not in ACTIVATIONS:
            raise SSHMLError(f"activation {activation!r} is unknown; choose one of {', '.join(ACTIVATIONS)}.")
        layers = [nn.Flatten()]
        for n_in, n_out in itertools.pairwise(widths):
            layers += [nn.Linear(n_in, n_out), ACTIVATIONS[activation]()]
        super().__init__(*layers[:-1])
        self.widths, self.activation = widths, activation


NETWORKS = {"MLP": MLP}
