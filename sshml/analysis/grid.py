"""Accuracy on the whole grid of ranks of two successive layers, by nested rank-1 updates."""

import numpy as np
import torch
from numba import njit
from torch import nn

from sshml.analysis.sweep import ascending
from sshml.classifier import check_labels, is_patched, members_of, resident
from sshml.compression import check_weight
from sshml.errors import SSHMLError
from sshml.lanes import JIT, run

SAMPLES = 128
"""Samples carried side by side; from 64 on LLVM vectorises the loops instead of unrolling them."""

BLOCKS = 128
"""Blocks of SAMPLES samples whose counts are kept apart at a time."""

ACTIVATIONS = (nn.ReLU, nn.Tanh, nn.Sigmoid)


def rank_grid(models, split, ranks=None, view=None):
    """Return the accuracy with the first two layers truncated to every pair of ranks.

    For a perceptron Linear, activation, Linear, activation, Linear. Both layers are resumed from rank to rank,
    z1_r = z1_{r-1} + s_r (x . v_r) u_r, and for each r the same over the ranks of layer 2; only differences of
    logits to class 0 are formed. Runs on the CPU, blocks of samples on plain threads.

    Args:
        models: a `Run`, a module or a list of modules.
        split: split with `inputs` and `labels`.
        ranks: ascending ranks of layer 1 to report; all of them if None. Layer 2 always runs over all its ranks.
        view: passed to `split.inputs`; that of the training for a `Run`.

    Returns:
        float64 array (member, rank of layer 1, rank of layer 2); ranks of layer 2 are 1, 2, ...

    Raises:
        SSHMLError: another architecture, ranks out of range, unusable split.
    """
    models, view = members_of(models, view)
    inputs, labels = resident(split, view)
    inputs = inputs.flatten(1)
    accuracy = []
    for model in models:
        one, two, three, activation = _three_layers(model)
        check_labels(labels, len(three.weight))
        full = min(one.weight.shape)
        chosen = ascending(ranks, full, "ranks")
        report = np.zeros(chosen[-1], dtype=np.bool_)
        report[np.array(chosen) - 1] = True
        accuracy.append(_grid_of_one(one, two, three, activation, inputs, labels, report))
    return np.stack(accuracy)


def _three_layers(model):
    children = model if isinstance(model, nn.Sequential) else model.children()
    layers = [layer for layer in children if not isinstance(layer, nn.Flatten)]
    kinds = [type(layer) for layer in layers]
    if (
        type(model).forward is not nn.Sequential.forward
        or kinds[0::2] != [nn.Linear] * 3
        or len(kinds) != 5
        or kinds[1] is not kinds[3]
        or kinds[1] not in ACTIVATIONS
        or is_patched(model)
    ):
        raise SSHMLError(
            f"rank_grid needs a perceptron of three linear layers with ReLU, Tanh or Sigmoid between them, no hooks;"
            f" got {type(model).__name__} of {', '.join(kind.__name__ for kind in kinds) or 'no layers'}."
        )
    return *layers[0::2], ACTIVATIONS.index(kinds[1])


@torch.no_grad()
def _grid_of_one(one, two, three, activation, inputs, labels, report):
    for layer in (one, two, three):
        check_weight(layer)
    u1, s1, vh1 = torch.linalg.svd(one.weight, full_matrices=False)
    u2, s2, vh2 = torch.linalg.svd(two.weight, full_matrices=False)
    width = len(report)

    def bias(layer):
        return layer.weight.new_zeros(len(layer.weight)) if layer.bias is None else layer.bias

    def contiguous(tensor):
        return np.ascontiguousarray(tensor.float().numpy())

    weights = (
        contiguous((u1 * s1).mT[:width]),
        contiguous(bias(one)),
        contiguous(vh2),
        contiguous((u2 * s2).mT),
        contiguous(bias(two)),
        contiguous(three.weight[1:] - three.weight[:1]),
        contiguous(bias(three)[1:] - bias(three)[:1]),
        report,
        activation,
    )
    scores, labels = contiguous(vh1[:width] @ inputs.to(vh1.dtype).mT), labels.numpy()  # r [in], b [in]
    starts, hits = np.arange(0, len(labels), SAMPLES), np.zeros((report.sum(), min(two.weight.shape)), np.int64)
    for some in np.split(starts, range(BLOCKS, len(starts), BLOCKS)):
        found = np.zeros((len(some), *hits.shape), np.int64)
        run(_count_hits, some, found, shared=(scores, labels, *weights), unit=1)
        hits += found.sum(0)
    return hits / len(labels)


