"""The bonds of a matrix product operator from a budget of parameters or a tolerance."""

import itertools
import math

import torch

from sshml.arguments import real
from sshml.compression.decomposition import discarded_weights, tensorised
from sshml.compression.layer import check_weight
from sshml.compression.shape import as_shape
from sshml.errors import SSHMLError

CLOSE, WORSE = 0.99, 2.0
"""Share of a budget that is used where integers allow it, unless that costs more than so many times the least loss."""
EXHAUSTIVE = 50_000
"""Combinations up to which all are tried where pairwise moves do not use the budget."""


def choose_bonds(weight, shape, budget=None, tolerance=None, order=None):
    """Return the bond at every cut that loses least within a budget, or costs least within a tolerance.

    The loss is the bound sum_k sum_{j > chi_k} s_{k,j}^2 of the truncation error (Oseledets, SIAM J. Sci. Comput. 33,
    2295 (2011), theorem 2.2), the cost sum_k chi_{k-1} o_k i_k chi_k. Bonds grow one by one where the loss falls most
    per parameter; then the bonds of every pair of cuts are traded against each other until nothing improves.

    Args:
        weight: tensor (..., out, in), or an `nn.Linear`; of several weights the mean relative loss counts.
        shape: `MPOShape` or (out_dims, in_dims).
        budget: numbers in the cores; at least 99 % of it is used where integers allow, unless that would double the
            loss.
        tolerance: relative error ||W - MPO|| / ||W|| that the bound may reach.
        order: as in `MPOLinear`.

    Returns:
        Tuple of bonds for `MPOLinear.from_dense(max_bond=...)`.

    Raises:
        SSHMLError: not exactly one of budget and tolerance, or a budget under that of bonds 1.

    >>> choose_bonds(torch.eye(8), ((2, 2, 2), (2, 2, 2)), tolerance=1e-3)
    (1, 1)
    """
    weight = check_weight(weight)
    shape = as_shape(shape, *weight.shape[-2:])
    if (budget is None) == (tolerance is None):
        raise SSHMLError("give either a budget of parameters or a tolerance.")
    problem = _Problem(shape, _losses(weight, shape, order))
    if tolerance is not None:
        tolerance = real(tolerance, "tolerance", 0, below=1)
        return problem.within_loss(tolerance**2)
    return problem.within_budget(real(budget, "budget", shape.n_parameters(1), infinite=True))


def bond_path(weights, shape, most=math.inf):
    """Return [(bonds, numbers)] that grow from bonds 1 on where the loss falls most per number, until `most` numbers.

    Args:
        weights: tensor (..., out, in); of several the mean relative loss counts.
        shape: `MPOShape`.
        most: numbers in the cores at which to stop.
    """
    problem = _Problem(shape, _losses(weights, shape, None, exact=False))
    bonds, steps = (1,) * len(problem.full), []
    while problem.cost(bonds) <= most:
        steps.append((bonds, problem.cost(bonds)))
        enough = 1.005 * steps[-1][1]  # large bonds in larger steps
        more = problem.grow(bonds, lambda tried, enough=enough: problem.cost(tried) >= enough, lambda _: True)
        if more == bonds:
            break
        bonds = more
    return steps


def _losses(weight, shape, order, exact=True):
    """Return, for each cut, the mean share of the squared norm beyond bonds 0, 1, 2, ..., as lists."""
    weights = weight.reshape(-1, *weight.shape[-2:])
    if not len(weights):
        raise SSHMLError(f"the weights have shape {tuple(weight.shape)}; expected at least one.")
    losses = [list(discarded_weights(tensorised(one, shape, order).double(), exact)) for one in weights]
    return [torch.stack(cut).mean(0).tolist() for cut in zip(*losses, strict=True)]


