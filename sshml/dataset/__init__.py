"""Chains -> HDF5 -> arrays."""

from sshml.dataset.baselines import markers, one_number_baselines
from sshml.dataset.checking import check
from sshml.dataset.diagram import Diagram, diagram
from sshml.dataset.draw import samples
from sshml.dataset.export import export
from sshml.dataset.generate import generate, shard_folder
from sshml.dataset.given import from_hoppings, read_hoppings
from sshml.dataset.images import ImageDataset, ImageSplit, images
from sshml.dataset.layout import Layout
from sshml.dataset.leakage import sign_leakage, split_distance
from sshml.dataset.preview import Preview, preview
from sshml.dataset.ranges import Range
from sshml.dataset.spec import DatasetSpec, GivenSpec, spec_from_json
from sshml.dataset.store import Dataset, Split, open_dataset
from sshml.dataset.views import View, check_view

__all__ = [
    "Dataset",
    "DatasetSpec",
    "Diagram",
    "GivenSpec",
    "ImageDataset",
    "ImageSplit",
    "Layout",
    "Preview",
    "Range",
    "Split",
    "View",
    "check",
    "check_view",
    "diagram",
    "export",
    "from_hoppings",
    "generate",
    "images",
    "markers",
    "one_number_baselines",
    "open_dataset",
    "preview",
    "read_hoppings",
    "samples",
    "shard_folder",
    "sign_leakage",
    "spec_from_json",
    "split_distance",
]
