"""Train a compressed network further."""

import copy
import dataclasses
import types

import torch
from torch import nn

from sshml.arguments import as_array, as_module, as_split, integer, real
from sshml.classifier.loading import input_type
from sshml.classifier.loop import cross_entropies
from sshml.classifier.spec import TrainingSpec
from sshml.classifier.training import fit
from sshml.errors import SSHMLError

GENTLE = TrainingSpec(epochs=3, batch_size=256, learning_rate=3e-4)
"""How a network is trained further where nothing else is said; at 1e-3 truncated networks lost accuracy."""


def finetune(
    model,
    train,
    valid,
    training=None,
    *,
    teacher=None,
    share=None,
    temperature=None,
    seed=0,
    device="auto",
    progress=None,
):
    """Return a copy of a network trained further, its factors and all else that may be trained, by the loop of `fit`.

    With a teacher, the dense network, the loss of a sample is (1 - a) CE(label) + a T^2 KL(teacher || network) at the
    temperature T (Hinton, Vinyals, Dean, arXiv 1503.02531). The epoch of the best validation accuracy is kept. While it
    is trained all of the network is in training mode, as in `fit`; afterwards each module is in the mode that it had.

    Args:
        model: the network, as `compress` returns it; it is left as it is.
        train: split with `inputs` and `labels`, or a tuple of the two.
        valid: as `train`; it chooses the epoch.
        training: a `TrainingSpec`; three epochs at a small learning rate, `GENTLE`, if None.
        teacher: network whose outputs are imitated; None for the labels alone.
        share: a, from 0 to 1: share of the teacher in the loss; 0.5 if None.
        temperature: T, above 0; 2 if None.
        seed: of the order of the samples.
        device: "auto", "cpu" or "cuda".
        progress: called as progress(epochs done, epochs in all).

    Raises:
        SSHMLError: as `fit`; a share or temperature out of range, or without a teacher.
    """
    if teacher is None and not share is temperature is None:
        raise SSHMLError("share and temperature are of a teacher; give teacher=..., or leave them out.")
    share = real(0.5 if share is None else share, "share", 0, 1)
    temperature = real(2.0 if temperature is None else temperature, "temperature", above=0)
    seed = integer(seed, "seed", 0, 2**63 - 1)
    model = as_module(model)
    if not any(p.requires_grad for p in model.parameters()):
        raise SSHMLError(f"this {type(model).__name__} has no parameters to train; unfreeze some (requires_grad).")
    teacher = None if teacher is None else as_module(teacher, "teacher")
    training = GENTLE if training is None else training
    loss = (
        None
        if teacher is None
        else _Distilling(copy.deepcopy(teacher).eval().to(input_type(model)), share, temperature)
    )
    run = fit([model], _split(train), _split(valid), training, [seed], device, progress, loss=loss)
    tuned = run.model(0)
    for new, old in zip(tuned.parameters(), model.parameters(), strict=True):
        new.requires_grad_(old.requires_grad)
    for new, old in zip(tuned.modules(), model.modules(), strict=True):
        new.training = old.training
    return tuned.to(next(model.parameters()).device)


def _split(data):
    if isinstance(data, tuple) and len(data) == 2:
        return types.SimpleNamespace(
            inputs=as_array(data[0], "the inputs", kinds="biuf"), labels=as_array(data[1], "the labels")
        )
    return as_split(data, "the data, a split or (inputs, labels),")


@dataclasses.dataclass
class _Distilling:
    teacher: nn.Module
    share: float
    temperature: float

    def __call__(self, inputs, logits, labels):
        with torch.no_grad():
            wanted = self.teacher.to(inputs.device)(inputs.flatten(0, 1)) / self.temperature
        if wanted.shape != logits.flatten(0, 1).shape:
            raise SSHMLError(f"the teacher gives {wanted.shape[-1]} classes and the network {logits.shape[-1]}.")
        found = (logits.flatten(0, 1) / self.temperature).log_softmax(-1)
        apart = nn.functional.kl_div(found, wanted.log_softmax(-1), reduction="none", log_target=True).sum(-1)
        apart = apart.view(labels.shape) * self.temperature**2
        return (1 - self.share) * cross_entropies(logits, labels) + self.share * apart
