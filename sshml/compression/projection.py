"""Training under a projection: after a step of the optimizer the weights are put back to low rank."""

import numbers

import numpy as np
import torch
from torch import nn

from sshml.arguments import as_module, choice, integer, real
from sshml.compression.model import compress
from sshml.compression.modules import find_layer
from sshml.compression.plan import Choice, Plan
from sshml.compression.randomized import LEAST_TOLERANCE, randomized_svd
from sshml.compression.sites import survey
from sshml.errors import SSHMLError

ALGORITHMS = ("svd", "randomized", "subspace")
SMALL = 64
"""Rows of a matrix up to which a power iteration is one compiled call."""
MOMENTS = ("keep", "project", "reset")


class LowRank:
    """Keep the matrices of a network at low rank while it is trained: `project.step()` after `optimizer.step()`.

    W becomes U U^T W, U the left singular vectors that are kept: the nearest matrix of that rank. Layers whose rank is
    full already stay as they are, as a dense head does that is left out of a dictionary. Linear layers and
    convolutions (as matrices of output channels) are projected; why others are not, as frozen ones, is in `reasons`.

    method="svd": exact, from the eigenvectors of the smaller Gram matrix in float64. "randomized": `randomized_svd`
    from fresh random vectors. "subspace": one power iteration from the last basis, W <- Q Q^T W with Q = orth(W B^T),
    B = Q'^T W' of the step before: right in the limit of small steps, and by far the fastest for every step; its first
    step is exact.

    The optimizer's momentum is that of the unprojected weights: moments="keep" leaves it (the projection acts on the
    weights alone), "project" takes off its part outside of the tangent space of the matrices of that rank,
    M <- U U^T M + (1 - U U^T) M V V^T (of SGD: Adam would divide what moves into weights without gradients by nothing),
    "reset" makes it zero. Second moments of Adam stay.

    Args:
        model: the network, changed in place; in `fit(..., project=...)` one of its kind.
        rank: of every layer, or {name or number of a layer: rank}; a layer whose full rank is no larger stays as it is.
        tolerance: instead: at every projection the least ranks with ||W - W'||_F <= tolerance ||W||_F; for
            "randomized" at least 1e-5, in float64 1e-10.
        every: "epoch", or the number of steps between two projections; where `steps_per_epoch` is known, as in `fit`,
            the last step of an epoch is followed by one too.
        method: "svd", "randomized" or "subspace".
        moments: "keep", "project" or "reset".
        optimizer: whose moments these are; not needed for "keep".
        steps_per_epoch: batches in an epoch, needed to step with every="epoch".
        oversampling: of "randomized".
        power: power iterations of "randomized".
        seed: of "randomized".
        tensors: {name of a parameter: tensor (member, ...)} to project in the place of the model's own, for stacked
            networks.

    Raises:
        SSHMLError: unknown options, ranks out of range, layers that cannot be projected, by name.
    """

    def __init__(
        self,
        model,
        rank=None,
        *,
        tolerance=None,
        every="epoch",
        method="svd",
        moments="keep",
        optimizer=None,
        steps_per_epoch=None,
        oversampling=10,
        power=1,
        seed=0,
        tensors=None,
    ):
        for name, value, choices in (("method", method, ALGORITHMS), ("moments", moments, MOMENTS)):
            choice(value, name, tuple(choices))
        model = as_module(model)
        if (rank is None) == (tolerance is None):
            raise SSHMLError("give either rank or tolerance.")
        if tolerance is not None and method == "subspace":
            raise SSHMLError('a tolerance needs all singular values; choose method "svd" or "randomized".')
        tolerance = None if tolerance is None else real(tolerance, "tolerance", above=0, below=1)
        oversampling, power = integer(oversampling, "oversampling", 0), integer(power, "power", 0, 1000)
        seed = integer(seed, "seed", 0, 2**63 - 1)
        if optimizer is not None and not hasattr(optimizer, "param_groups"):
            raise SSHMLError(f"the optimizer is a {type(optimizer).__name__}; expected one of torch.optim.")
        if moments != "keep" and optimizer is None:
            raise SSHMLError(f'moments="{moments}" needs optimizer=..., whose moments these are.')
        self.model, self.tolerance, self.method, self.moments = model, tolerance, method, moments
        self.optimizer, self.oversampling, self.power = optimizer, oversampling, power
        self.every, self.steps, self.log = _every(every, steps_per_epoch), 0, []
        self.per_epoch = steps_per_epoch or 0
        self.sites, self.reasons = _projectable(model)
        self._wanted = {name: None for name in self.sites} if rank is None else self._ranks_of(rank)
        self.stacked = tensors is not None
        self._matrices = {}
        for name in self._wanted:
            parameter = f"{name}.weight".lstrip(".")
            holder = (lambda given=tensors[parameter]: given) if self.stacked else _reader(model.get_submodule(name))
            self._matrices[name] = _Matrix(parameter, holder, self.sites[name], self.stacked)
            if tolerance is not None and method == "randomized":
                real(tolerance, "tolerance", LEAST_TOLERANCE.get(holder().dtype, LEAST_TOLERANCE[torch.float32]))
        self._seed, self._generator = seed, None
        self.ranks = {name: [rank] * self._matrices[name].members for name, rank in self._wanted.items() if rank}

    def step(self):
        """Count a step of the optimizer, and project where it is time."""
        if self.every is None:
            raise SSHMLError('every="epoch" needs steps_per_epoch=..., the number of batches in an epoch.')
        self.steps += 1
        if self.steps % self.every == 0 or (self.per_epoch and self.steps % self.per_epoch == 0):
            self.project()

    @torch.no_grad()
    def project(self):
        """Project now."""
        found = {}
        for name, rank in self._wanted.items():
            matrix = self._matrices[name]
            if self.method == "subspace" and matrix.kept is not None:
                ranks = found[name] = self.ranks[name]
                if self.moments == "keep" and matrix.iterated_at_once():
                    continue
                u = matrix.iterated()
            else:
                u, ranks = self._basis(name, matrix.now(), rank)
            kept = matrix.project(u)
            if self.moments != "keep":
                self._carry(matrix, u, kept)
            found[name] = ranks
        if self.tolerance is not None and (not self.log or self.log[-1]["ranks"] != found):
            self.log.append({"step": self.steps, "ranks": found})
        self.ranks = found

    def factorize(self, absorb_bias=False):
        """Return a copy of the model that stores the factors, at the ranks of the last projection.

        It is cut to these ranks: exact where no step came after that projection. Factors that would store more than the
        dense matrix stay dense.

        Args:
            absorb_bias: as of `sshml.compress`.

        Raises:
            SSHMLError: the networks are those of `fit`: factorise the models of its run.
        """
        if self.stacked:
            raise SSHMLError(
                "the networks are those of fit; use run.with_models([LowRank(m, rank=...).factorize() for m in"
                " run.models()])."
            )
        ranks = self.ranks
        if self.tolerance is not None and not ranks:
            ranks = {name: self._basis(name, matrix.now(), None)[1] for name, matrix in self._matrices.items()}
        sites = survey(self.model)[0]
        choices = {}
        for name, (rank,) in ranks.items():
            site = sites[name]
            if rank * (site.out_features + site.in_features) < site.out_features * site.in_features:
                choices[name] = Choice("svd", {"rank": int(rank)})
        return compress(self.model, Plan(choices, absorb_bias=absorb_bias))

    def state_dict(self):
        """Return what a training that goes on needs: steps, ranks and bases."""
        bases = {name: matrix.kept.clone() for name, matrix in self._matrices.items() if matrix.kept is not None}
        generator = None if self._generator is None else self._generator.get_state()
        return {"steps": self.steps, "ranks": dict(self.ranks), "bases": bases, "log": list(self.log)} | {
            "generator": generator
        }

    def load_state_dict(self, state):
        """Go on from what `state_dict` returned."""
        self.steps, self.ranks, self.log = state["steps"], dict(state["ranks"]), list(state["log"])
        if state["generator"] is not None:
            self._generator = torch.Generator()
            self._generator.set_state(state["generator"])
        for name, basis in state["bases"].items():
            self._matrices[name].kept = basis.clone()

    def _ranks_of(self, rank):
        """Return {site: rank} of the layers that are projected, those below full rank."""
        if isinstance(rank, dict):
            pairs = [(find_layer(self.model, k) if isinstance(k, numbers.Integral) else k, r) for k, r in rank.items()]
            named = dict(pairs)
            if not named or len(named) < len(pairs):
                raise SSHMLError(f"ranks {rank} name no layer, or one twice; give {{layer: rank}}.")
        else:
            named = {name: rank for name in self.sites}
        for name, value in named.items():
            if name not in self.sites:
                why = self.reasons.get(name, f"there is none; there are {', '.join(self.sites)}")
                raise SSHMLError(f"layer {name!r} cannot be projected: {why}.")
            integer(value, "rank", 1)
        full = {name: min(site.out_features, site.in_features) for name, site in self.sites.items()}
        return {name: int(value) for name, value in named.items() if value < full[name]}

    def _basis(self, name, matrix, rank):
        """Return (orthonormal columns (..., out, rank) to project on, [rank of each member])."""
        members = self._matrices[name].members
        if not torch.isfinite(matrix).all():
            raise SSHMLError(f"layer {name!r} holds NaN or infinite numbers; lower the learning rate.")
        if self.method == "randomized":
            return self._random_basis(matrix, rank, members)
        tall, wide = matrix.shape[-2] > matrix.shape[-1], matrix.double()
        if matrix.dtype == torch.float64:  # a Gram matrix would square what rounding leaves
            vectors, values, _ = torch.linalg.svd(wide, full_matrices=False)
            values = values.square()
        else:
            values, vectors = torch.linalg.eigh(wide.mT @ wide if tall else wide @ wide.mT)
            values, vectors = values.clamp(min=0).flip(-1), vectors.flip(-1)
        ranks = [rank] * members if rank is not None else self._least_ranks(values)
        u = vectors[..., : max(ranks)]
        if tall and matrix.dtype != torch.float64:
            u = torch.linalg.qr(wide @ u)[0]
        return _masked(u, ranks).to(matrix.dtype), ranks

    def _least_ranks(self, values):
        """Return the ranks within the tolerance, of the squares of singular values, descending."""
        total = values.sum(-1, keepdim=True)
        rest = total - values.cumsum(-1)
        ranks = (rest > self.tolerance**2 * total).sum(-1) + 1
        return ranks.clamp(max=values.shape[-1]).reshape(-1).tolist()

    def _random_basis(self, matrix, rank, members):
        if self._generator is None:
            self._generator = torch.Generator().manual_seed(self._seed)
        how = {"oversampling": self.oversampling, "power": self.power, "generator": self._generator}
        if rank is not None:
            return randomized_svd(matrix, rank, **how)[0], [rank] * members
        bases, start = [], self._generator.get_state()
        for one in matrix if matrix.ndim == 3 else matrix[None]:
            self._generator.set_state(start)  # every member draws as it does alone
            bases.append(randomized_svd(one, tolerance=self.tolerance, **how)[0])
        ranks = [basis.shape[1] for basis in bases]
        padded = [nn.functional.pad(basis, (0, max(ranks) - basis.shape[1])) for basis in bases]
        return (torch.stack(padded) if matrix.ndim == 3 else bases[0]), ranks

    def _carry(self, matrix, u, kept):
        """Do what is to be done to the moments of a layer."""
        if hasattr(self.optimizer, "moments"):
            moments = self.optimizer.moments()[matrix.parameter]
        else:
            moments = _moments(self.optimizer, matrix)
        v = torch.linalg.qr(kept.mT)[0]
        for name, moment in moments.items():
            if self.moments == "reset":
                moment.zero_()
                continue
            if name != "momentum_buffer":
                raise SSHMLError('moments="project" is for the momentum of SGD; choose "keep" or "reset" here.')
            m = moment.reshape(*u.shape[:-1], kept.shape[-1])
            inside = u @ (u.mT @ m)
            moment.copy_((inside + ((m - inside) @ v) @ v.mT).view(moment.shape))