@njit(**JIT)
def _activate(z, h, i, j, activation):
    """Write the activation of row i of z to row j of h; the branch stays outside the loops, which then vectorise."""
    if activation == 0:
        for b in range(SAMPLES):
            h[j, b] = max(z[i, b], np.float32(0))
    elif activation == 1:
        for b in range(SAMPLES):
            h[j, b] = np.tanh(z[i, b])
    else:
        for b in range(SAMPLES):
            h[j, b] = np.float32(1) / (np.float32(1) + np.exp(-z[i, b]))


@njit(**JIT)
def _count_hits(
    starts, hits, scores1, labels, columns1, bias1, rows2, columns2, bias2, weight3, bias3, report, activation
):
    """Count hits (block, reported rank of layer 1, rank of layer 2) of the blocks of samples from `starts` on.

    scores1 (r1, sample) = v_r . x, columns1 (r1, hidden 1) = s_r u_r; rows2 (r2, hidden 1), columns2 (r2, hidden 2);
    weight3 (class - 1, hidden 2), bias3 (class - 1): differences to class 0.
    """
    samples, ranks1 = len(labels), len(report)
    hidden1, hidden2, others = len(bias1), len(bias2), len(bias3)
    z1 = np.empty((hidden1, SAMPLES), dtype=np.float32)
    h1 = np.empty((hidden1, SAMPLES), dtype=np.float32)
    z2 = np.empty((hidden2, SAMPLES), dtype=np.float32)
    h2 = np.empty((1, SAMPLES), dtype=np.float32)
    score = np.empty(SAMPLES, dtype=np.float32)
    logit = np.empty((others, SAMPLES), dtype=np.float32)
    for block in range(len(starts)):
        first = starts[block]
        count = min(SAMPLES, samples - first)
        score[:] = 0
        for i in range(hidden1):
            z1[i] = bias1[i]
        row = -1
        for r1 in range(ranks1):
            score[:count] = scores1[r1, first : first + count]
            for i in range(hidden1):
                u = columns1[r1, i]
                for b in range(SAMPLES):
                    z1[i, b] += u * score[b]
            if not report[r1]:
                continue
            row += 1
            for i in range(hidden1):
                _activate(z1, h1, i, i, activation)
            for i in range(hidden2):
                z2[i] = bias2[i]
            for r2 in range(len(columns2)):
                _inner_products(rows2[r2], h1, score)
                for c in range(others):
                    logit[c] = bias3[c]
                if activation == 0 and others == 1:
                    _relu_two_classes(columns2[r2], score, weight3[0], z2, logit[0])
                else:
                    for i in range(hidden2):
                        for b in range(SAMPLES):
                            z2[i, b] += columns2[r2, i] * score[b]
                        _activate(z2, h2, i, 0, activation)
                        for c in range(others):
                            for b in range(SAMPLES):
                                logit[c, b] += weight3[c, i] * h2[0, b]
                for b in range(count):
                    best, winner = np.float32(0), 0
                    for c in range(others):
                        if logit[c, b] > best:
                            best, winner = logit[c, b], c + 1
                    hits[block, row, r2] += winner == labels[first + b]


@njit(**JIT)
def _inner_products(v, h, score):
    """Fill score (lane) with v . h, h (hidden, lane); four rows at a time: a fourth of its loads and stores."""
    whole = len(v) - len(v) % 4
    score[:] = 0
    for i in range(0, whole, 4):
        v0, v1, v2, v3 = v[i : i + 4]
        for b in range(SAMPLES):
            score[b] += v0 * h[i, b] + v1 * h[i + 1, b] + v2 * h[i + 2, b] + v3 * h[i + 3, b]
    for i in range(whole, len(v)):
        for b in range(SAMPLES):
            score[b] += v[i] * h[i, b]


@njit(**JIT)
def _relu_two_classes(column, score, weight, z, logit):
    """Add a rank to z (hidden, lane) and its ReLU's logit, in one loop: twice as fast as the general way."""
    for i in range(len(column)):
        for b in range(SAMPLES):
            z[i, b] += column[i] * score[b]
            logit[b] += weight[i] * max(z[i, b], np.float32(0))
