"""Replace layers of a model by compressed ones, and count what is stored."""

import inspect

from torch import nn

from sshml.arguments import as_module, choice, flag, instance, shown
from sshml.compression.attention import CompressedAttention
from sshml.compression.convolution import CompressedConv
from sshml.compression.forms import METHODS
from sshml.compression.layer import HALF, plain_linear
from sshml.compression.menu import Menu
from sshml.compression.modules import copied, find_layer, leaves_chance_alone, n_bytes, replaced
from sshml.compression.mpo import MPOLinear
from sshml.compression.plan import Plan
from sshml.compression.planner import plan
from sshml.compression.sites import survey
from sshml.errors import SSHMLError

LAYERS = {layer.__name__: layer for layer in (*METHODS.values(), CompressedConv, CompressedAttention)}


PLANNING = frozenset(inspect.signature(plan).parameters) - {
    "model",
    "share",
    "n_bytes",
    "tolerance",
    "accuracy",
    "data",
}
"""What goes with a budget."""


@leaves_chance_alone
def compress(
    model,
    layer=...,
    method=None,
    *,
    share=None,
    n_bytes=None,
    tolerance=None,
    accuracy=None,
    data=None,
    allow_growth=False,
    **options,
):
    """Return a copy of a model in compressed form: within a budget, as a plan says, or one layer in one form.

    compress(model, share=0.1, data=x) chooses the forms and sizes of all layers at once, see `plan`;
    compress(model, plan) applies a plan; compress(model, 0, "svd", rank=8) compresses one layer. Linear layers,
    convolutions (1-D and 2-D) and multi-head attention are compressed, also within other modules; all else stays as it
    is, and `report` says why. Hooks, modes, devices and types of numbers stay; the copy is never larger than the model.
    A fitted `MLPClassifier` or `MLPRegressor` of scikit-learn becomes a predictor of the same interface.

    Args:
        model: any `nn.Module`, which is left as it is; or a fitted perceptron of scikit-learn.
        layer: a `Plan`; or the name of a layer, its number among the linear layers, or a list of these; 0 if not given.
        method: for a layer: "svd" (rank=...), "mpo" (max_bond=... or cutoff=..., also shape=..., order=...) "prune"
            (keep=...) or "blocks" (ranks=..., also blocks=...); "svd" if None.
        share: budget: share of the bytes of the whole model.
        n_bytes: budget: bytes.
        tolerance: instead of a budget: relative error of the outputs on `data`.
        accuracy: instead of a budget: accuracy to keep on `data`, or what `evaluate` must reach.
        data: what the model sees, see `plan`; for a plan made with data and read from a file, the same data.
        allow_growth: accept a layer, or by a plan a model, that stores more than before.
        **options: with a budget what `plan` takes: methods, layers, evaluate, absorb_bias, shrink, faster, blocks,
            progress; for a layer the arguments of its form.

    Raises:
        SSHMLError: as `plan`; unknown method or layer, a layer that cannot be compressed, with the reason, a size out
            of range.

    >>> model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> n_parameters(model), n_parameters(compress(model, 0, "svd", rank=2))
    (90, 58)
    """
    goals = {"share": share, "n_bytes": n_bytes, "tolerance": tolerance, "accuracy": accuracy}
    given = any(value is not None for value in goals.values())
    if hasattr(model, "coefs_") and hasattr(model, "intercepts_"):
        from sshml.compression.estimators import compressed_estimator

        arguments = {"layer": layer, "method": method, "allow_growth": allow_growth}
        return compressed_estimator(model, arguments | goals | options, data)
    allow_growth = flag(allow_growth, "allow_growth")
    model = as_module(model)
    if given:
        if layer is not ... or method is not None or not set(options) <= PLANNING:
            other = ", ".join(sorted(set(options) - PLANNING)) or "a layer or method"
            raise SSHMLError(
                f"a budget is for the whole model, not for {other}; narrow it by layers=... and methods=..."
            )
        found = plan(model, **goals, data=data, **options)
        return _grown(model, found.menu.apply(found, model), allow_growth)
    if isinstance(layer, Plan):
        if method is not None or set(options) - {"progress"}:
            raise SSHMLError("a plan says all; change it with its with_choice(site, method, ...).")
        return _grown(model, _by_plan(model, layer, data, options.get("progress")), allow_growth)
    layer, method = 0 if layer is ... else layer, "svd" if method is None else method
    own = METHODS[choice(method, "method", tuple(METHODS))].options
    if data is not None or set(options) & PLANNING - set(own):
        raise SSHMLError("data, methods and the like go with a budget or a plan: compress(model, share=0.1, data=...).")
    return _one_form(model, layer, method, options | {"allow_growth": allow_growth})


