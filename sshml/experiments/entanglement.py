"""How entangled trained weights are: entropies of FC2 against bond, training and ordering, and the 32 x 32 network.

Gao et al., Phys. Rev. Research 2, 023300 (2020), give the entropies of layer 1 of FC2 at each cut; Harada (slides,
2022) says that the ordering of the neurons matters and asks which parts of a trained weight are effective.
Random-matrix baselines, fresh cores and seeds are ours.
"""

import dataclasses
import functools
import json

import numpy as np
from torch import nn

from sshml.analysis import (
    ceilings,
    compress_run,
    cut_entropies,
    entanglement_entropy,
    gaussian_cuts,
    schmidt_values,
)
from sshml.classifier import FC2, MLP
from sshml.compression import MPOLinear, MPOShape, orders, tensorize
from sshml.dataset import images
from sshml.experiments import NOT_ZERO, POSITIVE, Claim, Experiment, Job, above, near
from sshml.experiments.image_nets import (
    BLOCKS,
    ENTROPIES,
    FC2_SHAPE,
    LONG,
    TESTED,
    TITLES,
    Averaged,
    fc2_network,
    network,
    too_short,
    train,
    trained,
)
from sshml.plotting import COLORS, legend_below, name_panel, new_figure, plot_band, plot_cuts, plot_groups, plot_points
from sshml.statistics import band
from sshml.tables import pivot

PUBLISHED = {"mnist": (2.30, 2.92, 2.19), "fashion-mnist": (2.43, 3.11, 2.55)}
"""Entropies in nats of layer 1 at D = 24, cut by cut, read off the figure of Gao et al. 2020."""
SQUARE = MPOShape((4,) * 5, (4,) * 5)
"""The 1024 x 1024 layer of Harada's network for images of 32 x 32 pixels."""


@dataclasses.dataclass(frozen=True)
class Settings(Averaged):
    """Size of the run; the defaults are the quick grid."""

    bonds: tuple = (2, 4, 16, 24)
    order_bond: int = 16
    trained_bond: int = 4
    swaps: int = 100
    square_bond: int = 16
    square_epochs: int = 3


FULL = {"epochs": LONG, "bonds": tuple(range(2, 26, 2)), "swaps": 3000, "square_epochs": 15}
"""Changes for `--full`."""
ORDERS = {
    "truncated": ("row-major", "blocked", "random", "spectral", "searched"),
    "trained": ("row-major", "blocked", "random"),
}


def training(where, network, data):
    """Return the entropies of layer 1 of dense networks through their training."""
    recorded, run = json.loads((network.folder / ENTROPIES).read_text(encoding="utf-8")), trained(network, FC2)
    initial = [cut_entropies(weight, FC2_SHAPE) for weight in run.initial["1.weight"]]
    found = zip([0, *recorded["epochs"]], [initial, *recorded["entropies"]["1"]], strict=True)
    return {"training": [row for epoch, each in found for row in _rows(each, run.seeds, data=data, epoch=epoch)]}


def mpo(where, network, data, bond, order="row-major"):
    """Return accuracy and entropies of layer 1 of FC2 in MPO form, its pixels in an order."""
    run = trained(network, fc2_network("mpo", bond, order))
    entropies = {
        when: [cut_entropies(_layer(model)) for model in run.models(initial=when == "initial")]
        for when in ("initial", "trained")
    }
    rows = [row for when, each in entropies.items() for row in _rows(each, run.seeds, data=data, bond=bond, when=when)]
    trained_rows = [
        {
            "data": data, "kind": "trained", "order": order, "bond": bond, "seed": row["seed"],
            "entropy": f"{entropies['trained'][member][1]:.6g}", "error": "", "dense": "", "test": row["test"],
            "numbers": FC2_SHAPE.n_parameters(bond),
        }
        for member, row in enumerate(network.tables["curve"])
    ]  # fmt: skip
    return {"bonds": rows if order == "row-major" else [], "trained": trained_rows}


