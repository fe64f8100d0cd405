"""Figures of results: arrays in, Axes or a figure out; no files, no computing."""

from sshml.plotting.axes import (
    COLORS,
    PAGE,
    legend_below,
    name_panel,
    new_figure,
    set_accuracy_axis,
    set_error_axis,
    set_log_axis,
    set_number_axis,
)
from sshml.plotting.chains import chains_figure
from sshml.plotting.networks import evaluation_figure, learning_curves
from sshml.plotting.panels import (
    plot_band,
    plot_cuts,
    plot_diagram,
    plot_groups,
    plot_level,
    plot_middle,
    plot_phases,
    plot_points,
    plot_score,
    plot_shares,
    plot_vector,
)
from sshml.plotting.weights import cuts_figure, front_figure, selection_figure, spectra_figure, sweep_figure

__all__ = [
    "COLORS",
    "PAGE",
    "chains_figure",
    "cuts_figure",
    "evaluation_figure",
    "front_figure",
    "learning_curves",
    "legend_below",
    "name_panel",
    "new_figure",
    "plot_band",
    "plot_cuts",
    "plot_diagram",
    "plot_groups",
    "plot_level",
    "plot_middle",
    "plot_phases",
    "plot_points",
    "plot_score",
    "plot_shares",
    "plot_vector",
    "selection_figure",
    "set_accuracy_axis",
    "set_error_axis",
    "set_log_axis",
    "set_number_axis",
    "spectra_figure",
    "sweep_figure",
]
