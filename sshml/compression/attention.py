"""Multi-head attention whose projections are stored in compressed form."""

import torch
from torch import nn

from sshml.compression.convolution import CompressedConv, described, rebuilt
from sshml.compression.layer import CompressedLinear

PARTS = ("q", "k", "v")
"""The projections of queries, keys and values, in the order of `in_proj_weight`."""


class CompressedAttention(nn.MultiheadAttention):
    """A drop-in for `nn.MultiheadAttention` with projections of queries, keys and values in compressed form.

    The forward pass is that of `nn.MultiheadAttention`, its fast path included: it finds the projections rebuilt from
    their parts in the attributes `in_proj_weight`, or `q_proj_weight`, `k_proj_weight` and `v_proj_weight`.

    Args:
        parts: three modules with a `weight`, of queries, keys and values: `CompressedLinear` or `nn.Linear` without
            bias, or what `described` says of one.
        **arguments: as in `nn.MultiheadAttention`.
    """

    _now = None

    def __init__(self, parts, **arguments):
        super().__init__(**arguments)
        for name in ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight"):
            self._parameters.pop(name, None)
        self.parts = nn.ModuleList(rebuilt(part) for part in parts)

    @classmethod
    def of(cls, layer, parts):
        """Return the layer of an `nn.MultiheadAttention` with other parts; all else are the same objects."""
        with torch.device("meta"):
            new = cls(parts, **arguments_of(layer))
        new.in_proj_bias, new.bias_k, new.bias_v = layer.in_proj_bias, layer.bias_k, layer.bias_v
        new.out_proj = layer.out_proj
        return new

    def config(self):
        """Return the constructor's arguments as plain data."""
        return {"parts": [described(part) for part in self.parts], **arguments_of(self)}

    def _weights(self):
        return [part.weight for part in self.parts]

    @property
    def in_proj_weight(self):
        """The three projections (3 embed_dim, embed_dim) below each other, None where they differ in their inputs."""
        parts = self.parts  # none yet while nn.MultiheadAttention sets itself up, which then sees its own
        if self._now is not None or not self._qkv_same_embed_dim:
            return self._now
        return torch.cat([part.weight for part in parts])

    @property
    def q_proj_weight(self):
        """The projection of the queries, None where all three are in `in_proj_weight`."""
        return self._apart(0)

    @property
    def k_proj_weight(self):
        """The projection of the keys, None where all three are in `in_proj_weight`."""
        return self._apart(1)

    @property
    def v_proj_weight(self):
        """The projection of the values, None where all three are in `in_proj_weight`."""
        return self._apart(2)

    def _apart(self, number):
        part = self.parts[number]
        return None if self._qkv_same_embed_dim else part.weight

    def forward(self, *args, **kwargs):
        """Return what `nn.MultiheadAttention` returns."""
        if self._qkv_same_embed_dim:
            self._now = torch.cat(self._weights())  # rebuilt once, however often the pass looks at it
        try:
            return super().forward(*args, **kwargs)
        finally:
            self._now = None

    def to_dense(self):
        """Return the `nn.MultiheadAttention` of the same projections."""
        weights = [weight.detach() for weight in self._weights()]
        new = nn.MultiheadAttention(**arguments_of(self), device=weights[0].device, dtype=weights[0].dtype)
        if self._qkv_same_embed_dim:
            own, parts, weights = [new.in_proj_weight], [self.parts], [torch.cat(weights)]
        else:
            own, parts = [getattr(new, f"{part}_proj_weight") for part in PARTS], self.parts
        with torch.no_grad():
            for whole, weight, part in zip(own, weights, parts, strict=True):
                whole.copy_(weight).requires_grad_(any(p.requires_grad for p in part.parameters()))
        new.in_proj_bias, new.bias_k, new.bias_v = self.in_proj_bias, self.bias_k, self.bias_v
        new.out_proj = self.out_proj
        return new.train(self.training)


COMPRESSED = (CompressedLinear, CompressedConv, CompressedAttention)
"""Base classes of all layers in compressed form."""


def compressed_modules(model, remove_duplicate=True):
    """Return {path: layer} of the compressed layers of a model, without those that are parts of others.

    A layer that is in several places is under each of their paths if `remove_duplicate` is False.
    """
    found = {}
    for path, module in model.named_modules(remove_duplicate=remove_duplicate):
        inside = any(path.startswith(f"{outer}.parts." if outer else "parts.") for outer in found)
        if isinstance(module, COMPRESSED) and not inside:
            found[path] = module
    return found


def projection(attention, part):
    """Return the weight (embed_dim, in) of a part, one of `PARTS`, of an attention, compressed or not."""
    if isinstance(attention, CompressedAttention):
        return attention.parts[PARTS.index(part)].weight
    if attention.in_proj_weight is None:
        return getattr(attention, f"{part}_proj_weight")
    return attention.in_proj_weight.chunk(3)[PARTS.index(part)]


def arguments_of(layer):
    """Return the constructor's arguments of an `nn.MultiheadAttention` as plain data."""
    return {
        "embed_dim": layer.embed_dim,
        "num_heads": layer.num_heads,
        "dropout": layer.dropout,
        "bias": layer.in_proj_bias is not None,
        "add_bias_kv": layer.bias_k is not None,
        "add_zero_attn": layer.add_zero_attn,
        "kdim": layer.kdim,
        "vdim": layer.vdim,
        "batch_first": layer.batch_first,
    }
