"""Arrays in, Axes out: no files, no computing, no change of rcParams or of the current figure."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's colours, distinct for colour-blind readers."""


def new_figure(rows=1, columns=1, width=4.2, height=3.2, **options):
    """Return (figure, axes array) of a grid of panels, `width` x `height` inches each, without pyplot."""
    figure = Figure(figsize=(columns * width, rows * height), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def plot_band(ax, x, mean, std, label=None, color=None, **style):
    """Draw a line with a band of one standard deviation on either side."""
    (line,) = ax.plot(x, mean, label=label, color=color, **style)
    ax.fill_between(x, mean - std, mean + std, color=line.get_color(), alpha=0.2, linewidth=0)
    return ax


def plot_points(ax, x, groups, **style):
    """Draw mean and one standard deviation of each group of seeds at its x."""
    means, stds = ([f(group) for group in groups] for f in (np.mean, lambda group: np.std(group, ddof=1)))
    ax.errorbar(x, means, stds, capsize=2, **style)
    return ax


def set_removed_axis(ax, what="removed", most=99.9):
    """Make x the share kept (0 ... 1), on a falling logarithmic axis with the share removed, in %, at the ticks."""
    removed = np.array([0, 50, 75, 90, 95, 98, 99, 99.5, 99.9])
    removed = removed[removed <= most]
    ax.set_xscale("log")
    ax.set_xlim(1.15, 1 - most / 100)
    ax.xaxis.set_major_locator(FixedLocator(1 - removed / 100))
    ax.xaxis.set_major_formatter(FixedFormatter([f"{share:g}" for share in removed]))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel(f"{what} (%)")
    return ax


def set_accuracy_axis(ax, threshold=0.95, bottom=0.45):
    """Label y as test accuracy and mark the threshold."""
    ax.set_ylabel("test accuracy")
    ax.set_ylim(bottom, 1.01)
    ax.axhline(threshold, color="0.5", linewidth=0.8, linestyle=":", zorder=0)
    return ax


def plot_vector(ax, vector, rows="level"):
    """Show a singular vector as a map (row, site) with a symmetric colour scale."""
    top = np.abs(vector).max()
    image = ax.imshow(vector, cmap="RdBu_r", vmin=-top, vmax=top, origin="lower", aspect="equal")
    sites = len(vector)
    ticks = [0, sites // 2 - 1, sites - 1]
    ax.set_xticks(ticks, [tick + 1 for tick in ticks])
    ax.set_yticks(ticks, [tick + 1 for tick in ticks])
    ax.set_xlabel("site")
    ax.set_ylabel(rows)
    colors = ax.figure.colorbar(image, cax=ax.inset_axes([1.04, 0, 0.06, 1]))
    colors.ax.set_title("$v_1$", fontsize="small")
    colors.ax.tick_params(labelsize="small")
    return ax


def plot_shares(ax, shares, rows="level"):
    """Draw the weight (seed, row) of a singular vector on each row: mean as bars, seeds as dots; dotted: uniform."""
    row = np.arange(1, shares.shape[1] + 1)
    ax.bar(row, shares.mean(0), color=COLORS[5])
    ax.plot(np.broadcast_to(row, shares.shape), shares, ".", color=COLORS[0], markersize=2)
    ax.axhline(1 / len(row), color="0.5", linewidth=0.8, linestyle=":")
    ax.set_xticks([1, len(row) // 2, len(row)])
    ax.set_xlabel(rows)
    ax.set_ylabel(r"$\Sigma_{\mathrm{site}}\,|v_1|^2$")
    return ax


def plot_score(ax, ratio, score, winding):
    """Scatter the score v_1 . x of chains against w/v, coloured by winding number."""
    for label, color in ((0, COLORS[1]), (1, COLORS[0])):
        chosen = winding == label
        ax.plot(ratio[chosen], score[chosen], ".", color=color, markersize=2, label=rf"$\nu = {label}$")
    ax.set_xscale("log")
    ax.set_xlim(0.03, 30)
    ax.set_xticks([0.1, 1, 10], ["0.1", "1", "10"])
    ax.minorticks_off()
    ax.axvline(1, color="0.5", linewidth=0.8, linestyle=":")
    ax.set_xlabel("w / v")
    ax.set_ylabel(r"score $v_1 \cdot x$")
    return ax


def plot_groups(ax, names, values, color=None, offset=0.0, label=None):
    """Draw one dot per member (jittered) and mean ± std for each named group, at x = 0, 1, ... + offset."""
    for x, group in enumerate(values):
        group = np.asarray(group, dtype=float)
        group = group[np.isfinite(group)]
        if not group.size:
            continue
        jitter = np.linspace(-0.08, 0.08, len(group)) if len(group) > 1 else np.zeros(1)
        ax.plot(x + offset + jitter, group, ".", color=color, alpha=0.4, markersize=4)
        std = group.std(ddof=1) if len(group) > 1 else 0
        ax.errorbar(
            x + offset, group.mean(), std, fmt="o", color=color, capsize=3, markersize=5, label=None if x else label
        )
    ax.set_xticks(range(len(names)), names)
    return ax


def plot_phases(ax, v, strength, share, line):
    """Show the share (W, v) of topological chains, and the line (v, W, margin (W, v)) where the exact margin is 0."""
    image = ax.pcolormesh(v, strength, share, cmap="Blues", vmin=0, vmax=1, shading="nearest", rasterized=True)
    ax.contour(*line, levels=[0], colors=COLORS[1], linewidths=1.5)
    ax.plot([], [], color=COLORS[1], linewidth=1.5, label="infinite chain, exact")
    ax.legend(loc="upper right", fontsize=8)
    ax.set_xlabel("intracell hopping $v$ (units of $w$)")
    ax.set_ylabel("disorder strength $W_v$ (units of $w$)")
    ax.figure.colorbar(image, ax=ax, label="share of topological chains")
    return ax


def plot_cuts(ax, names, groups, mean, std, ceiling):
    """Draw entropies at each cut: bars of measured groups, the random-matrix band, the ceilings.

    Args:
        ax: the axes.
        names: one label per cut.
        groups: {label: (member, cut)} measured entropies, drawn as mean with one standard deviation.
        mean: entropy of a Gaussian weight at each cut.
        std: its standard deviation at each cut.
        ceiling: largest possible entropy at each cut.
    """
    place, width = np.arange(len(names)), 0.8 / max(len(groups), 1)
    for number, (label, values) in enumerate(groups.items()):
        spread = values.std(0, ddof=1) if len(values) > 1 else np.zeros(len(names))
        x = place + (number - (len(groups) - 1) / 2) * width
        ax.bar(
            x, values.mean(0), 0.9 * width, yerr=spread, color=COLORS[number % 6], ecolor="0.2", capsize=2, label=label
        )
    for number in place:
        ends, label = [number - 0.45, number + 0.45], None if number else "Gaussian matrix"
        ax.fill_between(ends, mean[number] - 2 * std[number], mean[number] + 2 * std[number], color="0.3", alpha=0.3)
        ax.plot(ends, [mean[number]] * 2, color="0.3", linewidth=1, label=label)
        ax.plot(ends, [ceiling[number]] * 2, color="k", linewidth=1, linestyle=":", label=None if number else "ceiling")
    ax.set_xticks(place, names)
    ax.set_xlabel("cut (sites on the left)")
    ax.set_ylabel("entanglement entropy $S$ (nats)")
    ax.set_ylim(0, 1.12 * max(ceiling) or 1)
    return ax
