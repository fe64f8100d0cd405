"""Figures of the poster, drawn from the tables of its run."""

import numpy as np

from sshml.analysis import ceilings, gaussian_entropy
from sshml.experiments.poster.claims import compression, entropies, gaussian, smallest_ranks
from sshml.experiments.poster.measurements import SHOWN, cuts_of, shape_of
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
from sshml.statistics import band
from sshml.tables import pivot

TITLES = {"random": "random signs", "fixed": "fixed gauge", "abs": "|ψ|", "density": "|ψ|²", "projector": "projector"}


def _shown(settings, names=TITLES):
    """Return {view: title} of the views of a run."""
    return {view: TITLES[view] for view in names if view in settings.views}


def _pair(settings):
    """Return {view: title} of the two views that are compared."""
    return _shown(settings, ("random", "density")) or dict(list(_shown(settings).items())[:2])


def _fig1(tables, settings):
    figure, axes = new_figure(1, 2, width=5)
    for row, (view, style) in enumerate(zip(_pair(settings), ("-", "--"), strict=False)):
        for method, color, what in (("svd", COLORS[0], "SVD"), ("prune", COLORS[1], "small weights")):
            sizes, stored, accuracy = compression(tables, view, method)
            for ax, x in zip(axes[0], (sizes / sizes[-1], stored / 1024), strict=True):
                plot_band(
                    ax,
                    x,
                    *band(accuracy, settings.test),
                    f"{what}, {TITLES[view]}",
                    color,
                    linestyle=style,
                    zorder=3 - row,
                )
    set_removed_axis(axes[0, 0], "singular values or weights of layer 1 removed", most=99.7)
    axes[0, 1].set_xscale("log")
    dense = (2 * settings.cells) ** 2 * settings.hidden[0] * 4 / 1024
    axes[0, 1].set_xlim(dense * 1.17, dense * 0.0024)
    ticks = [10.0**power for power in range(4, -3, -1) if dense * 0.0024 < 10.0**power < dense * 1.17]
    axes[0, 1].set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes[0, 1].axvline(dense, color="0.7", linewidth=0.8)
    axes[0, 1].text(dense * 0.93, 0.47, "dense", color="0.4", rotation=90, ha="left", va="bottom", fontsize=8)
    axes[0, 1].set_xlabel("layer 1 as stored, indices included (KiB)")
    for ax in axes[0]:
        set_accuracy_axis(ax)
    axes[0, 0].legend(fontsize=8, loc="lower left")
    return figure


