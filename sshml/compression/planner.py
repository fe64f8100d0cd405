"""From a budget, a tolerance or an accuracy to a plan, chosen over all layers at once."""

import dataclasses
import functools
import json
import math
import numbers

import numpy as np
import torch
from torch import nn

from sshml.compression.attention import PARTS, CompressedAttention
from sshml.compression.batches import Batches, output
from sshml.compression.convolution import CompressedConv
from sshml.compression.front import ParetoFront
from sshml.compression.menu import METHODS, SCORED, Options, Spectrum, parts_of
from sshml.compression.moments import second_moments
from sshml.compression.plan import Choice, Plan
from sshml.compression.sites import copied, evaluating, replaced, survey
from sshml.compression.timing import compare
from sshml.errors import SSHMLError
from sshml.tables import aligned

LOOK = 1024
"""Samples on which plans are compared by the outputs of the whole model."""

GOALS = ("share", "n_bytes", "tolerance", "accuracy")


def plan(
    model,
    *,
    share=None,
    n_bytes=None,
    tolerance=None,
    accuracy=None,
    evaluate=None,
    data=None,
    methods=("svd", "mpo"),
    layers=None,
    absorb_bias=False,
    shrink=False,
    faster=False,
    progress=None,
):
    """Return the `Plan` that loses least within a budget, or stores least within a tolerance.

    Each matrix W of the model, in each form and size, has bytes and a loss ||(W - W') X||^2 / ||W X||^2 on its inputs X
    in the data (||W - W'||^2 / ||W||^2 without data). Of all combinations over the layers, dense ones among them, the
    front of least loss for its bytes is worked out, and the plan is the last point of it within the budget. With data
    that is done for three MEASURES of what the layers lose together, and the plan stays whose outputs are best: by the
    cross-entropy on the first samples where there are labels, else by the error of the outputs.

    Args:
        model: any `nn.Module`; it is left as it is.
        share: of the bytes of the whole model (parameters, buffers, indices), as 0.1; never exceeded.
        n_bytes: the budget in bytes.
        tolerance: instead of a budget: relative error ||f'(X) - f(X)|| / ||f(X)|| of the outputs on `data`.
        accuracy: instead of a budget: what `evaluate` must reach.
        evaluate: called as evaluate(model), returns a number, larger for better; the accuracy on `data` if None.
        data: what the model sees, see `Batches`: an array of inputs, (inputs, labels), a split, a `DataLoader`.
        methods: of "svd", "mpo" and "prune", those that may be chosen; one of them as a text will do.
        layers: names of the sites, or of modules that hold them, that may change; all if None.
        absorb_bias: cut the bias of linear layers in SVD form with the weight, as a further column.
        shrink: shrink the kept singular values as if the rest were noise, see `Spectrum.shrinkage`.
        faster: leave a layer dense where its form is slower than it, measured on this machine.
        progress: called as progress(done, total) while the data run through the model.

    Raises:
        SSHMLError: not exactly one of share, n_bytes, tolerance and accuracy; a budget under the smallest possible one,
            which is named; a tolerance or accuracy out of reach; layers or methods that are unknown.
    """
    goals = {"share": share, "n_bytes": n_bytes, "tolerance": tolerance, "accuracy": accuracy}
    given = {name: value for name, value in goals.items() if value is not None}
    if len(given) != 1:
        raise SSHMLError(f"give one of {', '.join(GOALS)}; got {', '.join(given) or 'none'}.")
    goal, value = next(iter(given.items()))
    _check_goal(goal, value)
    if not methods:
        raise SSHMLError(f"methods are {methods!r}; choose of {', '.join(METHODS)}.")
    if evaluate is not None and goal != "accuracy":
        raise SSHMLError("evaluate has a meaning beside accuracy=... only.")
    if data is None and (goal == "tolerance" or (goal == "accuracy" and evaluate is None)):
        raise SSHMLError(f"{goal} needs data=... to measure it on.")
    menu = Menu(model, data, methods, layers, absorb_bias, shrink, progress)
    if goal == "accuracy" and evaluate is None:
        evaluate = menu.accuracy
    found = _chosen(menu, goal, value, evaluate)
    while faster:
        slow = menu.slower(found)
        if not slow:
            break
        found = _chosen(menu.without(slow), goal, value, evaluate)
        found.notes.append(f"kept dense, as the form was slower here: {', '.join(slow)}")
    return found


