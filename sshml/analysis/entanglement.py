"""Entanglement of a weight: Schmidt values and entropies across the cuts of a tensorised weight.

A weight W_{o_1 ... o_n, i_1 ... i_n} is read as a state of n sites with the legs (o_k, i_k). Its Schmidt values across
a cut are the singular values of W reshaped to (legs on one side, legs on the other); p_j = s_j^2 / sum s^2.
"""

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from scipy.special import logsumexp
from torch import nn

from sshml.arguments import as_array, instance, integer, integers, real, sequence, shown
from sshml.compression import CompressedLinear, MPOLinear, as_shape, check_weight, product, tensorised
from sshml.errors import SSHMLError


def schmidt_values(weight, shape=None, cut=None, order=None):
    """Return the Schmidt values of a weight across a cut, descending.

    Args:
        weight: tensor or array (out, in), an `nn.Linear`, or an `MPOLinear` (then in its own shape and order).
        shape: `MPOShape` or (out_dims, in_dims); not needed for the cut between output and input legs.
        cut: 1 ... sites - 1, the number of sites on the left; or a list of sites, 0 ... sites - 1, on one side; None
            for the cut between all output and all input legs, where they are the singular values of the matrix.
        order: (order of the outputs, order of the inputs), as in `MPOLinear`.

    Returns:
        float64 array (min of the dimensions of the two sides); for a cut through an `MPOLinear`, (bond).

    Raises:
        SSHMLError: a shape that does not fit, a cut out of range, NaN weights.

    >>> schmidt_values(np.eye(4), ((2, 2), (2, 2)), cut=1).round(6), schmidt_values(np.eye(4)).tolist()
    (array([2., 0., 0., 0.]), [1.0, 1.0, 1.0, 1.0])
    """
    if _is_own(weight, shape, order) and isinstance(cut, (int, np.integer)) and not isinstance(cut, bool):
        return _mpo_values(weight, _left_sites(weight.shape, cut))
    if cut is None:
        return torch.linalg.svdvals(_tensorisable(weight, shape, order)[0]).numpy()
    return torch.linalg.svdvals(unfolded(weight, shape, cut, order)).numpy()


def entanglement_entropy(schmidt_values, base=math.e, alpha=1.0, cutoff=0.0):
    """Return the entanglement entropy of Schmidt values, S = -sum p ln p with p = s^2 / sum s^2.

    Args:
        schmidt_values: array (..., value), not necessarily normalised.
        base: of the logarithm, above 1; nats by default, 2 for bits.
        alpha: Renyi order: S_a = ln(sum p^a) / (1 - a); 1 is von Neumann's entropy, inf the min-entropy -ln max p.
        cutoff: values below so much of the largest count as zero. Orders below 1 need it: to order 0, ln of the number
            of values that are not zero, rounding counts as much as any; 1e-6 is right for float32, 1e-14 for float64.

    Returns:
        float64 array (...), 0 for a product, ln D for D equal values.

    >>> float(entanglement_entropy([1.0, 1.0, 1.0, 1.0], base=2))
    2.0
    """
    log_base = _log(base)
    alpha, cutoff = real(alpha, "alpha", 0, infinite=True), real(cutoff, "cutoff", 0, below=1)
    values = np.abs(as_array(schmidt_values, "Schmidt values", dtype=np.float64))
    if values.ndim == 0:
        raise SSHMLError("Schmidt values: got a single number; expected an array (..., value).")
    largest = values.max(axis=-1, keepdims=True, initial=0)
    values = values / np.where(largest == 0, 1, largest)
    squares = np.where(values < cutoff, 0, values) ** 2  # scaled first: squares of 1e-200 underflow
    total = squares.sum(-1, keepdims=True)
    p = squares / np.where(total == 0, 1, total)
    logs = np.log(p, out=np.zeros_like(p), where=p > 0)
    if abs(alpha - 1) < 1e-9:
        entropy = -(p * logs).sum(-1)
    elif math.isinf(alpha):
        entropy = -np.log(p.max(-1, initial=0), out=np.zeros(p.shape[:-1]), where=total[..., 0] > 0)
    else:
        powers = np.where(p > 0, alpha * logs, -np.inf)
        entropy = np.where(total[..., 0] > 0, logsumexp(powers, axis=-1), 0) / (1 - alpha)
    entropy = np.where(np.isnan(p).any(-1), np.nan, entropy)
    return np.maximum(entropy, 0) / log_base


