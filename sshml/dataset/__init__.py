"""Chains -> HDF5 -> arrays."""

from sshml.dataset.checking import check
from sshml.dataset.draw import samples
from sshml.dataset.export import export
from sshml.dataset.generate import generate, shard_folder
from sshml.dataset.hoppings import Hopping
from sshml.dataset.images import ImageDataset, ImageSplit, images
from sshml.dataset.layout import Layout
from sshml.dataset.leakage import sign_leakage, split_distance
from sshml.dataset.spec import DatasetSpec
from sshml.dataset.store import Dataset, Split, check_view, open_dataset

__all__ = [
    "Dataset",
    "DatasetSpec",
    "Hopping",
    "ImageDataset",
    "ImageSplit",
    "Layout",
    "Split",
    "check",
    "check_view",
    "export",
    "generate",
    "images",
    "open_dataset",
    "samples",
    "shard_folder",
    "sign_leakage",
    "split_distance",
]
