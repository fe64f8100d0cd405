"""Figures of one look, and what is said on their axes; rcParams and the current figure stay as they are."""

from string import ascii_lowercase

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's colours, distinct for colour-blind readers."""

PAGE = 7.0
"""Largest width of a figure, in inches: that of a page of a journal of two columns (17.8 cm)."""


def new_figure(rows=1, columns=1, width=3.4, height=2.6, **options):
    """Return (figure, axes array) of a grid of panels, `width` x `height` inches each, without pyplot.

    Panels of a figure that would be wider than PAGE are narrower, and lower by a quarter at most; texts are legible at
    that size. Several panels, 26 at most, get letters.
    """
    narrower = min(1.0, PAGE / (columns * width))
    size = columns * width * narrower, rows * height * max(narrower, 0.75)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, **options)
    for number, ax in enumerate(axes.flat):
        ax.tick_params(labelsize=7, which="both")
        ax.set_prop_cycle(color=COLORS)
        for text in (ax.xaxis.label, ax.yaxis.label, ax.title):
            text.set_fontsize(8)
        if 1 < axes.size <= len(ascii_lowercase):
            ax.set_title(f"({ascii_lowercase[number]})", loc="left", fontsize=8)
    return figure, axes


def name_panel(ax, text):
    """Write a title over a panel, behind its letter where it has one."""
    letter = ax.get_title(loc="left").partition(" ")[0]
    ax.set_title(f"{letter} {text}".strip(), loc="left", fontsize=8)
    return ax


def legend_below(figure, ax, columns=4, **options):
    """Write the legend of one panel below all panels."""
    figure.legend(*ax.get_legend_handles_labels(), fontsize=7, loc="outside lower center", ncols=columns, **options)


def set_accuracy_axis(ax, threshold=0.95, bottom=0.45):
    """Label y as test accuracy and mark the threshold."""
    ax.set_ylabel("test accuracy")
    ax.set_ylim(bottom, 1.01)
    ax.axhline(threshold, color="0.5", linewidth=0.8, linestyle=":", zorder=0)
    return ax


def set_error_axis(ax, tested, threshold=0.05):
    """Make y the share of wrong labels, logarithmic, down to one of `tested`, and mark a threshold by its value."""
    ax.set_yscale("log")
    ax.set_ylim(0.7 / tested, 0.7)
    ax.set_ylabel("share of wrong labels")
    ax.axhline(threshold, color="0.5", linewidth=0.8, linestyle=":", zorder=0)
    ax.annotate(f" {threshold:g}", (1, threshold), xycoords=("axes fraction", "data"), fontsize=7, va="center")
    return ax


def set_log_axis(ax, low, high):
    """Make y logarithmic from `low` to `high`, at most four decades; ticks are 1, 1.5, 2, 3 and 5 times powers of ten.

    What is 0 lies below the axis.
    """
    high = max(high, 1e-4)
    low = max(low, 1e-4 * high)
    ax.set_yscale("log")
    powers = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)))
    ticks = np.outer(powers, (1, 1.5, 2, 3, 5)).ravel().round(12)
    ticks = ticks[(ticks >= low) & (ticks <= high)]
    ax.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    ax.set_ylim(low, high)
    return ax


def set_number_axis(ax, most, what):
    """Make x a number of things from 1 to `most`, logarithmic, with powers of 2 at the ticks."""
    ax.set_xscale("log", base=2)
    ticks = 2 ** np.arange(int(np.log2(most)) + 1)
    ax.set_xticks(ticks, [f"{tick}" for tick in ticks])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel(what)
    return ax
