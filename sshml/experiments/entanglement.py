"""How entangled trained weights are: entropies of FC2 against bond, training and ordering, and the 32 x 32 network.

Gao et al., Phys. Rev. Research 2, 023300 (2020), give the entropies of layer 1 of FC2 at each cut; Harada (slides,
2022) says that the ordering of the neurons matters and asks which parts of a trained weight are effective.
Random-matrix baselines, fresh cores and seeds are ours.
"""

import dataclasses

import numpy as np
from torch import nn

from sshml.analysis import (
    ceilings,
    compress_run,
    cut_entropies,
    entanglement_entropy,
    entropy_recorder,
    gaussian_cuts,
    schmidt_values,
)
from sshml.classifier import FC2, MLP
from sshml.compression import MPOLinear, MPOShape, tensorize
from sshml.compression.orders import blocked, search, shuffled, spectral, truncation_error
from sshml.experiments.claims import Claim, conclude, save_figures
from sshml.experiments.image_nets import FC2_SHAPE, TITLES, Training, fc2_factory
from sshml.files import new_folder, read_columns, write_csv
from sshml.plotting import COLORS, new_figure, plot_band, plot_cuts, plot_groups, plot_points

PUBLISHED = {"mnist": (2.30, 2.92, 2.19), "fashion-mnist": (2.43, 3.11, 2.55)}
"""Entropies in nats of layer 1 at D = 24, cut by cut, read off the figure of Gao et al. 2020."""
SQUARE = MPOShape((4,) * 5, (4,) * 5)
"""The 1024 x 1024 layer of Harada's network for images of 32 x 32 pixels."""
BLOCKS = blocked((2, 7, 1, 2), (2, 1, 7, 2))
"""Pixels of 28 x 28 so that sites 4, 7, 7, 4 hold halves, rows, columns, and pairs: coarse to fine."""


@dataclasses.dataclass(frozen=True)
class Settings(Training):
    """Size of the run; the defaults are the quick grid."""

    epochs: int = 6
    bonds: tuple = (2, 4, 8, 16, 24)
    order_bond: int = 16
    trained_bond: int = 4
    swaps: int = 100
    square_bond: int = 16
    square_epochs: int = 3


FULL = {"epochs": 60, "bonds": (2, 4, 6, 8, 12, 16, 20, 24, 32), "swaps": 3000, "square_epochs": 30}
"""Changes for `--full`."""


def reproduce(out, settings=None, device="auto", force=False, progress=None):
    """Run the experiment and write figures, their numbers and `claims.csv` into a new folder; return the claims.

    Args:
        out: the folder to make.
        settings: a `Settings`.
        device: "auto", "cpu" or "cuda".
        force: replace a folder that exists.
        progress: called as progress(description), returns a callable (done, total).

    Raises:
        SSHMLError: no images, the folder exists or cannot be written, no such device.
    """
    settings = settings or Settings()
    progress = progress or (lambda description: None)
    with new_folder(out, force) as folder:
        bonds, training, orders = [], [], []
        for name in TITLES:
            data = settings.images(name)
            recorder = entropy_recorder({"1": FC2_SHAPE})
            bar = progress(f"{TITLES[name]}, dense")
            dense = settings.run(FC2, data, device, bar, recorder)
            training += _training_rows(name, dense, recorder)
            plain = None
            for bond in settings.bonds:
                bar = progress(f"{TITLES[name]}, D = {bond}")
                run = settings.run(fc2_factory(FC2_SHAPE, bond), data, device, bar)
                bonds += _bond_rows(name, bond, run)
                plain = run if bond == settings.trained_bond else plain
            orders += _truncated_orders(name, dense, settings, data, device, progress)
            orders += _trained_orders(name, plain, settings, data, device, progress)
        write_csv(folder / "bonds.csv", bonds)
        write_csv(folder / "training.csv", training)
        write_csv(folder / "orders.csv", orders)
        write_csv(folder / "square.csv", list(_square(settings, device, progress)))
        return conclude(folder, _claims(folder, settings), draw)


def _layer(model):
    return next(module for module in model.modules() if isinstance(module, (nn.Linear, MPOLinear)))


def _rows(entropies, seeds, **head):
    """Yield a row per seed and cut of entropies (seed, cut)."""
    for seed, member in zip(seeds, entropies, strict=True):
        for cut, entropy in enumerate(member, 1):
            yield head | {"seed": seed, "cut": cut, "entropy": f"{entropy:.6g}"}


