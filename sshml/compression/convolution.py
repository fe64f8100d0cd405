"""Convolutions whose kernels are stored as matrices in compressed form, one for each group."""

import torch
from torch import nn

from sshml.compression.layer import CompressedLinear, like_it
from sshml.compression.lowrank import LowRankLinear

FUNCTIONS = {1: nn.functional.conv1d, 2: nn.functional.conv2d}
SIZES = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups")


class CompressedConv(nn.Module):
    """A drop-in for `nn.Conv1d` and `nn.Conv2d`: the kernel of each group is a matrix (out, in * kernel) in a form.

    Of bounded rank r it runs as a convolution with r filters and a 1 x 1 convolution behind it (Jaderberg, Vedaldi,
    Zisserman, arXiv 1405.3866; Zhang et al., arXiv 1505.06798); the other forms are rebuilt for every pass.

    Args:
        parts: for each group a `CompressedLinear` without bias, or {"class", "arguments"} of one, all of one size.
        in_channels: as in `nn.Conv2d`.
        out_channels: as in `nn.Conv2d`.
        kernel_size: one integer per dimension.
        stride: one integer per dimension.
        padding: one integer per dimension, or "same" or "valid".
        dilation: one integer per dimension.
        groups: number of groups.
        bias: whether there is a bias.
        padding_mode: "zeros", "reflect", "replicate" or "circular".
    """

    def __init__(
        self, parts, in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode
    ):
        super().__init__()
        self.parts = nn.ModuleList(rebuilt(part) for part in parts)
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size, self.stride, self.dilation = tuple(kernel_size), tuple(stride), tuple(dilation)
        self.padding = padding if isinstance(padding, str) else tuple(padding)
        self.padding_mode = padding_mode
        like = next(self.parts.parameters())
        self.bias = nn.Parameter(torch.zeros(out_channels, dtype=like.dtype, device=like.device)) if bias else None

    @classmethod
    def of(cls, layer, parts):
        """Return the layer of an `nn.Conv1d` or `nn.Conv2d` with parts for its kernel; the bias is the same object."""
        taken = {name: getattr(layer, name) for name in SIZES}
        new = cls(parts, **taken, bias=False, padding_mode=layer.padding_mode)
        new.bias = layer.bias
        return new

    def config(self):
        """Return the constructor's arguments as plain data."""
        taken = {name: _plain(getattr(self, name)) for name in SIZES}
        return {
            "parts": [described(part) for part in self.parts],
            **taken,
            "bias": self.bias is not None,
            "padding_mode": self.padding_mode,
        }

    @property
    def weight(self):
        """The kernel (out, in / groups, *kernel_size)."""
        kernels = torch.cat([part.to_weight() for part in self.parts])
        return kernels.view(self.out_channels, self.in_channels // self.groups, *self.kernel_size)

    def forward(self, x):
        """Return the convolution of x (sample, channel, ...)."""
        conv, padding = FUNCTIONS[len(self.kernel_size)], self.padding
        if self.padding_mode != "zeros":
            x = nn.functional.pad(x, sides(self.padding, self.kernel_size, self.dilation), mode=self.padding_mode)
            padding = 0
        if not all(isinstance(part, LowRankLinear) for part in self.parts):
            return conv(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)
        right, left = (torch.cat([getattr(part, side) for part in self.parts]) for side in ("right", "left"))
        right = right.view(len(right), self.in_channels // self.groups, *self.kernel_size)
        x = conv(x, right, None, self.stride, padding, self.dilation, self.groups)
        return conv(x, left[(...,) + (None,) * len(self.kernel_size)], self.bias, groups=self.groups)

    def to_dense(self):
        """Return the `nn.Conv1d` or `nn.Conv2d` of the same kernel and bias."""
        kind = {1: nn.Conv1d, 2: nn.Conv2d}[len(self.kernel_size)]
        arguments = self.config()
        del arguments["parts"]
        weight = self.weight.detach()
        new = kind(**arguments, device=weight.device, dtype=weight.dtype)
        with torch.no_grad():
            new.weight.copy_(weight)
            if self.bias is not None:
                new.bias.copy_(self.bias)
        return like_it(self, new)

    @property
    def flops(self):
        """Floating-point operations of the products for one position of the output."""
        if all(isinstance(part, LowRankLinear) for part in self.parts):
            return sum(part.flops for part in self.parts)
        return 2 * len(self.parts) * self.parts[0].in_features * self.parts[0].out_features

    def extra_repr(self):
        """Return the arguments, for `print`."""
        return ", ".join(f"{name}={value}" for name, value in self.config().items() if name != "parts")


def described(part):
    """Return a compressed layer without its numbers, as plain data."""
    if isinstance(part, nn.Linear):
        return {"class": "Linear", "arguments": [part.in_features, part.out_features]}
    return {"class": type(part).__name__, "arguments": part.config()}


def rebuilt(part):
    """Return a part from what `described` returns; a module as it is."""
    if isinstance(part, nn.Module):
        return part
    if part["class"] == "Linear":
        return nn.Linear(*part["arguments"], bias=False)
    kinds = {kind.__name__: kind for kind in CompressedLinear.__subclasses__()}
    return kinds[part["class"]](**part["arguments"])


def _plain(value):
    return list(value) if isinstance(value, tuple) else value


def sides(padding, kernel_size, dilation):
    """Return the padding of each side, last dimension first, as `nn.functional.pad` takes it."""
    if padding == "valid":
        return [0] * (2 * len(kernel_size))
    if padding == "same":  # what is odd goes behind
        totals = [d * (k - 1) for d, k in zip(dilation, kernel_size, strict=True)]
        pairs = [(total // 2, total - total // 2) for total in totals]
    else:
        pairs = [(width, width) for width in padding]
    return [side for pair in reversed(pairs) for side in pair]