def truncated(where, data, dense, bond, swaps, valid):
    """Measure entropy, truncation error and accuracy of the trained dense layer truncated in several orders."""
    split, run, rows = images(data, where.root, valid), trained(dense, FC2), []
    full = run.accuracy(split.test, where.device)
    for member, seed in enumerate(run.seeds):
        one = run[member]
        weight = one.weights["1.weight"][0]
        ways = {
            "row-major": (FC2_SHAPE, None),
            "blocked": (FC2_SHAPE, (None, BLOCKS)),
            "random": (FC2_SHAPE, (orders.shuffled(256, int(seed)), orders.shuffled(784, int(seed)))),
            "spectral": (FC2_SHAPE, orders.spectral(weight)),
            "searched": orders.search(weight, FC2_SHAPE, bond, swaps, int(seed)),
        }
        for order, (shape, places) in ways.items():
            small = compress_run(one, 0, "mpo", max_bond=bond, shape=shape, order=places)
            rows.append({
                "data": data, "kind": "truncated", "order": order, "bond": bond, "seed": seed,
                "entropy": f"{cut_entropies(weight, shape, places)[1]:.6g}",
                "error": f"{orders.truncation_error(weight, shape, places, bond) ** 0.5:.6g}",
                "dense": f"{full[member]:.6g}", "test": f"{small.accuracy(split.test, where.device)[0]:.6g}",
                "numbers": shape.n_parameters(bond),
            })  # fmt: skip
        where.progress(member + 1, len(run))
    return {"orders": rows}


def square(where, family, bond, training, seeds, valid):
    """Train the network for images of 32 x 32 pixels; entropies of its 1024 x 1024 layer, dense or an MPO."""
    split = images("mnist", where.root, valid, padding=2)
    widths = (1024, 1024, 10)
    factories = {
        "dense": functools.partial(MLP, widths),
        "mpo": lambda: tensorize(MLP(widths), {0: SQUARE}, bond),
    }
    run, rows = train(where, factories[family], split, training, seeds), []
    test = run.accuracy(split.test, where.device)
    for when in ("initial", "trained"):
        for member, seed in enumerate(run.seeds):
            layer = _layer(run.model(member, initial=when == "initial"))
            cuts = cut_entropies(layer, None if family == "mpo" else SQUARE)
            legs = entanglement_entropy(schmidt_values(layer))
            for cut, entropy in [*enumerate(cuts, 1), ("out | in", legs)]:
                rows.append({
                    "family": family, "bond": bond if family == "mpo" else "", "when": when,
                    "seed": seed, "cut": cut, "entropy": f"{entropy:.6g}", "test": f"{test[member]:.6g}",
                })  # fmt: skip
    return {"square": rows}


def jobs(settings):
    """Yield what is read off the networks of FC2 of every bond and order, and those for 32 x 32 pixels."""

    def made(data, family, bond, **order):
        own, training = {"data": data, "family": family, "bond": bond}, settings.training_at(family, bond)
        return Job(network, own | order | training, settings.work(training["training"].epochs))

    for data in TITLES:
        dense = made(data, "dense", 0)
        yield Job(training, {"network": dense, "data": data}, settings.seeds)
        for bond in settings.bonds:
            yield Job(mpo, {"network": made(data, "mpo", bond), "data": data, "bond": bond}, settings.seeds)
        own = {"data": data, "dense": dense, "bond": settings.order_bond, "swaps": settings.swaps}
        yield Job(truncated, own | {"valid": settings.valid}, settings.seeds * (1 + settings.swaps / 100))
        for order in ORDERS["trained"]:
            if order != "row-major" or settings.trained_bond not in settings.bonds:
                own = {"data": data, "bond": settings.trained_bond, "order": order}
                yield Job(mpo, own | {"network": made(data, "mpo", settings.trained_bond, order=order)}, settings.seeds)
    short = settings.training(epochs=settings.square_epochs, learning_rate=1e-3)
    for family in ("dense", "mpo"):
        own = {"family": family, "bond": settings.square_bond if family == "mpo" else 0}
        yield Job(square, own | short, settings.work(settings.square_epochs))


def _layer(model):
    return next(module for module in model.modules() if isinstance(module, (nn.Linear, MPOLinear)))


def _rows(entropies, seeds, **head):
    """Yield a row per seed and cut of entropies (seed, cut)."""
    for seed, member in zip(seeds, entropies, strict=True):
        for cut, entropy in enumerate(member, 1):
            yield head | {"seed": seed, "cut": cut, "entropy": f"{entropy:.6g}"}