def _bond_rows(name, bond, run):
    for when in ("initial", "trained"):
        models = run.models(initial=when == "initial")
        entropies = [cut_entropies(_layer(model)) for model in models]
        yield from _rows(entropies, run.seeds, data=name, bond=bond, when=when)


def _training_rows(name, run, recorder):
    initial = np.stack([cut_entropies(weight, FC2_SHAPE) for weight in run.initial["1.weight"]])
    yield from _rows(initial, run.seeds, data=name, epoch=0)
    for epoch, entropies in zip(recorder.epochs, recorder.entropies["1"], strict=True):
        yield from _rows(entropies, run.seeds, data=name, epoch=epoch)


def _truncated_orders(name, dense, settings, data, device, progress):
    """Yield entropy, truncation error and accuracy of the trained dense layer truncated in several orders."""
    bar = progress(f"{TITLES[name]}, orders of the trained layer")
    full = dense.accuracy(data.test, device)
    for member, seed in enumerate(dense.seeds):
        one = _only(dense, member)
        weight = dense.weights["1.weight"][member]
        ways = {
            "row-major": (FC2_SHAPE, None),
            "blocked": (FC2_SHAPE, (None, BLOCKS)),
            "random": (FC2_SHAPE, (shuffled(256, int(seed)), shuffled(784, int(seed)))),
            "spectral": (FC2_SHAPE, spectral(weight)),
            "searched": search(weight, FC2_SHAPE, settings.order_bond, settings.swaps, int(seed)),
        }
        for order, (shape, places) in ways.items():
            small = compress_run(one, 0, "mpo", max_bond=settings.order_bond, shape=shape, order=places)
            yield {
                "data": name, "kind": "truncated", "order": order, "bond": settings.order_bond, "seed": seed,
                "entropy": f"{cut_entropies(weight, shape, places)[1]:.6g}",
                "error": f"{truncation_error(weight, shape, places, settings.order_bond) ** 0.5:.6g}",
                "dense": f"{full[member]:.6g}", "test": f"{small.accuracy(data.test, device)[0]:.6g}",
                "numbers": shape.n_parameters(settings.order_bond),
            }  # fmt: skip
        if bar:
            bar(member + 1, len(dense))


def _only(run, member):
    """Return a run of one of the members."""
    weights = {key: tensor[member : member + 1] for key, tensor in run.weights.items()}
    return dataclasses.replace(run, seeds=run.seeds[member : member + 1], weights=weights, initial={})


def _trained_orders(name, plain, settings, data, device, progress):
    """Yield the accuracy of MPO networks trained with their pixels in several orders."""
    ways = {"row-major": None, "blocked": (None, BLOCKS), "random": (None, shuffled(784, 0))}
    for order, places in ways.items():
        run = plain
        if run is None or order != "row-major":
            factory = fc2_factory(FC2_SHAPE, settings.trained_bond, places)
            run = settings.run(factory, data, device, progress(f"{TITLES[name]}, trained in {order} order"))
        test = run.accuracy(data.test, device)
        for member, seed in enumerate(run.seeds):
            entropy = cut_entropies(_layer(run.model(member)))[1]
            yield {
                "data": name, "kind": "trained", "order": order, "bond": settings.trained_bond, "seed": seed,
                "entropy": f"{entropy:.6g}", "error": "", "dense": "", "test": f"{test[member]:.6g}",
                "numbers": FC2_SHAPE.n_parameters(settings.trained_bond),
            }  # fmt: skip


def _square(settings, device, progress):
    """Yield the entropies of the 1024 x 1024 layer of 32 x 32 MNIST, dense and as an MPO of five sites."""
    data = settings.images("mnist", padding=2)
    dense = MLP((1024, 1024, 10))
    factories = {
        "dense": lambda: MLP((1024, 1024, 10)),
        "mpo": lambda: tensorize(dense, {0: SQUARE}, settings.square_bond),
    }
    for family, factory in factories.items():
        bar = progress(f"32 x 32 network, {family}")
        run = settings.run(factory, data, device, bar, epochs=settings.square_epochs, learning_rate=1e-3)
        test = run.accuracy(data.test, device)
        for when in ("initial", "trained"):
            for member, seed in enumerate(run.seeds):
                layer = _layer(run.model(member, initial=when == "initial"))
                cuts = cut_entropies(layer, None if family == "mpo" else SQUARE)
                legs = entanglement_entropy(schmidt_values(layer))
                for cut, entropy in [*enumerate(cuts, 1), ("out | in", legs)]:
                    yield {
                        "family": family, "bond": settings.square_bond if family == "mpo" else "", "when": when,
                        "seed": seed, "cut": cut, "entropy": f"{entropy:.6g}", "test": f"{test[member]:.6g}",
                    }  # fmt: skip


