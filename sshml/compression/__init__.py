"""Any `nn.Module` in, a smaller `nn.Module` out."""

from sshml.compression import orders
from sshml.compression.attention import CompressedAttention
from sshml.compression.blocks import BlockLowRankLinear, as_blocks
from sshml.compression.budget import choose_bonds
from sshml.compression.convolution import CompressedConv
from sshml.compression.decay import FrobeniusDecay, stable_rank
from sshml.compression.decomposition import tensorised
from sshml.compression.exporting import export_model, to_torch
from sshml.compression.layer import CompressedLinear, check_weight
from sshml.compression.lowrank import LowRankLinear, truncated_svd
from sshml.compression.model import LAYERS, compress, n_parameters, tensorize
from sshml.compression.modules import find_layer, linear_layers, n_bytes
from sshml.compression.mpo import MPOLinear
from sshml.compression.plan import Choice, Plan
from sshml.compression.planner import Front, front, plan
from sshml.compression.products import product
from sshml.compression.projection import LowRank
from sshml.compression.pruning import MaskedLinear, index_dtype, largest_weights
from sshml.compression.randomized import randomized_svd
from sshml.compression.reading import read_module
from sshml.compression.report import Report, report
from sshml.compression.saving import load_model, model_contents, save_model
from sshml.compression.shape import MPOShape, as_shape
from sshml.compression.sites import Site, survey
from sshml.compression.spectrum import Spectrum, median_of_noise, shrinkage

__all__ = [
    "LAYERS",
    "BlockLowRankLinear",
    "Choice",
    "CompressedAttention",
    "CompressedConv",
    "CompressedLinear",
    "FrobeniusDecay",
    "Front",
    "LowRank",
    "LowRankLinear",
    "MPOLinear",
    "MPOShape",
    "MaskedLinear",
    "Plan",
    "Report",
    "Site",
    "Spectrum",
    "as_blocks",
    "as_shape",
    "check_weight",
    "choose_bonds",
    "compress",
    "export_model",
    "find_layer",
    "front",
    "index_dtype",
    "largest_weights",
    "linear_layers",
    "load_model",
    "median_of_noise",
    "model_contents",
    "n_bytes",
    "n_parameters",
    "orders",
    "plan",
    "product",
    "randomized_svd",
    "read_module",
    "report",
    "save_model",
    "shrinkage",
    "stable_rank",
    "survey",
    "tensorised",
    "tensorize",
    "to_torch",
    "truncated_svd",
]
