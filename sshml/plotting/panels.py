"""Arrays in, Axes out: one panel each."""

import numpy as np
from matplotlib.transforms import ScaledTranslation

from sshml.arguments import as_array
from sshml.errors import SSHMLError
from sshml.plotting.axes import COLORS
from sshml.statistics import band, mean_std, with_test_error

FEW = 10
"""Seeds up to which each is a dot beside what stands for all."""


def plot_band(ax, x, mean, std, label=None, color=None, **style):
    """Draw a line with a band of one standard deviation on either side."""
    x, mean, std = (as_array(a, n, axes="point", dtype=float) for a, n in ((x, "x"), (mean, "mean"), (std, "std")))
    if not x.shape == mean.shape == std.shape:
        raise SSHMLError(f"x {x.shape}, mean {mean.shape} and std {std.shape} do not match; give equal lengths.")
    (line,) = ax.plot(x, mean, label=label, color=color, **style)
    ax.fill_between(x, mean - std, mean + std, color=line.get_color(), alpha=0.2, linewidth=0)
    return ax


def plot_middle(ax, x, values, label=None, color=None, share=1.0, **style):
    """Draw the median over the first axis, the seeds, with a band that holds a share of them, all by default.

    For logarithmic axes, on which a mean less its standard deviation may not exist.
    """
    x, values = as_array(x, "x", axes="point", dtype=float), as_array(values, "values", axes="seed, point", dtype=float)
    if values.shape[1] != len(x):
        raise SSHMLError(f"x {x.shape} and values {values.shape} do not match; give a column for each x.")
    low, middle, high = np.nanquantile(values, (0.5 - share / 2, 0.5, 0.5 + share / 2), axis=0)
    (line,) = ax.plot(x, middle, label=label, color=color, **style)
    ax.fill_between(x, low, high, color=line.get_color(), alpha=0.2, linewidth=0)
    return ax


def plot_points(ax, x, groups, tested=0, ranges=False, **style):
    """Draw mean and one standard deviation of each group of seeds at its x; nothing where there are none.

    With `ranges`, for logarithmic axes, median, lowest and highest seed. The seeds of a group of FEW at most are dots
    beside it.

    `tested`, here and below: samples of the test set that all seeds share, whose error is in the bars of accuracies.
    """
    if not len(groups):
        return ax
    means, stds, counts = np.array([mean_std(group) for group in groups]).T
    middle, error = means, with_test_error(means, np.nan_to_num(stds), tested)
    if ranges:
        low, middle, high = np.array([_extent(group) for group in groups]).T
        error = middle - low, high - middle
    bars = ax.errorbar(x, middle, error, capsize=2, **style)
    beside = ax.transData + ScaledTranslation(3 / 72, 0, ax.figure.dpi_scale_trans)
    look = {"color": bars[0].get_color(), "markersize": 2, "alpha": 0.8, "transform": beside, "linestyle": ""}
    for at, group, count in zip(x, groups, counts, strict=True):
        if 1 < count <= FEW:
            ax.plot(np.full(len(group), at), group, marker=".", **look)
    return ax


def _extent(group):
    """Return (lowest, median, highest) of the finite values, NaN where there are none."""
    found = np.asarray(group, dtype=float)
    found = found[np.isfinite(found)]
    return (found.min(), np.median(found), found.max()) if found.size else (np.nan,) * 3


def plot_level(ax, values, label, tested=0):
    """Draw the mean of seeds as a dashed line across, with a band of one standard deviation on either side."""
    mean, error = band(values, tested)
    ax.axhline(mean, color="0.3", linewidth=1, linestyle="--", label=label)
    ax.axhspan(mean - error, mean + error, color="0.3", alpha=0.15, linewidth=0)
    return ax


def plot_groups(ax, names, values, color=None, offset=0.0, label=None, tested=0):
    """Draw one dot per member (jittered) and mean ± std for each named group, at x = 0, 1, ... + offset."""
    color = color or COLORS[0]
    for x, group in enumerate(values):
        group = np.asarray(group, dtype=float)
        group = group[np.isfinite(group)]
        if not group.size:
            continue
        jitter = np.linspace(-0.08, 0.08, len(group)) if len(group) > 1 else np.zeros(1)
        ax.plot(x + offset + jitter, group, ".", color=color, alpha=0.4, markersize=4)
        mean, std, _ = mean_std(group)
        style = {"fmt": "o", "color": color, "capsize": 3, "markersize": 5, "label": label}
        label = None  # once in the legend
        ax.errorbar(x + offset, mean, with_test_error(mean, np.nan_to_num(std), tested), **style)
    ax.set_xticks(range(len(names)), names)
    return ax


