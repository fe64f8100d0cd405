"""A linear layer as a matrix product operator."""

import bisect
import math

import torch
from torch import nn

from sshml.arguments import instance, integer
from sshml.compression import contraction
from sshml.compression.decomposition import (
    as_permutation,
    balance,
    both_orders,
    check_cutoff,
    decompose,
    split_options,
    tensorised,
    zero_cores,
)
from sshml.compression.layer import CompressedLinear, check_weight
from sshml.compression.shape import MPOShape, as_shape
from sshml.errors import SSHMLError


class MPOLinear(CompressedLinear):
    """A linear layer whose weight is a matrix product operator: y = W x + b.

    W_{o_1 ... o_n, i_1 ... i_n} = A_1[o_1 i_1] A_2[o_2 i_2] ... A_n[o_n i_n] (Oseledets, SIAM J. Sci. Comput. 33, 2295
    (2011); Gao et al., Phys. Rev. Research 2, 023300 (2020)). The cores, shape (left bond, out, in, right bond), are
    the parameters. Fresh cores are Gaussian, scaled so that the entries of W have the variance 1/(3 in) that
    `nn.Linear` starts from.

    Args:
        in_features: inputs.
        out_features: outputs.
        shape: an `MPOShape`, or (out_dims, in_dims); the automatic one if None.
        max_bond: largest bond dimension, or one per cut; bonds are capped at the exact rank. None for full bonds.
        bias: whether there is a bias.
        order: (order of the outputs, order of the inputs): place p of the tensorised weight holds neuron order[p];
            None for neurons as they come. See `sshml.compression.orders`.
        device: of the parameters.
        dtype: of the parameters.
    """

    sizes = ("max_bond", "cutoff")
    options = ("shape", "order")

    def __init__(
        self, in_features, out_features, shape=None, max_bond=None, bias=True, order=None, device=None, dtype=None
    ):
        super().__init__(in_features, out_features, bias, device, dtype)
        out_features, in_features = self.out_features, self.in_features
        self.shape = as_shape(shape, out_features, in_features)
        bonds = (1, *self.shape.bonds(max_bond), 1)
        dims = zip(bonds, self.shape.out_dims, self.shape.in_dims, bonds[1:], strict=False)
        self.cores = nn.ParameterList(torch.empty(d, device=device, dtype=dtype) for d in dims)
        out_order, in_order = both_orders(order)
        self.register_buffer("out_position", _order_buffer(out_order, out_features, "outputs", device, inverse=True))
        self.register_buffer("in_order", _order_buffer(in_order, in_features, "inputs", device))
        self._traced = contraction.best_groups(self.cores, contraction.TRACED_BATCH)
        self.reset_parameters()

    def _largest(self, room):
        bonds = range(1, max(self.shape.bonds()) + 1)
        itemsize = self.cores[0].itemsize
        return bisect.bisect_right(bonds, room, key=lambda bond: self.shape.n_parameters(bond) * itemsize)

    def reset_parameters(self):
        """Draw fresh Gaussian cores: var(W) = prod_k chi_k prod_k var(A_k) = 1/(3 in); and the bias of `nn.Linear`."""
        variance = 1 / (3 * self.in_features * math.prod(self.bonds))
        for core in self.cores:
            nn.init.normal_(core, std=variance ** (0.5 / self.shape.sites))
        if self.bias is not None:
            bound = self.in_features**-0.5
            nn.init.uniform_(self.bias, -bound, bound)

    @classmethod
    def from_dense(cls, layer, shape=None, max_bond=None, cutoff=0.0, order=None, allow_growth=False):
        """Return the layer with its weight decomposed and truncated by quimb; exact at full bonds.

        Truncation runs through the cuts from left to right, each optimal for what is left: the squared error is at
        most the sum over cuts of the dropped squared Schmidt values (Oseledets 2011, theorem 2.2). Bonds alone are cut
        through Gram matrices (`method="svd:eig"`), in float64 where the error is small; a cutoff takes plain SVDs.

        Args:
            layer: the `nn.Linear`, which is left as it is.
            shape: as in `MPOLinear`.
            max_bond: as in `MPOLinear`.
            cutoff: relative error ||W - MPO|| / ||W|| (Frobenius) up to which bonds may shrink further.
            order: as in `MPOLinear`.
            allow_growth: accept a layer larger than the dense one; the MPO at full bonds is.

        Raises:
            SSHMLError: a shape that does not fit, a bond under 1, NaN weights, or a result larger than the dense
                layer.
        """
        weight = check_weight(instance(layer, "layer", nn.Linear, "an nn.Linear"))
        shape = as_shape(shape, layer.out_features, layer.in_features)
        cores = decompose(tensorised(weight, shape, order), shape, max_bond, cutoff)
        return cls._of_cores(cores, layer, shape, order)._adopt(layer, allow_growth)

    @classmethod
    def from_quimb(cls, mpo, bias=None, order=None, in_features=None, out_features=None):
        """Return the layer of a quimb `MatrixProductOperator` with open ends, rectangular ones included.

        Args:
            mpo: the operator; its upper legs are the outputs, its lower ones the inputs.
            bias: tensor (out), or None.
            order: as in `MPOLinear`.
            in_features: inputs, where fewer than the product of the lower legs.
            out_features: outputs, where fewer than the product of the upper legs.
        """
        if mpo.cyclic:
            raise SSHMLError("the operator is periodic; an MPOLinear has open ends.")
        cores = _cores_of(mpo)
        if not all(core.is_floating_point() for core in cores):
            raise SSHMLError(f"the operator is {cores[0].dtype}; an MPOLinear needs real floating-point cores.")
        dims = tuple(tuple(int(core.shape[leg]) for core in cores) for leg in (1, 2))
        in_features, out_features = in_features or math.prod(dims[1]), out_features or math.prod(dims[0])
        shape = MPOShape(*dims, pad=(math.prod(dims[0]), math.prod(dims[1])) != (out_features, in_features))
        if any(core.shape[3] > bond for core, bond in zip(cores, shape.bonds(), strict=False)):
            exact = mpo.canonicalize(0)  # two sweeps leave no bond above the exact rank
            cores = _cores_of(exact.canonicalize(exact.L - 1))
        twin = nn.Linear(in_features, out_features, bias is not None, device="meta")
        new = cls._of_cores(cores, twin, shape, order)
        if bias is not None:
            new.bias.data.copy_(torch.as_tensor(bias))
        return new

    @classmethod
    def _of_cores(cls, cores, layer, shape, order):
        bonds = [core.shape[3] for core in cores[:-1]]
        device, dtype = cores[0].device, cores[0].dtype
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            new = cls(layer.in_features, layer.out_features, shape, bonds, layer.bias is not None, order, device, dtype)
        new._set_cores(cores)
        return new

    def _set_cores(self, cores):
        """Take cores of any bonds over, as they are; the parameters stay the same objects."""
        for parameter, core in zip(self.cores, cores, strict=True):
            parameter.data = core.detach().clone().contiguous()
        self._traced = contraction.best_groups(self.cores, contraction.TRACED_BATCH)

    @property
    def bonds(self):
        """Bond dimension at each cut."""
        return tuple(core.shape[3] for core in list(self.cores)[:-1])

    max_bond = bonds
    """The bonds, as the constructor takes them."""

    @property
    def order(self):
        """(order of the outputs, order of the inputs), each a list or None."""
        out = None if self.out_position is None else self.out_position.argsort().tolist()
        return out, None if self.in_order is None else self.in_order.tolist()

    def config(self):
        """Return the constructor's arguments as plain data."""
        return {
            "in_features": self.in_features,
            "out_features": self.out_features,
            "shape": [list(self.shape.out_dims), list(self.shape.in_dims), self.shape.pad],
            "max_bond": list(self.bonds),
            "bias": self.bias is not None,
            "order": list(self.order),
        }

    def extra_repr(self):
        """Return the shape and bonds, for `print`."""
        ordered = "" if self.order == (None, None) else ", ordered"
        sides = f"out_dims={self.shape.out_dims}, in_dims={self.shape.in_dims}"
        return f"in_features={self.in_features}, out_features={self.out_features}, {sides}, bonds={self.bonds}{ordered}"

    def forward(self, x):
        """Return W x + b, contracted in the cheapest way for the size of the batch."""
        if x.shape[-1] != self.in_features:
            raise SSHMLError(f"the inputs have {x.shape[-1]} features; this MPOLinear takes {self.in_features}.")
        if self.in_order is not None:
            x = x.index_select(-1, self.in_order)
        if self.shape.in_features > self.in_features:
            x = nn.functional.pad(x, (0, self.shape.in_features - self.in_features))
        rows, cores = x.flatten(0, -2) if x.ndim > 1 else x[None], list(self.cores)
        groups = self._traced if torch.compiler.is_compiling() else contraction.best_groups(cores, rows.shape[0])
        y = contraction.contract(cores, rows, groups)
        y = y[:, : self.out_features].reshape(*x.shape[:-1], self.out_features)
        if self.out_position is not None:
            y = y.index_select(-1, self.out_position)
        return y if self.bias is None else y + self.bias.to(y.dtype)

    def to_weight(self):
        """Return the dense weight (out, in)."""
        weight = contraction.merge(list(self.cores))[0, : self.out_features, : self.in_features, 0]
        if self.out_position is not None:
            weight = weight[self.out_position]
        return weight if self.in_order is None else weight[:, self.in_order.argsort()]

    @property
    def flops(self):
        """Floating-point operations for one sample, contracted as for a batch of 128."""
        return contraction.flops(self.cores)

    def to_quimb(self):
        """Return the weight, neurons in the layer's order, as a quimb `MatrixProductOperator` (copies)."""
        import quimb.tensor as qtn

        arrays = [core.detach().clone() for core in self.cores]
        arrays[0], arrays[-1] = arrays[0].squeeze(0), arrays[-1].squeeze(-1)
        return qtn.MatrixProductOperator(arrays, shape="ludr")

    def canonicalize(self, site=0):
        """Gauge the cores, in place, so that those left and right of a site are isometries; the weight stays the same.

        Args:
            site: 0 ... sites - 1; it carries the Frobenius norm of the weight.

        Returns:
            The layer itself.
        """
        site = integer(site, "site", 0, self.shape.sites - 1)
        self._refuse_half()
        self._set_cores(_cores_of(self.to_quimb().canonicalize(site)))
        return self

    def compress(self, max_bond=None, cutoff=0.0):
        """Return the layer with smaller bonds, each cut truncated optimally in canonical form; see `from_dense`."""
        check_cutoff(cutoff)
        self._refuse_half()
        bonds = self.shape.bonds(max_bond)
        if self.shape.pad:  # what the cores hold beyond the layer must not count
            cores = decompose(tensorised(self.to_weight().detach(), self.shape, self.order), self.shape, bonds, cutoff)
        else:
            cores = self._truncated(bonds, cutoff)
        new = self._of_cores(cores, self, self.shape, self.order)
        for core, old in zip(new.cores, self.cores, strict=True):
            core.requires_grad_(old.requires_grad)
        if self.bias is not None:
            new.bias.data.copy_(self.bias.detach())
            new.bias.requires_grad_(self.bias.requires_grad)
        return new.train(self.training)

    def _truncated(self, bonds, cutoff):
        """Return cores of smaller bonds, by quimb."""
        mpo = self.to_quimb()
        mpo.right_canonicalize_()
        total = float(mpo[0].norm())
        if total == 0:
            return zero_cores(self.shape, bonds, self.cores[0].detach())
        for site, bond in enumerate(bonds):
            mpo.left_compress_site(site, max_bond=bond, **split_options(cutoff, len(bonds), total))
        return balance(_cores_of(mpo))

    def _refuse_half(self):
        if self.cores[0].dtype not in (torch.float32, torch.float64):
            raise SSHMLError(
                f"the cores are {self.cores[0].dtype}; convert the layer with .float() or .double() first."
            )


def _cores_of(mpo):
    """Return the arrays of a quimb operator as tensors (left bond, out, in, right bond)."""
    cores = []
    for site in range(mpo.L):
        legs = [mpo.upper_ind(site), mpo.lower_ind(site)]
        if site > 0:
            legs.insert(0, mpo.bond(site - 1, site))
        if site < mpo.L - 1:
            legs.append(mpo.bond(site, site + 1))
        core = torch.as_tensor(mpo[site].transpose(*legs).data)
        core = core if site > 0 else core[None]
        cores.append(core if site < mpo.L - 1 else core[..., None])
    return cores


def _order_buffer(order, size, of, device, inverse=False):
    if order is None:
        return None
    order = as_permutation(order, size, of)
    return (order.argsort() if inverse else order).to(device, torch.int32)
