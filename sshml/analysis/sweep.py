"""Accuracy of a compressed layer against its size: rank of the SVD, bond of the MPO, or weights kept by pruning."""

import dataclasses
import itertools

import numpy as np
import torch
from torch import nn

from sshml.analysis.compressed import compress_run
from sshml.analysis.problem import Problem
from sshml.arguments import as_array, function, instance, integers
from sshml.classifier import Run
from sshml.compression import Spectrum, as_shape, check_weight, find_layer, index_dtype, linear_layers
from sshml.errors import SSHMLError

BLOCK = 2**19
"""Numbers in one block of pre-activations, small enough to stay in a core's cache."""


PRODUCT = 2**22
"""The same where a block is one matrix product."""


@dataclasses.dataclass(frozen=True)
class Sweep:
    """Accuracy against the size of one layer: `layer` is its name in the network, `number` that among linear layers.

    `sizes` (size), ascending: ranks, bonds or weights kept; `accuracy` (member, size); `numbers` and `stored`
    (size): numbers and bytes that represent the weight matrix at this size, the indices of kept weights counted in
    both; `removed` (size): share of the singular values, of the full bond or of the weights that is removed.
    """

    method: str
    layer: str
    sizes: np.ndarray
    accuracy: np.ndarray
    numbers: np.ndarray
    stored: np.ndarray
    removed: np.ndarray
    number: int = 0

    @property
    def what(self):
        """What a size is: "rank", "bond" or "weights"."""
        return {"svd": "rank", "mpo": "bond", "prune": "weights"}[self.method]

    def rows(self, seeds=None):
        """Return a row for each size, with the accuracy of every member, for a table.

        Args:
            seeds: names of the members; 0, 1, ... if None.
        """
        seeds = range(len(self.accuracy)) if seeds is None else seeds
        return [
            {
                "method": self.method,
                "layer": self.number,
                "module": self.layer,
                "size": size,
                "removed": removed,
                "bytes": stored,
            }
            | {f"seed {seed}": accuracy for seed, accuracy in zip(seeds, self.accuracy[:, i], strict=True)}
            for i, (size, removed, stored) in enumerate(zip(self.sizes, self.removed, self.stored, strict=True))
        ]

    def smallest(self, threshold=0.95):
        """Return, for each member, the smallest size from which on the accuracy never falls below a threshold.

        Args:
            threshold: a number, or one per member, shape (member).

        Returns:
            float64 array (member), NaN where even the largest size stays below.
        """
        return smallest_size(self.sizes, self.accuracy, threshold)


def smallest_size(sizes, accuracy, threshold):
    """Return, for each row, the smallest size from which on the accuracy never falls below a threshold.

    Args:
        sizes: ascending, shape (size).
        accuracy: shape (member, size).
        threshold: a number, or one per member, shape (member).

    Returns:
        float64 array (member), NaN where even the largest size stays below.

    >>> smallest_size(np.array([1, 2, 4]), np.array([[0.96, 0.9, 0.97], [0.5, 0.5, 0.5]]), 0.95)
    array([ 4., nan])
    """
    sizes, accuracy = as_array(sizes, "sizes", axes="size"), as_array(accuracy, "accuracy", axes="member, size")
    threshold = as_array(threshold, "threshold")
    if accuracy.shape[1] != len(sizes) or not len(sizes) or threshold.shape not in ((), accuracy.shape[:1]):
        raise SSHMLError(
            f"sizes {sizes.shape}, accuracy {accuracy.shape} and threshold {threshold.shape} do not go together."
        )
    if (np.diff(sizes) <= 0).any():
        raise SSHMLError("sizes do not ascend; sort them, and the accuracy with them.")
    if np.isnan(threshold).any():
        raise SSHMLError("threshold is NaN; expected an accuracy.")
    below = ~(accuracy >= np.broadcast_to(threshold, len(accuracy))[:, None])  # NaN is below
    first = np.where(below.any(1), below.shape[1] - below[:, ::-1].argmax(1), 0)
    return np.where(first < len(sizes), sizes[np.minimum(first, len(sizes) - 1)], np.nan)


