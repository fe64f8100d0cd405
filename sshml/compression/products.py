"""Products of two matrices in float32 on a CPU, through the faster of the two libraries that PyTorch carries.

PyTorch hands such products to MKL. oneDNN, which it keeps for compiled graphs, needs less than half the time on AMD
processors with AVX-512 (`benchmarks/mpo_layer.py`); processors of Intel with AVX-512 take it too, not measured yet.
"""

import torch

from sshml.compression._torch import has_onednn, is_eager, onednn_product, transforms_are_active, wants_graph

WORK = 4e6
"""Floating-point operations from which the longer call of oneDNN, some 10 us more, pays."""

WIDE = 2**13
"""Entries of a matrix from which one product and two transpositions beat a product for every sample."""


def linear(x, weight, bias=None):
    """Return x W^T + b, as `torch.nn.functional.linear` does."""
    if x.ndim < 2 or not is_eager() or not _fits(rows := x.reshape(-1, x.shape[-1]), weight):
        return torch.nn.functional.linear(x, weight, bias)
    y = _Linear.apply(rows, weight).view(*x.shape[:-1], -1)
    return y if bias is None else y + bias


def product(a, b):
    """Return a b^T of two matrices outside of any graph, as within an `autograd.Function`."""
    if _fits(a, b):
        return onednn_product(_plain(a), _plain(b))
    return torch.mm(a, b.T)


def broadcast(matrix, x):
    """Return the products (sample, row, column) of one matrix with every sample of x, outside of any graph."""
    samples, inner, columns = x.shape
    if matrix.numel() >= WIDE:
        together = x.transpose(0, 1).reshape(inner, -1).T
        if _fits(matrix, together):
            return product(matrix, together).view(-1, samples, columns).transpose(0, 1).contiguous()
    return torch.bmm(matrix.expand(samples, -1, -1), x)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight):
        ctx.save_for_backward(x, weight)
        return product(x, weight)

    @staticmethod
    def backward(ctx, grad):
        x, weight = ctx.saved_tensors
        times = _differentiable if wants_graph(grad) else product
        for_x, for_weight = ctx.needs_input_grad
        return times(grad, weight.T) if for_x else None, times(grad.T, x.T) if for_weight else None


def _differentiable(a, b):
    return a @ b.T


def _fits(a, b):
    """Return whether two matrices should go through oneDNN."""
    return (
        a.dtype == b.dtype == torch.float32
        and a.device.type == b.device.type == "cpu"
        and a.shape[1] == b.shape[1]
        and 2 * a.numel() * b.shape[0] >= WORK
        and torch.backends.mkldnn.enabled
        and has_onednn()
        and not transforms_are_active()
    )


def _plain(matrix):
    """Return the matrix with whole rows or columns side by side in memory, copied only where it has neither.

    oneDNN refuses rows that overlap, as those of `unfold`.
    """
    (row, column), (rows, columns) = matrix.stride(), matrix.shape
    return matrix if (column == 1 and row >= columns) or (row == 1 and column >= rows) else matrix.contiguous()