def _claims(folder, settings):
    largest = max(settings.bonds)
    found = {name: _trained(folder, name) for name in TITLES}
    for cut in (1, 2, 3):
        for name, title in TITLES.items():
            values = found[name][cut]
            published = PUBLISHED[name][cut - 1] if largest == 24 else None
            yield Claim(
                "G6", f"entropy at cut {cut}, D = {largest}, {title} (nats)", "Gao et al. 2020",
                "" if published is None else f"{published}", values[largest], "mean within 0.2",
                None if published is None else bool(abs(values[largest].mean() - published) <= 0.2),
            )  # fmt: skip
            growth = values[largest] - values[min(settings.bonds)]
            yield Claim(
                "G6", f"entropy grows with D, cut {cut}, {title}: D = {largest} less {min(settings.bonds)}",
                "Gao et al. 2020", "> 0", growth, "mean > 0", bool(growth.mean() > 0),
            )  # fmt: skip
        above = found["fashion-mnist"][cut][largest] - found["mnist"][cut][largest]
        error = above.std(ddof=1) / len(above) ** 0.5
        yield Claim(
            "G6", f"entropy of Fashion-MNIST less MNIST, cut {cut}, D = {largest}", "Gao et al. 2020", "> 0", above,
            "mean > 2 standard errors", bool(above.mean() > 2 * error),
        )  # fmt: skip
    yield from _order_claims(folder, settings)
    square = read_columns(folder / "square.csv")
    gaussian = gaussian_cuts(SQUARE)[0]
    for family in ("dense", "mpo"):
        chosen = (square["family"] == family) & (square["cut"] == "2") & (square["when"] == "trained")
        yield Claim(
            "H4", f"entropy of the trained 1024 x 1024 layer at cut 2, {family} (Gaussian: {gaussian[1]:.3f} nats)",
            "sshml", "", square["entropy"][chosen], "", None,
        )  # fmt: skip
        yield Claim("H4", f"accuracy of the 32 x 32 network, {family}", "sshml", "", square["test"][chosen], "", None)


def _trained(folder, name):
    """Return {cut: {bond: entropies (seed)}} of the trained MPO networks."""
    table = read_columns(folder / "bonds.csv", data=name, when="trained")
    return {
        cut: {int(b): table["entropy"][(table["cut"] == cut) & (table["bond"] == b)] for b in np.unique(table["bond"])}
        for cut in (1, 2, 3)
    }


def _order_claims(folder, settings):
    for name, title in TITLES.items():
        accuracy = {
            (kind, order): read_columns(folder / "orders.csv", data=name, kind=kind, order=order)["test"]
            for kind, orders in ORDERS.items()
            for order in orders
        }
        for kind, orders in ORDERS.items():
            bond = settings.order_bond if kind == "truncated" else settings.trained_bond
            for order in orders[1:]:
                gain = accuracy[kind, order] - accuracy[kind, "row-major"]
                source, published = ("Harada 2022", "order matters") if order == "random" else ("sshml", "")
                matters = bool(abs(gain.mean()) > 2 * gain.std(ddof=1) / len(gain) ** 0.5)
                yield Claim(
                    "H3", f"accuracy {kind} at D = {bond} in {order} order less row-major, {title}", source, published,
                    gain, "|mean| > 2 standard errors" if published else "", matters if published else None,
                )  # fmt: skip


ORDERS = {
    "truncated": ("row-major", "blocked", "random", "spectral", "searched"),
    "trained": ("row-major", "blocked", "random"),
}


def draw(folder):
    """Draw the figures of a results folder from its CSV files."""
    figures = {"bonds": _bonds, "training": _over_training, "orders": _orders, "square": _square_figure}
    save_figures(folder, {name: figure(folder) for name, figure in figures.items()})


