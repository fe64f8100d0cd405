"""What the weights know."""

from sshml.analysis.baselines import baselines
from sshml.analysis.compressed import compress_run
from sshml.analysis.grid import rank_grid
from sshml.analysis.selection import Selection, select
from sshml.analysis.spectrum import marchenko_pastur_edge, outliers, singular_values
from sshml.analysis.sweep import Sweep, prune_sweep, rank_sweep, smallest_size

__all__ = [
    "Selection",
    "Sweep",
    "baselines",
    "compress_run",
    "marchenko_pastur_edge",
    "outliers",
    "prune_sweep",
    "rank_grid",
    "rank_sweep",
    "select",
    "singular_values",
    "smallest_size",
]
