"""A model with all that could be done to its matrices, and plans made of that."""

import dataclasses
import functools
import math

import numpy as np
import torch
from torch import nn

from sshml.arguments import flag, instance, shown
from sshml.compression.batches import Batches, is_correct, output, own, size_of
from sshml.compression.blocks import as_blocks
from sshml.compression.building import StoredMatrix, with_forms
from sshml.compression.forms import USUAL
from sshml.compression.layer import HALF
from sshml.compression.modules import copied, evaluating, n_bytes
from sshml.compression.moments import second_moments
from sshml.compression.options import SCORED, Options, parts_of
from sshml.compression.pareto import ParetoFront
from sshml.compression.plan import Choice, Plan
from sshml.compression.sites import survey
from sshml.compression.spectrum import Spectrum
from sshml.compression.timing import compare
from sshml.errors import BudgetError, SSHMLError, flat

LOOK = 1024
"""Samples on which plans are compared by the outputs of the whole model."""

MEASURES = {
    "product": lambda loss: -np.log(np.maximum(1 - loss, 1e-12)),
    "sum": lambda loss: loss,
    "squares": np.square,
}
"""What is least over the layers: of losses L the product of the shares 1 - L that are kept, the sum, or the squares.

Where losses are small the first two are one; where they are not, none is best for every network and share.
"""


