"""What the weights know."""

from sshml.analysis.compressed import compress_run
from sshml.analysis.cuts import CutReport, cut_report
from sshml.analysis.elimination import eliminate_blocks
from sshml.analysis.entanglement import (
    cut_entropies,
    effective_rank,
    entanglement_entropy,
    entropy_recorder,
    ordering_entropies,
    schmidt_values,
    vector_entropies,
)
from sshml.analysis.evaluation import Evaluation, evaluate
from sshml.analysis.grid import rank_grid
from sshml.analysis.levels import direction_norms, level_directions, rank_of_directions
from sshml.analysis.random_matrix import (
    ceilings,
    gaussian_cuts,
    gaussian_entropy,
    gaussian_spread,
    rotated_cuts,
    shuffled_cuts,
)
from sshml.analysis.revealing import RankLoss, Revealed, reveal_ranks
from sshml.analysis.selection import Selection, select
from sshml.analysis.spectrum import marchenko_pastur_edge, outliers, shrunk, singular_values
from sshml.analysis.sweep import Sweep, bond_sweep, prune_sweep, rank_sweep, smallest_size
from sshml.analysis.weights import load_weights

__all__ = [
    "CutReport",
    "Evaluation",
    "RankLoss",
    "Revealed",
    "Selection",
    "Sweep",
    "bond_sweep",
    "ceilings",
    "compress_run",
    "cut_entropies",
    "cut_report",
    "direction_norms",
    "effective_rank",
    "eliminate_blocks",
    "entanglement_entropy",
    "entropy_recorder",
    "evaluate",
    "gaussian_cuts",
    "gaussian_entropy",
    "gaussian_spread",
    "level_directions",
    "load_weights",
    "marchenko_pastur_edge",
    "ordering_entropies",
    "outliers",
    "prune_sweep",
    "rank_grid",
    "rank_of_directions",
    "rank_sweep",
    "reveal_ranks",
    "rotated_cuts",
    "schmidt_values",
    "select",
    "shrunk",
    "shuffled_cuts",
    "singular_values",
    "smallest_size",
    "vector_entropies",
]
