"""Figures of the ranks, drawn from the tables of their run."""

import numpy as np

from sshml.chain import critical_states, eigenstates
from sshml.experiments.poster.claims import KEEPS
from sshml.experiments.ranks.claims import OUTSIDE, column_of, is_right
from sshml.plotting import COLORS, new_figure, plot_band, plot_groups
from sshml.statistics import band


def _measured_against_predicted(tables, settings):
    """Draw ranks beside those of the formula.

    Rank of layer 1 that keeps 95 % accuracy in every setting: dots are the networks of {datasets} datasets of {seeds},
    blue bars their mean and standard deviation; orange: what the formula allows, its rank k or k + 1, of all networks.
    Above the frame: the share of networks that it gives, in red below .8. Grey: settings in which the formula
    was not expected to hold. The rank axis is logarithmic; levels count from 0.
    """
    figure, axes = new_figure(1, 1, width=7.0, height=3.6)
    ax, names = axes[0, 0], list(settings.settings)
    plot_groups(ax, names, [column_of(tables, n, "rank") for n in names], COLORS[0], -0.12, "measured: keeps 95 %")
    label = r"$k = \#\{n: s(f_n) > \max\, s(g_m)\} + 1$, or $k + 1$"
    for place, name in enumerate(names):
        k = column_of(tables, name, "predicted")
        ax.vlines(place + 0.2, k.min(), k.max() + 1, color=COLORS[1], linewidth=5, label=None if place else label)
        right = is_right(tables, name).mean()
        look = {"color": "0.2" if right >= 0.8 else "#B00000", "fontsize": 6, "ha": "center"}
        ax.text(place, 1.02, f"{right:.2f}".replace("0.", "."), transform=ax.get_xaxis_transform(), **look)
        if name in OUTSIDE:
            ax.axvspan(place - 0.5, place + 0.5, color="0.9", zorder=0)
        if not np.isfinite(column_of(tables, name, "rank")).any():
            ax.text(place - 0.12, 40, "none keeps 95 %", rotation=90, fontsize=7, ha="center", va="center")
    ax.set_ylabel("rank of layer 1 (logarithmic)")
    ax.set_yscale("log", base=2)
    ax.set_yticks([1, 2, 4, 8, 16, 32, 64, 128], ["1", "2", "4", "8", "16", "32", "64", "128"])
    ax.set_xlim(-0.5, len(names) - 0.5)
    ax.tick_params(axis="x", labelsize=7, rotation=60)
    for text in ax.get_xticklabels():
        text.set_horizontalalignment("right")
        text.set_rotation_mode("anchor")
    ax.legend(fontsize=7, loc="upper left")
    return figure


def _amplitudes(ax, level):
    """Draw how much of its two directions a state of a clean chain of 16 sites has, against w/v."""
    ratio = np.geomspace(0.1, 10, 201)
    v, w = np.ones((len(ratio), 8)), np.repeat(ratio[:, None], 7, 1)
    even, odd = (each[level] / np.linalg.norm(each[level]) for each in critical_states(16))
    states = eigenstates(v, w)[1][:, level]
    states *= np.sign(states @ even)[:, None]
    for direction, label, color in ((odd, f"$f_{{{level}}}$", COLORS[0]), (even, f"$g_{{{level}}}$", COLORS[1])):
        ax.plot(ratio, states @ direction, color=color, label=label)
    ax.axhline(0, color="0.5", linewidth=0.8, linestyle=":")
    ax.axvline(1, color="0.5", linewidth=0.8, linestyle=":")
    ax.set_xscale("log")
    ax.set_xticks([0.1, 1, 10], ["0.1", "1", "10"])
    ax.set(xlabel="w / v", ylabel=f"overlap of state {level} with")
    ax.legend(fontsize=7)


def _mechanism(tables, settings):
    """Draw why the rank is what it is.

    (a) Overlap of a state of a clean chain with itself at w = v (g) and with its derivative there (f), of which f
    changes sign at w = v and g does not. (b) Norms that the trained layer 1 gives to the two main directions of every
    level, f and g up to overlaps of .94, over {seeds} networks of one dataset. (c) Test accuracy against the singular
    values kept, {datasets} datasets of {seeds} networks; orange: where the formula puts 95 % in most of them, dotted:
    95 %. Bands: one standard deviation. Levels count from 0.
    """
    if "the poster's" not in settings.settings:
        return None
    figure, axes = new_figure(1, 3, width=2.33, height=2.3)
    _amplitudes(axes[0, 0], 9)
    axes = axes[:, 1:]
    norms = tables.columns("norms", setting="the poster's")
    groups = np.unique(norms["group"])
    for name, label, color in (("f", "$s(f_n)$", COLORS[0]), ("g", "$s(g_n)$", COLORS[1])):
        values = np.stack([norms[name][norms["group"] == n] for n in groups], 1)
        plot_band(axes[0, 0], groups, *band(values), label, color, marker="o", markersize=3)
    axes[0, 0].set(xlabel="level $n$, from 0", ylabel="norm in trained layer 1", xticks=groups[::3])
    axes[0, 0].legend(fontsize=7)
    curve = tables.columns("curve", setting="the poster's")
    sizes = np.unique(curve["size"])
    values = np.stack([curve["accuracy"][curve["size"] == size] for size in sizes], 1)
    plot_band(axes[0, 1], sizes, *band(values), "all networks", COLORS[0], marker="o", markersize=3)
    predicted = column_of(tables, "the poster's", "predicted")
    k = np.median(predicted)
    axes[0, 1].axvspan(k, k + 1, color=COLORS[1], alpha=0.3, linewidth=0, label="formula, $k$ to $k + 1$")
    axes[0, 1].axhline(KEEPS, color="0.3", linewidth=0.8, linestyle=":")
    ticks = {"xticks": [1, 4, 8, 12, 16], "yticks": [0.5, 0.6, 0.7, 0.8, 0.9, KEEPS]}
    axes[0, 1].set(xlabel="singular values kept in layer 1", ylabel="test accuracy", **ticks)
    axes[0, 1].legend(fontsize=6, loc="lower right", handlelength=1.2)
    return figure


FIGURES = {"formula": _measured_against_predicted, "mechanism": _mechanism}