def _log(base):
    """Return ln(base), or raise where it is no base of a logarithm."""
    return math.log(real(base, "base", above=1))


def effective_rank(schmidt_values):
    """Return exp(S), the number of equal Schmidt values with the same entropy (Roy and Vetterli, EUSIPCO 2007)."""
    return np.exp(entanglement_entropy(schmidt_values))


def cut_entropies(weight, shape=None, order=None, base=math.e):
    """Return the von Neumann entropy at every cut between neighbouring sites, shape (cut).

    Faster than through `schmidt_values`: the eigenvalues of the smaller Gram matrix, in the weight's own precision
    (float32 is right to a few 1e-5 nats, small Schmidt values carrying no entropy).

    Args:
        weight: as in `schmidt_values`.
        shape: as in `schmidt_values`; an `MPOLinear` brings its own.
        order: as in `schmidt_values`.
        base: of the logarithm.
    """
    log_base = _log(base)
    if _is_own(weight, shape, order):
        cuts = range(1, weight.shape.sites)
        return np.array([entanglement_entropy(schmidt_values(weight, cut=cut), base) for cut in cuts])
    weight, shape, order = _tensorisable(weight, shape, order, keep_dtype=True, shaped=True)
    tensor = tensorised(weight, shape, order)
    return np.array(_gram_entropies(tensor, [range(cut) for cut in range(1, shape.sites)])) / log_base


def ordering_entropies(weight, shape, orderings, order=None, base=math.e):
    """Return the entropies of every cut for many orderings of the sites, shape (ordering, cut).

    Each cut is a bipartition of the sites; equal ones (also with the sides exchanged) are computed once, all at most
    2^(sites - 1) - 1 of them.

    Args:
        weight: as in `schmidt_values`.
        shape: `MPOShape` or (out_dims, in_dims).
        orderings: permutations of the sites, shape (ordering, site).
        order: of the neurons, as in `schmidt_values`.
        base: of the logarithm.
    """
    log_base = _log(base)
    orderings = [integers(ordering, "an ordering") for ordering in sequence(orderings, "orderings")]
    weight, shape, order = _tensorisable(weight, shape, order, keep_dtype=True, shaped=True)
    tensor = tensorised(weight, shape, order)
    everything = frozenset(range(shape.sites))

    def side(sites):  # the one without the last site: then its matrix has runs of memory for rows
        return frozenset(sites) if shape.sites - 1 not in sites else everything - frozenset(sites)

    for ordering in orderings:
        if sorted(ordering) != list(range(shape.sites)):
            raise SSHMLError(f"{ordering} is no ordering of the sites 0 to {shape.sites - 1}.")
    rows = [[side(ordering[:cut]) for cut in range(1, shape.sites)] for ordering in orderings]
    distinct = list({part: None for row in rows for part in row})
    known = dict(zip(distinct, _gram_entropies(tensor, [sorted(part) for part in distinct]), strict=True))
    return np.array([[known[part] for part in row] for row in rows]).reshape(len(rows), shape.sites - 1) / log_base


def entropy_recorder(layers, every=1):
    """Return a callback for `fit(on_epoch=...)` that records the entropy of layers at every cut.

    Args:
        layers: {name of a linear layer in the network: `MPOShape` or (out_dims, in_dims)}; None as the shape gives the
            cut between output and input legs.
        every: epochs between two records.

    Returns:
        The callback; its attribute `entropies` is {name: list of arrays (member, cut)} and `epochs` their epochs. A
        checkpoint of the training holds them too.
    """
    layers = instance(layers, "layers", dict, "{name of a layer: shape}")
    return _EntropyRecorder(layers, integer(every, "every", 1))