def _check_goal(goal, value):
    real = isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)
    expected = {
        "share": ("a share of the bytes, above 0 and at most 1", lambda x: 0 < x <= 1),
        "n_bytes": ("a number of bytes of at least 1", lambda x: x >= 1),
        "tolerance": ("a relative error from 0 up to 1", lambda x: 0 <= x < 1),
        "accuracy": ("a number", lambda x: True),
    }
    words, fits = expected[goal]
    if not real or not fits(value):
        raise SSHMLError(f"{goal} is {value!r}; expected {words}.")


MEASURES = {
    "product": lambda loss: -np.log(np.maximum(1 - loss, 1e-12)),
    "sum": lambda loss: loss,
    "squares": np.square,
}
"""What is least over the layers: of losses L the product of the shares 1 - L that are kept, the sum, or the squares.

Where losses are small the first two are one; where they are not, none is best for every network and share.
"""


def _chosen(menu, goal, value, evaluate):
    """Return the plan for a goal: by the first measure, or with data by the one whose plan does best on them."""
    if goal in ("share", "n_bytes"):
        budget = math.floor(value * menu.n_bytes + 1e-9) if goal == "share" else math.floor(value)
        plans = [menu.within(menu.front(measure), budget) for measure in menu.measures]
        return min(plans, key=lambda plan: (menu.harm(plan) if len(plans) > 1 else 0, plan.n_bytes))
    if goal == "tolerance":
        reached = lambda plan: menu.error(plan) <= value  # noqa: E731
    else:
        reached = lambda plan: evaluate(menu.apply(plan)) >= value  # noqa: E731
    plans = [menu.smallest(menu.front(measure), reached, f"{goal} {value}") for measure in menu.measures]
    return min(plans, key=lambda plan: plan.n_bytes)


class Menu:
    """A model with all that could be done to it.

    Args:
        model: the module, copied.
        data: as in `plan`.
        methods: as in `plan`.
        layers: as in `plan`.
        absorb_bias: as in `plan`.
        shrink: as in `plan`.
        progress: as in `plan`.
    """

    def __init__(
        self, model, data=None, methods=("svd", "mpo"), layers=None, absorb_bias=False, shrink=False, progress=None
    ):
        methods = (methods,) if isinstance(methods, str) else tuple(methods)
        if not set(methods) <= set(METHODS):
            raise SSHMLError(f"methods are {methods}; choose of {', '.join(METHODS)}.")
        sites, self.reasons = survey(model)
        self.sites = _within(sites, self.reasons, layers)
        self.model, self.absorb_bias, self.shrink, self.notes = copied(model), bool(absorb_bias), bool(shrink), []
        self.n_bytes = sum(tensor.nbytes for tensor in (*model.parameters(), *model.buffers()))
        self.batches = None if data is None else Batches(data, self.model)
        moments, samples = {}, 0
        if self.batches is not None:
            samples = sum(len(next(iter(x.values())) if isinstance(x, dict) else x) for x, _ in self.batches)
            moments = second_moments(self.model, self.sites, self.batches, progress)
        self._methods, self._moments, self._samples = methods, moments, samples
        self.options = {name: self._options(site) for name, site in self.sites.items()}
        self._say_what_is_missing()

    def _options(self, site):
        positions = 1
        if site.name in self._moments:
            positions = self._moments[site.name].rows / self._samples
        weight = self.model.get_submodule(site.path)
        itemsize = site.matrices(self.model).itemsize
        return Options(site, self.spectrum(site), itemsize, positions, self._methods, self.absorbs(site, weight))

    def absorbs(self, site, module):
        """Return whether a site's bias is cut with its weight."""
        parent = self.model.get_submodule(site.path.rpartition(".")[0])
        alone = site.kind == "Linear" and not isinstance(parent, nn.MultiheadAttention)  # which takes the bias itself
        return self.absorb_bias and alone and module.bias is not None

    def spectrum(self, site):
        """Return the `Spectrum` of a site, with its bias as a further column where that is asked for."""
        weight, moment = site.matrices(self.model).double(), self._moments.get(site.name)
        module = self.model.get_submodule(site.path)
        if self.absorbs(site, module):
            weight = torch.cat([weight, module.bias.detach().double()[None, :, None]], 2)
            return Spectrum(weight, None if moment is None else moment.with_one())
        return Spectrum(weight, None if moment is None else moment.mean_square)

    def _say_what_is_missing(self):
        skipped = [name for name, options in self.options.items() if options.skipped]
        if skipped:
            what = f"{skipped[0]} and {len(skipped) - 1} others" if len(skipped) > 1 else skipped[0]
            self.notes.append(f"mpo was not tried on {what}: more than {SCORED} weights; methods='mpo' tries it")
        if self.batches is None:
            self.notes.append("without data: the losses are those of the weights, not of what they do to inputs")
            return
        for name, site in self.sites.items():
            if name not in self._moments:
                self.notes.append(f"{name}: never ran on the data, so it was cut by its weight alone")
            elif self._moments[name].rows < site.in_features:
                rows = self._moments[name].rows
                self.notes.append(
                    f"{name}: {rows} rows of data for {site.in_features} inputs; give more, or it forgets"
                )

    def of(self, model):
        """Return whether the menu is of a model with the very same numbers."""
        own, other = self.model.state_dict(), model.state_dict()
        return own.keys() == other.keys() and all(
            isinstance(a, torch.Tensor) and a.shape == b.shape and a.dtype == b.dtype and torch.equal(a, b)
            for a, b in zip(own.values(), other.values(), strict=True)
        )

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
            raise SSHMLError(
                f"a budget of {budget} bytes is impossible: the smallest possible is {least} bytes, share"
                f" {_up(least / self.n_bytes)}; the rest of the model stays dense."
            )
        found = self.plan_of(front, number)
        for name, choice in found.choices.items():  # few bonds are tried, many exist
            if choice.method == "mpo":
                larger = self.options[name].larger_operator(choice, budget - found.n_bytes)
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

    def apply(self, plan):
        """Return a copy of the model with a plan applied."""
        return applied(copied(self.model), plan, self)

    def _outputs(self, model):
        with evaluating(model):
            return torch.cat([output(model, x).double().flatten(1) for x, _ in self.batches.first(LOOK)])

    def error(self, plan):
        """Return the relative error of the outputs of a plan on the first samples of the data."""
        if not hasattr(self, "_exact"):
            self._exact = self._outputs(self.model)
        return float((self._outputs(self.apply(plan)) - self._exact).norm() / self._exact.norm().clamp_min(1e-300))

    def accuracy(self, model):
        """Return the accuracy of a model on the data."""
        return accuracy(model, self.batches)

    @property
    def measures(self):
        """Those that are tried: without data nothing tells which one is best."""
        return list(MEASURES) if self.batches is not None and self.options else ["product"]

    def harm(self, plan):
        """Return the cross-entropy of a plan on the first samples, or without classes the error of its outputs."""
        batches = [(x, labels) for x, labels in self.batches.first(LOOK)]
        if any(labels is None or labels.is_floating_point() or labels.ndim != 1 for _, labels in batches):
            return plan.error
        small, total = self.apply(plan), 0.0
        with evaluating(small):
            for inputs, labels in batches:
                logits = output(small, inputs)
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
    layers = [layers] if isinstance(layers, str) else list(layers)
    found = {}
    for layer in layers:
        own = {name: site for name, site in sites.items() if layer in (name, site.path) or name.startswith(f"{layer}.")}
        if not own:
            why = reasons.get(layer)
            known = ", ".join(sites) or "none"
            raise SSHMLError(
                f"layer {layer!r} cannot be compressed: {why or 'there is none'}; those that can: {known}."
            )
        found |= own
    return {name: site for name, site in sites.items() if name in found}


