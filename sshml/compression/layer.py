"""The contract of every compressed layer."""

import abc

import numpy as np
import torch
from torch import nn

from sshml.arguments import as_array, flag, integer, shown
from sshml.compression.products import linear
from sshml.errors import SSHMLError

MOST = 2**40
"""Neurons on a side of a layer, at most."""

HALF = (torch.float16, torch.bfloat16)
"""Types whose matrices are decomposed in float32."""


class CompressedLinear(nn.Module, abc.ABC):
    """A drop-in for `nn.Linear` that stores its weight in another form.

    A method defines the stored tensors, `to_weight()`, `from_dense(layer, ...)` and the names of its arguments.
    `n_parameters` counts all parameters, `n_bytes` what is stored, buffers as indices too; the bias is in both.
    """

    sizes: tuple
    """Arguments of `from_dense` that set how much is stored, one of which is needed: ("rank",), ("keep",)."""
    options: tuple = ()
    """Further arguments of `from_dense`, beside allow_growth."""

    def __init__(self, in_features, out_features, bias=True, device=None, dtype=None):
        super().__init__()
        self.in_features = integer(in_features, "in_features", 1, MOST)
        self.out_features = integer(out_features, "out_features", 1, MOST)
        self.bias = nn.Parameter(torch.zeros(out_features, device=device, dtype=dtype)) if bias else None

    @classmethod
    def of(cls, matrix, **size):
        """Return a layer without bias that stores a matrix (out, in); what is half precise is decomposed in float32.

        Args:
            matrix: tensor (out, in).
            **size: as in `from_dense`; the layer may be larger than the matrix.
        """
        wide = matrix.detach().float() if matrix.dtype in HALF else matrix
        return cls.from_dense(dense_layer(wide), allow_growth=True, **size).to(matrix.dtype)

    @abc.abstractmethod
    def to_weight(self):
        """Return the dense weight (out, in) that the layer stands for."""

    @property
    def weight(self):
        """The dense weight (out, in), for modules that read the weight of their layers."""
        return self.to_weight()

    def config(self):
        """Return the constructor's arguments as plain data."""
        return {
            "in_features": self.in_features,
            "out_features": self.out_features,
            self.sizes[0]: getattr(self, self.sizes[0]),
            "bias": self.bias is not None,
        }

    def forward(self, x):
        """Return x W^T + b."""
        return linear(x, self.to_weight(), self.bias)

    def to_dense(self):
        """Return the `nn.Linear` of the same weight and bias."""
        return like_it(self, dense_layer(self.to_weight().detach(), self.bias))

    @property
    def flops(self):
        """Floating-point operations of the products for one sample."""
        return 2 * self.out_features * self.in_features

    @property
    def n_parameters(self):
        """Number of trainable numbers stored."""
        return sum(parameter.numel() for parameter in self.parameters())

    @property
    def n_bytes(self):
        """Bytes stored, indices included."""
        return sum(tensor.nbytes for tensor in (*self.parameters(), *self.buffers()))

    def extra_repr(self):
        """Return the arguments, for `print`."""
        return ", ".join(f"{name}={value}" for name, value in self.config().items())

    def _largest(self, room):
        """Return the largest size whose matrix takes so many bytes, 0 where none does."""
        raise NotImplementedError

    def _adopt(self, layer, allow_growth):
        """Take the bias and training mode of `layer`, after refusing to be larger than it."""
        dense, allow_growth = sum(t.nbytes for t in layer.parameters()), flag(allow_growth, "allow_growth")
        if self.n_bytes > dense and not allow_growth:
            rest = sum(tensor.nbytes for tensor in (self.bias, *self.buffers()) if tensor is not None)
            fits = self._largest(dense - rest)
            remedy = (
                f"choose {self.sizes[0]} up to {fits}" if fits else "no size of this form is smaller: keep it dense"
            )
            raise SSHMLError(
                f"this {type(self).__name__} would store {self.n_bytes} bytes, the dense layer {dense}; {remedy}, or"
                " pass allow_growth=True."
            )
        for parameter in self.parameters():
            parameter.requires_grad_(layer.weight.requires_grad)
        if layer.bias is not None:
            self.bias.data.copy_(layer.bias.detach())
            self.bias.requires_grad_(layer.bias.requires_grad)
        return self.train(layer.training)


def dense_layer(weight, bias=None):
    """Return an `nn.Linear` with copies of a weight (out, in) and a bias (out)."""
    out_features, in_features = weight.shape
    layer = nn.Linear(in_features, out_features, bias is not None, device=weight.device, dtype=weight.dtype)
    with torch.no_grad():
        layer.weight.copy_(weight)
        if bias is not None:
            layer.bias.copy_(bias)
    return layer


def like_it(old, new):
    """Return the dense layer of a compressed one in its mode, with a weight that is trained if any factor is."""
    free = any(parameter.requires_grad for name, parameter in old.named_parameters() if name != "bias")
    for name, parameter in new.named_parameters():
        own = old.bias if name == "bias" else None
        parameter.requires_grad_(free if own is None else own.requires_grad)
    return new.train(old.training)


def plain_linear(layer):
    """Return an `nn.Linear` of the effective weight and bias of one, in float32 where it is half precise."""
    weight, bias = layer.weight.detach(), None if layer.bias is None else layer.bias.detach()
    if weight.dtype in HALF:
        weight, bias = weight.float(), None if bias is None else bias.float()
    plain = dense_layer(weight, bias).train(layer.training)
    plain.weight.requires_grad_(layer.weight.requires_grad)
    if bias is not None:
        plain.bias.requires_grad_(layer.bias.requires_grad)
    return plain


def check_weight(weight):
    """Return the detached weight of a layer, the tensor itself or that of an array, or raise where none is usable."""
    weight = weight.weight if isinstance(weight, nn.Linear) else weight
    if isinstance(weight, np.ndarray) and weight.dtype.kind == "f" and weight.itemsize in (4, 8):
        weight = as_array(weight, "the weight")
        weight = torch.from_numpy(np.ascontiguousarray(weight, weight.dtype.newbyteorder("=")))
    if not isinstance(weight, torch.Tensor) or weight.ndim < 2:
        raise SSHMLError(
            f"the weight is {shown(weight)}; expected an nn.Linear, or a tensor or array of floats (..., out, in)."
        )
    if not weight.numel():
        raise SSHMLError(f"the weight has shape {tuple(weight.shape)}; there is nothing in it.")
    if weight.dtype not in (torch.float32, torch.float64):
        raise SSHMLError(f"the weight is {weight.dtype}; convert it with .float() or .double() first.")
    try:
        finite = bool(torch.isfinite(weight).all())
    except (RuntimeError, NotImplementedError):  # sparse, or without data
        raise SSHMLError(f"the weight is {weight.layout} on {weight.device}; expected a dense one with data.") from None
    if not finite:
        raise SSHMLError("the weight holds NaN or infinite numbers; nothing can be decomposed.")
    return weight.detach()
