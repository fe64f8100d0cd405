"""Deep networks for images of 32 x 32 pixels: VGG, ResNet and DenseNet."""

import torch
from torch import nn

from sshml.arguments import choice, flag, integer
from sshml.errors import SSHMLError

CONVOLUTIONS = {"C": (2, 2, 3, 3, 3), "D": (2, 2, 3, 3, 3), "E": (2, 2, 4, 4, 4)}
"""Configurations of Simonyan and Zisserman: convolutions of each block. D is VGG-16, E VGG-19; C is a VGG-16 in which
the third convolution of a block is 1 x 1, the VGG-16 of Gao et al. 2020."""
WIDTHS = (64, 128, 256, 512, 512)
FLAT = {"C": (0, 1), "D": (0, 1), "E": (2, 3)}
"""Convolutions of the last block that Gao et al. 2020 have as linear layers."""
MOST_LAYERS, MOST_WIDTH = 10**4, 10**5


class Standardize(nn.Module):
    """Shift every image to mean 0 and divide it by its standard deviation, of n numbers at least n^(-1/2)."""

    def forward(self, x):
        """Return images of the same shape."""
        flat = x.flatten(1)
        spread = flat.std(1, correction=0).clamp(min=flat.shape[1] ** -0.5)
        return (x - flat.mean(1)[:, None, None, None]) / spread[:, None, None, None]


