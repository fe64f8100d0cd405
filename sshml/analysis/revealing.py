"""The rank revealer: the smallest ranks of all layers at once whose loss is still within reach."""

import copy
import dataclasses
import itertools
import math

import torch
from torch.nn.functional import cross_entropy
from torch.nn.utils import parametrize

from sshml.arguments import as_module, instance, real, sequence, shown
from sshml.classifier import input_type, pick_device, resident
from sshml.compression import survey
from sshml.errors import SSHMLError, flat


@dataclasses.dataclass(frozen=True)
class Revealed:
    """Ranks of layers whose loss is at most (1 + epsilon) times that of the whole network.

    `ranks` {layer: rank}, full ranks for dense layers; `alone`, the smallest rank of each layer while the others are
    whole; `numbers`, stored for these layers: r (m + n), or m n of a dense one; `loss` and `dense_loss`, mean
    cross-entropies; `evaluations`, passes over the data; `epsilon`.
    """

    ranks: dict
    alone: dict
    numbers: int
    loss: float
    dense_loss: float
    evaluations: int
    epsilon: float


def reveal_ranks(model, split, epsilon, *, layers=None, view=None, device="auto"):
    """Return the ranks that store the least with a mean cross-entropy within (1 + epsilon) of the network's.

    Every layer is cut to its first singular values, no data and no training. The layers alone first, by bisection; then
    together as if their losses added up, with the sum scaled by bisection; then single ranks and pairs of them are
    lowered, one by one, as long as that helps. It takes some 50 to 150 passes over the data instead of one for each of
    the product of all ranks; that nothing smaller exists is not proven.

    Args:
        model: any network with linear layers or convolutions, giving logits.
        split: data that judge, with `inputs` and `labels`; not those of the last test.
        epsilon: share of the loss, above 0.
        layers: names, all layers that can be cut if None.
        view: what the network sees.
        device: "auto", "cpu" or "cuda".

    Returns:
        `Revealed`.

    Raises:
        SSHMLError: nothing to cut, epsilon out of range, a layer that cannot be cut.
    """
    model, epsilon = as_module(model), real(epsilon, "epsilon", above=0)
    data = resident(split, view, pick_device(device), input_type(model))
    search = _Search(RankLoss(model, data, layers), epsilon)
    curves = search.alone()
    ranks = search.descended(search.together(curves))
    cuts = search.cuts
    alone = {name: cuts.choices(name)[curve[0][0]] for name, curve in curves.items()}
    full, bare = ({name: cuts.full[name] if r is None else r for name, r in found.items()} for found in (ranks, alone))
    return Revealed(full, bare, cuts.numbers(ranks), cuts(ranks), cuts.dense, cuts.evaluations, epsilon)


class RankLoss:
    """The mean cross-entropy of a network as a function of the ranks of its layers; each set is computed once.

    Args:
        model: the network.
        data: (inputs, labels), tensors.
        layers: names, all that can be cut if None.
    """

    def __init__(self, model, data, layers=None):
        sites, reasons = survey(model)
        sites = {name: site for name, site in sites.items() if site.groups == 1 and not site.part}
        layers = None if layers is None else [layers] if isinstance(layers, str) else sequence(layers, "layers")
        if not isinstance(data, (tuple, list)) or len(data) != 2:
            raise SSHMLError(f"data is {shown(data)}; expected (inputs, labels).")
        for each in data:
            instance(each, "data", torch.Tensor, "tensors (inputs, labels)")
        if layers == []:
            raise SSHMLError("layers is empty; name some, or leave it out for all.")
        for name in layers or ():
            if not isinstance(name, str) or name not in sites:
                why = reasons.get(str(name), "there is none of this name")
                raise SSHMLError(f"layer {shown(name)} cannot be cut: {why}.")
        if not sites:
            raise SSHMLError(f"this {type(model).__name__} has no matrices to cut.")
        self.model, self.data = copy.deepcopy(model).to(data[0].device).eval(), data
        self.sites = {name: sites[name] for name in layers or sites}
        for name in self.sites:
            module = self.model.get_submodule(name)
            if parametrize.is_parametrized(module, "weight"):
                parametrize.remove_parametrizations(module, "weight")
        self._svd = {n: torch.linalg.svd(s.matrices(self.model)[0], full_matrices=False) for n, s in self.sites.items()}
        self._whole = {name: self.model.get_submodule(name).weight.detach().clone() for name in self.sites}
        self.full = {name: min(site.out_features, site.in_features) for name, site in self.sites.items()}
        self._known, self.evaluations = {}, 0
        try:
            self.dense = self(dict.fromkeys(self.sites))
        except (IndexError, RuntimeError, ValueError) as error:
            raise SSHMLError(f"the network does not take these data: {flat(error):.200}") from error
        if not math.isfinite(self.dense):
            raise SSHMLError(f"the loss of the network is {self.dense}; it has no ranks to reveal.")

    def choices(self, name):
        """Return the ranks that store less than the dense layer, ascending, and None for the dense one."""
        site = self.sites[name]
        most = (site.out_features * site.in_features - 1) // (site.out_features + site.in_features)
        return [*range(1, most + 1), None]

    def numbers(self, ranks):
        """Return how many numbers ranks {layer: rank or None} store."""
        total = 0
        for name, rank in ranks.items():
            m, n = self.sites[name].out_features, self.sites[name].in_features
            total += m * n if rank is None else rank * (m + n)
        return total

    @torch.no_grad()
    def __call__(self, ranks):
        """Return the loss at ranks {layer: rank or None}."""
        key = tuple(ranks[name] for name in self.sites)
        if key not in self._known:
            self.evaluations += 1
            for name, rank in ranks.items():
                weight = self.model.get_submodule(name).weight
                if rank is None:
                    weight.copy_(self._whole[name])
                else:
                    u, s, vh = self._svd[name]
                    weight.copy_(((u[:, :rank] * s[:rank]) @ vh[:rank]).view(weight.shape))
            inputs, labels = self.data
            losses = [
                cross_entropy(self.model(x.clone()), y, reduction="sum").double()
                for x, y in zip(inputs.split(5000), labels.split(5000), strict=True)
            ]
            self._known[key] = float(sum(losses)) / len(labels)
        return self._known[key]


