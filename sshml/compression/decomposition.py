"""A weight as a matrix product operator: its tensor, what a cut discards, its cores (by quimb)."""

import torch
from torch import nn

from sshml.arguments import real
from sshml.errors import SSHMLError

SMALL = 3e-3
"""Relative error below which Gram matrices in float32 lose digits, and float64 takes over."""


def tensorised(weight, shape, order=None):
    """Return a weight (out, in) as the tensor (o_1 i_1, ..., o_n i_n) of a shape, in an order, padded with zeros."""
    out_order, in_order = both_orders(order)
    if out_order is not None:
        weight = weight[as_permutation(out_order, weight.shape[0], "outputs").to(weight.device)]
    if in_order is not None:
        weight = weight[:, as_permutation(in_order, weight.shape[1], "inputs").to(weight.device)]
    missing = shape.out_features - weight.shape[0], shape.in_features - weight.shape[1]
    if any(missing):
        weight = nn.functional.pad(weight, (0, missing[1], 0, missing[0]))
    legs = [leg for site in range(shape.sites) for leg in (site, shape.sites + site)]
    return weight.reshape(*shape.out_dims, *shape.in_dims).permute(legs).reshape(shape.site_dims)


def discarded_weights(tensor, exact=True):
    """Yield for each cut, left to right, the shares of the squared norm beyond 0, 1, 2, ... Schmidt values.

    Args:
        tensor: from `tensorised`.
        exact: by singular values; otherwise by the eigenvalues of Gram matrices, faster and wrong by their rounding.
    """
    tiny = torch.finfo(tensor.dtype).tiny
    tensor, rows = tensor / tensor.abs().max().clamp_min(tiny), 1
    for dim in tensor.shape[:-1]:
        rows *= dim
        matrix = tensor.reshape(rows, -1)
        if exact:
            squares = torch.linalg.svdvals(matrix).square()
        else:
            gram = matrix @ matrix.T if rows <= matrix.shape[1] else matrix.T @ matrix
            squares = torch.linalg.eigvalsh(gram).flip(0).clamp_min(0)
        beyond = nn.functional.pad(squares.flip(0).cumsum(0).flip(0), (0, 1))
        yield beyond / beyond[0].clamp_min(tiny)


def decompose(tensor, shape, max_bond=None, cutoff=0.0):
    """Return the cores of a tensor (o_1 i_1, ..., o_n i_n), with equal norms, by successive truncated SVDs (quimb).

    Args:
        tensor: from `tensorised`.
        shape: the `MPOShape`.
        max_bond: as in `MPOLinear`.
        cutoff: as in `MPOLinear.from_dense`.
    """
    check_cutoff(cutoff)
    bonds = shape.bonds(max_bond)
    norm, scale = float(tensor.norm()), 1.0
    if not 1e-12 < norm < 1e12:  # whose squares leave float32
        scale = float(tensor.abs().max())
        if scale == 0:
            return zero_cores(shape, bonds, tensor)
        tensor = tensor / scale
        norm = float(tensor.norm())
    cores = _split(tensor, norm, bonds, cutoff)
    lost = 1 - (float(cores[-1].norm()) / norm) ** 2  # all others are isometries
    if tensor.dtype == torch.float32 and cutoff == 0 and bonds != shape.bonds() and lost < SMALL**2:
        cores = [core.float() for core in _split(tensor.double(), norm, bonds, cutoff)]
    ends = (1, *(core.shape[-1] for core in cores[:-1]), 1)
    dims = enumerate(zip(shape.out_dims, shape.in_dims, strict=True))
    cores = balance([cores[k].reshape(ends[k], o, i, ends[k + 1]) for k, (o, i) in dims])
    return [core * scale ** (1 / len(cores)) for core in cores]


def _split(tensor, norm, bonds, cutoff):
    """Return the arrays of the matrix product state of a tensor, all but the last isometries, by quimb."""
    import quimb.tensor as qtn

    places = [f"k{site}" for site in range(tensor.ndim)]
    rest, cores, left = qtn.Tensor(tensor, inds=places), [], ()
    for site, bond in enumerate(bonds):
        legs = (*left, places[site])
        rows = rest.inds_size(legs)
        exact, name = cutoff == 0 and bond == min(rows, rest.size // rows), f"b{site}"  # nothing to truncate
        if exact and bond == rows:
            core = torch.eye(rows, device=tensor.device, dtype=tensor.dtype).reshape(
                *(rest.ind_size(leg) for leg in legs), rows
            )
            rest = rest.fuse({name: legs})
        else:
            options = {"method": "qr"} if exact else {"max_bond": bond} | split_options(cutoff, len(bonds), norm)
            core, rest = rest.split(legs, absorb="right", bond_ind=name, get="tensors", **options)
            core = core.transpose(*legs, name).data
        cores.append(core)
        left = (f"b{site}",)
    return [*cores, rest.transpose(*left, places[-1]).data]


def balance(cores):
    """Return cores of the same product and equal Frobenius norms, which suits training."""
    norms = torch.stack([core.norm() for core in cores])
    if not norms.all():
        return cores
    mean = norms.log().mean().exp()
    return [core * (mean / norm) for core, norm in zip(cores, norms, strict=True)]


def zero_cores(shape, bonds, like):
    """Return the cores of the zero matrix, on the device and in the type of another tensor."""
    ends = (1, *bonds, 1)
    dims = zip(ends, shape.out_dims, shape.in_dims, ends[1:], strict=False)
    return [like.new_zeros(d) for d in dims]


def split_options(cutoff, cuts, norm):
    """Return quimb's options: the squared error of all cuts together is at most (cutoff * norm)^2.

    A bond alone is served by the eigenvectors of the Gram matrix, many times faster; they lose small Schmidt values,
    which a cutoff looks at.
    """
    if cutoff == 0:
        return {"method": "svd:eig", "cutoff": 0.0}
    return {"method": "svd", "cutoff": (cutoff * norm) ** 2 / cuts, "cutoff_mode": "sum2"}


def check_cutoff(cutoff):
    """Return a relative error, or raise."""
    return real(cutoff, "cutoff", 0, below=1)


def both_orders(order):
    """Return (order of the outputs, order of the inputs), or raise where there are not two."""
    if order is None:
        return None, None
    if not isinstance(order, (tuple, list)) or len(order) != 2:
        raise SSHMLError("order is not understood; give (order of the outputs, order of the inputs), None for either.")
    return tuple(order)


def as_permutation(order, size, of):
    """Return an order as an int64 tensor, or raise where it is no permutation of 0 ... size - 1."""
    try:
        found = torch.as_tensor(order)
        fits = found.shape == (size,) and torch.equal(found.sort().values.cpu().long(), torch.arange(size))
    except (TypeError, ValueError, RuntimeError):
        fits = False
    if not fits or found.is_floating_point():
        raise SSHMLError(f"the order of the {of} is no permutation of 0 to {size - 1}.")
    return found.long()
