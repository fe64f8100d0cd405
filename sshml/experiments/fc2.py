"""Gao et al., Phys. Rev. Research 2, 023300 (2020): FC2 with matrix product operators, on MNIST and Fashion-MNIST.

Networks are trained from random cores at several bond dimensions. Beside them, never tested by the source: a product
of two matrices (the form of an SVD) and MPOs of two, three and five sites with as many parameters, and the truncation
of trained dense networks by MPO, SVD and pruning, with and without an epoch of fine-tuning (Sander, thesis, 2020, has
MPO without).

Criteria, written before the run: the mean over seeds within .002 of the published accuracy, .003 at D = 2.
"""

import dataclasses
import functools

import numpy as np

from sshml.analysis import compress_run
from sshml.classifier import FC2, TrainingSpec, fit, resident
from sshml.compression import choose_bonds, compress
from sshml.dataset import images
from sshml.errors import SSHMLError
from sshml.experiments import Claim, Experiment, Job, at_most, near
from sshml.experiments.image_nets import (
    FAMILIES,
    FC2_DENSE,
    FC2_HEAD,
    FC2_SHAPE,
    LONG,
    TESTED,
    TITLES,
    Averaged,
    accuracy_of,
    best_tests,
    bond_for,
    fc2_share,
    network,
    too_short,
    trained,
)
from sshml.plotting import COLORS, name_panel, new_figure, plot_level, plot_points, set_log_axis

PUBLISHED = {2: 0.9757, 4: 0.9780, 8: 0.9799, 16: 0.9835, 22: 0.9841}
"""MNIST accuracy by bond dimension, Gao et al. 2020, table I; dense .9835 +- .002."""
DENSE_PUBLISHED = 0.9835
LABELS = {
    "mpo": "MPO of 4 sites",
    "two sites": "MPO of 2 sites",
    "three sites": "MPO of 3 sites",
    "five sites": "MPO of 5 sites",
    "two matrices": "product of 2 matrices",
}
TRUNCATED = {
    "mpo": "MPO of 4 sites",
    "automatic": "MPO of 4 sites, bonds chosen",
    "joint": "MPO of both layers, bonds chosen on data",
    "two sites": "MPO of 2 sites",
    "svd": "SVD",
    "prune": "pruning",
}


@dataclasses.dataclass(frozen=True)
class Settings(Averaged):
    """Size of the run; the defaults are the quick grid, too short for the published accuracies."""

    data: tuple = ("mnist", "fashion-mnist")
    bonds: tuple = (2, 4, 16)
    rivals: tuple = (4,)
    shares: tuple = (0.14, 0.3)
    tuning_epochs: int = 1

    def __post_init__(self):
        super().__post_init__()
        if unknown := set(self.data) - set(TITLES):
            raise SSHMLError(f"data {sorted(unknown)} are unknown here; choose among {', '.join(TITLES)}.")
        least = (784 + 256 + FC2_HEAD) / FC2_DENSE
        if not all(least <= share <= 1 for share in self.shares):
            raise SSHMLError(f"shares are {self.shares}; expected {least:.4f}, an SVD of rank 1, to 1.")


FULL = {
    "bonds": tuple(range(2, 26, 2)),
    "rivals": (4, 8, 12, 16),
    "epochs": LONG,
    "shares": (0.03, 0.05, 0.1, 0.14, 0.2, 0.3, 0.5),
}
"""Changes for `--full`: every D of the source, and networks that have learned what they can."""


