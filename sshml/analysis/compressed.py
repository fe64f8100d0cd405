"""A run with its members compressed."""

import dataclasses

import numpy as np

from sshml.arguments import instance
from sshml.classifier import Run, resident
from sshml.compression import Plan, compress, find_layer, plan
from sshml.errors import SSHMLError


def compress_run(run, layer=0, method=None, *, split=None, **options):
    """Return a run whose members have one linear layer, or several, in compressed form, or all within a budget.

    Args:
        run: the `Run`, which is left as it is.
        layer: as in `sshml.compression.compress`; also a `Plan`, the same for all members.
        method: "svd" if None, "mpo", "prune" or "blocks"; a sum of ranks of blocks is spread as in the first member.
        split: for a budget: data in the view of the training, from which the plan is made on the first member and by
            which all members are cut; for a plan made with data the same data.
        **options: as in `sshml.compression.compress`: the size of the form of a layer; or a budget, share=0.1, and what
            goes with it.

    Raises:
        SSHMLError: as `compress`.
    """
    instance(run, "run", Run, "a Run, as `fit` and `load_run` return it")
    data = None if split is None else resident(split, run.training.view)
    if any(options.get(goal) is not None for goal in ("share", "n_bytes", "tolerance", "accuracy")):
        if layer != 0 or method is not None:
            raise SSHMLError("a budget is for all layers; use layers=... and methods=... to narrow the choice.")
        layer = dataclasses.replace(plan(run.model(), data=data, **options), menu=None)
        options = {}
    if (
        isinstance(method, str)
        and method == "blocks"
        and np.ndim(options.get("ranks", [])) == 0
        and not isinstance(layer, (Plan, list, tuple))
    ):
        first = compress(run.model(), layer, method, **options)
        options["ranks"] = list(first.get_submodule(find_layer(first, layer)).ranks)
    return run.with_models([compress(model, layer, method, data=data, **options) for model in run.models()])