def _by_plan(model, plan, data, progress):
    plan.check()
    if data is not None and not plan.data_aware:
        raise SSHMLError("the plan was made without data; leave data=... out, or make a plan with it.")
    menu = plan.menu
    if menu is None or not menu.serves(model, plan):
        if plan.data_aware and data is None:
            raise SSHMLError("the plan was made with data; pass the same data=... to apply it.")
        aware = data if plan.data_aware else None
        menu = Menu(model, aware, (), None, plan.absorb_bias, plan.shrink, progress)
        unknown = {name: menu.reasons.get(name, "there is none") for name in plan.choices if name not in menu.sites}
        if unknown:
            name, why = next(iter(unknown.items()))
            raise SSHMLError(f"the plan names the site {name!r}, which this model cannot offer: {why}.")
    return menu.apply(plan, model)


def _grown(model, small, allow_growth):
    before, after = n_bytes(model), n_bytes(small)
    if after > before and not allow_growth:
        raise SSHMLError(
            f"the model would store {after} bytes, {before} as it is; choose smaller sizes or pass allow_growth=True."
        )
    return small


def _one_form(model, layer, method, size):
    """Return a copy of a model with one linear layer, or several, in one form."""
    kind = METHODS[method]
    if not set(size) & set(kind.sizes) or set(size) - {*kind.sizes, *kind.options, "allow_growth"}:
        got = ", ".join(name for name in size if name != "allow_growth") or "nothing"
        options = f" (options: {', '.join(kind.options)})" * bool(kind.options)
        raise SSHMLError(
            f"method {shown(method)} takes {' or '.join(f'{s}=...' for s in kind.sizes)}{options}; got {got}."
        )
    layers = layer if isinstance(layer, (list, tuple)) else [layer]
    if not layers:
        raise SSHMLError("layer is an empty list; name one layer at least.")
    small = _replace(model, layers, lambda dense, _: kind.from_dense(dense, **size))
    return _grown(model, small, size["allow_growth"])


def tensorize(model, shapes, max_bond, orders=None):
    """Return a copy of a model with linear layers as matrix product operators of fresh random cores, to be trained.

    Args:
        model: any `nn.Module`; its weights play no role for the layers named, their biases start anew too.
        shapes: {layer: `MPOShape` or (out_dims, in_dims), or None for the automatic one}; a layer is a name or number.
        max_bond: bond dimension of all layers, or {layer: bond}.
        orders: {layer: (order of the outputs, order of the inputs)}, for the layers whose neurons are not taken as they
            come.

    Raises:
        SSHMLError: no such layer, a shape that does not fit it, a bond under 1.

    >>> model = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))
    >>> n_parameters(tensorize(model, {0: ((4, 4, 4, 4), (4, 7, 7, 4))}, max_bond=4))
    3850
    """
    model, shapes = as_module(model), instance(shapes, "shapes", dict, "{layer: shape}")
    orders = {} if orders is None else instance(orders, "orders", dict, "{layer: (outputs, inputs)}")
    if not shapes:
        raise SSHMLError("shapes is empty; name one layer at least.")
    bonds = max_bond if isinstance(max_bond, dict) else dict.fromkeys(shapes, max_bond)
    if set(bonds) != set(shapes):
        raise SSHMLError(f"max_bond names the layers {list(bonds)} and shapes {list(shapes)}; they must agree.")
    if not set(orders) <= set(shapes):
        raise SSHMLError(f"orders names the layers {list(orders)} and shapes {list(shapes)}; name them alike.")

    def fresh(dense, layer):
        bias, order = dense.bias is not None, orders.get(layer)
        like = {"device": dense.weight.device, "dtype": dense.weight.dtype}
        return MPOLinear(dense.in_features, dense.out_features, shapes[layer], bonds[layer], bias, order, **like).train(
            dense.training
        )

    return _replace(model, list(shapes), fresh)


def _replace(model, layers, make):
    """Return a copy of a model with make(dense layer, layer) in the place of each of its layers."""
    _, reasons = survey(model)
    model = copied(model)
    for layer in layers:
        name = find_layer(model, layer)
        dense = model.get_submodule(name)
        if not isinstance(dense, nn.Linear):
            raise SSHMLError(f"layer {name!r} is a {type(dense).__name__} already; call its to_dense() first.")
        if name in reasons:
            raise SSHMLError(f"layer {name!r} cannot be compressed: {reasons[name]}.")
        plain = plain_linear(dense)
        new = make(plain, layer)
        if dense.weight.dtype in HALF:
            new = new.to(dense.weight.dtype)
        model = replaced(model, name, new)
    return model


def n_parameters(model):
    """Return the number of parameters stored in a model."""
    return sum(parameter.numel() for parameter in as_module(model).parameters())