def truncate(where, data, dense, method, share, training, seeds, valid):
    """Truncate layer 1 of the dense networks; measure the accuracy before and after fine-tuning, seed by seed.

    "joint" truncates both layers, with the bonds that lose least on the training images together.
    """
    split, run = images(data, where.root, valid), trained(dense, FC2)
    test, before = resident(split.test), run.accuracy(split.test, where.device)
    numbers, spec = share * FC2_DENSE - FC2_HEAD, TrainingSpec(**training)
    if method == "dense":  # what the further training alone brings
        small, size = run.models(), {"size": 0}
    elif method == "joint":
        seen, size = resident(split.train), {"size": "joint"}
        budget = 4 * int(share * FC2_DENSE) + 4 * 266  # biases
        small = [compress(model, n_bytes=budget, data=seen, methods="mpo") for model in run.models()]
    else:
        size = _size(method, numbers, run.weights["1.weight"])
        small = compress_run(run, 0, method if method in ("svd", "prune") else "mpo", **size).models()
    cuts = [accuracy_of(model, test) for model in small]
    groups = [[member] for member in range(len(small))] if method == "joint" else [range(len(small))]
    after = []
    for number, members in enumerate(groups):  # networks of one kind are trained at once

        def tell(done, total, number=number):
            where.progress(number * total + done, len(groups) * total)

        own = [small[member] for member in members]
        tuned = fit(own, split.train, split.valid, spec, run.seeds[list(members)], where.device, tell)
        after += list(tuned.accuracy(split.test, where.device))
    chosen = " ".join(str(next(iter(size.values()))).strip("()").split(", "))
    return {
        "truncated": [
            {"data": data, "method": method, "share": share, "size": chosen, "seed": seed}
            | {"dense": f"{full:.5g}", "truncated": f"{cut:.5g}", "tuned": f"{again:.5g}"}
            for seed, full, cut, again in zip(run.seeds, before, cuts, after, strict=True)
        ]
    }


def jobs(settings):
    """Yield the trainings and the truncations."""
    further = settings.training(epochs=settings.tuning_epochs, learning_rate=settings.learning_rate / 5)
    for data in settings.data:
        dense = Job(network, {"data": data, "family": "dense", "bond": 0} | settings.training(), settings.work())
        yield dense
        for family, bond in _grid(settings):
            own, training = {"data": data, "family": family, "bond": bond}, settings.training_at(family, bond)
            yield Job(network, own | training, settings.work(training["training"].epochs))
        for method, share in [("dense", 1.0), *((m, share) for share in settings.shares for m in TRUNCATED)]:
            own = {"data": data, "dense": dense, "method": method, "share": share}
            yield Job(truncate, own | further, settings.work(settings.tuning_epochs))


def _grid(settings):
    """Yield (family, bond): the MPO at every bond, its rivals with as many parameters at some.

    From bond 16 on the outer bonds of the MPO are full: it is the MPO of two sites then, and no rival of it.
    """
    for bond in settings.bonds:
        yield "mpo", bond
    for bond in settings.rivals:
        is_two_sites = FC2_SHAPE.bonds(bond)[0] == FC2_SHAPE.bonds()[0]
        for family in ("two matrices",) if is_two_sites else tuple(FAMILIES)[1:]:
            yield family, bond_for(FAMILIES[family], 1.02 * FC2_SHAPE.n_parameters(bond))


def _size(method, numbers, weights):
    """Return the arguments of `compress` for layer 1 with at most so many numbers; an index counts as one."""
    if method == "automatic":
        return {"max_bond": choose_bonds(weights, FC2_SHAPE, budget=numbers), "shape": FC2_SHAPE}
    if method in FAMILIES:
        return {"max_bond": bond_for(FAMILIES[method], numbers), "shape": FAMILIES[method]}
    return {"rank": max(1, int(numbers / (784 + 256)))} if method == "svd" else {"keep": int(numbers / 2)}


def claims(tables, settings):
    """Yield accuracies beside the published ones, rivals at equal parameters, and what truncation loses."""
    for name in settings.data:
        title = TITLES[name]
        published = DENSE_PUBLISHED if name == "mnist" else None
        near_to = functools.partial(_near, unlike=too_short(settings))
        yield near_to(f"dense FC2, {title}", functools.partial(_curve, tables, name, "dense"), published)
        for bond in settings.bonds:
            published = PUBLISHED.get(bond) if name == "mnist" else None
            allowed, get = 0.003 if bond == 2 else 0.002, functools.partial(_curve, tables, name, "mpo", bond)
            yield near_to(f"MPO, D = {bond}, {title}", get, published, allowed)
            best, text = functools.partial(_best, tables, name, "mpo", bond), "of the best test epoch, as the source"
            yield near_to(f"MPO, D = {bond}, {title}, {text} has it", best, published, allowed)
        for family, bond in _grid(settings):
            if family != "mpo":
                mpo = _nearest_mpo(settings.bonds, fc2_share(FAMILIES[family], bond))
                yield Claim(
                    "G1", f"accuracy of MPO D = {mpo} less {LABELS[family]} ({bond}), {title}",
                    functools.partial(_against, tables, name, mpo, family, bond),
                )  # fmt: skip
        yield from _truncation_claims(tables, name, settings)