def rank_sweep(models, split, layer=0, ranks=None, view=None, device="auto", progress=None, *, metric=None):
    """Return the accuracy with a layer's weight replaced by its best approximation of every rank.

    The pre-activations of rank r follow from those of rank r - 1, z_r = z_{r-1} + s_r (x . v_r) u_r, so that
    a rank costs one rank-1 update and the layers behind it. In the metric of data, as `compress` cuts with data, the
    approximation is U_r U_r^T W with U_r the first left singular vectors of W C^(1/2), C = <x x^T>.

    Args:
        models: an `nn.Module`, a list of modules of one architecture, or a `Run` (seen in the view of its training).
        split: split with `inputs` and `labels`.
        layer: name of a linear layer or its number among them.
        ranks: ascending ranks to report, all of them if None.
        view: passed to `split.inputs`.
        device: "auto", "cpu" or "cuda".
        progress: called as progress(done, total).
        metric: split whose inputs of the layer are the data of the metric, not that of the accuracies; None for C = 1.

    Returns:
        A `Sweep`.

    Raises:
        SSHMLError: no such layer, ranks out of range, unusable split.
    """
    problem = Problem(models, split, layer, view, device, progress)
    full = min(problem.shape)
    ranks = ascending(ranks, full, "ranks")
    hits = np.zeros((problem.members, len(ranks)))
    other = itertools.repeat(None) if metric is None else Problem(models, metric, layer, view, device, None).parts()
    for part, seen in zip(problem.parts(), other, strict=False):
        rows = max(1, BLOCK // (len(part.weight) * problem.shape[0]))
        left, right = _factors(part.weight, None if seen is None else _moment(seen, rows))
        columns = left.mT[:, :, None].contiguous()  # m r . out
        for x, labels in part.blocks(rows):
            scores = (x @ right.mT).unsqueeze(-1)  # m b [in], m [in] r
            z = part.start(x)
            for r in range(max(ranks)):
                z.addcmul_(scores[..., r, :], columns[:, r])
                if r + 1 in ranks:
                    hits[part.members, ranks.index(r + 1)] += part.hits(z, labels)
            problem.done(len(part.weight) * len(labels))
    sizes = np.array(ranks)
    numbers = sizes * sum(problem.shape)
    return _sweep(problem, "svd", sizes, hits, numbers, numbers * problem.itemsize, 1 - sizes / full)


def _sweep(problem, method, sizes, hits, numbers, stored, removed):
    """Return the `Sweep` of counted hits (member, size)."""
    accuracy, number = hits / len(problem.labels), list(linear_layers(problem.models[0])).index(problem.layer)
    return Sweep(method, problem.layer, sizes, accuracy, numbers, stored, removed, number)


def _factors(weight, moment):
    """Return (columns, rows) of weights (member, out, in): the sum of the first r products is the best of rank r.

    Each member by itself: how many directions the data show differs.
    """
    moments = [None] * len(weight) if moment is None else moment.expand(len(weight), -1, -1).unsqueeze(1)
    full, pairs = min(weight.shape[1:]), []
    for matrix, square in zip(weight.double(), moments, strict=True):
        pairs += Spectrum(matrix[None], square).factors(full)
    return tuple(torch.stack(each).to(weight.dtype) for each in zip(*pairs, strict=True))


def _moment(part, rows):
    """Return the sum of x x^T over a part's data, float64 (member or 1, in, in): 1 where all members see the same."""
    found = 0.0
    for x, _ in part.blocks(rows):
        x = (x[:1] if x.stride(0) == 0 else x).double().flatten(1, -2)  # rows of all samples
        found = found + x.mT @ x
    return found


def prune_sweep(models, split, layer=0, keeps=None, view=None, device="auto", progress=None):
    """Return the accuracy with all but the largest weights of a layer set to zero.

    Args:
        models: as in `rank_sweep`.
        split: as in `rank_sweep`.
        layer: as in `rank_sweep`.
        keeps: ascending numbers of weights to keep; 40 in geometric progression from 16 up if None.
        view: passed to `split.inputs`.
        device: "auto", "cpu" or "cuda".
        progress: called as progress(done, total).

    Returns:
        A `Sweep`; a kept weight counts as two numbers, value and index.

    Raises:
        SSHMLError: as in `rank_sweep`.
    """
    problem = Problem(models, split, layer, view, device, progress)
    full = problem.shape[0] * problem.shape[1]
    if keeps is None:
        keeps = np.unique(np.geomspace(min(16, full), full, 40).round().astype(int)).tolist()
    keeps = ascending(keeps, full, "keeps")
    hits = np.zeros((problem.members, len(keeps)))
    for part in problem.parts():
        order = part.weight.flatten(1).abs().argsort(dim=1, descending=True, stable=True)
        rank = torch.empty_like(order).scatter_(1, order, torch.arange(full, device=order.device).expand_as(order))
        for column, keep in enumerate(keeps):
            weight = torch.where(rank.view_as(part.weight) < keep, part.weight, 0)
            for x, labels in part.blocks(max(1, PRODUCT // (len(weight) * problem.shape[0]))):
                z = part.start(x).add_(x @ weight.mT)  # m b [in], m [in] out
                hits[part.members, column] += part.hits(z, labels)
                problem.done(len(weight) * len(labels) / len(keeps))
    sizes = np.array(keeps)
    per_weight = problem.itemsize + index_dtype(full).itemsize
    return _sweep(problem, "prune", sizes, hits, 2 * sizes, sizes * per_weight, 1 - sizes / full)


def bond_sweep(run, split, shape=None, bonds=None, layer=0, order=None, device="auto", progress=None):
    """Return the accuracy with a layer's weight as an MPO of every bond, truncated without retraining.

    Args:
        run: a `Run`, seen in the view of its training.
        split: split with `inputs` and `labels`.
        shape: `MPOShape` or (out_dims, in_dims); the automatic one if None.
        bonds: ascending bond dimensions; powers of two up to the full bond if None.
        layer: name of a linear layer or its number among them.
        order: of the neurons, as in `MPOLinear`.
        device: "auto", "cpu" or "cuda".
        progress: called as progress(done, total).

    Returns:
        A `Sweep`; a size is a bond.

    Raises:
        SSHMLError: no such layer, a shape that does not fit, bonds out of range.
    """
    instance(run, "run", Run, "a Run, as `fit` and `load_run` return it")
    name = find_layer(run.model(), layer)
    dense = run.model().get_submodule(name)
    if not isinstance(dense, nn.Linear):
        raise SSHMLError(f"layer {name!r} is a {type(dense).__name__}; a sweep starts from a dense layer.")
    shape = as_shape(shape, dense.out_features, dense.in_features)
    full = max(shape.bonds())
    if bonds is None:
        bonds = sorted({min(2**power, full) for power in range(full.bit_length() + 1)})
    bonds = ascending(bonds, full, "bonds")
    accuracy, numbers = [], np.array([shape.n_parameters(bond) for bond in bonds])
    function(progress, "progress", optional=True)
    for number, bond in enumerate(bonds, 1):
        small = compress_run(run, name, "mpo", max_bond=bond, shape=shape, order=order, allow_growth=True)
        accuracy.append(small.accuracy(split, device))
        if progress:
            progress(number, len(bonds))
    itemsize = check_weight(dense).itemsize
    removed, number = 1 - np.array(bonds) / full, list(linear_layers(run.model())).index(name)
    return Sweep("mpo", name, np.array(bonds), np.stack(accuracy, 1), numbers, numbers * itemsize, removed, number)


def ascending(sizes, full, name):
    """Return sizes from 1 to `full` in ascending order, all of them for None, or raise."""
    sizes = list(range(1, full + 1)) if sizes is None else integers(sizes, name)
    if not sizes or sizes != sorted(set(sizes)) or sizes[0] < 1 or sizes[-1] > full:
        raise SSHMLError(f"{name} {sizes[:8]} must ascend within 1 to {full}.")
    return sizes
