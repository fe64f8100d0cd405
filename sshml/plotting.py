"""Arrays in, Axes out: no files, no computing, no change of rcParams or of the current figure."""

import itertools

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, NullLocator, StrMethodFormatter

from sshml.arguments import as_array, having, real
from sshml.errors import SSHMLError
from sshml.statistics import band, mean_std, with_test_error

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's colours, distinct for colour-blind readers."""


PAGE = 7.0
"""Largest width of a figure, in inches: that of a page of a journal of two columns (17.8 cm)."""


def new_figure(rows=1, columns=1, width=3.4, height=2.6, **options):
    """Return (figure, axes array) of a grid of panels, `width` x `height` inches each, without pyplot.

    Panels of a figure that would be wider than PAGE are narrower, and lower by a quarter at most; texts are legible at
    that size. Several panels get letters.
    """
    narrower = min(1.0, PAGE / (columns * width))
    size = columns * width * narrower, rows * height * max(narrower, 0.75)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, **options)
    for number, ax in enumerate(axes.flat):
        ax.tick_params(labelsize=7, which="both")
        for text in (ax.xaxis.label, ax.yaxis.label, ax.title):
            text.set_fontsize(8)
        if axes.size > 1:
            ax.set_title(f"({chr(ord('a') + number)})", loc="left", fontsize=8)
    return figure, axes


def name_panel(ax, text):
    """Write a title over a panel, behind its letter where it has one."""
    letter = ax.get_title(loc="left").partition(" ")[0]
    ax.set_title(f"{letter} {text}".strip(), loc="left", fontsize=8)
    return ax


def legend_below(figure, ax, columns=4, **options):
    """Write the legend of one panel below all panels."""
    figure.legend(*ax.get_legend_handles_labels(), fontsize=7, loc="outside lower center", ncols=columns, **options)


def set_error_axis(ax, tested, threshold=0.05):
    """Make y the share of wrong labels, logarithmic, down to one of `tested`, and mark a threshold by its value."""
    ax.set_yscale("log")
    ax.set_ylim(0.7 / tested, 0.7)
    ax.set_ylabel("share of wrong labels")
    ax.axhline(threshold, color="0.5", linewidth=0.8, linestyle=":", zorder=0)
    ax.annotate(f" {threshold:g}", (1, threshold), xycoords=("axes fraction", "data"), fontsize=7, va="center")
    return ax


def set_number_axis(ax, most, what):
    """Make x a number of things from 1 to `most`, logarithmic, with powers of 2 at the ticks."""
    ax.set_xscale("log", base=2)
    ticks = 2 ** np.arange(int(np.log2(most)) + 1)
    ax.set_xticks(ticks, [f"{tick}" for tick in ticks])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlabel(what)
    return ax


def plot_band(ax, x, mean, std, label=None, color=None, **style):
    """Draw a line with a band of one standard deviation on either side."""
    x, mean, std = (as_array(a, n, axes="point", dtype=float) for a, n in ((x, "x"), (mean, "mean"), (std, "std")))
    if not x.shape == mean.shape == std.shape:
        raise SSHMLError(f"x {x.shape}, mean {mean.shape} and std {std.shape} do not match; give equal lengths.")
    (line,) = ax.plot(x, mean, label=label, color=color, **style)
    ax.fill_between(x, mean - std, mean + std, color=line.get_color(), alpha=0.2, linewidth=0)
    return ax


FEW = 10
"""Seeds from which on a mean with its deviation stands for them."""


def plot_points(ax, x, groups, tested=0, **style):
    """Draw mean and one standard deviation of each group of seeds at its x; nothing where there are none.

    The seeds of a group of fewer than FEW are dots.

    `tested`, here and below: samples of the test set that all seeds share, whose error is in the bars of accuracies.
    """
    if not len(groups):
        return ax
    means, stds, counts = np.array([mean_std(group) for group in groups]).T
    bars = ax.errorbar(x, means, with_test_error(means, np.nan_to_num(stds), tested), capsize=2, **style)
    for at, group, count in zip(x, groups, counts, strict=True):
        if 1 < count < FEW:
            ax.plot(np.full(len(group), at), group, ".", color=bars[0].get_color(), markersize=2, alpha=0.6)
    return ax