def _conv(n_in, n_out, kernel=3, stride=1):
    return nn.Conv2d(n_in, n_out, kernel, stride, kernel // 2, bias=False)


def _activated(n_in, n_out, kernel=3, stride=1):
    """Return normalisation, ReLU, convolution, in this order."""
    return nn.Sequential(nn.BatchNorm2d(n_in), nn.ReLU(), _conv(n_in, n_out, kernel, stride))


def _head(n_in, classes):
    """Return the layers behind the last convolution of networks that activate before it."""
    return nn.BatchNorm2d(n_in), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(n_in, classes)


class VGG(nn.Sequential):
    """VGG for images of 32 x 32 pixels, with batch normalisation; logits out.

    Five blocks of convolutions of 64, 128, 256, 512 and 512 channels, each followed by pooling 2 x 2, then Linear
    512-4096-4096-classes with dropout .2 (Simonyan and Zisserman, arXiv 1409.1556, table 1; Gao et al. 2020). Images
    are standardised one by one.

    Args:
        configuration: "D" (VGG-16), "E" (VGG-19), or "C" (VGG-16 with 1 x 1 convolutions at the end of a block).
        channels: of the images.
        classes: number of classes.
        flat: take two convolutions of the last block as linear layers 2048-2048 on its 2 x 2 pixels of 512 channels,
            which Gao et al. 2020 replace by MPOs.

    Raises:
        SSHMLError: an unknown configuration, a number under 1.

    >>> sum(p.numel() for m in VGG("D") if isinstance(m, nn.Conv2d) for p in m.parameters())
    14710464
    """

    def __init__(self, configuration="D", channels=3, classes=10, flat=False):
        choice(configuration, "configuration", tuple(CONVOLUTIONS))
        channels, classes = integer(channels, "channels", 1, MOST_WIDTH), integer(classes, "classes", 1, MOST_WIDTH)
        n_in = channels
        layers, flat = [Standardize()], flag(flat, "flat")
        for block, (count, width) in enumerate(zip(CONVOLUTIONS[configuration], WIDTHS, strict=True)):
            for number in range(count):
                if flat and block == len(WIDTHS) - 1 and number in FLAT[configuration]:
                    size = 4 * width
                    layers += [nn.Flatten(), nn.Linear(size, size, bias=False), nn.BatchNorm1d(size), nn.ReLU()]
                    layers.append(nn.Unflatten(1, (width, 2, 2)))
                else:
                    kernel = 1 if configuration == "C" and number == 2 else 3
                    layers += [_conv(n_in, width, kernel), nn.BatchNorm2d(width), nn.ReLU()]
                n_in = width
            layers.append(nn.MaxPool2d(2))
        layers.append(nn.Flatten())
        for inputs in (n_in, 4096):
            layers += [nn.Linear(inputs, 4096), nn.ReLU(), nn.Dropout(0.2)]
        super().__init__(*layers, nn.Linear(4096, classes))
        self.arguments = {"configuration": configuration, "channels": channels, "classes": classes, "flat": flat}


class Residual(nn.Module):
    """x + two activated convolutions of x; where the shape changes, a 1 x 1 convolution in the place of x."""

    def __init__(self, n_in, n_out, stride):
        super().__init__()
        self.first, self.second = _activated(n_in, n_out, 3, stride), _activated(n_out, n_out)
        self.shortcut = _conv(n_in, n_out, 1, stride) if stride > 1 or n_in != n_out else None

    def forward(self, x):
        """Return features (sample, n_out, row, column)."""
        active = self.first[:2](x)
        return (x if self.shortcut is None else self.shortcut(active)) + self.second(self.first[2](active))


class ResNet(nn.Sequential):
    """Pre-activation residual network for images of 32 x 32 pixels; logits out.

    Three groups of (depth - 2)/6 blocks of 16 k, 32 k and 64 k channels (He et al., arXiv 1603.05027; k as in
    Zagoruyko and Komodakis, arXiv 1605.07146, who count two layers more). Images are standardised one by one.

    Args:
        depth: 6 n + 2: 20, 32, 44, 56, 110.
        k: widening factor; 4 in Gao et al. 2020.
        channels: of the images.
        classes: number of classes.

    Raises:
        SSHMLError: another depth, a number under 1.

    >>> ResNet(20, 4)[-1]
    Linear(in_features=256, out_features=10, bias=True)
    """

    def __init__(self, depth=20, k=1, channels=3, classes=10):
        depth, k = integer(depth, "depth", 8, MOST_LAYERS), integer(k, "k", 1, MOST_WIDTH)
        if depth % 6 != 2:
            raise SSHMLError(f"depth is {depth}; expected 6 n + 2, as 20, 32, 44, 56.")
        channels, classes = integer(channels, "channels", 1, MOST_WIDTH), integer(classes, "classes", 1, MOST_WIDTH)
        layers, n_in = [Standardize(), _conv(channels, 16)], 16
        for group in range(3):
            for number in range(depth // 6):
                n_out = 16 * k * 2**group
                layers.append(Residual(n_in, n_out, 2 if group and not number else 1))
                n_in = n_out
        super().__init__(*layers, *_head(n_in, classes))
        self.arguments = {"depth": depth, "k": k, "channels": channels, "classes": classes}


class Growing(nn.Module):
    """The channels of x and, behind them, those of an activated convolution of x."""

    def __init__(self, n_in, growth):
        super().__init__()
        self.new = _activated(n_in, growth)

    def forward(self, x):
        """Return features (sample, n_in + growth, row, column)."""
        return torch.cat([x, self.new(x)], 1)


class DenseNet(nn.Sequential):
    """Densely connected network for images of 32 x 32 pixels, without bottlenecks; logits out.

    Three blocks of (depth - 4)/3 convolutions, each of which adds `growth` channels, with 1 x 1 convolutions and
    pooling between them (Huang et al., arXiv 1608.06993, table 2). Images are standardised one by one.

    Args:
        depth: 3 n + 4, as 40.
        growth: channels that a convolution adds.
        channels: of the images.
        classes: number of classes.

    Raises:
        SSHMLError: another depth, a number under 1.

    >>> DenseNet(40, 12)[-1]
    Linear(in_features=448, out_features=10, bias=True)
    """

    def __init__(self, depth=40, growth=12, channels=3, classes=10):
        depth, growth = integer(depth, "depth", 7, MOST_LAYERS), integer(growth, "growth", 1, MOST_WIDTH)
        if depth % 3 != 1:
            raise SSHMLError(f"depth is {depth}; expected 3 n + 4, as 40.")
        channels, classes = integer(channels, "channels", 1, MOST_WIDTH), integer(classes, "classes", 1, MOST_WIDTH)
        layers, n_in = [Standardize(), _conv(channels, 16)], 16
        for block in range(3):
            for _ in range((depth - 4) // 3):
                layers.append(Growing(n_in, growth))
                n_in += growth
            if block < 2:
                layers += [_activated(n_in, n_in, 1), nn.AvgPool2d(2)]
        super().__init__(*layers, *_head(n_in, classes))
        self.arguments = {"depth": depth, "growth": growth, "channels": channels, "classes": classes}
