"""Compressed layers in the place of dense ones."""

import torch
from torch import nn

from sshml.compression.attention import PARTS, CompressedAttention, projection
from sshml.compression.convolution import CompressedConv
from sshml.compression.layer import CompressedLinear
from sshml.compression.modules import replaced
from sshml.compression.sites import weight_of


class StoredMatrix(CompressedLinear):
    """A layer of ours that stores its matrix as it is: what shows whether a model takes such a layer at all."""

    sizes = ("matrix",)

    @classmethod
    def of_matrix(cls, matrix):
        """Return the layer without bias of a matrix (out, in)."""
        new = cls(matrix.shape[1], matrix.shape[0], bias=False)
        new.matrix = nn.Parameter(matrix.detach().clone())
        return new

    def to_weight(self):
        """Return the matrix, as a result like that of the other forms: nobody reaches what is stored through it."""
        return self.matrix * 1

    def config(self):
        """Return no arguments: it goes into no file."""
        return {}


def with_forms(model, path, made):
    """Return a model, which may be changed, with forms for the matrices of one of its layers.

    Args:
        model: the module.
        path: of the layer.
        made: {part of the site: forms, a `CompressedLinear` without bias for each group}.
    """
    old = model.get_submodule(path)
    for part, forms in made.items():
        _keep_grad(forms, old, part)
    if isinstance(old, nn.MultiheadAttention):
        new = CompressedAttention.of(old, [made[part][0] if part in made else _dense(old, part) for part in PARTS])
    elif isinstance(old, nn.Linear):
        new = made[""][0]
        if not getattr(new, "absorbed", False):
            new.bias = _effective(old.bias)
    else:
        new = CompressedConv.of(old, made[""])
        new.bias = _effective(old.bias)
    return replaced(model, path, new)


def _dense(attention, part):
    """Return the projection of a part that stays dense as an `nn.Linear` without bias."""
    weight = projection(attention, part)
    with torch.device("meta"):
        layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    layer.weight = nn.Parameter(weight.detach().clone(), requires_grad=weight.requires_grad)
    return layer


def _effective(bias):
    """Return a bias as a parameter: the same object, or what a parametrisation makes of it."""
    return bias if bias is None or isinstance(bias, nn.Parameter) else nn.Parameter(bias.detach().clone())


def _keep_grad(forms, module, part):
    """Let the parameters of forms be trained where the weight of a module was."""
    weight = weight_of(module, part)
    for form in forms:
        for parameter in form.parameters():
            parameter.requires_grad_(weight.requires_grad)
