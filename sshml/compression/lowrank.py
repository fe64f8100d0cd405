"""Truncated singular value decomposition of a linear layer."""

import torch
from torch import nn

from sshml.arguments import instance, integer
from sshml.compression.layer import CompressedLinear, check_weight, dense_layer, like_it
from sshml.compression.products import linear


def truncated_svd(weight, rank):
    """Return the factors of the best approximation of a weight by a matrix of a given rank.

    W ~ (U sqrt(S)) (sqrt(S) V^T), keeping the `rank` largest singular values: the Frobenius error is the norm of
    the dropped ones (Eckart and Young, Psychometrika 1, 211 (1936)).

    Args:
        weight: float32 or float64 tensor (..., out, in), or an `nn.Linear`.
        rank: 1 ... min(out, in).

    Returns:
        (left, right): shapes (..., out, rank) and (..., rank, in), columns and rows in descending order of the
        singular values.

    Raises:
        SSHMLError: rank out of range, NaN weights, another dtype.

    >>> left, right = truncated_svd(torch.diag(torch.tensor([3.0, 2.0, 1.0])), rank=2)
    >>> (left @ right).diagonal().round(decimals=5)
    tensor([3., 2., 0.])
    """
    weight = check_weight(weight)
    rank = check_rank(rank, weight.shape)
    u, s, vh = torch.linalg.svd(weight, full_matrices=False)
    root = s[..., :rank].sqrt()
    return u[..., :rank] * root[..., None, :], root[..., :, None] * vh[..., :rank, :]


def check_rank(rank, shape):
    """Return `rank` as an int, or raise where it is not an integer from 1 to min(out, in)."""
    return integer(rank, "rank", 1, min(shape[-2:]))


class LowRankLinear(CompressedLinear):
    """A linear layer of bounded rank: y = left (right x) + b.

    Args:
        in_features: inputs.
        out_features: outputs.
        rank: columns of `left` (out, rank) and rows of `right` (rank, in).
        bias: whether there is a bias; "absorbed" for one of bounded rank too, the last column of `right`
            (rank, in + 1).
        device: of the parameters.
        dtype: of the parameters.
    """

    sizes = ("rank",)

    def __init__(self, in_features, out_features, rank, bias=True, device=None, dtype=None):
        self.absorbed = bias == "absorbed"
        super().__init__(in_features, out_features, bias and not self.absorbed, device, dtype)
        self.rank = check_rank(rank, (self.out_features, self.in_features + self.absorbed))
        like = {"device": device, "dtype": dtype}
        self.left = nn.Parameter(torch.zeros(self.out_features, self.rank, **like))
        self.right = nn.Parameter(torch.zeros(self.rank, self.in_features + self.absorbed, **like))

    @classmethod
    def from_dense(cls, layer, rank, allow_growth=False):
        """Return the best layer of this rank; exact at full rank.

        Args:
            layer: the `nn.Linear`, which is left as it is.
            rank: 1 ... min(out, in).
            allow_growth: accept a layer larger than the dense one.

        Raises:
            SSHMLError: rank out of range, or a result that would be larger than the dense layer.
        """
        left, right = truncated_svd(instance(layer, "layer", nn.Linear, "an nn.Linear"), rank)
        new = cls(layer.in_features, layer.out_features, rank, layer.bias is not None, left.device, left.dtype)
        new.left.data, new.right.data = left.contiguous(), right.contiguous()
        return new._adopt(layer, allow_growth)

    @classmethod
    def of_factors(cls, left, right, bias=None, absorbed=False):
        """Return the layer of two factors, (out, rank) and (rank, in), or (rank, in + 1) where it absorbs the bias."""
        in_features = right.shape[1] - absorbed
        with torch.device("meta"):  # no zeros where factors come
            new = cls(in_features, len(left), len(right), "absorbed" if absorbed else bias is not None)
        new.left, new.right = nn.Parameter(left.contiguous()), nn.Parameter(right.contiguous())
        if bias is not None:
            new.bias = nn.Parameter(bias.detach().clone())
        return new

    def _largest(self, room):
        return max(0, room // (self.left.itemsize * (self.out_features + self.right.shape[1])))

    def config(self):
        """Return the constructor's arguments as plain data."""
        return super().config() | ({"bias": "absorbed"} if self.absorbed else {})

    @property
    def flops(self):
        """Floating-point operations of the two products for one sample."""
        return 2 * self.rank * (self.out_features + self.right.shape[1])

    def forward(self, x):
        """Return left (right x) + b."""
        if self.absorbed:
            return linear(linear(x, self.right[:, :-1], self.right[:, -1]), self.left)
        return linear(linear(x, self.right), self.left, self.bias)

    def to_weight(self):
        """Return left right, shape (out, in)."""
        return self.left @ self.right[:, : self.in_features]

    def to_dense(self):
        """Return the `nn.Linear` of the same weight and bias."""
        bias = self.left @ self.right[:, -1] if self.absorbed else self.bias
        return like_it(self, dense_layer(self.to_weight().detach(), bias))
