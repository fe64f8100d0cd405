import pytest
import torch
from torch import nn

from sshml.classifier import FC2, MLP, LeNet5, stack
from sshml.classifier.networks import Square
from sshml.errors import SSHMLError


def test_layers_and_shapes():
    model = MLP((256, 128, 64, 2))
    linear = [layer for layer in model if isinstance(layer, nn.Linear)]
    assert [tuple(layer.weight.shape) for layer in linear] == [(128, 256), (64, 128), (2, 64)]
    assert model(torch.zeros(3, 16, 16)).shape == (3, 2)
    assert isinstance(model[-1], nn.Linear)  # logits, no activation behind them


@pytest.mark.parametrize(
    ("name", "kind"), [("relu", nn.ReLU), ("tanh", nn.Tanh), ("sigmoid", nn.Sigmoid), ("square", Square)]
)
def test_activations(name, kind):
    assert sum(isinstance(layer, kind) for layer in MLP((4, 3, 3, 2), name)) == 2


@pytest.mark.parametrize("widths", [(), (4,), (4, 0, 2), (4, 2.5)])
def test_bad_widths(widths):
    with pytest.raises(SSHMLError, match="widths"):
        MLP(widths)


def test_bad_activation():
    with pytest.raises(SSHMLError, match="relu, tanh, sigmoid"):
        MLP((4, 2), "relu6")


def test_networks_of_the_literature_take_images():
    images = torch.zeros(2, 1, 28, 28)
    assert FC2()(images).shape == LeNet5()(images).shape == (2, 10)
    linear = [(m.out_features, m.in_features) for m in LeNet5() if isinstance(m, nn.Linear)]
    assert linear == [(120, 400), (84, 120), (10, 84)]


def test_square_squares_alone_and_in_a_stack():
    members = [MLP((3, 4, 2), "square") for _ in range(2)]
    x = torch.rand(2, 5, 3)
    for member, part, together in zip(members, x, stack(members)(x), strict=True):
        hidden = member[1](part) ** 2
        torch.testing.assert_close(together, member[3](hidden))
