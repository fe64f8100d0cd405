"""The forms that a matrix can take, by name."""

from sshml.arguments import shown
from sshml.compression.blocks import BlockLowRankLinear
from sshml.compression.lowrank import LowRankLinear
from sshml.compression.mpo import MPOLinear
from sshml.compression.pruning import MaskedLinear
from sshml.errors import SSHMLError

METHODS = {"svd": LowRankLinear, "mpo": MPOLinear, "prune": MaskedLinear, "blocks": BlockLowRankLinear}
"""The forms of a matrix: the name of each, and its layer."""

USUAL = ("svd", "mpo")
"""Those that are tried unless others are named."""


def check_methods(methods):
    """Return methods, one as a text or several, as a tuple; raise where one is unknown or there is none."""
    methods = (methods,) if isinstance(methods, str) else methods
    if not isinstance(methods, (tuple, list, set)) or not methods or not set(map(str, methods)) <= set(METHODS):
        raise SSHMLError(f"methods are {shown(methods)}; choose of {', '.join(METHODS)}.")
    return tuple(methods)
