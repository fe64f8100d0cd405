"""Gao et al., Phys. Rev. Research 2, 023300 (2020): FC2 with matrix product operators, on MNIST and Fashion-MNIST.

Networks are trained from random cores at several bond dimensions. Beside them, never tested by the source: a product
of two matrices and an MPO of two sites with as many parameters, and the truncation of trained dense networks by MPO,
SVD and pruning, with and without an epoch of fine-tuning (Sander, thesis, 2020, has MPO without).
"""

import dataclasses
import time

import numpy as np

from sshml.analysis import compress_run
from sshml.classifier import FC2
from sshml.compression.budget import choose_bonds
from sshml.errors import SSHMLError
from sshml.experiments.claims import Claim, conclude, save_figures
from sshml.experiments.image_nets import (
    FC2_DENSE,
    FC2_SHAPE,
    LOW_RANK,
    TITLES,
    TWO_SITES,
    Training,
    bond_for,
    fc2_factory,
    fc2_share,
)
from sshml.files import new_folder, read_columns, write_csv
from sshml.plotting import COLORS, new_figure, plot_points

PUBLISHED = {2: 0.9757, 4: 0.9780, 8: 0.9799, 16: 0.9835, 22: 0.9841}
"""MNIST accuracy by bond dimension, Gao et al. 2020, table I; dense .9835 +- .002."""
DENSE_PUBLISHED = 0.9835
FAMILIES = {"mpo": FC2_SHAPE, "two sites": TWO_SITES, "two matrices": LOW_RANK}
LABELS = {"mpo": "MPO of 4 sites", "two sites": "MPO of 2 sites", "two matrices": "product of 2 matrices"}
TRUNCATED = {
    "mpo": "MPO of 4 sites",
    "automatic": "MPO of 4 sites, bonds chosen",
    "two sites": "MPO of 2 sites",
    "svd": "SVD",
    "prune": "pruning",
}


@dataclasses.dataclass(frozen=True)
class Settings(Training):
    """Size of the run; the defaults are the quick grid. `FULL` is the paper's."""

    data: tuple = ("mnist", "fashion-mnist")
    bonds: tuple = (2, 4, 8, 16, 22)
    rivals: tuple = (4, 16)
    shares: tuple = (0.05, 0.14, 0.3)
    tuning_epochs: int = 1


FULL = {
    "bonds": tuple(range(2, 24, 2)),
    "rivals": tuple(range(4, 24, 4)),
    "epochs": 100,
    "shares": (0.03, 0.05, 0.1, 0.14, 0.2, 0.3, 0.5),
}
"""Changes for `--full`: every D of the source, to convergence."""


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
    unknown = set(settings.data) - set(TITLES)
    if unknown:
        raise SSHMLError(f"data {sorted(unknown)} are unknown here; choose among {', '.join(TITLES)}.")
    progress = progress or (lambda description: None)
    with new_folder(out, force) as folder:
        curve, truncated = [], []
        for name in settings.data:
            data = settings.images(name)
            dense = _train(curve, name, "dense", 0, settings, data, device, progress)
            for family, bond in _grid(settings):
                _train(curve, name, family, bond, settings, data, device, progress)
            truncated += _truncate(name, dense, settings, data, device, progress)
        write_csv(folder / "curve.csv", curve)
        write_csv(folder / "truncated.csv", truncated)
        return conclude(folder, _claims(folder, settings), draw)


def _grid(settings):
    """Yield (family, bond): the MPO at every bond, its rivals with as many parameters at some."""
    for bond in settings.bonds:
        yield "mpo", bond
    for bond in settings.rivals:
        for family in ("two sites", "two matrices"):
            yield family, bond_for(FAMILIES[family], 1.02 * FC2_SHAPE.n_parameters(bond))


def _train(rows, name, family, bond, settings, data, device, progress):
    """Train one family at one bond, append a row per seed, return the run."""
    factory = FC2 if family == "dense" else fc2_factory(FAMILIES[family], bond)
    start = time.perf_counter()
    bar = progress(f"{TITLES[name]}, {family}{f' D = {bond}' if bond else ''}")
    run = settings.run(factory, data, device, bar)
    seconds = time.perf_counter() - start
    test = run.accuracy(data.test, device)
    share = 1.0 if family == "dense" else fc2_share(FAMILIES[family], bond)
    for member, seed in enumerate(run.seeds):
        rows.append({
            "data": name, "family": family, "bond": bond, "share": f"{share:.5g}", "seed": seed,
            "valid": f"{run.history['valid_accuracy'][member].max():.5g}", "test": f"{test[member]:.5g}",
            "epoch": run.epoch[member], "epochs": settings.epochs, "seconds": f"{seconds / len(run):.3g}",
        })  # fmt: skip
    return run