def _up(share):
    return f"{math.ceil(share * 1e4) / 1e4:.4f}"


def accuracy(model, batches):
    """Return the share of samples whose largest output is their label.

    Raises:
        SSHMLError: no labels, or labels and outputs that do not match.
    """
    hits = count = 0
    with evaluating(model):
        for inputs, labels in batches:
            if labels is None:
                raise SSHMLError("data has no labels; give (inputs, labels), or evaluate=... of your own.")
            found = output(model, inputs)
            found = found.argmax(1) if found.ndim == labels.ndim + 1 else found.flatten(1).squeeze(1) > 0
            if found.shape != labels.shape:
                raise SSHMLError(f"labels {tuple(labels.shape)} and outputs {tuple(found.shape)} do not match.")
            hits, count = hits + int((found == labels).sum()), count + labels.numel()
    return hits / count


def applied(model, plan, menu):
    """Return a model, a copy that may be changed, with a plan applied.

    Raises:
        SSHMLError: a choice that does not fit its site.
    """
    own = {}
    for name, choice in plan.choices.items():
        if choice.method != "dense":
            own.setdefault(menu.sites[name].path, {})[menu.sites[name].part] = name, choice
    for path, chosen in own.items():
        model = _with_forms(model, path, chosen, menu)
    return model