def claims(tables, settings):
    """Yield entropies beside the published ones, their growth with the bond, orders, and the 32 x 32 network."""
    smallest, largest = min(settings.bonds), max(settings.bonds)
    trained_at, unlike = functools.partial(_entropy, tables), too_short(settings)
    for cut in (1, 2, 3):
        for name, title in TITLES.items():
            published = PUBLISHED[name][cut - 1]
            yield Claim(
                "G6", f"entropy at cut {cut}, D = {largest}, {title} (nats)",
                functools.partial(trained_at, name, cut, largest),
                *(("Gao et al. 2020", f"{published}", near(published, 0.2), unlike) if largest == 24 else ()),
            )  # fmt: skip
            yield Claim(
                "G6", f"entropy grows with D, cut {cut}, {title}: D = {largest} less {smallest}",
                lambda name=name, cut=cut: trained_at(name, cut, largest) - trained_at(name, cut, smallest),
                "Gao et al. 2020", "> 0", above(0),
            )  # fmt: skip
        yield Claim(
            "G6", f"entropy of Fashion-MNIST less MNIST, cut {cut}, D = {largest}",
            lambda cut=cut: trained_at("fashion-mnist", cut, largest) - trained_at("mnist", cut, largest),
            "Gao et al. 2020", "> 0", POSITIVE,
        )  # fmt: skip
    yield from _order_claims(tables, settings)
    gaussian = gaussian_cuts(SQUARE)[0]
    for family in ("dense", "mpo"):
        found = functools.partial(tables.columns, "square", family=family, cut="2", when="trained")
        yield Claim(
            "H4", f"entropy of the trained 1024 x 1024 layer at cut 2, {family} (Gaussian: {gaussian[1]:.3f} nats)",
            lambda found=found: found()["entropy"],
        )  # fmt: skip
        yield Claim(
            "H4", f"accuracy of the 32 x 32 network, {family}", lambda found=found: found()["test"], tested=TESTED
        )


def _entropy(tables, data, cut, bond, when="trained"):
    """Return the entropies of layer 1 at a cut, seed by seed."""
    return tables.columns("bonds", data=data, bond=bond, cut=cut, when=when)["entropy"]


def _ordered(tables, settings, data, kind, order):
    """Return the columns of the networks with their neurons in an order, trained so or truncated so."""
    if kind == "truncated":
        return tables.columns("orders", data=data, order=order)
    return tables.columns("trained", data=data, order=order, bond=settings.trained_bond)


def _order_claims(tables, settings):
    for name, title in TITLES.items():
        for kind, ways in ORDERS.items():
            bond = settings.order_bond if kind == "truncated" else settings.trained_bond
            accuracy = functools.partial(_ordered, tables, settings, name, kind)
            for order in ways[1:]:
                said = ("Harada 2022", "order matters", NOT_ZERO) if order == "random" else ()
                yield Claim(
                    "H3", f"accuracy {kind} at D = {bond} in {order} order less row-major, {title}",
                    lambda get=accuracy, order=order: get(order)["test"] - get("row-major")["test"], *said,
                )  # fmt: skip


def _bonds(tables, settings):
    """Draw entropies against the bond.

    Entropy of layer 1 of FC2, trained as an MPO, at its three cuts against the bond dimension; squares: untrained
    cores; crosses: published for D = 24, drawn beside it. Bars: one standard deviation over networks, dots single ones.
    """
    figure, axes = new_figure(1, 3, width=3.5, height=3.2, sharey=True)
    for cut, ax in enumerate(axes[0], 1):
        bonds = sorted(settings.bonds)
        for name, color in zip(TITLES, COLORS, strict=False):
            groups = [_entropy(tables, name, cut, bond) for bond in bonds]
            plot_points(ax, bonds, groups, fmt="o-", color=color, markersize=4, label=TITLES[name])
        groups = [_entropy(tables, "mnist", cut, bond, "initial") for bond in bonds]  # the same for both
        plot_points(ax, bonds, groups, fmt="s:", color="0.5", markersize=3, label="fresh cores")
        top = [ceilings(FC2_SHAPE, int(bond))[cut - 1] for bond in bonds]
        ax.plot(bonds, top, color="k", linewidth=1, linestyle=":", label="ceiling, ln of the bond")
        for name, color in zip(TITLES, COLORS, strict=False):
            label = f"{TITLES[name]}, Gao et al. 2020"
            ax.plot(25.5, PUBLISHED[name][cut - 1], "x", color=color, label=label, zorder=5)
        ax.set_xlabel("bond dimension $D$")
        name_panel(ax, f"cut {cut}")
    axes[0, 0].set_ylabel("entanglement entropy $S$ (nats)")
    axes[0, 2].legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def _over_training(tables, settings):
    """Draw entropies over training.

    Entropy of layer 1 of the dense FC2 at the three cuts less the mean of Gaussian matrices, whose own standard
    deviation is below .002 nats, against the epoch; bands: one standard deviation over networks.
    """
    figure, axes = new_figure(1, 3, width=3.5, height=3, sharey=True)
    mean, _ = gaussian_cuts(FC2_SHAPE)
    for cut, ax in enumerate(axes[0], 1):
        for name, color in zip(TITLES, COLORS, strict=False):
            _, epochs, values = pivot(tables.columns("training", data=name, cut=cut), "seed", "epoch", "entropy")
            plot_band(ax, epochs, *band(values - mean[cut - 1]), TITLES[name], color, marker=".", markersize=3)
        ax.axhline(0, color="0.3", linewidth=1, label="Gaussian matrix")
        ax.set_xlabel("epoch")
        name_panel(ax, f"dense FC2, layer 1, cut {cut}")
    axes[0, 0].set_ylabel("entropy less that of a Gaussian\nmatrix (nats)")
    axes[0, 0].legend(fontsize=7, loc="lower left")
    return figure


