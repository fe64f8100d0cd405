"""Networks and their training."""

from sshml.classifier.checkpoint import load_run, save_run
from sshml.classifier.ensemble import stack
from sshml.classifier.loading import Stream, pick_device, resident
from sshml.classifier.networks import FC2, MLP, LeNet5
from sshml.classifier.training import Run, TrainingSpec, fit

__all__ = [
    "FC2",
    "MLP",
    "LeNet5",
    "Run",
    "Stream",
    "TrainingSpec",
    "fit",
    "load_run",
    "pick_device",
    "resident",
    "save_run",
    "stack",
]