def _nearest_mpo(bonds, share):
    """Return the bond whose MPO has a share of the parameters nearest to another's."""
    return min(bonds, key=lambda bond: abs(np.log(fc2_share(FC2_SHAPE, bond) / share)))


def _near(statement, values, published, allowed=0.002, unlike=""):
    """Return a claim on an accuracy, near what was published, if anything was."""
    said = ("Gao et al. 2020", f"{published:.4f}", near(published, allowed), unlike) if published else ()
    return Claim("G1", f"test accuracy of {statement}", values, *said, tested=TESTED)


def _curve(tables, data, family, bond=0):
    return tables.columns("curve", data=data, family=family, bond=bond)["test"]


def _best(tables, data, family, bond):
    return best_tests(tables.columns("curve", data=data, family=family, bond=bond))


def _against(tables, data, mpo, family, bond):
    """Return the difference between the MPO and a rival with as many parameters, seed by seed."""
    return _curve(tables, data, "mpo", mpo) - _curve(tables, data, family, bond)


def _lost(tables, data, method, share, kind):
    found = tables.columns("truncated", data=data, method=method, share=share)
    return found["dense"] - found[kind]


def _chosen_bonds(tables, data, method, share, kind):
    return _lost(tables, data, "mpo", share, kind) - _lost(tables, data, method, share, kind)


def _truncation_claims(tables, name, settings):
    title, kinds = TITLES[name], {"truncated": "no fine-tuning", "tuned": "fine-tuned"}
    yield Claim(
        "Sander", f"accuracy lost by fine-tuning alone, dense, {title}",
        functools.partial(_lost, tables, name, "dense", 1, "tuned"),
    )  # fmt: skip
    for share in settings.shares:
        for method, what in (("automatic", "chosen"), ("joint", "jointly chosen")):
            for kind, text in kinds.items():
                yield Claim(
                    "H5", f"accuracy of {what} less uniform bonds at {share:.0%} of the parameters, {text}, {title}",
                    functools.partial(_chosen_bonds, tables, name, method, share, kind), "Harada 2022", "announced",
                )  # fmt: skip
    for share, loss in ((0.3, 0.01), (0.14, 0.05)):
        if share not in settings.shares:
            continue
        for method, label in TRUNCATED.items():
            for kind, text in kinds.items():
                sander = name == "mnist" and method == "mpo" and kind == "truncated"
                said = ("Sander 2020", f"{loss}", at_most(loss)) if sander else ()
                yield Claim(
                    "Sander", f"accuracy lost at {share:.0%} of the parameters, {label}, {text}, {title}",
                    functools.partial(_lost, tables, name, method, share, kind), *said,
                )  # fmt: skip