class _Problem:
    def __init__(self, shape, losses):
        self.shape, self.losses, self.full = shape, losses, shape.bonds()

    def loss(self, bonds):
        return sum(losses[bond] for losses, bond in zip(self.losses, bonds, strict=True))

    def cost(self, bonds):
        ends = (1, *bonds, 1)
        return sum(a * d * b for a, d, b in zip(ends, self.shape.site_dims, ends[1:], strict=False))

    def fits(self, bonds):
        """Return whether no bond exceeds what its neighbours can carry."""
        return self.shape.bonds(tuple(bonds)) == tuple(bonds)

    def raised(self, bonds):
        """Yield the bonds with one of them larger by one."""
        for cut, bond in enumerate(bonds):
            more = (*bonds[:cut], bond + 1, *bonds[cut + 1 :])
            if bond < self.full[cut] and self.fits(more):
                yield more

    def grow(self, bonds, enough, allowed):
        """Raise bonds where the loss falls most per parameter until `enough(bonds)`, among those `allowed`."""
        while not enough(bonds):
            choices = [more for more in self.raised(bonds) if allowed(more)]
            if not choices:
                break
            loss, cost = self.loss(bonds), self.cost(bonds)
            bonds = max(choices, key=lambda more: (loss - self.loss(more)) / (self.cost(more) - cost))
        return bonds

    def within_budget(self, budget):
        start = self.grow((1,) * len(self.full), lambda _: False, lambda bonds: self.cost(bonds) <= budget)

        def allowed(bonds):
            return self.cost(bonds) <= budget

        def by_loss(bonds):
            return self.loss(bonds), -self.cost(bonds)

        best = self.trade(start, by_loss, allowed, largest=True)
        if math.prod(self.full[:-1]) <= EXHAUSTIVE:
            best = min([best, *self.every(allowed)], key=by_loss)
        most = WORSE * self.loss(best) + 1e-12

        def by_use(bonds):
            return self.cost(bonds) < CLOSE * budget, self.loss(bonds) > most, self.loss(bonds)

        used = self.trade(best, by_use, allowed, largest=True)
        if by_use(used)[0] and self.cost(self.full) > budget and math.prod(self.full[:-1]) <= EXHAUSTIVE:
            used = min([used, *self.every(allowed)], key=by_use)
        return used if self.loss(used) <= most else best

    def every(self, allowed):
        """Yield all bonds whose last one is as large as allowed."""
        for first in itertools.product(*(range(1, bond + 1) for bond in self.full[:-1])):
            found = self.extreme((*first, 1), len(first), allowed, largest=True)
            if found:
                yield found

    def within_loss(self, most):
        allowed = lambda bonds: self.loss(bonds) <= most + 1e-15  # noqa: E731
        start = self.grow((1,) * len(self.full), allowed, lambda _: True)
        return self.trade(start, lambda bonds: (self.cost(bonds), self.loss(bonds)), allowed, largest=False)

    def trade(self, bonds, rank, allowed, largest):
        """Set one bond of a pair to every value and the other to its extreme allowed one, while the rank improves."""
        improved = True
        while improved:
            improved = False
            for a, b in itertools.permutations(range(len(bonds)), 2):
                for value in range(1, self.full[a] + 1):
                    tried = self.extreme((*bonds[:a], value, *bonds[a + 1 :]), b, allowed, largest)
                    if tried and rank(tried) < rank(bonds):
                        bonds, improved = tried, True
        return bonds

    def extreme(self, bonds, cut, allowed, largest):
        """Return bonds with one of them as large (small) as allowed, or None; allowedness is monotone in it."""
        low, high = 1, self.full[cut]

        def at(value):
            return (*bonds[:cut], value, *bonds[cut + 1 :])

        while low < high:
            middle = (low + high + largest) // 2
            if allowed(at(middle)):
                low, high = (middle, high) if largest else (low, middle)
            else:
                low, high = (low, middle - 1) if largest else (middle + 1, high)
        found = self.shape.bonds(at(low))  # what the neighbours cannot carry is cut off
        return found if allowed(found) else None
