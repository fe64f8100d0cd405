"""Any `nn.Module` in, a smaller `nn.Module` out."""

from sshml.compression.budget import choose_bonds, keep_accuracy
from sshml.compression.lowrank import LowRankLinear, truncated_svd
from sshml.compression.model import LAYERS, compress, find_layer, linear_layers, n_bytes, n_parameters, tensorize
from sshml.compression.mpo import MPOLinear
from sshml.compression.pruning import MaskedLinear, largest_weights
from sshml.compression.shape import MPOShape

__all__ = [
    "LAYERS",
    "LowRankLinear",
    "MPOLinear",
    "MPOShape",
    "MaskedLinear",
    "choose_bonds",
    "compress",
    "find_layer",
    "keep_accuracy",
    "largest_weights",
    "linear_layers",
    "n_bytes",
    "n_parameters",
    "tensorize",
    "truncated_svd",
]
