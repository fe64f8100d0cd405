"""What every size of every form would store and lose, for each matrix of a model, before any of them is built."""

import math

import numpy as np
import torch
from torch import nn

from sshml.arguments import shown
from sshml.compression.budget import bond_path
from sshml.compression.lowrank import LowRankLinear
from sshml.compression.mpo import MPOLinear
from sshml.compression.plan import Choice
from sshml.compression.pruning import MaskedLinear, index_dtype
from sshml.compression.shape import MPOShape
from sshml.errors import SSHMLError

METHODS = ("svd", "mpo", "prune")

FEW = 12
"""Sizes that are tried of the forms whose losses need the form itself: MPO and pruning."""

SCORED = 2**19
"""Weights of a layer up to which `mpo` beside `svd` is tried: its cuts cost several times the one of the SVD."""

NOISE = 1e-14
"""Share of the largest eigenvalue under which those of a second moment are rounding."""


class Spectrum:
    """The best approximations of every rank of a matrix W in the metric of its inputs.

    Of all matrices of rank r, U_r U_r^T W with the first r left singular vectors U_r of W C^(1/2) has the least loss
    ||(W - W') C^(1/2)||^2 / ||W C^(1/2)||^2, C = <x x^T>: Eckart and Young (1936) for W C^(1/2), and no inverse of C is
    needed (a matrix of pixels that are always dark is singular). For C = 1 it is the plain truncated SVD.

    Args:
        weight: matrices (group, out, in), float64.
        moment: second moments C (group, in, in), float64; None for C = 1.
    """

    def __init__(self, weight, moment=None):
        self.weight = weight
        self.scale = float(weight.abs().max()) or 1.0  # squares of numbers of any size stay numbers
        weight = weight / self.scale
        if moment is not None:
            moment = moment / (float(moment.diagonal(dim1=1, dim2=2).max()) or 1.0)
        self.moment = moment
        rows, columns = weight.shape[1:]
        self.wide = moment is not None or rows <= columns  # U is kept; else V, with W V V^T the same matrices
        if rows <= columns:
            gram = weight @ weight.mT if moment is None else weight @ moment @ weight.mT
            values, vectors = _eigen((gram + gram.mT) / 2)
        elif moment is None:
            values, vectors = _eigen(weight.mT @ weight)
        else:  # the Gram matrix of the shorter side, from which U follows
            white = weight @ _root(moment)
            values, vectors = _eigen(white.mT @ white)
            rank = max(1, int((values > NOISE * values[:, :1]).sum(1).max()))
            values, vectors = values[:, :rank], torch.linalg.qr(white @ vectors[..., :rank])[0]
        self.basis, self.energies = vectors, values
        total = self.energies.sum()
        self.total = float(total)
        kept = self.energies.sum(0).cumsum(0) / total if self.total > 0 else torch.ones(self.energies.shape[1])
        self.losses = (1 - kept).clamp_min(0).cpu().numpy()
        """Loss of rank 1, 2, ..."""

    def loss(self, change):
        """Return ||change C^(1/2)||^2 / ||W C^(1/2)||^2."""
        if self.total == 0:
            return 0.0
        change = change.double() / self.scale
        square = change.square().sum() if self.moment is None else ((change @ self.moment) * change).sum()
        return max(0.0, float(square) / self.total)

    def factors(self, rank, shrink=False):
        """Return [(left, right)] of each group, balanced: (out, rank) and (rank, in)."""
        if rank > self.basis.shape[2]:  # beyond what the metric sees, in the plain one
            rest = self.weight - self.basis @ (self.basis.mT @ self.weight)
            further = torch.linalg.svd(rest, full_matrices=False)[0][..., : rank - self.basis.shape[2]]
            basis = torch.linalg.qr(torch.cat([self.basis, further], 2))[0]
        else:
            basis = self.basis[..., :rank]
        left, right = (basis, basis.mT @ self.weight) if self.wide else (self.weight @ basis, basis.mT)
        if shrink:
            right = right * self.shrinkage()[:, :rank, None]
        scale = (right.norm(dim=2) / left.norm(dim=1).clamp_min(1e-300)).clamp_min(1e-300).sqrt()
        return list(zip(left * scale[:, None], right / scale[..., None], strict=True))

    def shrinkage(self):
        """Return the factors of the singular values that undo the level repulsion of noise, (group, rank).

        sqrt((y^2 - b - 1)^2 - 4 b) / y^2 for y = s / (sigma sqrt(n)) > 1 + sqrt(b), b the ratio of the sides and sigma
        from the median singular value: the best ones for the Frobenius loss (Gavish, Donoho, IEEE Trans. Inf. Theory
        63, 2137 (2017)). Values within the noise keep their factor 1: how many to keep is the rank's to say.
        """
        rows, columns = self.weight.shape[1:]
        ratio = min(rows, columns) / max(rows, columns)
        median = self.energies.median(dim=1, keepdim=True).values / _median_of_noise(ratio)
        squares = self.energies / median.clamp_min(1e-300)
        inside = ((squares - ratio - 1) ** 2 - 4 * ratio).clamp_min(0).sqrt() / squares.clamp_min(1e-300)
        found = torch.where(squares > (1 + math.sqrt(ratio)) ** 2, inside, torch.ones_like(inside))
        missing = min(rows, columns) - found.shape[1]
        return nn.functional.pad(found, (0, max(0, missing)), value=1.0)


