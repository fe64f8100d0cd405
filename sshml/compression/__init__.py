"""Any `nn.Module` in, a smaller `nn.Module` out."""

from sshml.compression.lowrank import LowRankLinear, truncated_svd
from sshml.compression.model import LAYERS, compress, find_layer, linear_layers, n_bytes, n_parameters
from sshml.compression.pruning import MaskedLinear, largest_weights

__all__ = [
    "LAYERS",
    "LowRankLinear",
    "MaskedLinear",
    "compress",
    "find_layer",
    "largest_weights",
    "linear_layers",
    "n_bytes",
    "n_parameters",
    "truncated_svd",
]
