"""y = W x for a weight given as cores (left bond, out, in, right bond), by the cheapest grouping of the sites.

Neighbouring cores are merged into groups first, then the groups are applied to x one after another. One group is the
dense rebuild, groups of one site are the site-by-site sweep; for small bonds two halves are usually best.
"""

import functools
import math

import torch

from sshml.compression._torch import is_batchedtensor, is_eager, keep_freed_memory, wants_graph
from sshml.compression.products import broadcast, linear, product
from sshml.compression.shape import groupings

TRACED_BATCH = 128
"""Batch for which a compiled or exported graph is planned."""
BROADCAST = 4.0
"""Cost of a floating-point operation in a broadcast product beside one in a product of two large matrices."""
MEMORY = 200.0
"""Cost of writing and reading back one intermediate number, in operations of a large product."""


def best_groups(cores, samples):
    """Return the cheapest grouping for cores and a batch; see `plan`."""
    return plan(tuple(tuple(core.shape) for core in cores), samples, is_batchedtensor(cores[0]))


def contract(cores, x, groups):
    """Return x W^T with the cores merged into groups, given as (first, end) of each.

    Before a group x stands as (samples and outputs so far, left bond and inputs of the group, inputs behind it).
    """
    rows, behind = x.shape
    if len(groups) <= 2 <= len(cores) and x.device.type == "cpu" and is_eager():  # in blocks, through the caches
        keep_freed_memory()
        cut = groups[0][1] if len(groups) == 2 else _middle(cores)
        first, second = merge(cores[:cut]), merge(cores[cut:])
        if len(groups) == 1:
            return _Rebuilt.apply(x, first, second)
        if behind > first.shape[2]:
            return _Halves.apply(x, _matrix(first), _matrix(second))
    for first, end in groups:
        core = merge(cores[first:end])
        left, o, i, _ = core.shape
        matrix, behind = _matrix(core), behind // i
        if behind == 1:
            x = linear(x.reshape(rows, left * i), matrix)
        else:
            x = x.reshape(rows, left * i, behind)
            x = torch.bmm(matrix.expand(rows, -1, -1), x)  # . or [li], b [li] I
        rows = rows * o
    return x.reshape(-1, math.prod([core.shape[1] for core in cores]))


def _matrix(core):
    """Return a merged core (left, out, in, right) as the matrix (out right, left in)."""
    left, o, i, right = core.shape
    return core.permute(1, 3, 0, 2).reshape(o * right, left * i)


def _derivatives(ctx, plain, grad):
    """Return the gradients of an `autograd.Function` through plain products; see `wants_graph`."""
    with torch.enable_grad():
        saved = [tensor.view_as(tensor) for tensor in ctx.saved_tensors]  # apart, where one depends on another
        inputs = [tensor for tensor, need in zip(saved, ctx.needs_input_grad, strict=True) if need]
        found = iter(torch.autograd.grad(plain(*saved), inputs, grad, create_graph=True))
    return tuple(next(found) if need else None for need in ctx.needs_input_grad)


BLOCK = 2**20
"""Entries of the weight that are rebuilt at a time."""


class _Rebuilt(torch.autograd.Function):
    """y = W x, W rebuilt from two merged halves in blocks of rows; keeps x and the halves for the backward pass.

    W[Oo, Ii] = sum_X first[O I X] second[X o i].
    """

    @staticmethod
    def forward(ctx, x, first, second):
        ctx.save_for_backward(x, first, second)
        y = x.new_empty(len(x), first.shape[1] * second.shape[1])
        for rows, _, weight in _blocks(first, second):
            y[:, rows] = product(x, weight)
        return y

    @staticmethod
    def backward(ctx, grad):
        if wants_graph(grad):
            return _derivatives(ctx, _rebuilt, grad)
        x, first, second = ctx.saved_tensors
        for_x, for_first, for_second = ctx.needs_input_grad
        _, _, ins, bond = first.shape
        _, o, i, _ = second.shape
        right = second.reshape(bond, o * i)
        grad_x, grad_first, grad_second = 0, torch.empty_like(first), torch.zeros_like(right)
        for rows, part, weight in _blocks(first, second):
            g = grad[:, rows]
            if for_x:
                grad_x += product(g, weight.T)
            if not (for_first or for_second):
                continue
            g = product(g.T, x.T).view(-1, o, ins, i).transpose(1, 2).reshape(-1, o * i)  # OI, oi
            if for_first:
                grad_first[0, part] = product(g, right).view(-1, ins, bond)
            if for_second:
                grad_second += product(first[0, part].reshape(-1, bond).T, g.T)
        return (
            grad_x if for_x else None,
            grad_first if for_first else None,
            grad_second.view_as(second) if for_second else None,
        )


