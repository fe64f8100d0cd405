"""Figures of weights: sweeps, selections, entropies at cuts, fronts and spectra."""

import itertools

import numpy as np
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from sshml.arguments import as_array, having, real
from sshml.errors import SSHMLError
from sshml.plotting.axes import COLORS, legend_below, name_panel, new_figure
from sshml.plotting.panels import plot_cuts, plot_score, plot_shares, plot_vector
from sshml.statistics import band


def sweep_figure(sweep, threshold=0.95):
    """Return the figure of a `Sweep`: test accuracy against the size of the layer, mean, one std and every network.

    Args:
        sweep: from `rank_sweep`, `bond_sweep` or `prune_sweep`.
        threshold: accuracy to mark, with the smallest size that keeps it, the median over the networks.
    """
    having(sweep, "sweep", ("sizes", "accuracy", "smallest"), "a Sweep, as of rank_sweep")
    threshold = real(threshold, "threshold")
    figure, axes = new_figure(width=4.6, height=3.3)
    ax = axes[0, 0]
    mean, std = band(sweep.accuracy)
    ax.plot(sweep.sizes, mean, color=COLORS[0], linewidth=1.5, label="mean ± std")
    ax.fill_between(sweep.sizes, mean - std, np.minimum(mean + std, 1), color=COLORS[0], alpha=0.2, linewidth=0)
    if 1 < len(sweep.accuracy) <= 20:
        ax.plot(sweep.sizes, sweep.accuracy.T, ".", color=COLORS[0], markersize=2, alpha=0.5)
    ax.axhline(threshold, color="0.5", linewidth=0.8, linestyle=":", zorder=0)
    ax.annotate(f" {threshold:g}", (1, threshold), xycoords=("axes fraction", "data"), fontsize=8, va="center")
    found = sweep.smallest(threshold)
    if np.isfinite(found).any():
        size = np.median(found[np.isfinite(found)])
        label = f"{size:g}: smallest that keeps {threshold:g},\nmedian over the networks"
        ax.axvline(size, color=COLORS[1], linewidth=1, linestyle="--", label=label)
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=30))
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlim(sweep.sizes[0] * 0.9, sweep.sizes[-1] * 1.1)
    kept = {"svd": "singular values kept", "mpo": "largest bond", "prune": "weights kept"}[sweep.method]
    ax.set_xlabel(f"{kept}, linear layer {sweep.number + 1}")
    ax.set_ylabel("test accuracy")
    ax.legend(fontsize=7, loc="lower right")
    return figure


def selection_figure(selection, ratio, winding):
    """Return the figure of a `Selection`: the top vector of the first network, its weight per row, its scores.

    Args:
        selection: from `select`.
        ratio: w/v of the test chains, shape (sample).
        winding: their winding numbers, shape (sample).
    """
    having(selection, "selection", ("view", "vectors", "score"), "a Selection, as of select")
    ratio, winding = as_array(ratio, "ratio", axes="sample"), as_array(winding, "winding", axes="sample")
    if not len(ratio) == len(winding) == selection.score.shape[-1]:
        raise SSHMLError(
            f"ratio {ratio.shape} and winding {winding.shape} do not match {selection.score.shape[-1]} test chains."
        )
    figure, axes = new_figure(1, 3, width=3.6, height=3)
    rows = "site" if selection.view == "projector" else "level"
    plot_vector(axes[0, 0], selection.vectors[0, 0], rows)
    name_panel(axes[0, 0], "first network")
    plot_shares(axes[0, 1], selection.row_share[:, 0], rows)
    name_panel(axes[0, 1], "all networks")
    plot_score(axes[0, 2], ratio, selection.score[0], winding)
    name_panel(axes[0, 2], "first network, test chains")
    legend_below(figure, axes[0, 2], markerscale=4)
    return figure


def cuts_figure(report):
    """Return the figure of a `CutReport`: entropies in nats at every cut, beside random matrices and ceilings."""
    having(report, "report", ("shape", "entropies", "ceiling"), "a CutReport, as of cut_report")
    figure, axes = new_figure(width=max(5, 1.2 * report.shape.sites))
    cuts = [str(k + 1) for k in range(len(report.ceiling))]
    plot_cuts(axes[0, 0], cuts, report.entropies, report.mean, report.std, report.ceiling)
    axes[0, 0].legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def front_figure(fronts, what="accuracy"):
    """Return the figure of one `Front` or of several: accuracy, or error of the outputs, against the bytes stored.

    Args:
        fronts: a `Front`, or {label: `Front`}.
        what: "accuracy" or "output_error".
    """
    fronts = fronts if isinstance(fronts, dict) else {None: fronts}
    figure, axes = new_figure(width=4.6, height=3.3)
    ax = axes[0, 0]
    for color, (label, front) in zip(itertools.cycle(COLORS), fronts.items()):
        rows = [row for row in front.rows if row[what] is not None]
        if not rows:
            raise SSHMLError(f"the front holds no {what}; make it with data, and with labels for accuracies.")
        dense, small = rows[-1], rows[:-1]
        ax.plot([r["bytes"] for r in small], [r[what] for r in small], ".-", color=color, label=label, linewidth=1.2)
        if what == "accuracy":
            ax.axhline(dense[what], color=color, linewidth=0.8, linestyle=":")
    ax.set_xscale("log")
    ax.set_xlabel("bytes of the whole model")
    ax.set_ylabel({"accuracy": "accuracy (dotted: dense)", "output_error": "relative error of the outputs"}[what])
    if None not in fronts:
        ax.legend(fontsize=7)
    return figure


def spectra_figure(report):
    """Return the figure of the singular values of every matrix in a `Report`, with the rank that was kept.

    With data they are those of W C^(1/2), C the second moments of the inputs; relative to the largest one.
    """
    names = list(report.spectra)
    if not names:
        raise SSHMLError("the report holds no matrices; nothing of the model can be compressed.")
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    figure, axes = new_figure(rows, columns, width=2.3, height=1.9)
    for ax, name in zip(axes.flat, names, strict=False):
        values, rank = report.spectra[name]
        values = np.array(values) / max(max(values), 1e-300)
        seen = np.where(values > 1e-7, values, np.nan)  # below is rounding
        ax.plot(np.arange(1, len(values) + 1), seen, color=COLORS[0], linewidth=1.2)
        if rank is not None:
            ax.axvline(rank, color=COLORS[1], linewidth=1, linestyle="--")
        ax.set_yscale("log")
        name_panel(ax, f"{name}: {f'rank {rank}' if rank else 'not cut'}")
    for ax in axes.flat[len(names) :]:
        figure.delaxes(ax)
    figure.supxlabel("number of the singular value", fontsize=8)
    figure.supylabel("relative to the largest", fontsize=8)
    return figure