def plot_level(ax, values, label, tested=0):
    """Draw the mean of seeds as a dashed line across, with a band of one standard deviation on either side."""
    mean, error = band(values, tested)
    ax.axhline(mean, color="0.3", linewidth=1, linestyle="--", label=label)
    ax.axhspan(mean - error, mean + error, color="0.3", alpha=0.15, linewidth=0)
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
    colors.set_label("$v_1$", fontsize=7, labelpad=-2)
    colors.ax.tick_params(labelsize=6)
    return ax


def plot_shares(ax, shares, rows="level"):
    """Draw the weight (seed, row) of a singular vector on each row: mean as bars, seeds as dots; dotted: uniform.

    The two mid-gap levels are yellow.
    """
    row = np.arange(1, shares.shape[1] + 1)
    if rows == "level":
        ax.axvspan(len(row) // 2 - 0.5, len(row) // 2 + 1.5, color=COLORS[4], alpha=0.25, zorder=0)
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


def plot_phases(ax, v, strength, share, line):
    """Show the share (W, v) of topological chains, and the line (v, W, margin (W, v)) where the exact margin is 0."""
    image = ax.pcolormesh(v, strength, share, cmap="Blues", vmin=0, vmax=1, shading="nearest", rasterized=True)
    ax.contour(*line, levels=[0], colors=COLORS[1], linewidths=1.5)
    ax.plot([], [], color=COLORS[1], linewidth=1.5, label="infinite chain, exact")
    ax.legend(loc="upper right", fontsize=7)
    ax.set_xlabel("intracell hopping $v$ (units of $w$)")
    ax.set_ylabel("disorder strength $W_v$ (units of $w$)")
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
    mean, std = values[:, 0].mean(0), values[:, 0].std(0, ddof=1) if len(values) > 1 else np.zeros(len(middle))
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


def plot_cuts(ax, names, groups, mean, std, ceiling):
    """Draw entropies at each cut: points of measured groups, the random-matrix band, the ceilings.

    Args:
        ax: the axes.
        names: one label per cut.
        groups: {label: (member, cut)} measured entropies, drawn as mean with one standard deviation.
        mean: entropy of a Gaussian weight at each cut.
        std: its standard deviation at each cut.
        ceiling: largest possible entropy at each cut.
    """
    place, width, least = np.arange(len(names)), 0.8 / max(len(groups), 1), min(mean)
    for number, (label, values) in enumerate(groups.items()):
        values = np.asarray(values, dtype=float)
        x, least = place + (number - (len(groups) - 1) / 2) * width, min(least, values.min())
        style = {"color": COLORS[number % 6], "fmt": "os^Dv"[number % 5], "markersize": 4, "label": label}
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
    ax.annotate(f"{threshold:g}", (1, threshold), xycoords=("axes fraction", "data"), fontsize=8, va="center")
    found = sweep.smallest(threshold)
    if np.isfinite(found).any():
        size = np.median(found[np.isfinite(found)])
        label = f"{size:g}, median of the smallest"
        ax.axvline(size, color=COLORS[1], linewidth=1, linestyle="--", label=label)
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=30))
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlim(sweep.sizes[0] * 0.9, sweep.sizes[-1] * 1.1)
    kept = {"svd": "singular values kept", "mpo": "largest bond", "prune": "weights kept"}[sweep.method]
    ax.set_xlabel(f"{kept}, layer {sweep.number}")
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
    for color, (label, front) in zip(COLORS, fronts.items(), strict=False):
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


def _over_seeds(values):
    """Return (mean, standard deviation) over the networks that still train; their absence is no zero."""
    found = [mean_std(column) for column in values.T]
    return np.array([mean for mean, _, _ in found]), np.nan_to_num([std for _, std, _ in found])


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
    found = sorted(evaluations.values(), key=lambda one: max(one.disorder.values()))
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
    for color, chain, density, marker in zip(COLORS[2:], preview.chosen, preview.density, preview.marker, strict=False):
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