def _eigen(gram):
    """Return eigenvalues, not below 0, and eigenvectors, largest first."""
    values, vectors = torch.linalg.eigh(gram)
    return values.flip(-1).clamp_min(0), vectors.flip(-1)


def _root(moment):
    """Return a root S of second moments, C = S S^T, (group, in, k), without the directions that never occur."""
    values, vectors = torch.linalg.eigh(moment)
    kept = max(1, int((values > NOISE * values[:, -1:]).sum(1).max()))
    return vectors[..., -kept:] * values[:, None, -kept:].clamp_min(0).sqrt()


def _median_of_noise(ratio):
    """Return the median eigenvalue of the Marchenko-Pastur law of a ratio of sides, by quadrature."""
    low, high = (1 - math.sqrt(ratio)) ** 2, (1 + math.sqrt(ratio)) ** 2
    x = np.linspace(low, high, 20001)[1:-1]
    density = np.sqrt((high - x) * (x - low)) / x
    return float(x[np.searchsorted(density.cumsum(), density.sum() / 2)])


class Options:
    """What can be done with one site: for each option the method, size, bytes, numbers, FLOPs and loss.

    The first option leaves it dense. Bytes of the others are below those of the dense one.
    """

    def __init__(self, site, spectrum, itemsize, positions, methods, bias=False):
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

    def larger(self, choice, left):
        """Return the choice of the same form in up to `left` bytes more; the same if there is none."""
        if choice.method == "prune":
            return self._more_weights(choice, left)
        per_number = self.itemsize * self.site.groups
        fitting = [step for step in self.path if choice.bytes < step[1] * per_number <= choice.bytes + left]
        if not fitting:
            return choice
        size, numbers, n_bytes, flops, loss = self._operator(MPOShape(*choice.size["shape"]), *fitting[-1])
        return Choice("mpo", size, numbers, n_bytes, round(flops * self.positions), loss)

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
        index = torch.empty(0, dtype=index_dtype(self.site.out_features * self.site.in_features)).element_size()
        return self.site.groups * (self.itemsize + index)

    def _weights(self, keep):
        """Return (size, numbers, bytes, FLOPs of a row, loss) of some weights that are kept."""
        site, weight = self.site, self.spectrum.weight
        change = weight.flatten(1).scatter(1, self.order[:, :keep], 0.0).view_as(weight)
        flops = 2 * site.groups * site.out_features * site.in_features
        return {"keep": keep}, site.groups * keep, keep * self._bytes_of_weight(), flops, self.spectrum.loss(change)

    def _more_weights(self, choice, left):
        full = self.site.out_features * self.site.in_features
        keep = min(full, int((min(choice.bytes + left, self.site.n_bytes - 1)) // self._bytes_of_weight()))
        if keep <= choice.size["keep"]:
            return choice
        size, numbers, n_bytes, flops, loss = self._weights(keep)
        return Choice("prune", size, numbers, n_bytes, round(flops * self.positions), loss)


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
        method: "svd", "mpo" or "prune".
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
    raise SSHMLError(f"method {shown(method)} is unknown; choose one of {', '.join(METHODS)}.")


def _whole(size, name, most):
    value = size.get(name)
    if set(size) != {name} or isinstance(value, bool) or not hasattr(value, "__index__") or not 1 <= value <= most:
        raise SSHMLError(f"the size is {size}; expected {{{name!r}: 1 to {most}}}.")
    return int(value)
