"""A run with a layer of every member compressed."""

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
    return run.with_models([compress(model, layer, method, **size) for model in run.models()])
