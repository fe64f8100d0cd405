"""Networks and their training."""

from sshml.classifier.checkpoint import load_run, save_run
from sshml.classifier.ensemble import stack
from sshml.classifier.loading import Stream, pick_device, resident
from sshml.classifier.networks import MLP
from sshml.classifier.training import Run, TrainingSpec, fit

__all__ = ["MLP", "Run", "Stream", "TrainingSpec", "fit", "load_run", "pick_device", "resident", "save_run", "stack"]
