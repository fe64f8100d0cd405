"""y = W x for a weight given as cores (left bond, out, in, right bond), by the cheapest grouping of the sites.

Neighbouring cores are merged into groups first, then the groups are applied to x one after another. One group is the
dense rebuild, groups of one site are the site-by-site sweep; for small bonds two halves are usually best.
"""

import functools
import math

import torch
from torch._C._functorch import is_batchedtensor

from sshml.compression.shape import groupings

TRACED_BATCH = 128
"""Batch for which a compiled or exported graph is planned."""
NARROW = 32
"""Columns below which the broadcast products of a CPU lose speed."""
MEMORY = 40.0
"""Cost of writing and reading back one intermediate number, in floating-point operations of a large product."""
CACHE, FAR = 2**21, 4
"""Numbers beyond which an intermediate result leaves the caches, and how much more one of them costs then."""


def best_groups(cores, samples):
    """Return the cheapest grouping for cores and a batch; see `plan`."""
    return plan(tuple(tuple(core.shape) for core in cores), samples, is_batchedtensor(cores[0]))


def contract(cores, x, groups):
    """Return x W^T with the cores merged into groups, given as (first, end) of each.

    Before a group x stands as (samples and outputs so far, left bond and inputs of the group, inputs behind it).
    """
    rows, behind = x.shape
    merged = [merge(cores[first:end]) for first, end in groups]
    if len(merged) == 2 and behind > merged[0].shape[2] and _chunks_pay(x):
        return _Halves.apply(x, *(_matrix(core) for core in merged))
    for matrix in merged:
        left, o, i, _ = matrix.shape
        matrix, behind = _matrix(matrix), behind // i
        if behind == 1:
            x = torch.nn.functional.linear(x.reshape(rows, left * i), matrix)
        else:
            x = x.reshape(rows, left * i, behind)
            x = torch.bmm(matrix.expand(rows, -1, -1), x)  # . or [li], b [li] I
        rows = rows * o
    return x.reshape(-1, math.prod([core.shape[1] for core in cores]))


def _matrix(core):
    """Return a merged core (left, out, in, right) as the matrix (out right, left in)."""
    left, o, i, right = core.shape
    return core.permute(1, 3, 0, 2).reshape(o * right, left * i)


def _chunks_pay(x):
    """Return whether samples should go in chunks through caches: on a CPU, where nothing traces or casts."""
    plain = not torch.compiler.is_compiling() and not torch.is_autocast_enabled(x.device.type)
    return plain and x.device.type == "cpu" and x.shape[0] > CHUNK and not is_batchedtensor(x)


CHUNK = 32
"""Samples that go through both halves while the intermediate stays in the cache."""


class _Halves(torch.autograd.Function):
    """y = W x for two merged halves, chunk by chunk; keeps nothing but x for the backward pass.

    first is (out_1 bond, in_1), second (out_2, bond in_2): t_b = first x_b, y = t second^T.
    """

    @staticmethod
    def forward(ctx, x, first, second):
        ctx.save_for_backward(x, first, second)
        samples, inner = x.shape[0], first.shape[1]
        behind = x.shape[1] // inner
        rows = first.shape[0] * behind // second.shape[1]
        y = x.new_empty(samples, rows * second.shape[0])
        for part, out in zip(x.split(CHUNK), y.split(CHUNK), strict=True):
            t = torch.bmm(first.expand(len(part), -1, -1), part.reshape(-1, inner, behind))  # b or [i], b [i] I
            torch.mm(t.view(-1, second.shape[1]), second.T, out=out.view(-1, second.shape[0]))
        return y

    @staticmethod
    def backward(ctx, grad):
        x, first, second = ctx.saved_tensors
        if torch.is_grad_enabled():  # a second derivative is wanted: through plain products
            inputs = [tensor for tensor, need in zip((x, first, second), ctx.needs_input_grad, strict=True) if need]
            found = iter(torch.autograd.grad(_halves(x, first, second), inputs, grad, create_graph=True))
            return tuple(next(found) if need else None for need in ctx.needs_input_grad)
        inner = first.shape[1]
        behind, turned = x.shape[1] // inner, first.T.contiguous()
        grad_x = torch.empty_like(x, memory_format=torch.contiguous_format) if ctx.needs_input_grad[0] else None
        grad_first, grad_second = torch.zeros_like(first), torch.zeros_like(second)
        for start in range(0, len(x), CHUNK):
            part = x[start : start + CHUNK].reshape(-1, inner, behind)
            count = len(part)
            g = grad[start : start + CHUNK].reshape(-1, second.shape[0])
            t = torch.bmm(first.expand(count, -1, -1), part)
            grad_second.addmm_(g.T, t.view(-1, second.shape[1]))
            g = torch.mm(g, second).view(count, -1, behind)
            if grad_x is not None:
                torch.bmm(turned.expand(count, -1, -1), g, out=grad_x[start : start + count].view(count, inner, behind))
            g, part = (each.transpose(0, 1).reshape(each.shape[1], -1) for each in (g, part))
            grad_first.addmm_(g, part.T)  # or [b I], i [b I]
        return grad_x, grad_first, grad_second


