"""The phase diagram of the disordered chain: Monte Carlo labels over the analytic line.

Additive uniform disorder on every bond, w = 1. The infinite chain is topological where the mean of ln|w_n| exceeds that
of ln|v_n| (Mondragon-Shem et al., PRL 113, 046802 (2014)); both means have closed forms. A clean trivial chain can
become topological with disorder: the topological Anderson insulator.
"""

import dataclasses

import numpy as np

from sshml.chain import log_margin
from sshml.chain.streams import uniforms
from sshml.errors import SSHMLError
from sshml.experiments.claims import Claim
from sshml.files import new_folder, write_csv
from sshml.plotting import new_figure, plot_band, plot_phases

ANDERSON_V = 1.12
"""A clean trivial hopping whose chain is topological for 1.857 < W < 3.627."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """Size of the Monte Carlo: hoppings and strengths on a grid, chains per point, cells per chain."""

    points: int = 61
    chains: int = 200
    cells: int = 500
    cut_chains: int = 2000
    cut_cells: tuple = (25, 100, 1000)
    seeds: int = 8
    edge_cells: int = 1000
    seed: int = 0


def mean_log(centre, width):
    """Return the mean of ln|x| for x uniform around `centre` with the full `width`.

    L(a, W) = [F(a + W/2) - F(a - W/2)]/W, F(x) = x ln|x| - x; ln|a| for W = 0.

    >>> round(float(mean_log(0.0, 2.0)), 6)
    -1.0
    """
    centre, width = np.broadcast_arrays(np.asarray(centre, float), np.asarray(width, float))

    def antiderivative(x):
        return np.where(x == 0, 0.0, x * np.log(np.where(x == 0, 1.0, np.abs(x))) - x)

    with np.errstate(divide="ignore", invalid="ignore"):
        smooth = (antiderivative(centre + width / 2) - antiderivative(centre - width / 2)) / width
        return np.where(width > 1e-6 * np.abs(centre), smooth, np.log(np.abs(centre)))


def exact_margin(v, strength, ratio, w=1.0):
    """Return mean ln|w| - mean ln|v| of the infinite chain with W_v = strength, W_w = ratio * strength."""
    return mean_log(w, ratio * np.asarray(strength, float)) - mean_log(v, strength)


def margins(points, ratio, cells, chains, seed=0, stream=0):
    """Return the margins of random open chains, shape (point, chain), the same random numbers at all points.

    Args:
        points: pairs (v, W_v), w being 1.
        ratio: W_w / W_v.
        cells: cells per chain.
        chains: chains per point.
        seed: seed of the random numbers.
        stream: independent numbers of the same seed, for other points.
    """
    draws = uniforms((seed, stream), 0, chains, 2 * cells - 1) - 0.5
    return np.stack([
        log_margin(v + strength * draws[:, :cells], 1 + ratio * strength * draws[:, cells:]) for v, strength in points
    ])  # fmt: skip


def reproduce(folder, settings=None, force=False, progress=None):
    """Make the figure, its numbers and the table of claims in `folder`; return the claims as rows.

    Args:
        folder: folder to make.
        settings: a `Settings`.
        force: replace a folder that exists.
        progress: called as progress(columns done, columns in all).

    Raises:
        SSHMLError: the folder exists, or too few points or chains.
    """
    settings = settings or Settings()
    if min(settings.points, settings.chains, settings.cut_chains) < 2:
        raise SSHMLError("a phase diagram needs 2 points and 2 chains or more.")
    with new_folder(folder, force) as made:
        diagrams = {ratio: _diagram(settings, ratio, progress) for ratio in (0.5, 0.0)}
        cuts = {cells: _cut(settings, cells) for cells in settings.cut_cells}
        claims = [_claim(edge, settings).row() for edge in EDGES]
        write_csv(made / "diagram.csv", list(_diagram_rows(diagrams)))
        write_csv(made / "cut.csv", list(_cut_rows(cuts)))
        write_csv(made / "claims.csv", claims)
        figure = _draw(diagrams, cuts)
        for kind in ("png", "pdf"):
            figure.savefig(made / f"phases.{kind}", dpi=200)
    return claims


def _diagram(settings, ratio, progress):
    """Return (v, W, share of topological chains (W, v)) of the diagram with W_w = ratio W_v."""
    v, strength = np.linspace(0, 2, settings.points), np.linspace(0, 7, settings.points)
    share = np.empty((settings.points, settings.points))
    for column, value in enumerate(v):
        points = [(value, x) for x in strength]
        found = margins(points, ratio, settings.cells, settings.chains, settings.seed, column)
        share[:, column] = (found > 0).mean(axis=1)
        if progress:
            progress((ratio == 0) * settings.points + column + 1, 2 * settings.points)
    return v, strength, share


def _cut(settings, cells):
    """Return (W, share, its standard error) along v = ANDERSON_V with W_w = W_v / 2."""
    strength = np.linspace(0, 5, 51)
    points = [(ANDERSON_V, x) for x in strength]
    found = margins(points, 0.5, cells, settings.cut_chains, settings.seed, 1000 + cells)
    share = (found > 0).mean(axis=1)
    return strength, share, np.sqrt(share * (1 - share) / settings.cut_chains)


def crossings(strength, share):
    """Return where a share crosses 1/2, by linear interpolation."""
    below = share < 0.5
    at = np.flatnonzero(below[1:] != below[:-1])
    return strength[at] + (0.5 - share[at]) / (share[at + 1] - share[at]) * np.diff(strength)[at]


EDGES = (
    # id, statement, W_w / W_v, value of the infinite chain, the points (v, W) that cross it
    ("T1", "v = 1.12 turns topological at W_v", 0.5, 1.857, lambda x: (ANDERSON_V, x)),
    ("T2", "v = 1.12 turns trivial again at W_v", 0.5, 3.6274, lambda x: (ANDERSON_V, x)),
    ("T3", "the phase with W_w = W_v/2 ends at v = 0, W_v", 0.5, 4.0, lambda x: (0.0, x)),
    ("T4", "its tip lies at W_v = 4 sqrt(5)/3, v", 0.5, 4 / 3, lambda x: (x, 4 * 5**0.5 / 3)),
    ("T5", "the phase with W_w = 0 ends at v = 0, W_v", 0.0, 2 * np.e, lambda x: (0.0, x)),
    ("T6", "its tip lies at W_v = 3.62049, v", 0.0, 1.50888, lambda x: (x, 3.62049)),
)

NEAR = 0.03
"""Allowed distance of an edge, in units of w, beside two standard errors."""


def _claim(edge, settings):
    """Measure where half of the chains are topological, once per seed."""
    name, statement, ratio, exact, point = edge
    grid = exact + np.linspace(-0.25, 0.25, 21)
    values = []
    for seed in range(settings.seeds):
        points = [point(x) for x in grid]
        share = (margins(points, ratio, settings.edge_cells, settings.chains, seed, 2000) > 0).mean(axis=1)
        values.append(min(crossings(grid, share), key=lambda x: abs(x - exact), default=np.nan))
    values = np.array(values)
    found = values[np.isfinite(values)]
    allowed = NEAR + 2 * found.std() / max(len(found), 1) ** 0.5
    return Claim(
        name,
        statement,
        "Mondragon-Shem et al. 2014; exact",
        f"{exact:.4g}",
        values,
        f"half of {settings.chains} chains of {settings.edge_cells} cells; within {NEAR} and 2 standard errors",
        len(found) == len(values) and bool(abs(found.mean() - exact) <= allowed),
    )


def _diagram_rows(diagrams):
    for ratio, (v, strength, share) in diagrams.items():
        for i, row in enumerate(share):
            for j, value in enumerate(row):
                yield {"W_w/W_v": ratio, "v": f"{v[j]:.6g}", "W_v": f"{strength[i]:.6g}", "topological": f"{value:.6g}"}


def _cut_rows(cuts):
    for cells, columns in cuts.items():
        for strength, share, error in zip(*columns, strict=True):
            numbers = {"W_v": strength, "topological": share, "standard error": error}
            yield {"cells": cells, "v": ANDERSON_V} | {name: f"{x:.6g}" for name, x in numbers.items()}


def _draw(diagrams, cuts):
    figure, axes = new_figure(1, 3, width=4, height=3.4)
    for ax, (ratio, (v, strength, share)) in zip(axes[0], diagrams.items(), strict=False):
        fine_v, fine_w = np.linspace(1e-9, v[-1], 401), np.linspace(0, strength[-1], 401)
        line = fine_v, fine_w, exact_margin(fine_v, fine_w[:, None], ratio)
        plot_phases(ax, v, strength, share, line).set_title(f"$W_w = {'W_v/2' if ratio else '0'}$", fontsize=10)
    ax = axes[0, 2]
    for cells, (strength, share, error) in cuts.items():
        plot_band(ax, strength, share, error, label=f"{cells} cells")
    fine = np.linspace(0.01, 5, 5000)
    for i, edge in enumerate(crossings(fine, (exact_margin(ANDERSON_V, fine, 0.5) > 0).astype(float))):
        label = None if i else "infinite chain, exact"
        ax.axvline(edge, color="0.4", linestyle="--", linewidth=1, label=label)
    ax.set_xlabel("disorder strength $W_v$ (units of $w$)")
    ax.set_ylabel("share of topological chains")
    ax.set_title(f"$v = {ANDERSON_V}\\,w$, $W_w = W_v/2$", fontsize=10)
    ax.legend(fontsize=7, loc="upper right")
    return figure