FIRST_MOMENTS = ("exp_avg", "momentum_buffer", "grad_avg")
OTHERS = ("step", "exp_avg_sq", "max_exp_avg_sq", "square_avg", "exp_inf", "sum", "mu_product")
"""What optimizers keep beside them: counts, and averages of squares."""


def _moments(optimizer, matrix):
    """Return {name: tensor} of what an optimizer of PyTorch carries on of a weight's gradients."""
    weight = matrix.read()
    if not any(weight is p for group in optimizer.param_groups for p in group["params"]):
        raise SSHMLError(
            f"{matrix.parameter} is none of the optimizer's parameters; give the optimizer that trains it."
        )
    state = {key: value for key, value in optimizer.state.get(weight, {}).items() if value is not None}
    unknown = set(state) - {*FIRST_MOMENTS, *OTHERS}
    if unknown or isinstance(optimizer, torch.optim.LBFGS):
        raise SSHMLError(f'{type(optimizer).__name__} keeps what nobody here knows; leave moments="keep".')
    return {key: state[key] for key in FIRST_MOMENTS if key in state}


def _reader(module):
    return lambda: module._parameters["weight"]


class _Matrix:
    """The weight of a layer as a matrix (out, in), or one of each member, in its own memory where that is possible."""

    def __init__(self, parameter, read, site, stacked):
        self.parameter, self.read, weight = parameter, read, read()
        self.members = len(weight) if stacked else 1
        self.shape = (*weight.shape[:1], site.out_features, site.in_features)[0 if stacked else 1 :]
        self.kept, self._address, self._arrays = None, None, None
        self._product = torch.bmm if stacked else torch.mm

    def now(self):
        """Return the matrix, of the memory that the weight has now."""
        weight = self.read()
        if weight.data_ptr() != self._address or weight.dtype != self._matrix.dtype:
            weight = weight.detach()
            self._matrix, self._address = weight.reshape(self.shape), weight.data_ptr()
            self._is_copy = self._matrix.data_ptr() != self._address
            self._turned = not self._matrix.is_contiguous() and self._matrix.mT.is_contiguous()
        elif self._is_copy:
            self._matrix = weight.detach().reshape(self.shape)
        return self._matrix

    def iterated_at_once(self):
        """Project on the basis of the last projection after one power iteration, where that is quicker in one piece."""
        if self._product is not torch.mm or self.shape[0] > SMALL or self.read().device.type != "cpu":
            return False
        from sshml.compression.iteration import iterate  # numba is slow to import

        matrix = self.now()
        self.kept = self.kept.to(matrix.dtype)
        if self._is_copy or not matrix.is_contiguous() or not self.kept.is_contiguous():
            return False
        if self._arrays is None or self._arrays[1] != (matrix.data_ptr(), self.kept.data_ptr()):
            columns = np.empty((self.shape[0], len(self.kept)), matrix.numpy().dtype)
            arrays = matrix.numpy(), self.kept.numpy(), columns
            self._arrays = arrays, (matrix.data_ptr(), self.kept.data_ptr())
        iterate(*self._arrays[0])
        return True

    def iterated(self):
        """Return the basis of the last projection after one power iteration."""
        matrix = self.now()
        return torch.linalg.qr(self._product(matrix, self.kept.to(matrix.dtype).mT))[0]

    def project(self, u):
        """Put U U^T W in the place of W; return U^T W."""
        matrix = self._matrix
        self.kept = self._product(u.mT, matrix)
        if self._turned:
            self._product(self.kept.mT, u.mT, out=matrix.mT)
        elif self._is_copy or not matrix.is_contiguous():
            matrix.copy_(self._product(u, self.kept))
        else:
            self._product(u, self.kept, out=matrix)
        if self._is_copy:
            weight = self.read().detach()
            weight.copy_(matrix.view(weight.shape))
        return self.kept


