"""The phase diagram of the disordered chain: Monte Carlo labels over the analytic line.

Additive uniform disorder on every bond, w = 1. The infinite chain is topological where the mean of ln|w_n| exceeds that
of ln|v_n| (Mondragon-Shem et al., PRL 113, 046802 (2014)); both means have closed forms. A clean trivial chain can
become topological with disorder: the topological Anderson insulator.
"""

import dataclasses

import numpy as np

from sshml.chain import log_margin, mean_log, uniforms
from sshml.errors import SSHMLError
from sshml.experiments import Claim, Experiment, Job, Rule
from sshml.experiments.claims import standard_error
from sshml.plotting import name_panel, new_figure, plot_band, plot_phases
from sshml.tables import pivot

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

    def __post_init__(self):
        if min(self.points, self.chains, self.cut_chains, self.seeds) < 2:
            raise SSHMLError("a phase diagram needs 2 points, 2 chains and 2 seeds or more.")


def exact_margin(v, strength, ratio):
    """Return mean ln|w| - mean ln|v| of the infinite chain of w = 1 with W_v = strength, W_w = ratio * strength."""
    strength = np.asarray(strength, float)
    return mean_log("uniform", 1.0, ratio * strength) - mean_log("uniform", v, strength)


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


def diagram(where, points, cells, chains, seed, ratio):
    """Return the share of topological chains on a grid of v and W_v, with W_w = ratio W_v."""
    v, strength = np.linspace(0, 2, points), np.linspace(0, 7, points)
    share = np.empty((points, points))
    for column, value in enumerate(v):
        found = margins([(value, x) for x in strength], ratio, cells, chains, seed, column)
        share[:, column] = (found > 0).mean(axis=1)
        where.progress(column + 1, points)
    return {
        "diagram": [
            {"W_w/W_v": ratio, "v": f"{v[j]:.6g}", "W_v": f"{strength[i]:.6g}", "topological": f"{x:.6g}"}
            for (i, j), x in np.ndenumerate(share)
        ]
    }


def cut(where, cells, chains, seed):
    """Return the share of topological chains and its standard error along v = ANDERSON_V with W_w = W_v / 2."""
    strength = np.linspace(0, 5, 51)
    found = margins([(ANDERSON_V, x) for x in strength], 0.5, cells, chains, seed, 1000 + cells)
    share = (found > 0).mean(axis=1)
    error = np.sqrt(share * (1 - share) / chains)
    return {
        "cut": [
            {
                "cells": cells,
                "v": ANDERSON_V,
                "W_v": f"{w:.6g}",
                "topological": f"{x:.6g}",
                "standard error": f"{e:.6g}",
            }
            for w, x, e in zip(strength, share, error, strict=True)
        ]
    }


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


def edge(where, name, cells, chains, seeds):
    """Measure where half of the chains are topological, once per seed."""
    _, _, ratio, exact, point = next(found for found in EDGES if found[0] == name)
    grid, rows = exact + np.linspace(-0.25, 0.25, 21), []
    for seed in range(seeds):
        share = (margins([point(x) for x in grid], ratio, cells, chains, seed, 10**6) > 0).mean(axis=1)
        at = min(crossings(grid, share), key=lambda x: abs(x - exact), default=np.nan)
        rows.append({"edge": name, "seed": seed, "value": f"{at:.8g}"})
        where.progress(seed + 1, seeds)
    return {"edges": rows}


def jobs(settings):
    """Yield the two diagrams, the cuts through the Anderson insulator, and the edges of the phases."""
    for ratio in (0.5, 0.0):
        size = {"points": settings.points, "cells": settings.cells, "chains": settings.chains, "seed": settings.seed}
        yield Job(diagram, size | {"ratio": ratio}, work=1e-9 * settings.points**2 * settings.cells * settings.chains)
    for cells in settings.cut_cells:
        yield Job(
            cut,
            {"cells": cells, "chains": settings.cut_chains, "seed": settings.seed},
            1e-6 * cells * settings.cut_chains,
        )
    for name, *_ in EDGES:
        size = {"cells": settings.edge_cells, "chains": settings.chains, "seeds": settings.seeds}
        yield Job(edge, {"name": name} | size, 1e-6 * settings.seeds * settings.edge_cells * settings.chains)


def claims(tables, settings):
    """Yield where the edges are, beside their exact places."""
    for name, statement, _, exact, _ in EDGES:

        def is_near(x, exact=exact):
            return len(x) == settings.seeds and abs(x.mean() - exact) <= NEAR + 2 * standard_error(x)

        words = f"half of {settings.chains} chains of {settings.edge_cells} cells within {NEAR} plus 2 standard errors"
        yield Claim(
            name, statement, lambda name=name: tables.columns("edges", edge=name)["value"],
            "Mondragon-Shem et al. 2014; exact", f"{exact:.4g}", Rule(words, is_near, True),
        )  # fmt: skip


def _draw(tables, settings):
    """Draw the results.

    (a), (b) Share of topological chains among {chains} of {cells} cells at each point, against hopping and disorder,
    with the exact line of the infinite chain; (c) a cut through (a) with {cut_chains} chains a point, bands are
    standard errors over chains.
    """
    figure, axes = new_figure(1, 3, width=4, height=3.4)
    for ax, ratio in zip(axes[0], (0.5, 0.0), strict=False):
        strength, v, share = pivot(tables.columns("diagram", **{"W_w/W_v": ratio}), "W_v", "v", "topological")
        fine_v, fine_w = np.linspace(1e-9, v[-1], 401), np.linspace(0, strength[-1], 401)
        line = fine_v, fine_w, exact_margin(fine_v, fine_w[:, None], ratio)
        name_panel(
            plot_phases(ax, v, strength, share, line, colorbar=not ratio), f"$W_w = {'W_v/2' if ratio else '0'}$"
        )
    ax = axes[0, 2]
    for cells in settings.cut_cells:
        found = tables.columns("cut", cells=cells)
        plot_band(ax, found["W_v"], found["topological"], found["standard error"], label=f"{cells} cells")
    fine = np.linspace(0.01, 5, 5000)
    for i, edge in enumerate(crossings(fine, (exact_margin(ANDERSON_V, fine, 0.5) > 0).astype(float))):
        label = None if i else "infinite chain, exact"
        ax.axvline(edge, color="0.4", linestyle="--", linewidth=1, label=label)
    ax.set_xlabel("disorder strength $W_v$ (units of $w$)")
    ax.set_ylabel("share of topological chains")
    name_panel(ax, f"$v = {ANDERSON_V}\\,w$, $W_w = W_v/2$")
    ax.legend(fontsize=6, loc="upper center", bbox_to_anchor=(0.5, -0.25), ncols=2, columnspacing=1, handlelength=1.5)
    return figure


experiment = Experiment(Settings, jobs, claims, {"phases": _draw})