def _truncate(name, dense, settings, data, device, progress):
    """Yield the accuracy of the dense networks with layer 1 truncated, before and after fine-tuning, seed by seed."""
    before = dense.accuracy(data.test, device)
    bar = progress(f"{TITLES[name]}, truncation and fine-tuning")
    jobs = [("dense", 1.0), *((method, share) for share in settings.shares for method in TRUNCATED)]
    for step, (method, share) in enumerate(jobs):
        if method == "dense":  # what the further training alone brings
            small, size = dense, {"size": 0}
        else:
            size = _size(method, share * FC2_DENSE - 2560, dense.weights["1.weight"])
            small = compress_run(dense, 0, method if method in ("svd", "prune") else "mpo", **size)
        cut = small.accuracy(data.test, device)
        tuned = settings.run(
            small.models(), data, device, epochs=settings.tuning_epochs, learning_rate=settings.learning_rate / 5
        )
        after = tuned.accuracy(data.test, device)
        for seed, accuracies in enumerate(zip(before, cut, after, strict=True)):
            names = ("dense", "truncated", "tuned")
            chosen = " ".join(str(next(iter(size.values()))).strip("()").split(", "))
            yield {"data": name, "method": method, "share": share, "size": chosen, "seed": seed} | {
                key: f"{value:.5g}" for key, value in zip(names, accuracies, strict=True)
            }
        if bar:
            bar(step + 1, len(jobs))


def _size(method, numbers, weights):
    """Return the arguments of `compress` for layer 1 with at most so many numbers; an index counts as one."""
    if method == "automatic":
        return {"max_bond": choose_bonds(weights, FC2_SHAPE, budget=numbers), "shape": FC2_SHAPE}
    if method in FAMILIES:
        return {"max_bond": bond_for(FAMILIES[method], numbers), "shape": FAMILIES[method]}
    return {"rank": max(1, int(numbers / 1040))} if method == "svd" else {"keep": int(numbers / 2)}


def _claims(folder, settings):
    for name in settings.data:
        title = TITLES[name]
        dense = read_columns(folder / "curve.csv", data=name, family="dense")["test"]
        published = [DENSE_PUBLISHED] if name == "mnist" else []
        yield _near("G1", f"dense FC2, {title}", dense, *published)
        for bond in settings.bonds:
            found = read_columns(folder / "curve.csv", data=name, family="mpo", bond=str(bond))["test"]
            published = [PUBLISHED[bond]] if name == "mnist" and bond in PUBLISHED else []
            yield _near("G1", f"MPO, D = {bond}, {title}", found, *published)
        for family, bond in _grid(settings):
            if family != "mpo":
                yield _against_mpo(folder, name, family, bond)
        yield from _truncation_claims(folder, name, settings)


def _near(claim, statement, values, *published):
    """Return a claim on an accuracy, within half a percentage point of what was published, if anything was."""
    holds = bool(abs(values.mean() - published[0]) <= 0.005) if published else None
    source, text = ("Gao et al. 2020", f"{published[0]:.4f}") if published else ("sshml", "")
    criterion = "mean within 0.005" if published else ""
    return Claim(claim, f"test accuracy of {statement}", source, text, values, criterion, holds)


def _against_mpo(folder, name, family, bond):
    """Return the difference between the MPO and a rival with as many parameters, seed by seed."""
    rival = read_columns(folder / "curve.csv", data=name, family=family, bond=str(bond))
    mpo = read_columns(folder / "curve.csv", data=name, family="mpo")
    nearest = mpo["share"][np.abs(np.log(mpo["share"] / rival["share"][0])).argmin()]
    chosen = mpo["share"] == nearest
    return Claim(
        "G1", f"accuracy of MPO D = {mpo['bond'][chosen][0]:.0f} less {LABELS[family]} ({bond}), {TITLES[name]}",
        "sshml", "", mpo["test"][chosen] - rival["test"], "", None,
    )  # fmt: skip


