"""A matrix cut block by block of its inputs: of some blocks much is kept, of others nothing."""

import itertools

import numpy as np
import torch
from torch import nn

from sshml.arguments import instance, integer, integers, shown
from sshml.compression.layer import CompressedLinear, check_weight
from sshml.compression.products import linear
from sshml.compression.spectrum import Spectrum
from sshml.errors import SSHMLError


def as_blocks(blocks, inputs):
    """Return the sizes of blocks of neighbouring inputs.

    Args:
        blocks: the number of equal blocks, or the size of each; None for the number nearest to the root of the inputs.
        inputs: their number.

    Raises:
        SSHMLError: blocks that do not add up to the inputs, or a number that does not divide them; None for a prime.

    >>> as_blocks(None, 12), as_blocks([4, 8], 12)
    ((4, 4, 4), (4, 8))
    """
    inputs = integer(inputs, "inputs", 1)
    if blocks is None:
        numbers = [n for n in range(2, inputs) if inputs % n == 0]
        if not numbers:
            raise SSHMLError(f"{inputs} inputs have no equal blocks; give blocks=[size, ...].")
        blocks = min(numbers, key=lambda n: abs(n - inputs**0.5))
    if not isinstance(blocks, (list, tuple, np.ndarray)):
        blocks = integer(blocks, "blocks", 1, inputs)
        if inputs % blocks:
            raise SSHMLError(f"{inputs} inputs cannot be divided into {blocks} equal blocks; give the size of each.")
        return (inputs // blocks,) * blocks
    sizes = tuple(integers(blocks, "blocks", 1, inputs))
    if sum(sizes) != inputs:
        raise SSHMLError(f"blocks of {sum(sizes)} inputs in all; the layer has {inputs}.")
    return sizes


def in_short(blocks):
    """Return blocks as `as_blocks` takes them: their number where they are equal, else their sizes."""
    return len(blocks) if len(set(blocks)) == 1 else list(blocks)


class BlockSpectrum:
    """The approximations of a matrix block by block, from that of rank 1 on, each with one more component than before.

    W = (W_1, W_2, ...) with blocks of columns. Each block has its own singular directions in the metric of its inputs
    (`Spectrum`), and components are taken over all blocks in the order of their energy for each number stored, s^2 /
    (out + inputs of the block). With data the left factor is the one of least loss to the directions taken,
    W C V^T (V C V^T)^-1, which sees how blocks hang together.

    Args:
        weight: matrices (group, out, in), float64.
        moment: second moments C (group, in, in), float64; None for C = 1.
        blocks: sizes of the blocks.
    """

    def __init__(self, weight, moment, blocks):
        self.weight, self.moment, self.blocks = weight, moment, blocks
        edges = [0, *itertools.accumulate(blocks)]
        self.places = [slice(low, high) for low, high in itertools.pairwise(edges)]
        self.parts = [
            Spectrum(weight[..., place], None if moment is None else moment[:, place, place]) for place in self.places
        ]
        out, gains = weight.shape[1], []
        scale, size = (max(getattr(part, name) for part in self.parts) for name in ("scale", "size"))
        for part, inputs in zip(self.parts, blocks, strict=True):
            unit = (part.scale / scale) ** 2 * (part.size / size)
            gains.append((part.energies.sum(0) * unit / (out + inputs)).cpu().numpy())
        block = np.repeat(np.arange(len(blocks)), [len(each) for each in gains])
        self.order = block[np.argsort(-np.concatenate(gains), kind="stable")]

    def ranks(self, total):
        """Return the rank of each block with so many components in all."""
        return np.bincount(self.order[:total], minlength=len(self.blocks)).tolist()

    def numbers(self, ranks):
        """Return the numbers that a matrix takes."""
        return sum(rank * (self.weight.shape[1] + size) for rank, size in zip(ranks, self.blocks, strict=True))

    def factors(self, ranks):
        """Return [(left, [right of each block, None where its rank is 0])] of each group."""
        taken = [
            part.factors(rank) if rank else None for part, rank in zip(self.parts, ranks, strict=True)
        ]  # block, group
        found = []
        for group in range(len(self.weight)):
            rights = [None if part is None else part[group][1] for part in taken]
            left = torch.cat([part[group][0] for part in taken if part is not None], 1)
            if self.moment is not None:
                left = self._refitted(group, self._matrix(rights, sum(ranks)))
            found.append((left, rights))
        return found

    def _matrix(self, rights, rank):
        """Return the right factors as one matrix (rank, in)."""
        matrix, row = self.weight.new_zeros(rank, self.weight.shape[2]), 0
        for place, right in zip(self.places, rights, strict=True):
            if right is not None:
                matrix[row : row + len(right), place] = right
                row += len(right)
        return matrix

    def _refitted(self, group, matrix):
        """Return the left factor of least loss for a right one (rank, in)."""
        seen = matrix @ self.moment[group]  # r [in], [in] in
        values, vectors = torch.linalg.eigh(seen @ matrix.mT)
        inverse = torch.where(values > 1e-12 * values[-1].clamp_min(1e-300), 1 / values, 0)
        return (self.weight[group] @ seen.mT @ vectors * inverse) @ vectors.mT

    def approximation(self, ranks):
        """Return the matrices (group, out, in) of some ranks."""
        return torch.stack([left @ self._matrix(rights, sum(ranks)) for left, rights in self.factors(ranks)])


class BlockLowRankLinear(CompressedLinear):
    """A linear layer of bounded rank in each block of its inputs: y = sum_b left_b (right_b x_b) + b.

    Args:
        in_features: inputs.
        out_features: outputs.
        ranks: of each block, 0 for one that is not read; not all 0. `left` is (out, sum of ranks), `right` holds the
            matrices (rank, inputs) of the blocks one after another.
        bias: whether there is a bias.
        blocks: their number or their sizes, as in `as_blocks`.
        device: of the parameters.
        dtype: of the parameters.
    """

    sizes, options = ("ranks",), ("blocks",)

    def __init__(self, in_features, out_features, ranks, bias=True, blocks=None, device=None, dtype=None):
        super().__init__(in_features, out_features, bias, device, dtype)
        self.blocks = as_blocks(blocks, self.in_features)
        self.ranks = check_ranks(ranks, self.out_features, self.blocks)
        like = {"device": device, "dtype": dtype}
        self.left = nn.Parameter(torch.zeros(self.out_features, sum(self.ranks), **like))
        self.right = nn.Parameter(torch.zeros(sum(self._pieces), **like))

    @property
    def _pieces(self):
        return [rank * size for rank, size in zip(self.ranks, self.blocks, strict=True)]

    @classmethod
    def from_dense(cls, layer, ranks, blocks=None, allow_growth=False):
        """Return the layer with the largest singular values of each block, exact at full ranks.

        Args:
            layer: the `nn.Linear`, which is left as it is.
            ranks: of each block; or their sum, spread over the blocks so that most is kept for the numbers stored.
            blocks: their number or their sizes, as in `as_blocks`.
            allow_growth: accept a layer larger than the dense one.

        Raises:
            SSHMLError: blocks or ranks that do not fit the layer, or a result larger than the dense layer.
        """
        weight = check_weight(instance(layer, "layer", nn.Linear, "an nn.Linear"))
        blocks = as_blocks(blocks, layer.in_features)
        spectrum = BlockSpectrum(weight.double()[None], None, blocks)
        if not isinstance(ranks, (list, tuple, np.ndarray)):
            ranks = spectrum.ranks(integer(ranks, "ranks", 1, len(spectrum.order)))
        ranks = check_ranks(ranks, layer.out_features, blocks)
        left, rights = spectrum.factors(ranks)[0]
        new = cls.of_factors(left.to(weight.dtype), rights, blocks, layer.bias is not None)
        return new._adopt(layer, allow_growth)

    @classmethod
    def of_factors(cls, left, rights, blocks, bias=False):
        """Return the layer of a left factor (out, rank) and right ones (rank, inputs), None for a block of rank 0."""
        ranks = [0 if right is None else len(right) for right in rights]
        new = cls(sum(blocks), len(left), ranks, bias, blocks, left.device, left.dtype)
        new.left.data = left.contiguous()
        new.right.data = torch.cat([right.flatten() for right in rights if right is not None]).to(left.dtype)
        return new

    def _largest(self, room):
        return max(0, room // (self.left.itemsize * (self.out_features + max(self.blocks))))

    def config(self):
        """Return the constructor's arguments as plain data."""
        return super().config() | {"ranks": list(self.ranks), "blocks": in_short(self.blocks)}

    def _rights(self):
        """Yield (place of the block, its right factor) of the blocks that are read."""
        edges = [0, *itertools.accumulate(self.blocks)]
        for right, rank, low, size in zip(
            self.right.split(self._pieces), self.ranks, edges, self.blocks, strict=False
        ):  # fmt: skip
            if rank:
                yield slice(low, low + size), right.view(rank, size)

    @property
    def flops(self):
        """Floating-point operations of the products for one sample."""
        return 2 * (sum(self._pieces) + sum(self.ranks) * self.out_features)

    def forward(self, x):
        """Return sum_b left_b (right_b x_b) + b."""
        read = [linear(x[..., place], right) for place, right in self._rights()]
        return linear(torch.cat(read, -1), self.left, self.bias)

    def to_weight(self):
        """Return the dense weight (out, in)."""
        rows = []
        for place, right in self._rights():
            rows.append(nn.functional.pad(right, (place.start, self.in_features - place.stop)))
        return self.left @ torch.cat(rows)


def check_ranks(ranks, outputs, blocks):
    """Return the ranks of blocks as a tuple, or raise where they are none."""
    if not isinstance(ranks, (list, tuple, np.ndarray)):
        raise SSHMLError(f"ranks are {shown(ranks)}; expected one for each of {len(blocks)} blocks.")
    ranks = tuple(integers(ranks, "ranks", 0))
    if len(ranks) != len(blocks) or not any(ranks):
        raise SSHMLError(f"ranks are {shown(ranks)}; expected one for each of {len(blocks)} blocks, not all 0.")
    for number, (rank, size) in enumerate(zip(ranks, blocks, strict=True)):
        if rank > min(outputs, size):
            raise SSHMLError(f"rank {rank} of block {number} is more than {min(outputs, size)}, its full rank.")
    return ranks