def _blocks(first, second):
    """Yield (rows of W, outer part of them, W there) for the halves of `_Rebuilt`."""
    _, outs, ins, bond = first.shape
    _, o, i, _ = second.shape
    right = second.reshape(bond, o * i).T
    step = max(1, BLOCK // (ins * o * i))
    for start in range(0, outs, step):
        part = slice(start, min(start + step, outs))
        weight = product(first[0, part].reshape(-1, bond), right)  # OI, oi
        weight = weight.view(-1, ins, o, i).transpose(1, 2).reshape(-1, ins * i)
        yield slice(part.start * o, part.stop * o), part, weight


def _rebuilt(x, first, second):
    """Return what `_Rebuilt` does, by plain products."""
    weight = torch.einsum("aOIX,Xoib->OoIi", first, second)
    return x @ weight.reshape(weight.shape[0] * weight.shape[1], -1).T


CHUNK = 64
"""Samples that go through both halves while the intermediate stays in the cache."""


class _Halves(torch.autograd.Function):
    """y = W x for two merged halves, chunk by chunk; keeps x and the halves for the backward pass.

    first is (out_1 bond, in_1), second (out_2, bond in_2): t_b = first x_b, y = t second^T.
    """

    @staticmethod
    def forward(ctx, x, first, second):
        ctx.save_for_backward(x, first, second)
        inner = first.shape[1]
        behind = x.shape[1] // inner
        y = x.new_empty(len(x), first.shape[0] * behind // second.shape[1] * second.shape[0])
        for start in range(0, len(x), CHUNK):
            samples = slice(start, start + CHUNK)
            t = broadcast(first, x[samples].reshape(-1, inner, behind))  # b or [i], b [i] I
            y[samples] = product(t.view(-1, second.shape[1]), second).view(-1, y.shape[1])
        return y

    @staticmethod
    def backward(ctx, grad):
        if wants_graph(grad):
            return _derivatives(ctx, _halves, grad)
        x, first, second = ctx.saved_tensors
        inner = first.shape[1]
        behind = x.shape[1] // inner
        for_x, for_first, for_second = ctx.needs_input_grad
        grad_x = torch.empty_like(x, memory_format=torch.contiguous_format) if for_x else None
        grad_first, grad_second = torch.zeros_like(first), torch.zeros_like(second)
        for start in range(0, len(x), CHUNK):
            samples = slice(start, start + CHUNK)
            part, g = x[samples].reshape(-1, inner, behind), grad[samples].reshape(-1, second.shape[0])
            if for_second:
                grad_second += product(g.T, broadcast(first, part).view(-1, second.shape[1]).T)
            g = product(g, second.T).view(len(part), -1, behind)
            g, columns = (each.transpose(0, 1).reshape(each.shape[1], -1) for each in (g, part))  # or bI, i bI
            if for_first:
                grad_first += product(g, columns)
            if for_x:
                found = product(first.T, g.T).view(inner, -1, behind)
                grad_x[samples].view_as(part).copy_(found.transpose(0, 1))
        return grad_x, grad_first if for_first else None, grad_second if for_second else None


def _halves(x, first, second):
    """Return what `_Halves` does, by plain products."""
    inner = first.shape[1]
    x = x.reshape(len(x), inner, -1)
    t = torch.bmm(first.expand(len(x), -1, -1), x)
    return (t.reshape(-1, second.shape[1]) @ second.T).reshape(len(x), -1)


def _middle(cores):
    """Return where a run of cores is split to be merged."""
    return (len(cores) + 1) // 2


def merge(cores):
    """Return one core (left bond, out, in, right bond) for a run of cores."""
    if len(cores) == 1:
        return cores[0]
    middle = _middle(cores)
    a, b = merge(cores[:middle]), merge(cores[middle:])
    left, out_a, in_a, bond = a.shape
    _, out_b, in_b, right = b.shape
    both = linear(a.reshape(-1, bond), b.reshape(bond, -1).T)  # lOI [x], oir [x]
    both = both.view(left, out_a, in_a, out_b, in_b, right).transpose(2, 3)
    return both.reshape(left, out_a * out_b, in_a * in_b, right)


@functools.lru_cache(4096)
def plan(shapes, samples, vmapped=False):
    """Return the cheapest grouping, as (first, end) of each group, for cores of these shapes and a batch.

    The cost counts floating-point operations and the numbers written between two products. Under `torch.func.vmap` a
    broadcast product would copy its matrix for every sample: groupings with one are left out there.
    """
    return min(groupings(len(shapes)), key=lambda groups: cost(shapes, samples, groups, vmapped))


def cost(shapes, samples, groups, vmapped=False):
    """Return the estimated cost of a grouping, in floating-point operations; see `plan`."""
    total = 0.0
    for merging, summed, written, behind in _products(shapes, samples, groups, MEMORY):
        if vmapped and behind > 1:
            return math.inf
        factor = BROADCAST if behind > 1 else 1
        total += merging + 2 * written * summed * factor + MEMORY * written
    return total


def flops(cores):
    """Return the floating-point operations for one sample of a batch of TRACED_BATCH, merging of cores included."""
    shapes, samples = tuple(tuple(core.shape) for core in cores), TRACED_BATCH
    products = _products(shapes, samples, plan(shapes, samples), memory=0.0)
    return round(sum(merging + 2 * written * summed for merging, summed, written, _ in products) / samples)


def _products(shapes, samples, groups, memory):
    """Yield for each product of a grouping: cost of merging its cores, numbers summed over, written, inputs behind."""
    rows, behind = samples, math.prod(shape[2] for shape in shapes)
    for first, end in groups:
        merging, (left, o, i, right) = _merge_cost(shapes[first:end], memory)
        behind //= i
        yield merging, left * i, rows * o * right * behind, behind
        rows *= o


def _merge_cost(shapes, memory):
    """Return (cost, shape of the merged core) of `merge`."""
    if len(shapes) == 1:
        return 0.0, shapes[0]
    middle = _middle(shapes)
    cost_a, (left, out_a, in_a, bond) = _merge_cost(shapes[:middle], memory)
    cost_b, (_, out_b, in_b, right) = _merge_cost(shapes[middle:], memory)
    merged = left, out_a * out_b, in_a * in_b, right
    written = math.prod(merged)
    return cost_a + cost_b + (2 * bond + memory) * written, merged