class _EntropyRecorder:
    def __init__(self, layers, every):
        self.layers, self.every, self.epochs, self.entropies = layers, every, [], {name: [] for name in layers}

    @torch.no_grad()
    def __call__(self, epoch, stacked):
        if epoch % self.every:
            return
        self.epochs.append(epoch)
        state = dict(stacked.named_parameters())
        for name, shape in self.layers.items():
            key = next((k for k in (f"{name}.weight", f"member.{name}.weight") if k in state), None)
            if key is None:
                raise SSHMLError(f"layer {name!r} has no weight to record; name a dense linear layer.")
            weight = state[key] if state[key].ndim == 3 else state[key][None]
            self.entropies[name].append(np.stack([_entropies_of(member, shape) for member in weight]))

    def state_dict(self):
        entropies = {name: [each.tolist() for each in found] for name, found in self.entropies.items()}
        return {"epochs": self.epochs, "entropies": entropies}

    def load_state_dict(self, state):
        self.epochs = state["epochs"]
        self.entropies = {name: [np.array(each) for each in state["entropies"][name]] for name in self.layers}


def _entropies_of(weight, shape):
    if shape is None:
        return np.array(_gram_entropies(check_weight(weight).cpu(), [[0]]))
    return cut_entropies(weight, shape)


def vector_entropies(weight, shape, count=None):
    """Return the entropy of each singular vector of a weight beside its singular value.

    The right (left) singular vectors are states of the input (output) legs; cuts as for the weight.

    Args:
        weight: as in `schmidt_values`.
        shape: `MPOShape` or (out_dims, in_dims).
        count: number of vectors, from the largest value on; all if None.

    Returns:
        (values (vector), entropies of the left vectors (vector, cut), of the right vectors (vector, cut)).
    """
    weight, shape, order = _tensorisable(weight, shape, None, shaped=True)
    if shape.pad:
        raise SSHMLError("singular vectors have no cuts with a padded shape; choose dims that multiply to the layer.")
    pairs = zip(shape.out_dims, shape.in_dims, strict=True)
    legs = tensorised(weight, shape, order).reshape([dim for pair in pairs for dim in pair])
    weight = legs.permute(*range(0, legs.ndim, 2), *range(1, legs.ndim, 2)).reshape(weight.shape)  # in the order
    u, s, vh = torch.linalg.svd(weight, full_matrices=False)
    count = len(s) if count is None else integer(count, "count", 1)

    def entropies(vectors, dims):
        found = []
        for cut in range(1, len(dims)):
            folded = vectors.reshape(len(vectors), math.prod(dims[:cut]), -1)
            found.append(entanglement_entropy(torch.linalg.svdvals(folded).numpy()))
        return np.stack(found, axis=1)

    return s[:count].numpy(), entropies(u.T[:count], shape.out_dims), entropies(vh[:count], shape.in_dims)


def _is_own(weight, shape, order):
    """Return whether an MPO is asked for in its own form, without padding that its cores could have filled."""
    return isinstance(weight, MPOLinear) and shape is None and order is None and not weight.shape.pad


def as_weight(weight):
    """Return a layer, dense or compressed, a tensor or an array as a detached weight (out, in) on the CPU."""
    if isinstance(weight, CompressedLinear):
        weight = weight.to_weight()
    elif not isinstance(weight, (nn.Linear, torch.Tensor)):
        array = as_array(weight, "the weight")
        single = array.dtype == np.float32
        weight = torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32 if single else np.float64))
    weight = check_weight(weight).cpu()
    if weight.ndim != 2:
        raise SSHMLError(f"the weight has shape {tuple(weight.shape)}; expected one matrix (out, in).")
    return weight


def _tensorisable(weight, shape, order, keep_dtype=False, shaped=False):
    """Return (weight, `MPOShape` or None, order)."""
    if isinstance(weight, MPOLinear):
        shape, order = shape or weight.shape, order or weight.order
    weight = as_weight(weight)
    shape = None if shape is None and not shaped else as_shape(shape, *(weight.shape if shape is not None else ()))
    return weight if keep_dtype else weight.double(), shape, order