def _truncation_claims(folder, name, settings):
    c = read_columns(folder / "truncated.csv", data=name, method="dense")
    yield Claim(
        "Sander", f"accuracy lost by fine-tuning alone, dense, {TITLES[name]}", "sshml", "", c["dense"] - c["tuned"],
        "", None,
    )  # fmt: skip
    for share in settings.shares:
        uniform, chosen = (
            read_columns(folder / "truncated.csv", data=name, method=method, share=str(share))
            for method in ("mpo", "automatic")
        )
        for kind, text in (("truncated", "no fine-tuning"), ("tuned", "fine-tuned")):
            yield Claim(
                "H5", f"accuracy of chosen less uniform bonds at {share:.0%} of the parameters, {text}, {TITLES[name]}",
                "Harada 2022", "announced", chosen[kind] - uniform[kind], "", None,
            )  # fmt: skip
    for share, loss in ((0.3, 0.01), (0.14, 0.05)):
        if share not in settings.shares:
            continue
        for method, label in TRUNCATED.items():
            c = read_columns(folder / "truncated.csv", data=name, method=method, share=str(share))
            for kind, text in (("truncated", "no fine-tuning"), ("tuned", "fine-tuned")):
                lost = c["dense"] - c[kind]
                sander = name == "mnist" and method == "mpo" and kind == "truncated"
                yield Claim(
                    "Sander", f"accuracy lost at {share:.0%} of the parameters, {label}, {text}, {TITLES[name]}",
                    "Sander 2020" if sander else "sshml", f"{loss}" if sander else "", lost,
                    "mean at most as much" if sander else "", bool(lost.mean() <= loss) if sander else None,
                )  # fmt: skip


def draw(folder):
    """Draw the figures of a results folder from its CSV files."""
    names = [name for name in TITLES if name in set(read_columns(folder / "curve.csv")["data"])]
    save_figures(folder, {"curve": _curve(folder, names), "truncated": _truncated(folder, names)})


def _curve(folder, names):
    figure, axes = new_figure(1, len(names), width=4.6, height=3.5)
    for ax, name in zip(axes[0], names, strict=True):
        table = read_columns(folder / "curve.csv", data=name)
        for (family, label), color, marker in zip(LABELS.items(), COLORS, "os^", strict=False):
            mine = table["family"] == family
            shares = np.unique(table["share"][mine])
            groups = [table["test"][mine & (table["share"] == share)] for share in shares]
            plot_points(ax, shares, groups, fmt=f"{marker}-", color=color, label=label)
        dense = table["test"][table["family"] == "dense"]
        ax.axhline(dense.mean(), color="0.3", linewidth=1, label="dense")
        ax.axhspan(dense.mean() - dense.std(ddof=1), dense.mean() + dense.std(ddof=1), color="0.3", alpha=0.15)
        if name == "mnist":
            shares = [fc2_share(FC2_SHAPE, bond) for bond in PUBLISHED]
            ax.plot(shares, list(PUBLISHED.values()), "x", color="k", label="MPO, Gao et al. 2020")
        ax.set_xscale("log")
        ax.set_xticks([0.005, 0.01, 0.02, 0.05, 0.1], ["0.005", "0.01", "0.02", "0.05", "0.1"])
        ax.minorticks_off()
        ax.set_xlabel(r"parameters of both layers / dense, $\rho$")
        ax.set_ylabel("test accuracy")
        ax.set_title(TITLES[name], fontsize=10)
    axes[0, 0].legend(fontsize=8, loc="lower right")
    return figure


def _truncated(folder, names):
    figure, axes = new_figure(1, len(names), width=4.6, height=3.5)
    for ax, name in zip(axes[0], names, strict=True):
        for (method, label), color in zip(TRUNCATED.items(), COLORS, strict=False):
            table = read_columns(folder / "truncated.csv", data=name, method=method)
            shares = np.unique(table["share"])
            for kind, style, text in (("truncated", "o-", ""), ("tuned", "s--", ", fine-tuned")):
                lost = [(table["dense"] - table[kind])[table["share"] == share] * 100 for share in shares]
                plot_points(ax, shares, lost, fmt=style, color=color, label=label + text, markersize=4)
        if name == "mnist":
            ax.plot([0.14, 0.3], [5, 1], "x", color="k", label="MPO, Sander 2020", zorder=5)
        ax.set_xscale("log")
        ax.set_yscale("symlog", linthresh=1)
        ticks = [share for share in (0.03, 0.05, 0.14, 0.3, 0.5) if shares[0] <= share <= shares[-1]]
        ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        ax.minorticks_off()
        tuned = read_columns(folder / "truncated.csv", data=name, method="dense")
        lost = 100 * (tuned["dense"] - tuned["tuned"])
        ax.axhline(lost.mean(), color="0.3", linewidth=1, linestyle="--", label="dense, fine-tuned")
        ax.axhline(0, color="0.5", linewidth=0.8, linestyle=":")
        ax.set_yticks([-1, 0, 1, 10], ["-1", "0", "1", "10"])
        ax.set_xlabel("parameters of the network / dense")
        ax.set_ylabel("test accuracy lost (percentage points)")
        ax.set_title(TITLES[name], fontsize=10)
    handles = axes[0, 0].get_legend_handles_labels()
    axes[0, -1].legend(*handles, fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure
