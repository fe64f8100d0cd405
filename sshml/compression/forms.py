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


OF = {"absorb_bias": "svd", "shrink": "svd", "blocks": "blocks"}
"""Options for which one method alone has a use."""


def check_used(methods, **given):
    """Raise where options were given, those that are neither None nor False, for which no method has a use."""
    for name, value in given.items():
        if value is not None and value is not False and OF[name] not in methods:
            raise SSHMLError(f"{name} is of the method {OF[name]}, not of {', '.join(methods)}; leave it out.")