def _orders(tables, settings):
    """Draw what the order of pixels does.

    FC2 with its pixels in several orders: (a) entropy of the trained weight at cut 2, (b) accuracy of trained dense
    networks truncated in that order, without fine-tuning, (c) accuracy of MPOs trained in that order, of three of them,
    less that of the MPOs of the same seeds trained row by row. Dots are networks, bars one standard deviation, in (b)
    with the error of the test set.
    """
    figure, axes = new_figure(1, 3, width=4.2, height=3.4)
    panels = (
        ("truncated", "entropy", "entropy at cut 2 (nats)"),
        ("truncated", "test", "test accuracy, truncated"),
        ("trained", "test", "test accuracy, trained as MPO, less\nthat row by row (percentage points)"),
    )
    for ax, (kind, quantity, label) in zip(axes[0], panels, strict=True):
        for (name, title), color, offset in zip(TITLES.items(), COLORS, (-0.12, 0.12), strict=False):
            groups = [_ordered(tables, settings, name, kind, order)[quantity] for order in ORDERS[kind]]
            if kind == "trained":
                groups = [100 * (group - groups[0]) for group in groups]
            tested = TESTED if (kind, quantity) == ("truncated", "test") else 0
            plot_groups(ax, ORDERS[kind], groups, color, offset, title, tested)
        bond = settings.order_bond if kind == "truncated" else settings.trained_bond
        ax.set_ylabel(label)
        if quantity == "test":
            name_panel(ax, f"D = {bond}")
        ax.tick_params(axis="x", labelsize=7, rotation=20)
    axes[0, 0].legend(fontsize=7)
    return figure


def _square_figure(tables, settings):
    """Draw the entropies of a square layer.

    Entropy of the 1024 x 1024 layer at its cuts, (a) dense, (b) trained as an MPO, on MNIST, beside the mean of
    Gaussian matrices, in (b) at cuts 2 and 3 above what the bond allows, and ceilings, at cuts 1 and 4 on the same
    line. Bars: one standard deviation over networks, dots single ones.
    """
    figure, axes = new_figure(1, 2, width=5, height=3.4)
    mean, std = gaussian_cuts(SQUARE)
    for ax, family in zip(axes[0], ("dense", "mpo"), strict=True):
        groups = {}
        for when, label in (("trained", "trained"), ("initial", "at initialisation")):
            cuts = [tables.columns("square", family=family, when=when, cut=str(c)) for c in range(1, 5)]
            groups[label] = np.stack([c["entropy"] for c in cuts], axis=1)
        bond = None if family == "dense" else int(cuts[0]["bond"][0])
        plot_cuts(ax, ["1", "2", "3", "4"], groups, mean, std, ceilings(SQUARE, bond), ("k", COLORS[5]))
        name_panel(ax, f"1024 x 1024 layer, {'dense' if bond is None else f'MPO, D = {bond}'}")
    legend_below(figure, axes[0, 1])
    return figure


FIGURES = {"bonds": _bonds, "training": _over_training, "orders": _orders, "square": _square_figure}
experiment = Experiment(Settings, jobs, claims, FIGURES, full=FULL)
