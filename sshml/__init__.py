"""Wavefunction datasets, phase classifiers, their compression and what the compressed weights know.

>>> import sshml
>>> sshml.winding_number(0.5, 1.0)
np.int8(1)
"""

import importlib

_HOMES = {
    "sshml.errors": ("GapClosedError", "SSHMLError"),
    "sshml.chain": ("eigenstates", "fix_gauge", "hamiltonian", "random_gauge", "winding_number"),
    "sshml.dataset": ("DatasetSpec", "check", "generate", "one_number_baselines", "open_dataset", "sign_leakage"),
    "sshml.classifier": ("MLP", "TrainingSpec", "finetune", "fit", "load_run", "save_run"),
    "sshml.compression": (
        "LowRankLinear",
        "MPOShape",
        "MaskedLinear",
        "Plan",
        "compress",
        "export_model",
        "front",
        "load_model",
        "n_bytes",
        "plan",
        "report",
        "save_model",
        "tensorize",
        "to_torch",
        "truncated_svd",
    ),
    "sshml.analysis": (
        "entanglement_entropy",
        "prune_sweep",
        "rank_grid",
        "rank_sweep",
        "schmidt_values",
        "select",
    ),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}
_ROOMS = ("analysis", "chain", "classifier", "compression", "dataset", "experiments", "plotting")

__all__ = sorted(_HOME)


def __getattr__(name):
    """Import a public name or a room when it is first used (PEP 562)."""
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    if name in _ROOMS:
        return importlib.import_module(f"sshml.{name}")
    if name == "__version__":
        from importlib.metadata import version

        return version("sshml")
    raise AttributeError(f"module 'sshml' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *__all__, *_ROOMS])
