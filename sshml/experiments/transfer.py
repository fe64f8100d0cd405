"""Yin and Ong, arXiv 2603.11688 (2026): a network trained on clean correlation matrices, shown disordered ones.

The input is the correlation matrix <c_i^+ c_j> at half filling, restricted to the middle of an open chain. The source
says that a convolutional network trained on clean chains keeps working under disorder of the hoppings, which preserves
chiral symmetry, and fails under on-site disorder, which breaks it; and that the principal components of the matrices
explain it: those of clean and of hopping-disordered chains overlap, those of on-site-disordered ones do not.

Protocol, written before the run. The same strengths W for both kinds, W_v = W_w = W or W_onsite = W, uniform law;
"strong" is W >= 1.5 w. The label is the winding number of the realised hoppings, so that on-site disorder
changes inputs and no label. Of the source its abstract and introduction were at hand, and no numbers: its two
statements are tested as differences between the two kinds of disorder, paired by dataset seed: chains of one seed share
their clean hoppings.
"""

import dataclasses

import numpy as np
from torch import nn

from sshml.classifier import TrainingSpec, fit
from sshml.dataset import DatasetSpec, generate, open_dataset
from sshml.errors import SSHMLError
from sshml.experiments import POSITIVE, Claim, Experiment, Job
from sshml.plotting import COLORS, name_panel, new_figure, plot_band
from sshml.statistics import band, group_means

KINDS = {"hopping": ("disorder_v", "disorder_w"), "onsite": ("disorder_onsite",)}
LABELS = {"hopping": "hopping disorder", "onsite": "on-site disorder", "clean": "clean"}

STRONG = 1.5
"""Strength, in units of w, from which on disorder counts as strong."""

