"""Figures of the poster, drawn from the numbers that its run wrote."""

import numpy as np

from sshml.analysis import ceilings, gaussian_entropy
from sshml.experiments.claims import save_figures
from sshml.experiments.poster_mpo import CUTS, SHAPE, SHOWN
from sshml.files import read_columns, read_csv
from sshml.plotting import (
    COLORS,
    new_figure,
    plot_band,
    plot_cuts,
    plot_groups,
    plot_score,
    plot_shares,
    plot_vector,
    set_accuracy_axis,
    set_removed_axis,
)

TITLES = {"random": "random signs", "fixed": "fixed gauge", "abs": "|ψ|", "density": "|ψ|²", "projector": "projector"}


def draw(folder):
    """Draw fig1 ... fig5 of a results folder from its CSV files, as PNG and PDF."""
    figures = {"fig1": _fig1, "fig2": _fig2, "fig3": _fig3, "fig4": _fig4, "fig5": _fig5}
    save_figures(folder, {name: figure(folder) for name, figure in figures.items()})


def _fig1(folder):
    figure, axes = new_figure(1, 2, width=5)
    for row, (view, style) in enumerate((("random", "-"), ("density", "--"))):
        for method, color, what in (("svd", COLORS[0], "SVD"), ("prune", COLORS[1], "small weights")):
            c = read_columns(folder / "fig1.csv", view=view, method=method)
            for ax, x in zip(axes[0], (c["kept"], c["bytes"] / 1024), strict=True):
                plot_band(ax, x, c["mean"], c["std"], f"{what}, {TITLES[view]}", color, linestyle=style, zorder=3 - row)
    set_removed_axis(axes[0, 0], "singular values or weights of layer 1 removed", most=99.7)
    axes[0, 1].set_xscale("log")
    axes[0, 1].set_xlim(150, 0.3)
    axes[0, 1].set_xticks([100, 10, 1], ["100", "10", "1"])
    dense = 256 * 128 * 4 / 1024
    axes[0, 1].axvline(dense, color="0.7", linewidth=0.8)
    axes[0, 1].text(dense * 0.93, 0.47, "dense", color="0.4", rotation=90, ha="left", va="bottom", fontsize=8)
    axes[0, 1].set_xlabel("layer 1 as stored, indices included (KiB)")
    for ax in axes[0]:
        set_accuracy_axis(ax)
    axes[0, 0].legend(fontsize=8, loc="lower left")
    return figure


