"""A run with a layer of every member compressed."""

import copy
import dataclasses

import torch

from sshml.classifier.ensemble import stack, stacked_state
from sshml.compression import compress


def compress_run(run, layer=0, method="svd", **size):
    """Return a run whose members have one linear layer, or several, in compressed form.

    Args:
        run: the `Run`, which is left as it is.
        layer: as in `sshml.compression.compress`.
        method: "svd", "mpo" or "prune".
        **size: as in `sshml.compression.compress`.

    Raises:
        SSHMLError: as `compress`.
    """
    models = [compress(model, layer, method, **size) for model in run.models()]
    state = [stacked_state(stack([model])) for model in models]
    return dataclasses.replace(
        run,
        factory=lambda: copy.deepcopy(models[0]),
        weights={name: torch.cat([member[name] for member in state]) for name in state[0]},
        initial={},
    )