class Menu:
    """A model with all that could be done to it.

    Args:
        model: the module, copied.
        data: as in `plan`.
        methods: those that `check_methods` returns; none for a menu that applies plans only.
        layers: as in `plan`.
        absorb_bias: as in `plan`.
        shrink: as in `plan`.
        progress: as in `plan`.
        blocks: as in `plan`.
    """

    def __init__(
        self,
        model,
        data=None,
        methods=USUAL,
        layers=None,
        absorb_bias=False,
        shrink=False,
        progress=None,
        blocks=None,
    ):
        sites, self.reasons = survey(model)
        self.sites = _within(sites, self.reasons, layers)
        self.model, self.shrink, self.notes = copied(model), flag(shrink, "shrink"), []
        self._blocks = _checked_blocks(blocks, self.sites)
        self.absorb_bias = flag(absorb_bias, "absorb_bias") and (not methods or "svd" in methods)
        self.n_bytes = n_bytes(model)
        self.batches = None if data is None else Batches(data, self.model)
        self._methods, self._moments, self._samples = tuple(methods), {}, 0
        if self.batches is not None:
            self._look()
            self._samples = sum(size_of(inputs) for inputs, _ in self.batches)
            self._moments = second_moments(copied(model), self.sites, self.batches, progress)
        self.options = {name: self._options(site) for name, site in self.sites.items()}
        self._say_what_is_missing()

    def _look(self):
        """Take the first samples, the outputs on them, and leave out sites in whose place nothing else acts alike."""
        self._first = list(self.batches.first(LOOK))
        self._exact = self._outputs(copied(self.model))
        if _distance(self._outputs(copied(self.model)), self._exact) > 0:
            self.notes.append("the outputs on the same data differ from pass to pass; errors are those of chance too")
            return
        close = 0.05 if self._exact[0].dtype in HALF else 1e-3
        if self._apart(self.sites) <= close:
            return
        for path in {site.path for site in self.sites.values()}:
            here = {name: site for name, site in self.sites.items() if site.path == path}
            if not self._apart(here) <= close:
                self.reasons[path] = "the model treats another layer in its place differently"
                self.sites = {name: site for name, site in self.sites.items() if name not in here}

    def _apart(self, sites):
        """Return how far the outputs go when layers of ours store the very matrices of some sites."""
        model, forms = copied(self.model), {}
        for site in sites.values():
            matrices = site.matrices(self.model)
            forms.setdefault(site.path, {})[site.part] = [StoredMatrix.of_matrix(matrix) for matrix in matrices]
        for path, made in forms.items():
            model = with_forms(model, path, made)
        try:
            return _distance(self._outputs(model), self._exact)
        except SSHMLError:  # what the model misses of its own layer
            return math.inf

    def _options(self, site):
        positions = 1
        if site.name in self._moments:
            positions = self._moments[site.name].rows / self._samples
        itemsize = site.matrices(self.model).itemsize
        absorbs, blocks = self.absorbs(site), self._blocks.get(site.name)
        return Options(site, self.spectrum(site), itemsize, positions, self._methods, absorbs, blocks)

    def absorbs(self, site):
        """Return whether a site's bias is cut with its weight."""
        outer, _, name = site.path.rpartition(".")
        inside = name and isinstance(
            self.model.get_submodule(outer), nn.MultiheadAttention
        )  # which takes the bias itself
        return self.absorb_bias and site.kind == "Linear" and not inside and self._bias(site) is not None

    def _bias(self, site):
        return getattr(self.model.get_submodule(site.path), "bias", None)

    def spectrum(self, site):
        """Return the `Spectrum` of a site, with its bias as a further column where that is asked for."""
        weight, moment = site.matrices(self.model).double(), self._moments.get(site.name)
        if self.absorbs(site):
            weight = torch.cat([weight, self._bias(site).detach().double()[None, :, None]], 2)
            return Spectrum(weight, None if moment is None else moment.with_one())
        return Spectrum(weight, None if moment is None else moment.mean_square)

    def _say_what_is_missing(self):
        skipped = [name for name, options in self.options.items() if options.skipped]
        if skipped:
            what = f"{skipped[0]} and {len(skipped) - 1} others" if len(skipped) > 1 else skipped[0]
            self.notes.append(f"mpo was not tried on {what}: more than {SCORED} weights; methods='mpo' tries it")
        if self.batches is None:
            self.notes.append(
                "without data: the losses are those of the weights, not of what they do to inputs; FLOPs are those of"
                " one position of a convolution, one row of attention"
            )
            return
        for name, site in self.sites.items():
            if name not in self._moments:
                self.notes.append(f"{name}: never ran on the data, so it was cut by its weight alone")
            elif self._moments[name].rows < site.in_features:
                rows = self._moments[name].rows
                self.notes.append(
                    f"{name}: {rows} rows of data for {site.in_features} inputs; give more, or it forgets"
                )

    def serves(self, model, plan):
        """Return whether a plan is to be cut as the menu cuts, from the very numbers that a model has at its sites."""
        if (plan.data_aware, plan.absorb_bias, plan.shrink) != (
            self.batches is not None,
            self.absorb_bias,
            self.shrink,
        ):
            return False
        sites, _ = survey(model)
        for name, choice in plan.choices.items():
            site = self.sites.get(name)
            if choice.method == "dense" and site is None:
                continue
            if site is None or sites.get(name) != site:
                return False
            pairs = [(site.matrices(model), site.matrices(self.model))]
            if self.absorbs(site):
                pairs.append(tuple(each.get_submodule(site.path).bias for each in (model, self.model)))
            if not all(a.dtype == b.dtype and a.device == b.device and torch.equal(a, b) for a, b in pairs):
                return False
        return True

    def without(self, names):
        """Return the menu with these sites left dense."""
        new = object.__new__(Menu)
        vars(new).update(vars(self))
        new.options = {name: options for name, options in self.options.items() if name not in names}
        return new

    def front(self, measure="product"):
        """Return the `ParetoFront` over all sites in one of the MEASURES of loss."""
        options = [(o.bytes, MEASURES[measure](o.loss)) for o in self.options.values()]
        return ParetoFront(options, self.n_bytes - sum(int(o.bytes[0]) for o in self.options.values()))

    def plan_of(self, front, number):
        """Return the plan of a point of a front."""
        choices = {}
        for (name, options), chosen in zip(self.options.items(), front.combination(number), strict=True):
            choices[name] = Choice(
                options.method[chosen],
                options.size[chosen],
                *(int(getattr(options, field)[chosen]) for field in ("numbers", "bytes", "flops")),
                float(options.loss[chosen]),
            )
        for name in self.sites.keys() - self.options.keys():
            choices[name] = Choice("dense", {}, self.sites[name].numbers, self.sites[name].n_bytes, None, 0.0)
        return Plan(
            choices,
            dict(self.reasons),
            int(front.bytes[number]),
            self.n_bytes,
            None,
            self.batches is not None,
            self.absorb_bias,
            self.shrink,
            list(self.notes),
            self,
        )

    def within(self, front, budget):
        """Return the plan of least loss within a budget of bytes."""
        number = front.within(budget)
        if number is None:
            least = int(front.bytes[0])
            raise BudgetError(
                f"a budget of {budget} bytes is impossible: the smallest possible is {least} bytes, share"
                f" {_up(least / self.n_bytes)}; the rest of the model stays dense."
            )
        found = self.plan_of(front, number)
        for name, choice in found.choices.items():  # few bonds and numbers of weights are tried, many exist
            if choice.method != "dense":
                larger = self.options[name].larger(choice, budget - found.n_bytes)
                if larger.loss <= choice.loss:
                    found.choices[name] = larger
                    found.n_bytes += larger.bytes - choice.bytes
        return self.measured(found)

    def smallest(self, front, reached, what):
        """Return the smallest plan found, by bisection, that reaches something."""
        low, high = -1, len(front) - 1
        best = self.plan_of(front, high)
        if not reached(best):
            raise SSHMLError(f"{what} is out of reach: the model as it is does not keep it; ask for less.")
        while high - low > 1:
            middle = (low + high) // 2
            tried = self.plan_of(front, middle)
            if reached(tried):
                best, high = tried, middle
            else:
                low = middle
        return self.measured(best)

    def measured(self, plan):
        """Return the plan with the error of its outputs, where there are data."""
        return plan if self.batches is None else dataclasses.replace(plan, error=self.error(plan))

    def apply(self, plan, model=None):
        """Return a copy of the model, or of another one with the same numbers, with a plan applied.

        Raises:
            SSHMLError: a choice that does not fit its site.
        """
        model, forms = copied(self.model if model is None else model), {}
        for name, choice in plan.choices.items():
            if choice.method == "dense":
                if choice.size:
                    raise SSHMLError(f"{name}: a dense layer takes no size, got {choice.size}.")
                continue
            site = self.sites.get(name)
            if site is None:
                raise SSHMLError(f"the plan names the site {name!r}; there are {', '.join(self.sites) or 'none'}.")
            forms.setdefault(site.path, {})[site.part] = self._forms(site, choice)
        for path, made in forms.items():
            model = with_forms(model, path, made)
        return model

    def _forms(self, site, choice):
        """Return the form of each group of a site."""
        absorbed = self.absorbs(site) and choice.method == "svd"
        spectrum = self.options[site.name].spectrum if site.name in self.options else self.spectrum(site)
        weight = site.matrices(self.model)
        if self.absorbs(site) and not absorbed:
            spectrum = Spectrum(weight.double())
        try:
            return parts_of(spectrum, choice.method, choice.size, weight.dtype, absorbed, self.shrink)
        except (SSHMLError, TypeError) as error:
            raise SSHMLError(f"{site.name}: {flat(error)}") from None

    def _outputs(self, model):
        with evaluating(model), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # the same chance in every pass
            return [output(model, own(inputs)) for inputs, _ in self._first]

    def error(self, plan):
        """Return the relative error of the outputs of a plan on the first samples of the data."""
        return _distance(self._outputs(self.apply(plan)), self._exact)

    def accuracy(self, model):
        """Return the accuracy of a model on the data."""
        return accuracy(model, self.batches)

    @property
    def measures(self):
        """Those that are tried: without data nothing tells which one is best."""
        return list(MEASURES) if self.batches is not None and self.options else ["product"]

    def harm(self, plan):
        """Return the cross-entropy of a plan on the first samples, or without classes the error of its outputs."""
        if any(labels is None or labels.is_floating_point() or labels.ndim != 1 for _, labels in self._first):
            return plan.error
        small, total = self.apply(plan), 0.0
        with evaluating(small):
            for inputs, labels in self._first:
                logits = output(small, own(inputs))
                if logits.ndim != 2 or int(labels.max()) >= logits.shape[1] or int(labels.min()) < 0:
                    return plan.error
                total += float(nn.functional.cross_entropy(logits.double(), labels.long(), reduction="sum"))
        return total

    def slower(self, plan):
        """Return the linear sites whose form is slower than the dense layer, on 128 rows."""
        slow = []
        for name, choice in plan.choices.items():
            site = self.sites[name]
            if choice.method != "dense" and site.kind == "Linear":
                dense = self.model.get_submodule(site.path)
                form = self.apply(dataclasses.replace(plan, choices={name: choice})).get_submodule(site.path)
                like = {"dtype": dense.weight.dtype, "device": dense.weight.device}
                x = torch.rand(128, site.in_features, **like)
                before, after = compare([functools.partial(each, x) for each in (dense, form)])
                if after > before:
                    slow.append(name)
        return slow


