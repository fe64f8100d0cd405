"""Chains -> HDF5 -> arrays."""

from sshml.dataset.generate import generate, samples
from sshml.dataset.leakage import sign_leakage, split_distance
from sshml.dataset.spec import DatasetSpec, Hopping
from sshml.dataset.store import Dataset, Split, check, open_dataset

__all__ = [
    "Dataset",
    "DatasetSpec",
    "Hopping",
    "Split",
    "check",
    "generate",
    "open_dataset",
    "samples",
    "sign_leakage",
    "split_distance",
]