def _masked(u, ranks):
    """Return columns with those beyond the rank of each member at zero."""
    if min(ranks) == u.shape[-1]:
        return u
    return u * (torch.arange(u.shape[-1], device=u.device) < torch.tensor(ranks, device=u.device)[:, None])[:, None]


def _every(every, steps_per_epoch):
    """Return the number of steps between two projections, None where nobody can tell."""
    if isinstance(every, str) and every == "epoch":
        if steps_per_epoch is None:
            return None  # enough for `project` and `factorize`
        every, name = steps_per_epoch, "steps_per_epoch"
    else:
        name = "every"
    return integer(every, name, 1)


def _projectable(model):
    """Return ({name: site}, {name: reason}) of what can be projected in place."""
    sites, reasons = survey(model)
    for name, reason in reasons.items():
        if "NaN" in reason:
            raise SSHMLError(f"layer {name!r} cannot be projected: {reason}.")
    good = {}
    for name, site in sites.items():
        module = model.get_submodule(site.path)
        if site.part:
            reasons[name] = "attention keeps its matrices in one tensor; compress it after the training"
        elif site.groups != 1:
            reasons[name] = f"it is a {site.kind} of {site.groups} groups"
        elif not isinstance(module._parameters.get("weight"), nn.Parameter):
            reasons[name] = "its weight is parametrised"
        elif not module.weight.requires_grad:
            reasons[name] = "its weight is frozen"
        elif module.weight.dtype not in (torch.float32, torch.float64):
            reasons[name] = f"its weight is {module.weight.dtype}"
        else:
            good[name] = site
    if not good:
        why = "; ".join(f"{name}: {reason}" for name, reason in reasons.items()) or "it has no matrices"
        raise SSHMLError(f"nothing of this {type(model).__name__} can be projected: {why}.")
    return good, reasons