def _fig2(tables, settings):
    if "fig2" not in tables:  # another number of layers
        return None
    figure, axes = new_figure(width=5, height=3.6)
    ax = axes[0, 0]
    ranks = np.unique(tables.columns("fig2")["rank_1"])
    for rank, color in zip(ranks, COLORS, strict=False):
        _, sizes, accuracy = pivot(tables.columns("fig2", rank_1=f"{rank:g}"), "seed", "rank_2", "accuracy")
        plot_band(ax, sizes / sizes[-1], *band(accuracy, settings.test), f"{rank:g}", color)
    set_removed_axis(ax, "singular values of layer 2 removed", most=98.6)
    set_accuracy_axis(ax)
    ax.legend(title="rank left in\nlayer 1", fontsize=8, title_fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def _fig3(tables, settings):
    figure, axes = new_figure(3, len(settings.views), width=2.8, height=2.4)
    for column, (view, title) in enumerate(_shown(settings).items()):
        rows = "site" if view == "projector" else "level"
        vectors = tables.columns("fig3_vectors", view=view)
        sites = int(vectors["site"].max())
        plot_vector(axes[0, column], vectors["v1"].reshape(sites, sites), rows).set_title(title, fontsize=10)
        shares = tables.columns("fig3_shares", view=view)
        plot_shares(axes[1, column], shares["share"].reshape(-1, sites), rows)
        scores = tables.columns("fig3_scores", view=view)
        plot_score(axes[2, column], scores["w/v"], scores["score"], scores["winding"])
    axes[2, -1].legend(fontsize=8, markerscale=4, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def _fig4(tables, settings):
    figure, axes = new_figure(1, 3, width=4.6, height=3.4)
    views = _shown(settings)
    for relative, color, offset, label in (
        (False, COLORS[0], -0.15, "95 % accuracy"),
        (True, COLORS[1], 0.15, "95 % of its own accuracy"),
    ):
        groups = [smallest_ranks(tables, view, relative) for view in views]
        plot_groups(axes[0, 0], views.values(), groups, color, offset, label)
    axes[0, 0].set_ylabel("smallest rank of layer 1")
    axes[0, 0].set_ylim(0, None)
    axes[0, 0].tick_params(axis="x", labelsize=8, rotation=20)
    axes[0, 0].legend(fontsize=8)

    for (view, title), color in zip(views.items(), COLORS, strict=False):
        found = tables.columns("fig4_ratio", view=view)
        inside = (found["low"] > 0) & np.isfinite(found["high"])
        found = {name: column[inside] for name, column in found.items()} | {
            "middle": np.sqrt(found["low"] * found["high"])[inside]
        }
        _, middle, accuracy = pivot(found, "seed", "middle", "accuracy")
        chains = pivot(found, "seed", "middle", "chains")[2][0].astype(int)
        plot_band(axes[0, 1], middle, *band(accuracy, chains), title, color, marker=".", markersize=3)
    axes[0, 1].axvline(1, color="0.5", linewidth=0.8, linestyle=":")
    axes[0, 1].set_xscale("log")
    axes[0, 1].set_xticks([0.5, 0.7, 1, 1.4, 2], ["0.5", "0.7", "1", "1.4", "2"])
    axes[0, 1].minorticks_off()
    axes[0, 1].set_xlabel("w / v")
    axes[0, 1].set_ylabel("test accuracy")
    axes[0, 1].legend(fontsize=8, loc="lower right")

    found = tables.columns("fig4_signs")
    axes[0, 2].barh(found["gauge"], found["accuracy"], xerr=found["error"], color=COLORS[2], ecolor="0.3", capsize=3)
    axes[0, 2].axvline(0.5, color="0.5", linewidth=0.8, linestyle=":")
    axes[0, 2].set_xlim(0, 1.02)
    axes[0, 2].set_xlabel("label from the signs alone\n(balanced accuracy)")
    axes[0, 2].set_ylabel("gauge")
    return figure


def _fig5(tables, settings):
    figure, axes = new_figure(2, 3, width=4.4, height=3.3)
    outputs, inputs = settings.hidden[0], (2 * settings.cells) ** 2
    shape = shape_of(outputs, inputs)
    cuts, middle = cuts_of(shape), shape.sites // 2
    mean, std = gaussian(shape)
    _mpo_and_svd(axes[0, 0], tables, settings, outputs * inputs)
    trained = {
        title: np.stack([entropies(tables, view, cut) for cut in cuts], axis=1)
        for view, title in _shown(settings).items()
    }
    top = np.append(ceilings(shape), np.log(min(outputs, inputs)))
    plot_cuts(axes[0, 1], cuts, trained, mean, std, top)
    axes[0, 1].set_ylim(0, 1.55 * max(top))
    axes[0, 1].legend(fontsize=7, ncols=2, loc="upper left")
    for (view, title), color in zip(_shown(settings).items(), COLORS, strict=False):
        found = tables.columns("fig5_training", view=view, cut=cuts[middle - 1])
        _, epochs, values = pivot(found, "seed", "epoch", "entropy")
        plot_band(axes[0, 2], epochs, *band(values), title, color)
    axes[0, 2].axhline(mean[middle - 1], color="0.3", linewidth=1, label="Gaussian matrix")
    axes[0, 2].set_xlabel("epoch")
    axes[0, 2].set_ylabel(f"entropy of layer 1 at cut {middle} (nats)")
    axes[0, 2].legend(fontsize=7)
    _vectors(axes[1, 0], tables, settings)
    _disorder(axes[1, 1], axes[1, 2], tables, settings, ((cuts[middle - 1], mean[middle - 1]), (cuts[-1], mean[-1])))
    return figure


def _mpo_and_svd(ax, tables, settings, dense):
    for view, color in zip(_pair(settings), COLORS, strict=False):
        _, stored, accuracy = compression(tables, view, "svd")
        plot_band(ax, stored / 4, *band(accuracy, settings.test), f"SVD, {TITLES[view]}", color, linestyle="--")
        _, numbers, accuracy = pivot(tables.columns("fig5_accuracy", view=view), "seed", "numbers", "accuracy")
        plot_band(ax, numbers, *band(accuracy, settings.test), f"MPO, {TITLES[view]}", color, marker="o", markersize=3)
    ax.axvline(dense, color="0.7", linewidth=0.8)
    ax.set_xscale("log")
    ax.set_xlabel("numbers stored for layer 1 (grey: dense)")
    set_accuracy_axis(ax)
    ax.legend(fontsize=8)


def _vectors(ax, tables, settings):
    for (view, title), color in zip(_shown(settings, SHOWN).items(), COLORS, strict=False):
        found = tables.columns("fig5_vectors", view=view)
        ax.plot(found["value"], found["entropy"], ".", color=color, markersize=2, alpha=0.5, label=title)
    ax.axhline(
        gaussian_entropy(2 * settings.cells, 2 * settings.cells), color="0.3", linewidth=1, label="Gaussian vector"
    )
    ax.set_xscale("log")
    ax.set_xlabel("singular value of layer 1")
    ax.set_ylabel("entropy of its right vector,\nlevel | site (nats)")
    if ax.lines:
        ax.legend(fontsize=7, markerscale=4, loc="lower left")


def _disorder(left, right, tables, settings, cuts):
    if "fig5_disorder" not in tables:
        left.set_axis_off(), right.set_axis_off()
        return
    table = tables.columns("fig5_disorder")
    strengths = np.unique(table["W"])
    names = [f"{w:g}" for w in strengths]
    for (cut, value), color, offset in zip(cuts, COLORS, (-0.1, 0.1), strict=False):
        groups = [table["entropy"][(table["W"] == w) & (table["cut"] == cut)] for w in strengths]
        plot_groups(left, names, groups, color, offset, f"cut {cut}")
        left.axhline(value, color=color, linewidth=1, linestyle=":", label=f"Gaussian, cut {cut}")
    left.set_ylabel("entropy of layer 1 (nats), random signs")
    left.legend(fontsize=7)
    groups = [table["accuracy"][(table["W"] == w) & (table["cut"] == cuts[0][0])] for w in strengths]
    plot_groups(right, names, groups, COLORS[0])
    right.set_ylabel("test accuracy, random signs")
    for ax in (left, right):
        ax.set_xlabel("disorder strength $W$ of all hoppings")


FIGURES = {"fig1": _fig1, "fig2": _fig2, "fig3": _fig3, "fig4": _fig4, "fig5": _fig5}