POINTS = 150
"""Chains of each kind in the map of the first two principal components."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """Size of the run; the defaults are the quick one."""

    cells: int = 32
    window: int = 16
    strengths: tuple = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0)
    train: int = 4000
    test: int = 2000
    epochs: int = 5
    batch_size: int = 64
    learning_rate: float = 1e-3
    components: int = 10
    datasets: int = 3
    seeds: int = 2

    def __post_init__(self):
        if not 4 <= self.window <= self.cells or self.window % 2 or self.cells % 2:
            raise SSHMLError(
                f"window is {self.window} and cells {self.cells}; expected even ones, 4 <= window <= cells."
            )
        if min(self.datasets, self.seeds, self.components) < 2:
            raise SSHMLError("2 datasets, 2 seeds and 2 components at least: there is no standard error of fewer.")
        if not self.strengths or max(self.strengths) < STRONG or min(self.strengths) <= 0:
            raise SSHMLError(f"strengths are {self.strengths}; expected numbers above 0, one of them {STRONG} or more.")


class Convolutional(nn.Sequential):
    """Two convolutions and a linear layer on square matrices (sample, site, site), to two classes.

    Args:
        size: sites of the matrices.
    """

    def __init__(self, size):
        left = size // 4
        super().__init__(
            nn.Unflatten(1, (1, size)), nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16 * left * left, 2),
        )  # fmt: skip


def chains(where, cells, strengths, train, test, dataset):
    """Generate clean chains to train and test on, and disordered ones of both kinds to test on."""
    sizes = {"cells": cells, "v": (0, 2), "w": 1, "seed": dataset, "test": test}
    clean = DatasetSpec(**sizes, train=train, valid=max(1, train // 5))
    generate(clean, where.folder / "clean.h5", True, recipe=True)
    for kind, names in KINDS.items():
        for strength in strengths:
            spec = DatasetSpec(**sizes, **dict.fromkeys(names, strength), train=1, valid=1)
            generate(spec, where.folder / f"{kind}-{strength:g}.h5", True, recipe=True)
    return {}


def transfer(where, chains, cells, window, strengths, epochs, batch_size, learning_rate, components, dataset, seeds):
    """Train on the clean chains; return accuracies over the strength of disorder, and overlaps of the components."""
    view = f"projector/sites={cells - window}-{cells + window - 1}"
    training = TrainingSpec(view=view, epochs=epochs, batch_size=batch_size, learning_rate=learning_rate)
    clean = open_dataset(chains.folder / "clean.h5")
    run = fit(
        lambda: Convolutional(2 * window), clean.train, clean.valid, training, seeds, where.device, where.progress
    )
    inputs = _inputs(clean.test, view)
    mean, basis = inputs.mean(0), _components(inputs, components)
    accuracy, overlaps, points = [], [], _points("clean", dataset, inputs, mean, basis)

    def add(kind, strength, split):
        found = run.accuracy(split, where.device)
        head = {"dataset": dataset, "kind": kind, "strength": strength}
        accuracy.extend(head | {"seed": seed, "accuracy": x} for seed, x in enumerate(found))
        return head

    add("clean", 0.0, clean.test)
    for kind in KINDS:
        for strength in strengths:
            split = open_dataset(chains.folder / f"{kind}-{strength:g}.h5").test
            head, inputs = add(kind, strength, split), _inputs(split, view)
            moved = inputs - inputs.mean(0)
            overlap = ((_components(inputs, components) @ basis.T) ** 2).sum() / components
            captured = ((moved @ basis.T) ** 2).sum() / (moved**2).sum()
            overlaps.append(head | {"overlap": overlap, "captured": captured})
        points += _points(kind, dataset, inputs, mean, basis)  # of the strongest
    return {"accuracy": accuracy, "overlap": overlaps, "points": points}


def _inputs(split, view):
    return split.inputs(view).reshape(len(split), -1).astype(np.float64)


def _components(inputs, count):
    """Return the leading principal components, shape (component, input)."""
    return np.linalg.svd(inputs - inputs.mean(0), full_matrices=False)[2][:count]


def _points(kind, dataset, inputs, mean, basis):
    places = (inputs[:POINTS] - mean) @ basis[:2].T
    return [{"dataset": dataset, "kind": kind, "first": x, "second": y} for x, y in places] if dataset == 0 else []


def jobs(settings):
    """Yield the chains and the networks of every dataset seed."""
    for dataset in range(settings.datasets):
        sizes = {name: getattr(settings, name) for name in ("cells", "strengths", "train", "test")}
        made = Job(chains, sizes | {"dataset": dataset}, work=2e-5 * settings.test * len(settings.strengths))
        names = ("cells", "window", "strengths", "epochs", "batch_size", "learning_rate", "components", "seeds")
        own = {name: getattr(settings, name) for name in names}
        work = 1e-9 * settings.window**2 * settings.epochs * settings.train * settings.seeds
        yield Job(transfer, {"chains": made, "dataset": dataset} | own, work=work)


def _by_dataset(tables, table, column, kind, strong=True):
    """Return the means of each dataset over seeds and the strong half of the strengths, or over all."""
    found = tables.columns(table, kind=kind)
    chosen = found["strength"] >= STRONG if strong else np.ones(len(found["strength"]), bool)
    return group_means(found[column][chosen], found["dataset"][chosen])


def claims(tables, settings):
    """Yield the two statements of the source, the accuracies behind them, and what the second does not say."""

    def of(table, column, kind, strong=True):
        return _by_dataset(tables, table, column, kind, strong)

    strong = f"W >= {STRONG:g} w"
    source = "Yin and Ong 2026"
    yield Claim("Y0", "accuracy on clean chains", lambda: of("accuracy", "accuracy", "clean", False))
    for kind in KINDS:
        yield Claim("Y1", f"accuracy, {LABELS[kind]}, {strong}", lambda kind=kind: of("accuracy", "accuracy", kind))
    yield Claim(
        "Y1", f"accuracy under hopping less on-site disorder, {strong}",
        lambda: of("accuracy", "accuracy", "hopping") - of("accuracy", "accuracy", "onsite"),
        source, "> 0", POSITIVE,
    )  # fmt: skip
    words = f"overlap of the first {settings.components} principal components with those of clean chains"
    for kind in KINDS:
        yield Claim("Y2", f"{words}, {LABELS[kind]}, {strong}", lambda kind=kind: of("overlap", "overlap", kind))
    yield Claim(
        "Y2", f"{words}: hopping less on-site disorder, {strong}",
        lambda: of("overlap", "overlap", "hopping") - of("overlap", "overlap", "onsite"),
        source, "> 0", POSITIVE,
    )  # fmt: skip
    yield Claim(
        "Y3", "variance in the clean components: hopping less on-site disorder, " + strong,
        lambda: of("overlap", "captured", "hopping") - of("overlap", "captured", "onsite"),
    )  # fmt: skip
    yield Claim(
        "Y4", "accuracy lost from clean chains to on-site disorder, weakest bin",
        lambda: of("accuracy", "accuracy", "clean", False) - _weakest(tables),
    )  # fmt: skip


def _weakest(tables):
    found = tables.columns("accuracy", kind="onsite")
    least = found["strength"] == found["strength"].min()
    return group_means(found["accuracy"][least], found["dataset"][least])


def _over_datasets(found, column):
    """Return (strengths, mean and standard deviation over datasets of the means over seeds)."""
    strengths = np.unique(found["strength"])
    at = [found["strength"] == x for x in strengths]
    values = np.stack([group_means(found[column][mine], found["dataset"][mine]) for mine in at], 1)
    return strengths, *band(values)


def _draw(tables, settings):
    """Draw the results.

    Networks trained on clean chains: (a) accuracy and (b) overlap of the first {components} principal components with
    those of clean chains, 0 to 1, against the disorder of the test chains (line: clean test chains; bands: one standard
    deviation over {datasets} datasets); (c) chains, clean and of the largest W, in the plane of the first two
    components of clean chains.
    """
    figure, axes = new_figure(1, 3, width=3.4, height=3.4)
    for ax, table, column, name in (
        (axes[0, 0], "accuracy", "accuracy", "test accuracy"),
        (axes[0, 1], "overlap", "overlap", f"overlap of {settings.components} components"),
    ):
        for kind, color in zip(KINDS, COLORS, strict=False):
            curve = _over_datasets(tables.columns(table, kind=kind), column)
            plot_band(ax, *curve, LABELS[kind], color, marker="o", markersize=3)
        ax.set_xlabel("disorder strength $W$ (units of $w$)")
        ax.set_ylabel(name)
    clean = _by_dataset(tables, "accuracy", "accuracy", "clean", False).mean()
    axes[0, 0].axhline(clean, color="0.3", linewidth=0.8, linestyle="--", label="clean test chains")
    axes[0, 0].set_ylim(top=1.02)
    axes[0, 0].legend(fontsize=7, loc="lower left")
    ax = axes[0, 2]
    for kind, color, form in (("onsite", COLORS[1], "^"), ("hopping", COLORS[0], "o"), ("clean", "k", ".")):
        found = tables.columns("points", kind=kind)
        ax.plot(found["first"], found["second"], form, color=color, markersize=3, alpha=0.7, label=LABELS[kind])
    ax.set_xlabel("first component of clean chains")
    ax.set_ylabel("second component")
    name_panel(ax, f"$W = {max(settings.strengths):g}$")
    ax.legend(fontsize=6, loc="upper center", bbox_to_anchor=(0.5, -0.25), columnspacing=1, handlelength=1)
    return figure


experiment = Experiment(Settings, jobs, claims, {"transfer": _draw}, full={"datasets": 4, "seeds": 4, "epochs": 8})
