"""Networks and their training."""

from sshml.classifier.checkpoint import load_run, save_run
from sshml.classifier.deep import VGG, DenseNet, ResNet
from sshml.classifier.ensemble import StackedLinear, children_of, is_patched, stack
from sshml.classifier.exact import exact_log_network, exact_network
from sshml.classifier.features import CumulativeLogs, WindingNetwork
from sshml.classifier.finetuning import GENTLE, finetune
from sshml.classifier.loading import Stream, input_type, pick_device, resident
from sshml.classifier.networks import FC2, MLP, LeNet5
from sshml.classifier.recipes import RECIPES, Recipe
from sshml.classifier.run import Run, check_labels, members_of
from sshml.classifier.spec import TrainingSpec
from sshml.classifier.training import fit

__all__ = [
    "FC2",
    "GENTLE",
    "MLP",
    "RECIPES",
    "VGG",
    "CumulativeLogs",
    "DenseNet",
    "LeNet5",
    "Recipe",
    "ResNet",
    "Run",
    "StackedLinear",
    "Stream",
    "TrainingSpec",
    "WindingNetwork",
    "check_labels",
    "children_of",
    "exact_log_network",
    "exact_network",
    "finetune",
    "fit",
    "input_type",
    "is_patched",
    "load_run",
    "members_of",
    "pick_device",
    "resident",
    "save_run",
    "stack",
]
