"""The figure of a few chains."""

import itertools

import numpy as np
from matplotlib.ticker import LogLocator, StrMethodFormatter

from sshml.arguments import having
from sshml.plotting.axes import COLORS, new_figure
from sshml.plotting.panels import plot_diagram


def chains_figure(preview):
    """Return the figure of a few chains: their levels, some states next to zero energy, and their markers.

    Args:
        preview: a `Preview`, as of `sshml.dataset.preview`.
    """
    having(preview, "preview", ("density", "marker", "markers"), "a Preview, as of sshml.dataset.preview(split)")
    energies, winding, levels = preview.energies, preview.winding, preview.energies.shape[1]
    place = np.arange(len(winding)) + 1.0 if preview.ratio is None else preview.ratio
    figure, axes = new_figure(2, 3 if preview.diagram else 2, width=4.2, height=3.3)
    ax = axes[0, 0]
    for color, nu in zip(COLORS, preview.windings, strict=False):
        mine = winding == nu
        x = np.broadcast_to(place[mine, None], energies[mine].shape)
        ax.plot(x.ravel(), energies[mine].ravel(), ".", color=color, markersize=3, label=rf"$\nu = {nu}$")
    ax.axhline(0, color="0.5", linewidth=0.8, linestyle=":")
    _ratio_axis(ax, preview.ratio)
    ax.set_ylabel("energy (unit of the hoppings)")
    ax.set_ylim(*(np.array([-1, 1.4]) * 1.05 * np.abs(energies).max()))
    ax.legend(fontsize=7, markerscale=2, loc="upper center", ncols=len(preview.windings))
    colors = itertools.cycle(COLORS[2:])
    for color, chain, density, marker in zip(colors, preview.chosen, preview.density, preview.marker, strict=False):
        where = f"chain {chain}" if preview.ratio is None else f"w/v = {place[chain]:.2g}"
        label = rf"{where}, $\nu = {winding[chain]}$, E = {energies[chain, levels // 2]:.2g}"
        for ax, values in ((axes[0, 1], density), (axes[1, 0], marker)):
            ax.plot(np.arange(len(values)) + 1, values, "o-", markersize=3, linewidth=1, color=color, label=label)
    for ax, values, name in ((axes[0, 1], preview.density, "site"), (axes[1, 0], preview.marker, "cell")):
        size = values.shape[1]
        ax.set_xticks(np.unique(np.linspace(1, size, min(size, 6)).round().astype(int)))
        ax.set_xlabel(name)
    axes[0, 1].set_ylabel(r"$|\psi|^2$, first level at or above the middle")
    axes[0, 1].set_ylim(0, 1.35 * float(preview.density.max()))
    axes[0, 1].legend(fontsize=7, loc="upper center")
    low, high = np.percentile(preview.marker, [8, 100])  # the last cells make up for all others: some -M
    axes[1, 0].set_ylim(min(low, 0) - 0.3, max(high, 1) + 0.3)
    axes[1, 0].set_ylabel("local chiral marker")
    _draw_markers(axes[1, 1], preview)
    if preview.diagram:
        plot_diagram(axes[0, 2], preview.diagram, preview.diagram.topological, "share of topological chains")
        figure.delaxes(axes[1, 2])
    return figure


def _draw_markers(ax, preview):
    """Draw one-number markers over w/v, the dipole as a share of the chain; filled where the label is not 0."""
    place = np.arange(len(preview.marked_winding)) + 1.0 if preview.marked_ratio is None else preview.marked_ratio
    dipole = max(1, preview.energies.shape[1] // 2 - 1)
    words = {
        "edge dipole": f"edge dipole / {dipole} cells",
        "real-space winding": "real-space winding",
        "inverse participation ratio": "IPR",
    }
    topological = preview.marked_winding != 0
    for (name, label), color, form in zip(words.items(), COLORS, "os^", strict=False):
        if name in preview.markers:
            values = preview.markers[name] / (dipole if name == "edge dipole" else 1)
            for mine, face in ((topological, color), (~topological, "none")):
                ax.plot(place[mine], values[mine], form, color=color, markerfacecolor=face, markersize=3)
            ax.plot([], [], form, color=color, label=label)
    low, high = ax.get_ylim()
    ax.set_ylim(low, high + 0.45 * (high - low))
    ax.legend(fontsize=7, loc="upper center")
    ax.set_ylabel("marker (filled: label not 0)")
    _ratio_axis(ax, preview.marked_ratio)


def _ratio_axis(ax, ratio):
    """Make x the logarithmic axis of w/v, or the number of the chain."""
    if ratio is None:
        ax.set_xlabel("chain")
        return
    decades = np.log10(ratio.max() / ratio.min())
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < 2 else (1,), numticks=8))
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.minorticks_off()
    ax.set_xlabel("w / v")