def _fig2(folder):
    figure, axes = new_figure(width=5, height=3.6)
    ax = axes[0, 0]
    ranks = sorted({int(row["rank_1"]) for row in read_csv(folder / "fig2.csv")})
    for rank, color in zip(ranks, COLORS, strict=False):
        c = read_columns(folder / "fig2.csv", rank_1=str(rank))
        plot_band(ax, c["kept"], c["mean"], c["std"], f"{rank}", color)
    set_removed_axis(ax, "singular values of layer 2 removed", most=98.6)
    set_accuracy_axis(ax)
    ax.legend(title="rank left in\nlayer 1", fontsize=8, title_fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def _fig3(folder):
    figure, axes = new_figure(3, len(TITLES), width=2.8, height=2.4)
    for column, (view, title) in enumerate(TITLES.items()):
        rows = "site" if view == "projector" else "level"
        vectors = read_columns(folder / "fig3_vectors.csv", view=view)
        sites = int(vectors["site"].max())
        plot_vector(axes[0, column], vectors["v1"].reshape(sites, sites), rows).set_title(title, fontsize=10)
        shares = read_columns(folder / "fig3_shares.csv", view=view)
        plot_shares(axes[1, column], shares["share"].reshape(-1, sites), rows)
        scores = read_columns(folder / "fig3_scores.csv", view=view)
        plot_score(axes[2, column], scores["w/v"], scores["score"], scores["winding"])
    axes[2, 3].legend(fontsize=8, markerscale=4, loc="upper left")
    return figure


def _fig4(folder):
    figure, axes = new_figure(1, 3, width=4.6, height=3.4)
    groups = {view: read_columns(folder / "fig4_ranks.csv", view=view) for view in TITLES}
    for kind, color, offset, label in (
        ("absolute", COLORS[0], -0.15, "95 % accuracy"),
        ("relative", COLORS[1], 0.15, "95 % of its own accuracy"),
    ):
        plot_groups(axes[0, 0], TITLES.values(), [c[kind] for c in groups.values()], color, offset, label)
    axes[0, 0].set_ylabel("smallest rank of layer 1")
    axes[0, 0].set_ylim(0, None)
    axes[0, 0].tick_params(axis="x", labelsize=8, rotation=20)
    axes[0, 0].legend(fontsize=8)

    for (view, title), color in zip(TITLES.items(), COLORS, strict=False):
        c = read_columns(folder / "fig4_ratio.csv", view=view)
        inside = (c["low"] > 0) & np.isfinite(c["high"])
        middle = np.sqrt(c["low"] * c["high"])[inside]
        plot_band(axes[0, 1], middle, c["mean"][inside], c["std"][inside], title, color, marker=".", markersize=3)
    axes[0, 1].axvline(1, color="0.5", linewidth=0.8, linestyle=":")
    axes[0, 1].set_xscale("log")
    axes[0, 1].set_xticks([0.5, 0.7, 1, 1.4, 2], ["0.5", "0.7", "1", "1.4", "2"])
    axes[0, 1].minorticks_off()
    axes[0, 1].set_xlabel("w / v")
    axes[0, 1].set_ylabel("test accuracy")
    axes[0, 1].legend(fontsize=8, loc="lower right")

    c = read_columns(folder / "fig4_signs.csv")
    axes[0, 2].barh(c["gauge"], c["accuracy"], xerr=c["error"], color=COLORS[2], ecolor="0.3", capsize=3)
    axes[0, 2].axvline(0.5, color="0.5", linewidth=0.8, linestyle=":")
    axes[0, 2].set_xlim(0, 1.02)
    axes[0, 2].set_xlabel("label from the signs alone\n(balanced accuracy)")
    axes[0, 2].set_ylabel("gauge")
    return figure


def _fig5(folder):
    figure, axes = new_figure(2, 3, width=4.4, height=3.3)
    entropies = {
        (view, when): _entropies(folder, view, when)
        for view, when in (
            *((view, "trained") for view in TITLES),
            ("Gaussian", "mean - std"),
            ("Gaussian", "mean + std"),
        )
    }
    low, high = (entropies["Gaussian", f"mean {sign} std"][0] for sign in "-+")
    gaussian = (low + high) / 2
    _mpo_and_svd(axes[0, 0], folder)
    trained = {title: entropies[view, "trained"] for view, title in TITLES.items()}
    plot_cuts(axes[0, 1], CUTS, trained, gaussian, (high - low) / 2, np.append(ceilings(SHAPE), np.log(128)))
    axes[0, 1].set_ylim(0, 7.5)
    axes[0, 1].legend(fontsize=7, ncols=2, loc="upper left")
    for view, color in zip(TITLES, COLORS, strict=False):
        c = read_columns(folder / "fig5_training.csv", view=view, cut="2")
        plot_band(axes[0, 2], c["epoch"], c["mean"], c["std"], TITLES[view], color)
    axes[0, 2].axhline(gaussian[1], color="0.3", linewidth=1, label="Gaussian matrix")
    axes[0, 2].set_xlabel("epoch")
    axes[0, 2].set_ylabel("entropy of layer 1 at cut 2 (nats)")
    axes[0, 2].legend(fontsize=7)
    _vectors(axes[1, 0], folder)
    _disorder(axes[1, 1], axes[1, 2], folder, gaussian)
    return figure


def _entropies(folder, view, when):
    """Return entropies (member, cut in CUTS)."""
    table = folder / "fig5_entropies.csv"
    return np.stack([read_columns(table, view=view, when=when, cut=cut)["entropy"] for cut in CUTS], axis=1)


def _mpo_and_svd(ax, folder):
    for view, color in (("random", COLORS[0]), ("density", COLORS[1])):
        mpo = read_columns(folder / "fig5_accuracy.csv", view=view)
        svd = read_columns(folder / "fig1.csv", view=view, method="svd")
        plot_band(ax, svd["bytes"] / 4, svd["mean"], svd["std"], f"SVD, {TITLES[view]}", color, linestyle="--")
        plot_band(ax, mpo["numbers"], mpo["mean"], mpo["std"], f"MPO, {TITLES[view]}", color, marker="o", markersize=3)
    ax.axvline(128 * 256, color="0.7", linewidth=0.8)
    ax.set_xscale("log")
    ax.set_xlabel("numbers stored for layer 1 (grey: dense)")
    set_accuracy_axis(ax)
    ax.legend(fontsize=8)


def _vectors(ax, folder):
    for view, color in zip(SHOWN, COLORS, strict=False):
        c = read_columns(folder / "fig5_vectors.csv", view=view)
        ax.plot(c["value"], c["entropy"], ".", color=color, markersize=2, alpha=0.5, label=TITLES[view])
    ax.axhline(gaussian_entropy(16, 16), color="0.3", linewidth=1, label="Gaussian vector")
    ax.set_xscale("log")
    ax.set_xlabel("singular value of layer 1")
    ax.set_ylabel("entropy of its right vector,\nlevel | site (nats)")
    ax.legend(fontsize=7, markerscale=4, loc="lower left")


def _disorder(left, right, folder, gaussian):
    table = read_columns(folder / "fig5_disorder.csv")
    strengths = np.unique(table["W"])
    names = [f"{w:g}" for w in strengths]
    for cut, color, offset, value in (("2", COLORS[0], -0.1, gaussian[1]), ("out | in", COLORS[1], 0.1, gaussian[3])):
        groups = [table["entropy"][(table["W"] == w) & (table["cut"] == cut)] for w in strengths]
        plot_groups(left, names, groups, color, offset, f"cut {cut}")
        left.axhline(value, color=color, linewidth=1, linestyle=":", label=f"Gaussian, cut {cut}")
    left.set_ylabel("entropy of layer 1 (nats), random signs")
    left.legend(fontsize=7)
    groups = [table["accuracy"][(table["W"] == w) & (table["cut"] == "2")] for w in strengths]
    plot_groups(right, names, groups, COLORS[0])
    right.set_ylabel("test accuracy, random signs")
    for ax in (left, right):
        ax.set_xlabel("disorder strength $W$ of all hoppings")
