"""Any `nn.Module` in, a smaller `nn.Module` out."""

from sshml.compression import orders
from sshml.compression.budget import choose_bonds, keep_accuracy
from sshml.compression.layer import CompressedLinear, check_weight
from sshml.compression.lowrank import LowRankLinear, truncated_svd
from sshml.compression.model import LAYERS, compress, find_layer, linear_layers, n_bytes, n_parameters, tensorize
from sshml.compression.mpo import MPOLinear, tensorised
from sshml.compression.products import product
from sshml.compression.pruning import MaskedLinear, index_dtype, largest_weights
from sshml.compression.shape import MPOShape, as_shape

__all__ = [
    "LAYERS",
    "CompressedLinear",
    "LowRankLinear",
    "MPOLinear",
    "MPOShape",
    "MaskedLinear",
    "as_shape",
    "check_weight",
    "choose_bonds",
    "compress",
    "find_layer",
    "index_dtype",
    "keep_accuracy",
    "largest_weights",
    "linear_layers",
    "n_bytes",
    "n_parameters",
    "orders",
    "product",
    "tensorised",
    "tensorize",
    "truncated_svd",
]
