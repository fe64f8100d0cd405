"""The numbers of the poster's figures: one table, one CSV file each."""

import itertools

import numpy as np

from sshml.dataset import split_distance
from sshml.experiments import poster_mpo
from sshml.experiments.claims import summary
from sshml.experiments.poster_claims import KEEPS, RANKS_1
from sshml.files import write_csv

RATIO_EDGES = np.concatenate([[0], np.geomspace(1 / 2, 2, 29), [np.inf]])
"""Bins of w/v for the accuracy; the transition at w/v = 1 is an edge."""
SHOWN = 500
"""Test chains in the scatter of scores."""


def write(folder, measured, leakage, datasets):
    """Write the numbers of every figure into a folder.

    Args:
        folder: where the CSV files go.
        measured: {view: `Measured`}.
        leakage: {gauge: (accuracy, standard error)} of the label from the signs alone.
        datasets: {gauge: `Dataset`}.
    """
    for name, table in TABLES.items():
        write_csv(folder / f"{name}.csv", list(table(measured)))
    signs = [{"gauge": gauge, "accuracy": mean, "error": error} for gauge, (mean, error) in leakage.items()]
    write_csv(folder / "fig4_signs.csv", signs)
    distances = {gauge: split_distance(dataset) for gauge, dataset in datasets.items()}
    rows = [{"gauge": g, "smallest_distance": low, "median_distance": mid} for g, (low, mid) in distances.items()]
    write_csv(folder / "splits.csv", rows)


def _compression_of_layer_1(measured):
    for view, m in measured.items():
        for sweep in (m.ranks, m.kept):
            for i, size in enumerate(sweep.sizes):
                row = {"view": view, "method": sweep.method, "size": size}
                yield row | {"kept": 1 - sweep.share[i], "bytes": sweep.stored[i]} | summary(sweep.accuracy[:, i])


def _ranks_of_both_layers(measured):
    grid = measured["random"].grid
    for (i, rank), r in itertools.product(enumerate(RANKS_1), range(grid.shape[2])):
        yield {"rank_1": rank, "rank_2": r + 1, "kept": (r + 1) / grid.shape[2]} | summary(grid[:, i, r])


def _vectors(measured):
    for view, m in measured.items():
        for (row, site), value in np.ndenumerate(m.selection.vectors[0, 0]):
            yield {"view": view, "row": row + 1, "site": site + 1, "v1": f"{value:.6g}"}


def _shares(measured):
    for view, m in measured.items():
        for (seed, row), share in np.ndenumerate(m.selection.row_share[:, 0]):
            yield {"view": view, "seed": seed, "row": row + 1, "share": f"{share:.4g}"}


def _summary(measured):
    for view, m in measured.items():
        found = m.selection
        if view != "projector":
            yield {"view": view, "quantity": "share of v1 on the mid-gap levels"} | summary(found.mid_gap_share[:, 0])
        for quantity, values in (
            ("share of v1 on the edge sites", found.edge_share[:, 0]),
            ("overlap of v1 with the first principal component", found.overlap[:, 0]),
            ("share of v1 ... v4 in the first four principal components", found.subspace),
        ):
            yield {"view": view, "quantity": quantity} | summary(values)


def _scores(measured):
    for view, m in measured.items():
        for ratio, winding, score in zip(m.ratio[:SHOWN], m.winding[:SHOWN], m.selection.score[0], strict=False):
            yield {"view": view, "w/v": f"{ratio:.5g}", "winding": winding, "score": f"{score:.5g}"}


def _ranks(measured):
    for view, m in measured.items():
        absolute, relative = m.ranks.smallest(KEEPS), m.ranks.smallest(KEEPS * m.accuracy)
        for seed, accuracy in enumerate(m.accuracy):
            row = {"view": view, "seed": seed, "absolute": absolute[seed], "relative": relative[seed]}
            yield row | {"accuracy": accuracy}


def _accuracy_by_ratio(measured):
    for view, m in measured.items():
        for low, high in itertools.pairwise(RATIO_EDGES):
            inside = (low <= m.ratio) & (m.ratio < high)
            if inside.any():
                yield {"view": view, "low": low, "high": high} | summary(m.correct[:, inside].mean(1))


TABLES = {
    "fig1": _compression_of_layer_1,
    "fig2": _ranks_of_both_layers,
    "fig3_vectors": _vectors,
    "fig3_shares": _shares,
    "fig3_summary": _summary,
    "fig3_scores": _scores,
    "fig4_ranks": _ranks,
    "fig4_ratio": _accuracy_by_ratio,
    **poster_mpo.TABLES,
}
