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
    for first, end in groups:
        matrix = merge(cores[first:end])
        left, o, i, right = matrix.shape
        matrix, behind = matrix.permute(1, 3, 0, 2).reshape(o * right, left * i), behind // i
        if behind == 1:
            x = torch.nn.functional.linear(x.reshape(rows, left * i), matrix)
        else:
            x = x.reshape(rows, left * i, behind)
            x = torch.bmm(matrix.expand(rows, -1, -1), x)  # . or [li], b [li] I
        rows = rows * o
    return x.reshape(-1, math.prod([core.shape[1] for core in cores]))


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
        total += group + 2 * written * left * i * narrow + MEMORY * written * (FAR if written > CACHE else 1)
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