class _Search:
    def __init__(self, cuts, epsilon):
        self.cuts, self.limit = cuts, cuts.dense * (1 + epsilon)
        self.slack = max(self.limit - cuts.dense, 1e-12)
        self.names = list(cuts.sites)

    def fits(self, ranks):
        return self.cuts(ranks) <= self.limit

    def alone(self):
        """Return {layer: [(choice, loss added)]} of each layer alone, near the smallest rank that fits."""
        curves = {}
        for name in self.names:
            choices, seen = self.cuts.choices(name), {}

            def added(at, name=name, choices=choices, seen=seen):
                if at not in seen:
                    alone = dict.fromkeys(self.names) | {name: choices[at]}
                    seen[at] = max(0.0, self.cuts(alone) - self.cuts.dense)
                return seen[at]

            low, high = -1, len(choices) - 1  # the dense layer fits
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (low, middle) if added(middle) <= self.slack else (middle, high)
            for factor in (1.25, 1.6, 2.0, 3.0):
                added(min(len(choices) - 1, int(factor * (high + 1))))
            seen[len(choices) - 1] = 0.0
            curves[name] = sorted((at, loss) for at, loss in seen.items() if at >= high)
        return curves

    def together(self, curves):
        """Return ranks that fit, chosen as if the losses of the layers added up to a multiple of the slack."""
        best, low, high = dict.fromkeys(self.names), 0.0, 2.0
        for _ in range(6):
            middle = (low + high) / 2
            ranks = self._added_up(curves, middle * self.slack)
            if self.fits(ranks):
                low = middle
                best = min(best, ranks, key=self.cuts.numbers)
            else:
                high = middle
        return best

    def _added_up(self, curves, budget):
        """Return ranks of little storage whose losses add up to a budget: the best exchange first."""
        at = {name: curve[0][0] for name, curve in curves.items()}
        while sum(_between(curves[name], at[name]) for name in self.names) > budget:
            gains = {}
            for name in self.names:
                choices = self.cuts.choices(name)
                if at[name] < len(choices) - 1:
                    now, then = ({name: choices[place]} for place in (at[name], at[name] + 1))
                    less = _between(curves[name], at[name]) - _between(curves[name], at[name] + 1)
                    more = self.cuts.numbers(then) - self.cuts.numbers(now)
                    gains[name] = less / max(more, 1)
            if not gains:
                break
            at[max(gains, key=gains.get)] += 1
        return {name: self.cuts.choices(name)[place] for name, place in at.items()}

    def descended(self, ranks):
        """Return ranks from which no single one, and no pair, can be lowered."""
        while (lower := self._lower(ranks)) is not None:
            ranks = lower
        return ranks

    def _lower(self, ranks):
        """Return ranks that store less and fit, near the given ones; None where there are none."""
        now = self.cuts.numbers(ranks)
        sides = {name: site.out_features + site.in_features for name, site in self.cuts.sites.items()}
        for name in sorted(self.names, key=sides.get, reverse=True):
            moved = self._moved(ranks, name, -1)
            if moved is not None and self.cuts.numbers(moved) < now and self.fits(moved):
                return moved
        for down, up in itertools.permutations(self.names, 2):
            for steps, more in ((1, 1), (1, 2), (2, 1)):
                moved = self._moved(ranks, down, -steps)
                moved = moved and self._moved(moved, up, more)
                if moved is not None and self.cuts.numbers(moved) < now and self.fits(moved):
                    return moved
        return None

    def _moved(self, ranks, name, by):
        choices = self.cuts.choices(name)
        place = choices.index(ranks[name]) + by
        return ranks | {name: choices[place]} if 0 <= place < len(choices) else None


def _between(curve, at):
    """Return the loss of a curve [(place, loss)] at a place, geometrically between its points."""
    for (a, first), (b, second) in itertools.pairwise(curve):
        if a <= at <= b:
            share = (at - a) / (b - a)
            return math.exp((1 - share) * math.log(first + 1e-12) + share * math.log(second + 1e-12))
    return curve[0][1] if at < curve[0][0] else curve[-1][1]