def plot_vector(ax, vector, rows="level"):
    """Show a singular vector as a map (row, site) with a symmetric colour scale; levels count from 0, sites from 1.

    The mid-gap levels, two or of an odd number one, stand between lines.
    """
    top = np.abs(vector).max()
    image = ax.imshow(vector, cmap="RdBu_r", vmin=-top, vmax=top, origin="lower", aspect="equal")
    sites = len(vector)
    ticks = [0, sites // 2 - 1, sites - 1]
    ax.set_xticks(ticks, [tick + 1 for tick in ticks])
    ax.set_yticks(ticks, [tick + (rows != "level") for tick in ticks])
    ax.set_xlabel("site")
    ax.set_ylabel(_row_name(rows))
    for edge in ((sites - 1) // 2 - 0.5, sites // 2 + 0.5) if rows == "level" else ():
        ax.axhline(edge, color=COLORS[4], linewidth=0.8)
    colors = ax.figure.colorbar(image, cax=ax.inset_axes([1.04, 0, 0.06, 1]))
    colors.set_label("$v_1$", fontsize=7, labelpad=-2)
    colors.ax.tick_params(labelsize=6)
    return ax


def plot_shares(ax, shares, rows="level"):
    """Draw the weight (seed, row) of a singular vector on each row: mean as bars, seeds as dots; dotted: uniform.

    Levels count from 0, sites from 1; the mid-gap levels, two or of an odd number one, are yellow.
    """
    first = 0 if rows == "level" else 1
    row = np.arange(first, shares.shape[1] + first)
    if rows == "level":
        ax.axvspan((len(row) - 1) // 2 - 0.5, len(row) // 2 + 0.5, color=COLORS[4], alpha=0.25, zorder=0)
    ax.bar(row, shares.mean(0), color=COLORS[5])
    ax.plot(np.broadcast_to(row, shares.shape), shares, ".", color=COLORS[0], markersize=2)
    ax.axhline(1 / len(row), color="0.5", linewidth=0.8, linestyle=":")
    ax.set_xticks(row[[0, len(row) // 2 - 1, -1]])
    ax.set_xlabel(_row_name(rows))
    ax.set_ylabel(r"$\Sigma_{\mathrm{site}}\,|v_1|^2$")
    return ax


def _row_name(rows):
    return "level, from 0" if rows == "level" else rows


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


def plot_phases(ax, v, strength, share, line, colorbar=True):
    """Show the share (W, v) of topological chains, and the line (v, W, margin (W, v)) where the exact margin is 0."""
    image = ax.pcolormesh(v, strength, share, cmap="Blues", vmin=0, vmax=1, shading="nearest", rasterized=True)
    ax.contour(*line, levels=[0], colors=COLORS[1], linewidths=1.5)
    ax.plot([], [], color=COLORS[1], linewidth=1.5, label="infinite chain, exact")
    ax.legend(loc="upper right", fontsize=7)
    ax.set_xlabel("intracell hopping $v$ (units of $w$)")
    ax.set_ylabel("disorder strength $W_v$ (units of $w$)")
    if colorbar:
        colors = ax.figure.colorbar(image, ax=ax)
        colors.set_label("share of topological chains", fontsize=8)
        colors.ax.tick_params(labelsize=7)
    return ax


def plot_diagram(ax, diagram, values, what):
    """Show values in the bins of a `Diagram`: a map of both axes, or a line over one.

    Args:
        ax: the axes.
        diagram: where the bins are.
        values: shape (y, x), or (member, y, x) for the mean, and on a line the standard deviation, over members.
        what: name of the values.
    """
    values = np.asarray(values)[None] if np.ndim(values) == 2 else np.asarray(values)
    words = [_axis_name(name) for name in diagram.names if name]
    ax.set_xlabel(words[0])
    if len(words) == 2:
        least = 0 if what.startswith("share") else min(0.5, np.nanmin(values, initial=0.5))
        image = ax.pcolormesh(
            *diagram.edges,
            values.mean(0),
            cmap="Blues" if least == 0 else "viridis",
            vmin=least,
            vmax=1,
            rasterized=True,
        )
        ax.set_ylabel(words[1])
        ax.set_facecolor("0.8")  # bins without chains
        ax.figure.colorbar(image, ax=ax, label=what)
        return ax
    middle = (diagram.edges[0][1:] + diagram.edges[0][:-1]) / 2
    mean, std = band(values[:, 0])
    ax.errorbar(middle, mean, std, fmt="o-", markersize=3, capsize=2)
    ax.set_ylabel(what)
    return ax


def _axis_name(name):
    """Return the label of an axis of a number that chains were drawn from, as clean_v or disorder_onsite."""
    kind, _, of = name.partition("_")
    if kind not in ("clean", "disorder"):
        return {"beta": r"$\beta$"}.get(name, name)
    of = {"onsite": r"{\rm onsite}", "j3": "{j_3}", "j4": "{j_4}"}.get(of, of)
    symbol = f"$W_{of}$" if kind == "disorder" else "clean $m$" if "onsite" in of else f"clean ${of.strip('{}')}$"
    return f"{symbol} (unit of the hoppings)"


def plot_cuts(ax, names, groups, mean, std, ceiling, colors=COLORS):
    """Draw entropies at each cut: points of measured groups, the random-matrix band, the ceilings.

    Args:
        ax: the axes.
        names: one label per cut.
        groups: {label: (member, cut)} measured entropies, drawn as mean with one standard deviation.
        mean: entropy of a Gaussian weight at each cut.
        std: its standard deviation at each cut.
        ceiling: largest possible entropy at each cut.
        colors: of the groups.
    """
    place, width, least = np.arange(len(names)), 0.8 / max(len(groups), 1), min(mean)
    for number, (label, values) in enumerate(groups.items()):
        values = np.asarray(values, dtype=float)
        x, least = place + (number - (len(groups) - 1) / 2) * width, min(least, values.min())
        style = {"color": colors[number % len(colors)], "fmt": "os^Dv"[number % 5], "markersize": 4, "label": label}
        plot_points(ax, x, values.T, **style)
    for number in place:
        ends, label = [number - 0.45, number + 0.45], None if number else "Gaussian matrix"
        ax.fill_between(ends, mean[number] - 2 * std[number], mean[number] + 2 * std[number], color="0.3", alpha=0.3)
        ax.plot(ends, [mean[number]] * 2, color="0.3", linewidth=1, label=label)
        ax.plot(ends, [ceiling[number]] * 2, color="k", linewidth=1, linestyle=":", label=None if number else "ceiling")
    ax.set_xticks(place, names)
    ax.set_xlabel("cut (sites on the left)")
    ax.set_ylabel("entanglement entropy $S$ (nats)")
    ax.set_ylim(max(0, least - 0.15 * max(ceiling)), 1.1 * max(ceiling) or 1)
    return ax