def _curve_figure(tables, settings):
    """Draw accuracy against size.

    Share of wrong labels of FC2 trained in several forms, against the share of the parameters, both logarithmic;
    numbers: bond dimensions D of MPOs of four sites; dashed: dense, crosses and thin line: published. Medians and
    ranges of {seeds} networks, dots single ones.
    """
    names = settings.data
    figure, axes = new_figure(1, len(names), width=4.6, height=3.5)
    for ax, name in zip(axes[0], names, strict=True):
        table = tables.columns("curve", data=name)
        for (family, label), color, marker in zip(LABELS.items(), COLORS, "os^Dv", strict=False):
            mine = table["family"] == family
            shares = np.unique(table["share"][mine])
            groups = [1 - table["test"][mine & (table["share"] == share)] for share in shares]
            style = {"fmt": f"{marker}-", "color": color, "label": label, "markersize": 4}
            plot_points(ax, shares, groups, ranges=True, **style)
        plot_level(ax, 1 - table["test"][table["family"] == "dense"], "dense", TESTED)
        if name == "mnist":
            shares = [fc2_share(FC2_SHAPE, bond) for bond in PUBLISHED]
            wrong = 1 - np.array(list(PUBLISHED.values()))
            ax.plot(shares, wrong, "x", color="k", label="MPO, Gao et al. 2020", zorder=5)
            ax.axhline(1 - DENSE_PUBLISHED, color="k", linewidth=0.8, linestyle=":", label="dense, Gao et al. 2020")
        for bond in (2, 4, 8, 16, 24):
            mine = (table["family"] == "mpo") & (table["bond"] == bond)
            if mine.any():
                at = table["share"][mine][0], 1 - table["test"][mine].max()
                look = {"fontsize": 6, "color": COLORS[0], "ha": "center", "va": "top"}
                ax.annotate(f"{bond}", at, (0, -7), textcoords="offset points", **look)
        ax.set_xscale("log")
        wrong = 1 - table["test"]
        set_log_axis(ax, 0.85 * wrong.min(), 1.2 * wrong.max())
        ax.set_xticks([0.005, 0.01, 0.02, 0.05, 0.1], ["0.005", "0.01", "0.02", "0.05", "0.1"])
        ax.minorticks_off()
        ax.set_xlabel(r"parameters of both layers / dense, $\rho$")
        ax.set_ylabel("share of wrong labels")
        name_panel(ax, TITLES[name])
    handles = axes[0, 0].get_legend_handles_labels()
    axes[0, -1].legend(*handles, fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def _truncated_figure(tables, settings):
    """Draw what cuts cost.

    Accuracy that the trained FC2 loses when it is cut (above) and after an epoch of fine-tuning (below), against the
    share of the parameters; linear below one point, logarithmic above. Medians and ranges of {seeds} networks, dots
    single ones.
    """
    if not settings.shares:
        return None
    names, kinds = settings.data, {"truncated": "truncated", "tuned": "fine-tuned"}
    figure, axes = new_figure(len(kinds), len(names), width=4.2, height=2.9)
    for row, (kind, text) in enumerate(kinds.items()):
        for ax, name in zip(axes[row], names, strict=True):
            for (method, label), color, marker in zip(TRUNCATED.items(), COLORS, "os^DvP", strict=False):
                table = tables.columns("truncated", data=name, method=method)
                shares = np.unique(table["share"])
                lost = [(table["dense"] - table[kind])[table["share"] == share] * 100 for share in shares]
                style = {"fmt": f"{marker}-", "color": color, "label": label, "markersize": 4}
                plot_points(ax, shares, lost, ranges=True, **style)
            if name == "mnist" and kind == "truncated":
                ax.plot([0.14, 0.3], [5, 1], "x", color="k", label="MPO, Sander 2020", zorder=5)
            if kind == "tuned":
                alone = tables.columns("truncated", data=name, method="dense")
                lost = 100 * (alone["dense"] - alone["tuned"]).mean()
                ax.axhline(lost, color="0.3", linewidth=1, linestyle="--", label="dense, fine-tuned")
            ax.axhline(0, color="0.5", linewidth=0.8, linestyle=":")
            ax.set_xscale("log")
            ax.set_yscale("symlog", linthresh=1)
            ax.set_ylim(-0.6, 100)
            ax.set_yticks([0, 1, 10, 100], ["0", "1", "10", "100"])
            ticks = [share for share in (0.03, 0.05, 0.1, 0.14, 0.2, 0.3, 0.5) if shares[0] <= share <= shares[-1]]
            ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
            ax.minorticks_off()
            name_panel(ax, f"{TITLES[name]}, {text}")
            ax.set_ylabel("accuracy lost (points)")
    labels = {}
    for ax in (axes[0, 0], axes[1, 0]):
        labels |= dict(zip(*ax.get_legend_handles_labels()[::-1], strict=True))
    figure.legend(labels.values(), labels, fontsize=7, loc="outside lower center", ncols=3)
    for ax in axes[-1]:
        ax.set_xlabel("parameters of the network / dense")
    return figure


experiment = Experiment(Settings, jobs, claims, {"curve": _curve_figure, "truncated": _truncated_figure}, full=FULL)
