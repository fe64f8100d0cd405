"""Any `nn.Module` in, a smaller `nn.Module` out."""

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
    "compress",
    "find_layer",
    "largest_weights",
    "linear_layers",
    "n_bytes",
    "n_parameters",
    "tensorize",
    "truncated_svd",
]
