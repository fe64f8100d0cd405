"""Figures of the increments, drawn from the tables of their run."""

import numpy as np

from sshml.experiments.image_nets import TITLES
from sshml.experiments.increments.claims import PARTS, entropy_of, gain_of, random_valley, stopped, valley
from sshml.experiments.increments.measurements import ALL, SHAPES
from sshml.plotting import COLORS, legend_below, name_panel, new_figure, plot_points


def _layers(settings):
    """Return [(network, layer, shape)] of all hidden layers."""
    return [(name, layer, shape) for name in settings.networks for layer, shape in SHAPES[name].items()]


def _entropies_drawn(tables, settings):
    """Draw what training adds to entropies.

    (a), (b) Entropy of what training added less that of matrices with its singular values and Haar vectors, at the
    middle cut of the MPO of every hidden layer; filled: best epoch, open squares: last. (c) Entropy at the cut between
    rows and columns less the mean of both cuts beside, in the flat order, true labels, last epoch. FC2/1 is layer 1 of
    FC2. Bars: one standard deviation over {seeds} networks, dots single ones.
    """
    noises = sorted({min(settings.noise), max(settings.noise)})
    figure, axes = new_figure(1, len(noises) + 1, width=2.4, height=3.3)
    layers, places = _layers(settings), np.arange(len(_layers(settings)))
    for ax, noise in zip(axes[0], noises, strict=False):
        for number, data in enumerate(settings.data):
            for epoch, face, form in (("best", COLORS[number], "o"), ("last", "none", "s")):
                groups = []
                for name, layer, shape in layers:
                    own = {"data": data, "network": name, "noise": noise, "epoch": epoch}
                    change, random = (
                        entropy_of(tables, of, layer, shape.sites // 2, **own) for of in ("change", "Haar")
                    )
                    groups.append(change - random)
                at = places + 0.4 * (number - (len(settings.data) - 1) / 2) + (0.1 if epoch == "last" else -0.1)
                style = {"color": COLORS[number], "markerfacecolor": face, "markersize": 3.5}
                plot_points(ax, at, groups, fmt=form, label=f"{TITLES[data]}, {epoch} epoch", **style)
        ax.set_ylabel("entropy less that of its\nspectrum, Haar vectors (nats)" if ax is axes[0, 0] else "")
        name_panel(ax, "true labels" if not noise else f"{noise:.0%} of labels random")
    low = min(ax.get_ylim()[0] for ax in axes[0, :-1])
    for ax in axes[0, :-1]:
        ax.set_ylim(low, 0.05)
        ax.axhline(0, color="0.5", linewidth=0.8, linestyle=":")
    ax, data = axes[0, -1], settings.data[0]
    for number, (of, label) in enumerate(PARTS.items()):
        own = {"data": data, "noise": noises[0], "epoch": "last"}
        groups = [valley(tables, of, layer, shape, network=name, **own) for name, layer, shape in layers]
        style = {"color": COLORS[2 + number], "markersize": 4, "label": f"{label} (c)"}
        plot_points(ax, places + 0.22 * (number - 1), groups, fmt="D^v"[number], **style)
    for place, (_, _, shape) in zip(places, layers, strict=True):
        label = None if place else "Gaussian matrix (c)"
        ax.plot(place, random_valley(shape), "_", color="0.3", markersize=14, label=label)
    ax.axhline(0, color="0.5", linewidth=0.8, linestyle=":")
    ax.set_ylabel("entropy at rows | columns less\nthat of its neighbours (nats)")
    name_panel(ax, f"flat order, {TITLES[data]}")
    for ax in axes[0]:
        ax.set_xticks(places, [f"{name}/{layer}" for name, layer, _ in layers], rotation=60)
    (points, names), (others, more) = (ax.get_legend_handles_labels() for ax in axes[0, [0, -1]])
    figure.legend(points + others, names + more, fontsize=7, loc="outside lower center", ncols=3)
    return figure


def _gains_drawn(tables, settings):
    """Draw what cuts add.

    Test accuracy that cuts add to networks trained (a) on true labels, (b) on labels of which some are random: one
    layer at the rank chosen on held-out images with true labels; all hidden layers so, cut or with their values shrunk
    at the edge of Marchenko and Pastur; and, of the last epoch, what stopping at the best one adds. Linear up to one
    point, logarithmic above. Medians and ranges of {seeds} networks, dots single ones; open: last epoch.
    """
    figure, axes = new_figure(1, len(settings.noise), width=3.5, height=3.6, sharey=True)
    layers = dict.fromkeys(layer for _, layer, _ in _layers(settings))
    names = {("rank", layer): f"layer {layer}" for layer in layers}
    names |= {("rank", ALL): "all,\nranks", ("cut", ALL): "all,\nedge", ("shrunk", ALL): "all,\nshrunk"}
    total, most = 2 * len(settings.data) * len(settings.networks), 0.1
    for ax, noise in zip(axes[0], settings.noise, strict=True):
        number = 0
        for data in settings.data:
            for name in settings.networks:
                for epoch in ("best", "last"):
                    own = {"data": data, "network": name, "noise": noise}
                    places = [at for at, (_, layer) in enumerate(names) if layer in (*SHAPES[name], ALL)]
                    groups = [100 * gain_of(tables, *list(names)[at], epoch, **own) for at in places]
                    if epoch == "last":
                        places, groups = [*places, len(names)], [*groups, 100 * stopped(tables, **own)]
                    most = max(most, *(abs(group).max() for group in groups))
                    plot_points(
                        ax, np.array(places) + 0.8 * ((number + 0.5) / total - 0.5), groups, ranges=True,
                        fmt="os^D"[number // 2 % 4], color=COLORS[number // 2 % len(COLORS)], markersize=3.5,
                        markerfacecolor="none" if epoch == "last" else None,
                        label=f"{name}, {TITLES[data]}, {epoch} epoch",
                    )  # fmt: skip
                    number += 1
        ax.axhline(0, color="0.5", linewidth=0.8, linestyle=":")
        ax.set_xticks(range(len(names) + 1), [*names.values(), "stopped\nearlier"], rotation=90)
        ax.tick_params(axis="x", length=0)
        for edge in np.arange(1, len(names) + 1) - 0.5:
            ax.axvline(edge, color="0.9", linewidth=0.8, zorder=0)
        name_panel(ax, "true labels" if not noise else f"{noise:.0%} of labels random")
    axes[0, 0].set_ylabel("test accuracy added (percentage points)")
    axes[0, 0].set_yscale("symlog", linthresh=1)
    axes[0, 0].set_ylim(-2 * most, 2 * most)
    ticks = [tick for tick in (-10, -1, -0.5, 0, 0.5, 1, 10) if abs(tick) < 2 * most]
    axes[0, 0].set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    legend_below(figure, axes[0, 0], 2)
    return figure


FIGURES = {"entropies": _entropies_drawn, "gains": _gains_drawn}
