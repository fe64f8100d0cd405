"""Chains -> HDF5 -> arrays."""

from sshml.dataset.checking import check
from sshml.dataset.draw import samples
from sshml.dataset.export import export
from sshml.dataset.generate import generate, shard_folder
from sshml.dataset.given import from_hoppings, read_hoppings
from sshml.dataset.ranges import Range
from sshml.dataset.images import ImageDataset, ImageSplit, images
from sshml.dataset.layout import Layout
from sshml.dataset.leakage import sign_leakage, split_distance
from sshml.dataset.spec import DatasetSpec, GivenSpec, spec_from_json
from sshml.dataset.store import Dataset, Split, check_view, open_dataset

__all__ = [
    "Dataset",
    "DatasetSpec",
    "GivenSpec",
    "ImageDataset",
    "ImageSplit",
    "Layout",
    "Range",
    "Split",
    "check",
    "check_view",
    "export",
    "from_hoppings",
    "generate",
    "images",
    "open_dataset",
    "read_hoppings",
    "samples",
    "shard_folder",
    "sign_leakage",
    "spec_from_json",
    "split_distance",
]
