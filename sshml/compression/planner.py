"""From a budget, a tolerance or an accuracy to a plan, chosen over all layers at once."""

import dataclasses
import json
import math

import numpy as np

from sshml.arguments import flag, function, real, shown
from sshml.compression.batches import Batches
from sshml.compression.forms import OF, USUAL, check_methods, check_used
from sshml.compression.menu import Menu, accuracy
from sshml.compression.modules import leaves_chance_alone
from sshml.errors import SSHMLError
from sshml.tables import aligned

GOALS = ("share", "n_bytes", "tolerance", "accuracy")


@leaves_chance_alone
def plan(
    model,
    *,
    share=None,
    n_bytes=None,
    tolerance=None,
    accuracy=None,
    evaluate=None,
    data=None,
    methods=USUAL,
    layers=None,
    absorb_bias=False,
    shrink=False,
    faster=False,
    blocks=None,
    progress=None,
):
    """Return the `Plan` that loses least within a budget, or stores least within a tolerance.

    Each matrix W of the model, in each form and size, has bytes and a loss ||(W - W') X||^2 / ||W X||^2 on its inputs X
    in the data (||W - W'||^2 / ||W||^2 without data). Of all combinations over the layers, dense ones among them, the
    front of least loss for its bytes is worked out, and the plan is the last point of it within the budget. With data
    that is done for three MEASURES of what the layers lose together; of a budget the plan stays whose outputs are best,
    by the cross-entropy on the first samples where there are labels, else by the error of the outputs; of a tolerance
    or an accuracy the smallest.

    Args:
        model: any `nn.Module`; it is left as it is.
        share: of the bytes of the whole model (parameters, buffers, indices), as 0.1; never exceeded.
        n_bytes: the budget in bytes.
        tolerance: instead of a budget: relative error ||f'(X) - f(X)|| / ||f(X)|| of the outputs on `data`.
        accuracy: instead of a budget: what `evaluate` must reach.
        evaluate: called as evaluate(model), returns a number, larger for better; the accuracy on `data` if None.
        data: what the model sees, see `Batches`: an array of inputs, (inputs, labels), a split, a `DataLoader`.
        methods: of "svd", "mpo", "prune" and "blocks", those that may be chosen; one of them as a text will do. SVD and
            blocks are cut in the metric of the data, and pruning goes by it; an MPO is cut in the plain one, as roots
            of second moments mix its sites, and its loss on the data is measured afterwards.
        layers: names of the sites, or of modules that hold them, that may change; all if None.
        absorb_bias: cut the bias of linear layers with the weight, as a further column; these then have no other form
            than the SVD.
        shrink: shrink the kept singular values as if the rest were noise, see `Spectrum.shrinkage`.
        faster: leave a linear layer dense where its form is slower than it, measured on this machine.
        blocks: for the method "blocks": {name of the site: number of equal blocks of its inputs, or the size of each};
            of the others about as many as a block has inputs.
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
    value = _check_goal(goal, value)
    for name, call in (("evaluate", evaluate), ("progress", progress)):
        function(call, name, optional=True)
    for name, value_ in (("absorb_bias", absorb_bias), ("shrink", shrink), ("faster", faster)):
        flag(value_, name)
    if evaluate is not None and goal != "accuracy":
        raise SSHMLError("evaluate has a meaning beside accuracy=... only.")
    if data is None and (goal == "tolerance" or (goal == "accuracy" and evaluate is None)):
        raise SSHMLError(f"{goal} needs data=... to measure it on.")
    methods = check_methods(methods)
    check_used(methods, absorb_bias=absorb_bias, shrink=shrink, blocks=blocks)
    menu = Menu(model, data, methods, layers, absorb_bias, shrink, progress, blocks)
    if goal == "accuracy" and evaluate is None:
        evaluate = menu.accuracy
    found = _chosen(menu, goal, value, evaluate)
    slow = set()
    while faster:
        new = menu.slower(found)
        if not new:
            break
        slow.update(new)
        try:
            found = _chosen(menu.without(slow), goal, value, evaluate)
        except SSHMLError as error:
            raise SSHMLError(
                f"{error} faster=True left {len(slow)} layers dense whose forms are slower here."
            ) from None
        found.notes.append(f"kept dense, as their forms were slower here: {', '.join(sorted(slow))}")
    return found


def _check_goal(goal, value):
    bounds = {
        "share": {"above": 0, "most": 1},
        "n_bytes": {"least": 1},
        "tolerance": {"least": 0, "below": 1},
        "accuracy": {},
    }
    return real(value, goal, **bounds[goal])


def _chosen(menu, goal, value, evaluate):
    """Return the plan for a goal: by the first measure, or with data by the one whose plan does best on them."""
    if goal in ("share", "n_bytes"):
        budget = math.floor(value * menu.n_bytes + 1e-9) if goal == "share" else math.floor(value)
        plans = [menu.within(menu.front(measure), budget) for measure in menu.measures]
        return min(plans, key=lambda plan: (menu.harm(plan) if len(plans) > 1 else 0, plan.n_bytes))
    if goal == "tolerance":
        reached = lambda plan: menu.error(plan) <= value  # noqa: E731
    else:
        reached = lambda plan: _number(evaluate(menu.apply(plan))) >= value  # noqa: E731
    plans = [menu.smallest(menu.front(measure), reached, f"{goal} {value}") for measure in menu.measures]
    return min(plans, key=lambda plan: plan.n_bytes)


def _number(value):
    try:
        return float(value)
    except (TypeError, ValueError):
        raise SSHMLError(f"evaluate returned {shown(value)}; expected a number.") from None


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


@leaves_chance_alone
def front(model, data=None, shares=SHARES, *, test=None, evaluate=None, **options):
    """Return the `Front` of a model: bytes against accuracy and error of the outputs, without retraining.

    Args:
        model: any `nn.Module`; it is left as it is.
        data: as in `plan`: what the plans are made from.
        shares: of the bytes of the whole model.
        test: (inputs, labels) or a split for the accuracies; those of `data` if None.
        evaluate: called as evaluate(model), instead of the accuracy on labels.
        **options: as in `plan`: methods, layers, absorb_bias, shrink, blocks, progress.

    Raises:
        SSHMLError: as `plan`.
    """
    if not isinstance(shares, (list, tuple, np.ndarray)):
        raise SSHMLError(f"shares are {shown(shares)}; expected a list of shares of the bytes.")
    shares = [_check_goal("share", share) for share in shares]
    function(evaluate, "evaluate", optional=True)
    methods = check_methods(options.get("methods", USUAL))
    check_used(methods, **{name: options.get(name) for name in OF})
    menu = Menu(model, data, **options | {"methods": methods})
    own, test = test is not None, menu.batches if test is None else Batches(test, menu.model)
    labelled = test is not None and next(iter(test))[1] is not None
    if own and not labelled and evaluate is None:
        raise SSHMLError("test has no labels; give (inputs, labels), or evaluate=... of your own.")
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