def _halves(x, first, second):
    """Return what `_Halves` does, by plain products."""
    inner = first.shape[1]
    x = x.reshape(len(x), inner, -1)
    t = torch.bmm(first.expand(len(x), -1, -1), x)
    return (t.reshape(-1, second.shape[1]) @ second.T).reshape(len(x), -1)


def merge(cores):
    """Return one core (left bond, out, in, right bond) for a run of cores."""
    if len(cores) == 1:
        return cores[0]
    middle = (len(cores) + 1) // 2
    a, b = merge(cores[:middle]), merge(cores[middle:])
    left, out_a, in_a, bond = a.shape
    _, out_b, in_b, right = b.shape
    product = a.reshape(-1, bond) @ b.reshape(bond, -1)  # lOI [x], [x] oir
    product = product.view(left, out_a, in_a, out_b, in_b, right).transpose(2, 3)
    return product.reshape(left, out_a * out_b, in_a * in_b, right)


@functools.lru_cache(4096)
def plan(shapes, samples, vmapped=False):
    """Return the cheapest grouping, as (first, end) of each group, for cores of these shapes and a batch.

    The cost counts floating-point operations and the numbers written between two products. Under `torch.func.vmap` a
    broadcast product would copy its matrix for every sample: groupings with one are left out there.
    """
    return min(groupings(len(shapes)), key=lambda groups: cost(shapes, samples, groups, vmapped))


def cost(shapes, samples, groups, vmapped=False):
    """Return the estimated cost of a grouping, in floating-point operations; see `plan`."""
    total, rows, behind = 0.0, samples, math.prod(shape[2] for shape in shapes)
    for first, end in groups:
        group, (left, o, i, right) = _merge_cost(shapes[first:end])
        behind //= i
        written = rows * o * right * behind
        if vmapped and behind > 1:
            return math.inf
        narrow = 1.5 + (NARROW / behind) ** 1.4 if behind > 1 else 1
        total += (
            group
            + 2 * written * left * i * narrow
            + MEMORY * written * (FAR if written > CACHE and len(groups) != 2 else 1)
        )
        rows *= o
    return total


def _merge_cost(shapes):
    """Return (cost, shape of the merged core) of `merge`."""
    if len(shapes) == 1:
        return 0.0, shapes[0]
    middle = (len(shapes) + 1) // 2
    cost_a, (left, out_a, in_a, bond) = _merge_cost(shapes[:middle])
    cost_b, (_, out_b, in_b, right) = _merge_cost(shapes[middle:])
    merged = left, out_a * out_b, in_a * in_b, right
    written = math.prod(merged)
    return cost_a + cost_b + 2 * written * bond + 2 * MEMORY * written, merged