def _bonds(folder):
    figure, axes = new_figure(1, 3, width=3.5, height=3.2, sharey=True)
    for cut, ax in enumerate(axes[0], 1):
        for name, color in zip(TITLES, COLORS, strict=False):
            for when, style in (("trained", "o-"), ("initial", "s:")):
                table = read_columns(folder / "bonds.csv", data=name, when=when, cut=str(cut))
                bonds = np.unique(table["bond"])
                groups = [table["entropy"][table["bond"] == bond] for bond in bonds]
                label = f"{TITLES[name]}, {'trained' if when == 'trained' else 'fresh cores'}"
                plot_points(ax, bonds, groups, fmt=style, color=color, markersize=4, label=label)
        top = [ceilings(FC2_SHAPE, int(bond))[cut - 1] for bond in bonds]
        ax.plot(bonds, top, color="k", linewidth=1, linestyle=":", label="ceiling, ln of the bond")
        for name, color in zip(TITLES, COLORS, strict=False):
            ax.plot(24, PUBLISHED[name][cut - 1], "x", color=color, label=f"{TITLES[name]}, Gao et al. 2020")
        ax.set_xlabel("bond dimension $D$")
        ax.set_title(f"cut {cut}", fontsize=10)
    axes[0, 0].set_ylabel("entanglement entropy $S$ (nats)")
    axes[0, 2].legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def _over_training(folder):
    figure, axes = new_figure(1, 3, width=3.5, height=3)
    mean, std = gaussian_cuts(FC2_SHAPE)
    for cut, ax in enumerate(axes[0], 1):
        for name, color in zip(TITLES, COLORS, strict=False):
            table = read_columns(folder / "training.csv", data=name, cut=str(cut))
            epochs = np.unique(table["epoch"])
            groups = np.stack([table["entropy"][table["epoch"] == epoch] for epoch in epochs])
            plot_band(ax, epochs, groups.mean(1), groups.std(1, ddof=1), TITLES[name], color, marker=".")
        ax.axhspan(mean[cut - 1] - 2 * std[cut - 1], mean[cut - 1] + 2 * std[cut - 1], color="0.3", alpha=0.3)
        ax.axhline(mean[cut - 1], color="0.3", linewidth=1, label="Gaussian matrix")
        ax.set_xlabel("epoch")
        ax.set_title(f"dense FC2, layer 1, cut {cut}", fontsize=10)
    axes[0, 0].set_ylabel("entanglement entropy $S$ (nats)")
    axes[0, 0].legend(fontsize=8)
    return figure


def _orders(folder):
    figure, axes = new_figure(1, 3, width=4.2, height=3.4)
    panels = (
        ("truncated", "entropy", "entropy at cut 2 (nats)"),
        ("truncated", "test", "test accuracy, trained dense, truncated"),
        ("trained", "test", "test accuracy, MPO trained in this order"),
    )
    for ax, (kind, quantity, label) in zip(axes[0], panels, strict=True):
        for (name, title), color, offset in zip(TITLES.items(), COLORS, (-0.12, 0.12), strict=False):
            groups = [
                read_columns(folder / "orders.csv", data=name, kind=kind, order=order)[quantity]
                for order in ORDERS[kind]
            ]
            plot_groups(ax, ORDERS[kind], groups, color, offset, title)
        bond = int(read_columns(folder / "orders.csv", kind=kind)["bond"][0])
        ax.set_ylabel(label)
        if quantity == "test":
            ax.set_title(f"D = {bond}", fontsize=10)
        ax.tick_params(axis="x", labelsize=8, rotation=20)
    axes[0, 0].legend(fontsize=8)
    return figure


def _square_figure(folder):
    figure, axes = new_figure(1, 2, width=5, height=3.4)
    mean, std = gaussian_cuts(SQUARE)
    for ax, family in zip(axes[0], ("dense", "mpo"), strict=True):
        groups = {}
        for when, label in (("trained", "trained"), ("initial", "at initialisation")):
            cuts = [read_columns(folder / "square.csv", family=family, when=when, cut=str(c)) for c in range(1, 5)]
            groups[label] = np.stack([c["entropy"] for c in cuts], axis=1)
        bond = None if family == "dense" else int(cuts[0]["bond"][0])
        plot_cuts(ax, ["1", "2", "3", "4"], groups, mean, std, ceilings(SQUARE, bond))
        ax.set_title(f"1024 x 1024 layer, {'dense' if bond is None else f'MPO, D = {bond}'}", fontsize=10)
        ax.set_ylim(0, 7.4)
    axes[0, 1].legend(fontsize=8, loc="upper left", ncols=2)
    return figure
