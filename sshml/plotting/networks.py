"""Figures of networks: how they learned, and what they get right."""

import itertools

import numpy as np

from sshml.arguments import having
from sshml.plotting.axes import COLORS, name_panel, new_figure
from sshml.plotting.panels import plot_band, plot_diagram, plot_points
from sshml.statistics import mean_std


def learning_curves(run):
    """Return the figure of a training: loss and accuracy against epochs, mean and one standard deviation over seeds.

    A dot per network marks the epoch that was kept.

    Args:
        run: a `Run`.
    """
    having(run, "run", ("history", "epoch"), "a Run, as of fit")
    figure, axes = new_figure(1, 2, width=3.9, height=3.1)
    history, epochs = run.history, np.arange(1, run.history["train_loss"].shape[1] + 1)
    others = sorted({name.rpartition("_")[0] for name in history} - {"train", "valid"})
    for ax, what in zip(axes[0], ("loss", "accuracy"), strict=True):
        for name, color in zip(("train", "valid", *others), itertools.cycle(COLORS)):
            values = history.get(f"{name}_{what}")
            if values is None:
                continue
            mean, std = _over_seeds(values)
            label = {"train": "training", "valid": "validation"}.get(name, name)
            plot_band(ax, epochs, mean, std, label, color, linewidth=1.3)
        ax.set_xlabel("epoch")
        ax.set_xlim(1 if len(epochs) > 1 else 0.5, max(len(epochs), 1.5))
    kept = np.array([row[epoch - 1] for row, epoch in zip(history["valid_accuracy"], run.epoch, strict=True)])
    axes[0, 1].plot(run.epoch, kept, ".", color="0.2", markersize=5, label="kept", zorder=5)
    losses = [values for name, values in history.items() if name.endswith("loss")]
    if min(np.nanmin(values) for values in losses) > 0:
        axes[0, 0].set_yscale("log")
    axes[0, 0].set_ylabel("cross-entropy (nats)")
    axes[0, 1].set_ylabel("accuracy")
    for ax in axes[0]:
        ax.legend(fontsize=7)
    return figure


def evaluation_figure(evaluations):
    """Return the figure of one `Evaluation` or of several: accuracy by w/v and by disorder, calibration, confusion.

    Args:
        evaluations: an `Evaluation`, or {label: `Evaluation`} of several data for the same networks.
    """
    evaluations = evaluations if isinstance(evaluations, dict) else {None: evaluations}
    panels = [_draw_calibration, _draw_confusion]
    if all(found.edges is not None for found in evaluations.values()):
        panels.insert(0, _draw_ratios)
    strengths = [max(found.disorder.values()) for found in evaluations.values() if found.disorder]
    if len(set(strengths)) > 1:
        panels.insert(1, _draw_disorder)
    spans = [found for found in evaluations.values() if found.diagram] if len(evaluations) == 1 else []
    figure, axes = new_figure(1 + len(spans), len(panels), width=3.6, height=3.2)
    for ax, draw in zip(axes[0], panels, strict=True):
        draw(ax, evaluations)
    for found in spans:
        plot_diagram(axes[1, 0], found.diagram, found.diagram.topological, "share of topological chains")
        plot_diagram(axes[1, 1], found.diagram, found.in_diagram, "accuracy")
        for ax in axes[1, 2:]:
            figure.delaxes(ax)
    if len(evaluations) > 1:
        axes[0, 0].legend(fontsize=7)
    return figure


def _over_seeds(values):
    """Return (mean, standard deviation) over the networks that still train; their absence is no zero."""
    found = [mean_std(column) for column in values.T]
    return np.array([mean for mean, _, _ in found]), np.nan_to_num([std for _, std, _ in found])


def _draw_ratios(ax, evaluations):
    for (label, found), color in zip(evaluations.items(), itertools.cycle(COLORS)):
        logs = np.log(np.where(np.isfinite(found.edges) & (found.edges > 0), found.edges, np.nan))
        logs[0], logs[-1] = logs[1] - 1, logs[-2] + 1  # the outer bins are open
        middle = (logs[:-1] + logs[1:]) / 2
        shown = found.chains > 0
        mean, std = _over_seeds(found.by_ratio[:, shown])
        ax.errorbar(np.exp(middle[shown]), mean, std, fmt="o-", markersize=3, capsize=2, color=color, label=label)
    ax.axvline(1, color="0.5", linewidth=0.8, linestyle=":")
    ax.set_xscale("log")
    ax.set_xticks([0.1, 1, 10], ["0.1", "1", "10"])
    ax.minorticks_off()
    ax.set_xlabel("w / v")
    ax.set_ylabel("accuracy")


def _draw_disorder(ax, evaluations):
    drawn = (one for one in evaluations.values() if one.disorder)
    found = sorted(drawn, key=lambda one: max(one.disorder.values()))
    plot_points(ax, [max(one.disorder.values()) for one in found], [one.accuracy for one in found], fmt="o-")
    ax.set_xlabel("largest disorder strength $W$")
    ax.set_ylabel("accuracy")


def _draw_calibration(ax, evaluations):
    for (label, found), color in zip(evaluations.items(), itertools.cycle(COLORS)):
        shown = found.said.sum(0) > 0
        x, _ = _over_seeds(found.confidence[:, shown])
        mean, std = _over_seeds(found.right[:, shown])
        ax.errorbar(x, mean, std, fmt="o-", markersize=3, capsize=2, color=color, label=label)
    least = 1 / len(found.labels)
    ax.plot([least, 1], [least, 1], color="0.5", linewidth=0.8, linestyle=":")
    ax.set_xlabel("confidence (largest probability)")
    ax.set_ylabel("accuracy (dotted: calibrated)")


def _draw_confusion(ax, evaluations):
    label, found = next(iter(evaluations.items()))
    counts = found.confusion.sum(0)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    few = len(shares) < 5
    for (row, column), share in np.ndenumerate(shares) if len(shares) <= 12 else ():
        text = f"{share:.3f}" if few else f"{100 * share:.0f}"
        color = "white" if share > 0.6 else "black"
        ax.text(column, row, text, ha="center", va="center", color=color, fontsize=8 if few else 6)
    ax.set_xticks(range(len(shares)), found.labels)
    ax.set_yticks(range(len(shares)), found.labels)
    ax.set_xlabel("predicted label")
    ax.set_ylabel("true label")
    name_panel(ax, f"{f'{label}: ' if label else ''}shares of each true label{'' if few else ' (%)'}")
