"""Magnitude pruning: keep the weights of largest modulus."""

import torch
from torch import nn

from sshml.arguments import instance, integer
from sshml.compression.layer import CompressedLinear, check_weight


def largest_weights(weight, keep):
    """Return the flat indices, ascending, of the `keep` weights of largest modulus (the first of equals).

    Args:
        weight: float32 or float64 tensor (..., out, in), or an `nn.Linear`.
        keep: 1 ... out * in.

    Returns:
        int64 tensor (..., keep) into the weight flattened over (out, in).

    Raises:
        SSHMLError: keep out of range, NaN weights, another dtype.

    >>> largest_weights(torch.tensor([[3.0, -4.0], [1.0, 2.0]]), keep=2)
    tensor([0, 1])
    """
    weight = check_weight(weight)
    keep = _check_keep(keep, weight.shape)
    order = weight.flatten(-2).abs().sort(dim=-1, descending=True, stable=True).indices
    return order[..., :keep].sort(dim=-1).values


def _check_keep(keep, shape):
    """Return `keep` as an int, or raise where a weight does not have so many entries."""
    return integer(keep, "keep", 1, shape[-2] * shape[-1])


def index_dtype(size):
    """Return the smallest of int16, int32 and int64 that can index `size` weights."""
    size = integer(size, "size", 0, 2**62)
    return next(t for t in (torch.int16, torch.int32, torch.int64) if size - 1 <= torch.iinfo(t).max)


class MaskedLinear(CompressedLinear):
    """A linear layer with few weights: their values (trainable) and their flat indices are what is stored.

    Args:
        in_features: inputs.
        out_features: outputs.
        keep: number of weights.
        bias: whether there is a bias.
        device: of the parameters.
        dtype: of the parameters.
    """

    sizes = ("keep",)

    def __init__(self, in_features, out_features, keep, bias=True, device=None, dtype=None):
        super().__init__(in_features, out_features, bias, device, dtype)
        size = self.out_features * self.in_features
        self.keep = _check_keep(keep, (self.out_features, self.in_features))
        self.values = nn.Parameter(torch.zeros(self.keep, device=device, dtype=dtype))
        self.register_buffer("indices", torch.arange(self.keep, device=device).to(index_dtype(size)))

    @classmethod
    def from_dense(cls, layer, keep, allow_growth=False):
        """Return the layer with all but the `keep` weights of largest modulus set to zero; exact at full size.

        Args:
            layer: the `nn.Linear`, which is left as it is.
            keep: number of weights to keep, 1 ... out * in.
            allow_growth: accept a layer that takes more bytes, indices counted, than the dense one.

        Raises:
            SSHMLError: keep out of range, or a result that would be larger than the dense layer.
        """
        weight = check_weight(instance(layer, "layer", nn.Linear, "an nn.Linear"))
        indices = largest_weights(weight, keep)
        new = cls(layer.in_features, layer.out_features, keep, layer.bias is not None, weight.device, weight.dtype)
        new.values.data = weight.flatten()[indices]
        new.indices.copy_(indices)
        return new._adopt(layer, allow_growth)

    @classmethod
    def of_entries(cls, matrix, places):
        """Return the layer without bias of the entries of a matrix (out, in) at flat places, in any order."""
        new = cls(matrix.shape[1], matrix.shape[0], len(places), False, matrix.device, matrix.dtype)
        places = places.sort().values
        new.values.data = matrix.detach().flatten()[places]
        new.indices.copy_(places)
        return new

    def _largest(self, room):
        room += self.indices.nbytes  # a buffer, counted with the others
        return max(0, room // (self.values.itemsize + self.indices.itemsize))

    def to_weight(self):
        """Return the weight (out, in) with zeros where nothing is stored."""
        flat = self.values.new_zeros(self.out_features * self.in_features)
        return flat.scatter(0, self.indices.long(), self.values).view(self.out_features, self.in_features)
