"""Figures of the poster, drawn from the tables of its run."""

import numpy as np

from sshml.analysis import ceilings, gaussian_entropy
from sshml.experiments.poster.claims import compression, entropies, gaussian, smallest_ranks
from sshml.experiments.poster.measurements import SHOWN, cuts_of, shape_of
from sshml.plotting import (
    COLORS,
    legend_below,
    name_panel,
    new_figure,
    plot_band,
    plot_cuts,
    plot_groups,
    plot_middle,
    plot_score,
    plot_shares,
    plot_vector,
    set_accuracy_axis,
    set_error_axis,
    set_number_axis,
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
    """Draw what truncation of layer 1 costs.

    Share of wrong labels against (a) the singular values kept in layer 1, (b) the bytes of layer 1 as SVD and with
    small weights zeroed; dotted: 5 % wrong. Medians of {seeds} networks, bands between their quartiles; all axes
    logarithmic.
    """
    figure, axes = new_figure(1, 2, width=3.5, height=2.8, sharey=True)
    dense = (2 * settings.cells) ** 2 * settings.hidden[0] * 4 / 1024
    for (view, title), style in zip(_pair(settings).items(), ("-", "--"), strict=False):
        for method, color, what in (("svd", COLORS[0], "SVD"), ("prune", COLORS[1], "small weights zeroed")):
            sizes, stored, accuracy = compression(tables, view, method)
            curve = 1 - accuracy, f"{what}, {title}", color
            plot_middle(axes[0, 1], stored / 1024, *curve, share=0.5, linestyle=style)
            if method == "svd":
                plot_middle(axes[0, 0], sizes, *curve, share=0.5, linestyle=style, marker=".", markersize=3)
    set_number_axis(axes[0, 0], settings.hidden[0], "singular values kept in layer 1")
    axes[0, 1].set_xscale("log")
    axes[0, 1].axvline(dense, color="0.7", linewidth=0.8)
    axes[0, 1].annotate(
        "dense", (dense, 0.97), xycoords=("data", "axes fraction"), rotation=90, fontsize=7, ha="right", va="top"
    )
    axes[0, 1].set_xlabel("layer 1 as stored, indices included (KiB)")
    for ax in axes[0]:
        set_error_axis(ax, settings.test)
    axes[0, 1].set_ylabel("")
    legend_below(figure, axes[0, 1])
    return figure


def _fig2(tables, settings):
    """Draw what truncation of both hidden layers costs.

    Share of wrong labels with both hidden layers cut, against the singular values kept in layer 2, for several numbers
    kept in layer 1; dotted: 5 % wrong. Medians of {seeds} networks, bands between their quartiles; both axes
    logarithmic.
    """
    if "fig2" not in tables:  # another number of layers
        return None
    figure, axes = new_figure(width=4.6, height=3.0)
    ranks, ax, least = np.unique(tables.columns("fig2")["rank_1"])[1:], axes[0, 0], 0.05
    for rank, color in zip(ranks, COLORS, strict=False):
        _, sizes, accuracy = pivot(tables.columns("fig2", rank_1=f"{rank:g}"), "seed", "rank_2", "accuracy")
        plot_middle(ax, sizes, 1 - accuracy, f"{rank:g}", color, share=0.5, marker=".", markersize=3)
        least = min(least, np.median(1 - accuracy, axis=0).min())
    set_number_axis(ax, sizes[-1], "singular values kept in layer 2")
    set_error_axis(ax, settings.test)
    ax.set_ylim(bottom=max(0.5 * least, 0.7 / settings.test))
    ax.legend(title="kept in layer 1", fontsize=7, title_fontsize=7, loc="center left", bbox_to_anchor=(1.08, 0.5))
    return figure


def _fig3(tables, settings):
    """Draw the first singular vectors.

    Right singular vector v1 of the largest singular value of layer 1, a map of level (site for the projector) and site,
    of the first network in each view; yellow lines: the mid-gap levels. Colour scales differ.
    """
    figure, axes = new_figure(-(-len(settings.views) // 3), min(3, len(settings.views)), width=2.33, height=2.1)
    for ax in axes.flat[len(settings.views) :]:
        figure.delaxes(ax)
    for ax, (view, title) in zip(axes.flat, _shown(settings).items(), strict=False):
        rows = "site" if view == "projector" else "level"
        vectors = tables.columns("fig3_vectors", view=view)
        sites = int(vectors["site"].max())
        name_panel(plot_vector(ax, vectors["v1"].reshape(sites, sites), rows), title)
    return figure


def _scores(tables, settings):
    """Draw what the first singular vectors select.

    Above: weight of v1 on each level (site for the projector); bars are means of {seeds} networks, dots single ones,
    which may read one of several levels, yellow the mid-gap levels, dotted the uniform share. Below: score v1 . x of
    test chains with w/v from .03 to 30 against w/v, first network, by their winding number.
    """
    figure, axes = new_figure(2, len(settings.views), width=2.4, height=2.2)
    for column, (view, title) in enumerate(_shown(settings).items()):
        rows = "site" if view == "projector" else "level"
        shares = tables.columns("fig3_shares", view=view)
        ax = plot_shares(axes[0, column], shares["share"].reshape(-1, 2 * settings.cells), rows)
        name_panel(ax, title)
        scores = tables.columns("fig3_scores", view=view)
        plot_score(axes[1, column], scores["w/v"], scores["score"], scores["winding"])
        for each in axes[:, column] if column else ():
            each.set_ylabel("")
    legend_below(figure, axes[1, 0], markerscale=4)
    return figure


def _fig4(tables, settings):
    """Draw ranks by view, and accuracy near the transition.

    (a) Smallest rank of layer 1 that keeps 95 % accuracy, and 95 % of the accuracy of the network; dots are the {seeds}
    networks, bars one standard deviation. (b) Test accuracy of the whole networks against w/v in 28 bins from 1/2 to 2,
    outside of which half of the chains lie; bands: one standard deviation with the error of the test chains in the bin.
    """
    figure, axes = new_figure(1, 2, width=3.5, height=2.8)
    views = _shown(settings)
    for relative, color, offset, label in (
        (False, COLORS[0], -0.15, "95 % accuracy"),
        (True, COLORS[1], 0.15, "95 % of its own accuracy"),
    ):
        groups = [smallest_ranks(tables, view, relative) for view in views]
        plot_groups(axes[0, 0], views.values(), groups, color, offset, label)
    axes[0, 0].set_ylabel("smallest rank of layer 1")
    axes[0, 0].set_ylim(0, None)
    axes[0, 0].tick_params(axis="x", rotation=20)
    axes[0, 0].legend(fontsize=7)
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
    axes[0, 1].legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def _fig5(tables, settings):
    """Draw MPO beside SVD, and the entropies of singular vectors.

    (a) Test accuracy against the numbers stored for layer 1, as SVD and as MPO, without retraining; dotted: .95; bands:
    one standard deviation over {seeds} networks with the error of the test set. (b) Entropy between level and site of
    each right singular vector of layer 1 of all networks, against its singular value.
    """
    figure, axes = new_figure(1, 2, width=3.5, height=2.8)
    _mpo_and_svd(axes[0, 0], tables, settings, settings.hidden[0] * (2 * settings.cells) ** 2)
    _vectors(axes[0, 1], tables, settings)
    return figure


def _fig6(tables, settings):
    """Draw the entropies of layer 1.

    (a) Entropy of layer 1, of the epoch that validation chose, at the cuts of its MPO and between outputs and inputs,
    beside the mean of Gaussian matrices and ceilings. (b) The same at the middle cut over training, from before the
    first epoch to the last. (c), (d) Entropy, and test accuracy, against disorder, random signs. Bars and bands:
    one standard deviation over {seeds} networks, dots in (c), (d) single ones.
    """
    figure, axes = new_figure(2, 2, width=3.5, height=2.7)
    outputs, inputs = settings.hidden[0], (2 * settings.cells) ** 2
    shape = shape_of(outputs, inputs)
    cuts, middle = cuts_of(shape), shape.sites // 2
    mean, std = gaussian(shape)
    trained = {
        title: np.stack([entropies(tables, view, cut) for cut in cuts], axis=1)
        for view, title in _shown(settings).items()
    }
    top = np.append(ceilings(shape), np.log(min(outputs, inputs)))
    plot_cuts(axes[0, 0], cuts, trained, mean, std, top)
    for (view, title), color in zip(_shown(settings).items(), COLORS, strict=False):
        found = tables.columns("fig5_training", view=view, cut=cuts[middle - 1])
        _, epochs, values = pivot(found, "seed", "epoch", "entropy")
        start = entropies(tables, view, cuts[middle - 1], "initial")
        epochs, values = np.append(0, epochs), np.column_stack([start, values])
        plot_band(axes[0, 1], epochs, *band(values), title, color)
    axes[0, 1].axhline(mean[middle - 1], color="0.3", linewidth=1)
    axes[0, 1].margins(y=0.08)
    axes[0, 1].set_xlabel("epoch")
    axes[0, 1].xaxis.get_major_locator().set_params(integer=True)
    axes[0, 1].set_ylabel(f"entropy of layer 1, cut {middle} (nats)")
    _disorder(*axes[1], tables, settings, ((cuts[middle - 1], mean[middle - 1]), (cuts[-1], mean[-1])))
    legend_below(figure, axes[0, 0])
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
    ax.legend(fontsize=7, loc="lower right", framealpha=1)


def _vectors(ax, tables, settings):
    for (view, title), color, form in zip(_shown(settings, SHOWN).items(), COLORS, ".x^", strict=False):
        found = tables.columns("fig5_vectors", view=view)
        style = {"color": color, "markersize": 2.5, "alpha": 0.4, "markeredgewidth": 0.5}
        ax.plot(found["value"], found["entropy"], form, **style, label=title)
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
        left.remove(), right.remove()
        return
    table = tables.columns("fig5_disorder")
    strengths = np.unique(table["W"])
    names = [f"{w:g}" for w in strengths]
    for (cut, value), color, offset, line in zip(cuts, ("k", "0.5"), (-0.1, 0.1), ("--", ":"), strict=True):
        groups = [table["entropy"][(table["W"] == w) & (table["cut"] == cut)] for w in strengths]
        plot_groups(left, names, groups, color, offset, f"cut {cut}")
        left.axhline(value, color=color, linewidth=1, linestyle=line, label=f"Gaussian, cut {cut}")
    left.set_ylabel("entropy of layer 1 (nats),\nrandom signs")
    left.legend(fontsize=7)
    groups = [table["accuracy"][(table["W"] == w) & (table["cut"] == cuts[0][0])] for w in strengths]
    plot_groups(right, names, groups, "k")
    right.set_ylabel("test accuracy, random signs")
    for ax in (left, right):
        ax.set_xlabel("disorder strength $W$ of all hoppings")


FIGURES = {
    "fig1": _fig1,
    "fig2": _fig2,
    "fig3": _fig3,
    "fig3_levels": _scores,
    "fig4": _fig4,
    "fig5": _fig5,
    "fig6": _fig6,
}
