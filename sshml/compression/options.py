"""What every size of every form would store and lose, for each matrix of a model, before any of them is built."""

import numpy as np
import torch

from sshml.arguments import shown
from sshml.compression.blocks import BlockLowRankLinear, BlockSpectrum, as_blocks, check_ranks, in_short
from sshml.compression.budget import bond_path
from sshml.compression.forms import METHODS
from sshml.compression.lowrank import LowRankLinear
from sshml.compression.mpo import MPOLinear
from sshml.compression.plan import Choice
from sshml.compression.pruning import MaskedLinear, index_dtype
from sshml.compression.shape import MPOShape
from sshml.errors import SSHMLError

FEW = 12
"""Sizes that are tried of the forms whose losses need the form itself: MPO, pruning and blocks."""

SCORED = 2**19
"""Weights of a layer up to which `mpo` beside `svd` is tried: its cuts cost several times the one of the SVD."""


class Options:
    """What can be done with one site: for each option the method, size, bytes, numbers, FLOPs and loss.

    The first option leaves it dense. Bytes of the others are below those of the dense one.

    Args:
        site: the `Site`.
        spectrum: its `Spectrum`.
        itemsize: bytes of a number.
        positions: rows that the matrix sees of a sample.
        methods: of METHODS.
        bias: whether the bias is cut with the matrix.
        blocks: of the inputs, as `as_blocks` takes them.
    """

    def __init__(self, site, spectrum, itemsize, positions, methods, bias=False, blocks=None):
        self.blocks = blocks
        self.site, self.spectrum, self.itemsize, self.bias = site, spectrum, itemsize, bias
        self.skipped = False
        dense_flops = 2 * site.groups * site.out_features * site.in_features * positions
        self.method, self.size = ["dense"], [{}]
        self.numbers, self.bytes, self.flops, self.loss = [site.numbers], [site.n_bytes], [dense_flops], [0.0]
        self.positions = positions
        for method in ("svd",) if bias else methods:
            if method == "mpo" and len(methods) > 1 and site.out_features * site.in_features > SCORED:
                self.skipped = True
                continue
            getattr(self, f"_{method}")()
        for name in ("numbers", "bytes", "flops"):
            setattr(self, name, np.array(getattr(self, name), dtype=np.int64))
        self.loss = np.array(self.loss)

    def add(self, method, size, numbers, n_bytes, flops, loss):
        """Add an option unless it stores as much as the dense layer."""
        if n_bytes < self.bytes[0]:
            self.method.append(method)
            self.size.append(size)
            self.numbers.append(numbers)
            self.bytes.append(n_bytes)
            self.flops.append(flops * self.positions)
            self.loss.append(loss)

    def _svd(self):
        site = self.site
        sides = site.out_features + site.in_features + self.bias
        extra = -site.out_features if self.bias else 0  # the bias of its own that falls away
        for number, loss in enumerate(self.spectrum.losses):
            rank = number + 1
            numbers = site.groups * rank * sides + extra
            self.add(
                "svd", {"rank": rank}, numbers, numbers * self.itemsize, 2 * site.groups * rank * sides, float(loss)
            )

    def _mpo(self):
        site, weight = self.site, self.spectrum.weight
        if min(site.out_features, site.in_features) == 1 or max(site.out_features, site.in_features) < 4:
            return
        shape = MPOShape.automatic(site.out_features, site.in_features)
        most = self.bytes[0] / self.itemsize / site.groups
        self.path = [step for step in bond_path(weight, shape, most) if step[1] <= most]
        for bonds, cost in _few(self.path, lambda step: step[1]):
            self.add("mpo", *self._operator(shape, bonds, cost))

    def _operator(self, shape, bonds, cost):
        """Return (size, numbers, bytes, FLOPs of a row, loss) of operators of some bonds."""
        site, weight = self.site, self.spectrum.weight
        parts = [MPOLinear.of(matrix, shape=shape, max_bond=bonds) for matrix in weight]
        loss = self.spectrum.loss(weight - torch.stack([part.to_weight().detach() for part in parts]))
        flops = site.groups * (parts[0].flops if site.kind == "Linear" else 2 * site.out_features * site.in_features)
        size = {"max_bond": list(bonds), "shape": [list(shape.out_dims), list(shape.in_dims)]}
        return size, site.groups * cost, site.groups * cost * self.itemsize, flops, loss

    def _blocks(self):
        site = self.site
        if self.blocks is None and not any(site.in_features % n == 0 for n in range(2, site.in_features)):
            return  # one input, or a prime number of them
        self.parts = BlockSpectrum(self.spectrum.weight, self.spectrum.moment, as_blocks(self.blocks, site.in_features))
        most = self.bytes[0] / self.itemsize / site.groups
        totals = np.arange(1, len(self.parts.order) + 1)
        self.cost = np.cumsum(np.array(self.parts.blocks)[self.parts.order] + site.out_features)
        for total in _few(totals[self.cost <= most].tolist(), lambda total: self.cost[total - 1]):
            self.add("blocks", *self._components(total))

    def _components(self, total):
        """Return (size, numbers, bytes, FLOPs of a row, loss) of so many components of the blocks."""
        site, ranks = self.site, self.parts.ranks(total)
        loss = self.spectrum.loss(self.spectrum.weight - self.parts.approximation(ranks))
        size, numbers = {"ranks": ranks, "blocks": in_short(self.parts.blocks)}, site.groups * int(self.cost[total - 1])
        flops = 2 * (numbers if site.kind == "Linear" else site.groups * site.out_features * site.in_features)
        return size, numbers, numbers * self.itemsize, flops, loss

    def larger(self, choice, left):
        """Return the choice of the same form in up to `left` bytes more; the same if there is none.

        Every rank of an SVD is among the options; of bonds, weights and components of blocks only FEW are.
        """
        if choice.method in ("dense", "svd"):
            return choice
        if choice.method == "prune":
            return self._more_weights(choice, left)
        if choice.method == "blocks":
            most = min(choice.bytes + left, self.site.n_bytes - 1) / self.itemsize / self.site.groups
            total = int((self.cost <= most).sum())
            return choice if total <= sum(choice.size["ranks"]) else self._choice("blocks", *self._components(total))
        per_number = self.itemsize * self.site.groups
        fitting = [step for step in self.path if choice.bytes < step[1] * per_number <= choice.bytes + left]
        if not fitting:
            return choice
        return self._choice("mpo", *self._operator(MPOShape(*choice.size["shape"]), *fitting[-1]))

    def _choice(self, method, size, numbers, n_bytes, flops, loss):
        """Return the `Choice` of a size, whose FLOPs are those of all rows of an input."""
        return Choice(method, size, numbers, n_bytes, round(flops * self.positions), loss)

    def _prune(self):
        full = self.site.out_features * self.site.in_features
        most = min(full, (self.bytes[0] - 1) // self._bytes_of_weight())
        if most < 1:
            return
        order = importance(self.spectrum.weight, self.spectrum.moment).flatten(1)
        self.order = order.argsort(dim=1, descending=True, stable=True)
        for keep in np.unique(np.geomspace(1, most, 3 * FEW).round().astype(int)).tolist():
            self.add("prune", *self._weights(keep))

    def _bytes_of_weight(self):
        """Return the bytes of one weight in every group, with its index."""
        index = index_dtype(self.site.out_features * self.site.in_features)
        return self.site.groups * (self.itemsize + index.itemsize)

    def _weights(self, keep):
        """Return (size, numbers, bytes, FLOPs of a row, loss) of some weights that are kept."""
        site, weight = self.site, self.spectrum.weight
        change = weight.flatten(1).scatter(1, self.order[:, :keep], 0.0).view_as(weight)
        flops = 2 * site.groups * site.out_features * site.in_features
        return {"keep": keep}, 2 * site.groups * keep, keep * self._bytes_of_weight(), flops, self.spectrum.loss(change)

    def _more_weights(self, choice, left):
        full = self.site.out_features * self.site.in_features
        keep = min(full, int((min(choice.bytes + left, self.site.n_bytes - 1)) // self._bytes_of_weight()))
        if keep <= choice.size["keep"]:
            return choice
        return self._choice("prune", *self._weights(keep))


def importance(weight, moment=None):
    """Return what pruning goes by: |w_ij| sqrt(<x_j^2>), the loss of one weight alone (Sun et al., arXiv 2306.11695).

    Without moments it is the modulus.
    """
    return weight.abs() if moment is None else weight.abs() * moment.diagonal(dim1=1, dim2=2).sqrt()[:, None]


def _few(steps, cost):
    """Return at most FEW of the steps, in geometric progression of their cost, the first and last among them."""
    if len(steps) <= FEW:
        return steps
    costs = np.array([cost(step) for step in steps], dtype=float)
    wanted = np.geomspace(costs[0], costs[-1], FEW)
    return [steps[number] for number in np.unique(np.abs(costs[:, None] - wanted).argmin(0))]


def parts_of(spectrum, method, size, dtype, absorbed=False, shrink=False):
    """Return the form of each group, a `CompressedLinear` without bias of its own.

    Args:
        spectrum: `Spectrum` of the matrices; with the bias as a further column where it is absorbed.
        method: of METHODS.
        size: arguments of the form.
        dtype: of the parameters.
        absorbed: whether the matrices hold the bias.
        shrink: whether the singular values are shrunk.
    """
    weight = spectrum.weight
    if method == "svd":
        pairs = spectrum.factors(_whole(size, "rank", min(weight.shape[1:])), shrink)
        return [LowRankLinear.of_factors(left.to(dtype), right.to(dtype), absorbed=absorbed) for left, right in pairs]
    if method == "mpo":
        return [MPOLinear.of(matrix, **size).to(dtype) for matrix in weight]
    if method == "prune":
        keep = _whole(size, "keep", weight[0].numel())
        order = importance(weight, spectrum.moment).flatten(1).argsort(dim=1, descending=True, stable=True)[:, :keep]
        return [MaskedLinear.of_entries(m, found).to(dtype) for m, found in zip(weight, order, strict=True)]
    if method == "blocks":
        if set(size) - {"ranks", "blocks"}:
            raise SSHMLError(f"the size is {size}; expected ranks and blocks.")
        blocks = as_blocks(size.get("blocks"), weight.shape[2])
        ranks = check_ranks(size.get("ranks"), weight.shape[1], blocks)
        found = BlockSpectrum(weight, spectrum.moment, blocks).factors(ranks)
        return [BlockLowRankLinear.of_factors(left.to(dtype), rights, blocks) for left, rights in found]
    raise SSHMLError(f"method {shown(method)} is unknown; choose one of {', '.join(METHODS)}.")


def _whole(size, name, most):
    value = size.get(name)
    if set(size) != {name} or isinstance(value, bool) or not hasattr(value, "__index__") or not 1 <= value <= most:
        raise SSHMLError(f"the size is {size}; expected {{{name!r}: 1 to {most}}}.")
    return int(value)