def _left_sites(shape, cut):
    if shape is None:
        raise SSHMLError("a cut between sites needs a shape: MPOShape(out_dims, in_dims).")
    if isinstance(cut, (int, np.integer)) and not isinstance(cut, bool):
        return range(integer(cut, "cut", 1, shape.sites - 1))
    listed = isinstance(cut, (list, tuple, set, frozenset, range)) and all(
        isinstance(k, (int, np.integer)) for k in cut
    )
    sites = sorted(set(cut)) if listed else []
    if not 0 < len(sites) < shape.sites or not set(sites) <= set(range(shape.sites)):
        raise SSHMLError(
            f"cut {shown(cut)} is no part of the sites 0 to {shape.sites - 1}; name some, not all of them."
        )
    return sites


def unfolded(weight, shape, cut, order=None):
    """Return a weight as the matrix (sites on one side of a cut, the others), whose singular values are Schmidt values.

    Args:
        weight: as in `schmidt_values`.
        shape: `MPOShape` or (out_dims, in_dims).
        cut: as in `schmidt_values`, not None.
        order: as in `schmidt_values`.
    """
    weight, shape, order = _tensorisable(weight, shape, order)
    sites = _left_sites(shape, cut)
    return _unfolded(tensorised(weight, shape, order), sites)


def _unfolded(tensor, sites):
    """Return a tensor (site, ...) as the matrix (these sites, the others)."""
    others = [site for site in range(tensor.ndim) if site not in set(sites)]
    rows = math.prod(tensor.shape[site] for site in sites)
    return tensor.permute(*sites, *others).reshape(rows, -1)


def _gram_entropies(tensor, sides):
    """Return the entropies of bipartitions of the sites, in nats, one bipartition to a thread.

    PyTorch lets threads that start meanwhile have one thread of their own too.
    """
    tensor = (tensor / tensor.abs().max().clamp_min(torch.finfo(tensor.dtype).tiny)).contiguous()

    def size(sites):
        return math.prod(tensor.shape[site] for site in sites)

    def entropy(sites):
        return _matrix_entropy(_unfolded(tensor, list(sites)))

    threads = torch.get_num_threads()
    if threads == 1 or len(sides) < 2 or tensor.numel() < PARALLEL:
        return [entropy(sites) for sites in sides]
    # the squarest matrices take longest and come first
    order = sorted(range(len(sides)), key=lambda k: max(size(sides[k]), tensor.numel() / size(sides[k])))
    pool = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))
    try:
        found = dict(zip(order, pool.map(entropy, [sides[k] for k in order]), strict=True))
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)
    return [found[k] for k in range(len(sides))]


PARALLEL = 2**16
"""Entries of a weight from which bipartitions are shared out among threads."""


def _matrix_entropy(matrix):
    """Return the entropy of the singular values of a matrix with entries of order one, through its Gram matrix."""
    rows = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    squares = torch.linalg.eigvalsh(product(rows, rows)).clamp_min(0).double().numpy()
    return float(entanglement_entropy(np.sqrt(squares)))


def _mpo_values(layer, sites):
    """Return the Schmidt values of an MPO across a cut, from the triangular factors of both sides."""
    cores = [core.detach().double().cpu() for core in layer.cores]
    left = torch.ones(1, 1, dtype=torch.float64)
    for core in cores[: len(sites)]:
        block = torch.einsum("ab,boic->aoic", left, core)
        left = torch.linalg.qr(block.reshape(-1, block.shape[3]), mode="r").R
    right = torch.ones(1, 1, dtype=torch.float64)
    for core in reversed(cores[len(sites) :]):
        block = torch.einsum("boic,ac->boia", core, right)
        right = torch.linalg.qr(block.reshape(block.shape[0], -1).T, mode="r").R
    return torch.linalg.svdvals(left @ right.T).numpy()