def _with_forms(model, path, chosen, menu):
    old = model.get_submodule(path)
    made = {}
    for part, (name, choice) in chosen.items():
        site = menu.sites[name]
        absorbs = menu.absorbs(site, menu.model.get_submodule(path))
        spectrum = menu.options[name].spectrum if name in menu.options else menu.spectrum(site)
        weight = site.matrices(menu.model)
        absorbed = absorbs and choice.method == "svd"
        if absorbs and not absorbed:
            spectrum = Spectrum(weight.double())
        try:
            made[part] = parts_of(spectrum, choice.method, choice.size, weight.dtype, absorbed, menu.shrink)
        except (SSHMLError, TypeError) as error:
            raise SSHMLError(f"{name}: {' '.join(str(error).split())}") from None
        _keep_grad(made[part], old, part)
    if isinstance(old, nn.MultiheadAttention):
        dense = (
            old.in_proj_weight.chunk(3)
            if old.in_proj_weight is not None
            else [getattr(old, f"{part}_proj_weight") for part in PARTS]
        )
        parts = []
        for part, weight in zip(PARTS, dense, strict=True):
            if part in made:
                parts += made[part]
            else:
                with torch.device("meta"):
                    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
                layer.weight = nn.Parameter(weight.detach().clone(), requires_grad=weight.requires_grad)
                parts.append(layer)
        new = CompressedAttention.of(old, parts)
    elif isinstance(old, nn.Linear):
        new = made[""][0]
        if not getattr(new, "absorbed", False):
            new.bias = _effective(old.bias)
    else:
        new = CompressedConv.of(old, made[""])
        new.bias = _effective(old.bias)
    return replaced(model, path, new)


def _effective(bias):
    """Return a bias as a parameter: the same object, or what a parametrisation makes of it."""
    return bias if bias is None or isinstance(bias, nn.Parameter) else nn.Parameter(bias.detach().clone())


def _keep_grad(parts, module, part):
    """Let the parameters of forms be trained where the weight of a module was."""
    weight = module.in_proj_weight if part else module.weight
    weight = getattr(module, f"{part}_proj_weight") if weight is None else weight
    for layer in parts:
        for parameter in layer.parameters():
            parameter.requires_grad_(weight.requires_grad)


SHARES = (0.02, 0.03, 0.05, 0.08, 0.12, 0.2, 0.3, 0.5)


@dataclasses.dataclass
class Front:
    """What a model keeps at several shares of its bytes.

    `rows`: {"share" asked for, "bytes", "output_error" on the data of the plans, "accuracy" on the test data or None},
    the model as it is last; `plans`: of each row but the last; impossible shares are missing, `notes` say so.
    """

    rows: list
    plans: list = dataclasses.field(repr=False)
    notes: list

    def __str__(self):
        cells = [
            (
                f"{r['share']:.4g}",
                r["bytes"],
                *("" if r[n] is None else f"{r[n]:.4g}" for n in ("output_error", "accuracy")),
            )
            for r in self.rows
        ]
        text = aligned(("share", "bytes", "error of the outputs", "accuracy"), cells)
        return text + "".join(f"note: {note}\n" for note in self.notes)

    def to_json(self):
        """Return rows and notes as a JSON text."""
        return json.dumps({"rows": self.rows, "notes": self.notes}, indent=1)


def front(model, data=None, shares=SHARES, *, test=None, evaluate=None, **options):
    """Return the `Front` of a model: bytes against accuracy and error of the outputs, without retraining.

    Args:
        model: any `nn.Module`; it is left as it is.
        data: as in `plan`: what the plans are made from.
        shares: of the bytes of the whole model.
        test: (inputs, labels) or a split for the accuracies; those of `data` if None.
        evaluate: called as evaluate(model), instead of the accuracy on labels.
        **options: as in `plan`: methods, layers, absorb_bias, shrink, progress.

    Raises:
        SSHMLError: as `plan`.
    """
    for share in shares:
        _check_goal("share", share)
    menu = Menu(model, data, **options)
    test = menu.batches if test is None else Batches(test, menu.model)
    labelled = test is not None and next(iter(test))[1] is not None
    if evaluate is None and labelled:
        evaluate = lambda small: accuracy(small, test)  # noqa: E731
    rows, plans, notes = [], [], list(menu.notes)
    for share in sorted(shares):
        try:
            found = _chosen(menu, "share", share, None)
        except SSHMLError as error:
            notes.append(f"share {share:g}: {error}")
            continue
        plans.append(found)
        rows.append(_row(share, found.n_bytes, found.error, None if evaluate is None else evaluate(menu.apply(found))))
    exact = None if menu.batches is None else 0.0
    rows.append(_row(1.0, menu.n_bytes, exact, None if evaluate is None else evaluate(menu.model)))
    return Front(rows, plans, notes)


def _row(share, n_bytes, error, found):
    return {"share": share, "bytes": n_bytes, "output_error": error, "accuracy": found}