def _within(sites, reasons, layers):
    """Return the sites that layers name."""
    if layers is None:
        return sites
    layers = [layers] if isinstance(layers, str) else layers
    if not isinstance(layers, (list, tuple, set)) or not all(isinstance(layer, str) for layer in layers):
        raise SSHMLError(f"layers are {shown(layers)}; expected names: {', '.join(sites) or 'there are none'}.")
    found = {}
    for layer in layers:
        here = {
            name: site for name, site in sites.items() if layer in (name, site.path) or name.startswith(f"{layer}.")
        }
        if not here:
            why = reasons.get(layer)
            known = ", ".join(sites) or "none"
            raise SSHMLError(
                f"layer {shown(layer)} cannot be compressed: {why or 'there is none'}; those that can: {known}."
            )
        found |= here
    return {name: site for name, site in sites.items() if name in found}


def _checked_blocks(blocks, sites):
    """Return blocks by the name of their site, or raise."""
    blocks = {} if blocks is None else instance(blocks, "blocks", dict, "{name of the site: blocks of its inputs}")
    for name, given in blocks.items():
        if name not in sites:
            raise SSHMLError(f"blocks are given for {shown(name)}; the sites are {', '.join(sites) or 'none'}.")
        as_blocks(given, sites[name].in_features)
    return blocks


def _up(share):
    return f"{math.ceil(share * 1e4) / 1e4:.4f}"


def _distance(outputs, exact):
    """Return ||outputs - exact|| / ||exact|| over all batches, infinite where the shapes differ."""
    if any(a.shape != b.shape for a, b in zip(outputs, exact, strict=True)):
        return math.inf
    square = sum(float((a.double() - b.double()).square().sum()) for a, b in zip(outputs, exact, strict=True))
    norm = sum(float(b.double().square().sum()) for b in exact)
    return math.sqrt(square / max(norm, 1e-300))


def accuracy(model, batches):
    """Return the share of samples whose largest output is their label; of a single output, whether it is above 0.

    Raises:
        SSHMLError: no labels, or labels and outputs that do not match.
    """
    hits = count = 0
    with evaluating(model):
        for inputs, labels in batches:
            if labels is None:
                raise SSHMLError("data has no labels; give (inputs, labels), or evaluate=... of your own.")
            found = is_correct(output(model, inputs), labels)
            hits, count = hits + int(found.sum()), count + len(found)
    return hits / count
