"""Trainings of the sources as named values, with what each source states and what it leaves open."""

import dataclasses

from sshml.classifier.spec import TrainingSpec


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a source trains.

    `training` is the `TrainingSpec`; where the source is silent it holds a choice of ours. `source` says whose it is,
    `stated` which fields are the source's, `open` what it leaves open and what stands there instead.
    """

    training: TrainingSpec
    source: str
    stated: tuple
    open: str


def _recipe(source, stated, open_, **fields):
    return Recipe(TrainingSpec(**fields), source, stated, open_)


_GAO = "Gao et al., Phys. Rev. Research 2, 023300 (2020)"
_GAO_OPEN = (
    "how the cores start (.8 diverges from our Gaussian ones); whether L2 acts on biases (here it does); its accuracy"
    " is that of the best test epoch, here the epoch is chosen on validation"
)

RECIPES = {
    "poster": _recipe(
        "Oriekhov, Zouggari, Jin and Greplova (poster)", (),
        "all of it: the training is not described; Adam at its defaults is the choice of this project",
        epochs=20, batch_size=64, learning_rate=1e-3,
    ),
    "gao-fc2": _recipe(
        _GAO, ("optimizer", "schedule", "learning_rate", "decay", "weight_decay", "batch_size", "epochs"), _GAO_OPEN,
        optimizer="sgd", learning_rate=0.8, schedule="exponential", decay=0.99, weight_decay=1e-4, batch_size=100,
        epochs=500,
    ),
    "gao-lenet5": _recipe(
        _GAO, ("optimizer", "schedule", "learning_rate", "decay", "weight_decay", "batch_size", "epochs"), _GAO_OPEN,
        optimizer="sgd", learning_rate=0.01, schedule="exponential", decay=0.99, weight_decay=1e-4, batch_size=100,
        epochs=500,
    ),
    "gao-cifar10": _recipe(
        _GAO,
        ("optimizer", "momentum", "nesterov", "schedule", "learning_rate", "decay", "decay_every", "weight_decay",
         "epochs", "augment"),
        "the batch size (here 100, as for its other networks); where the crop is cut (here from 4 pixels of zeros); the"
        " epoch as for its other networks",
        optimizer="sgd", momentum=0.9, nesterov=True, learning_rate=0.1, schedule="steps", decay=10**-0.5,
        decay_every=50, weight_decay=2e-4, epochs=325, augment=("crop", "flip"), batch_size=100,
    ),
    "keene": _recipe(
        "Keene, response of a three-layer network to randomized and truncated SVD (2022)",
        ("optimizer", "learning_rate", "batch_size", "epochs"),
        "how the weights start (here PyTorch's own), how many runs; it reports the last epoch",
        optimizer="sgd", learning_rate=1e-2, batch_size=64, epochs=10,
    ),
    "dlrt": _recipe(
        "Schotthoefer et al., NeurIPS 2022, from its public logs", ("epochs",),
        "the logs give accuracies, ranks and 250 epochs; optimizer, rate and batch are choices of this project",
        epochs=250, batch_size=256, learning_rate=1e-3, schedule="cosine",
    ),
    "averaged": _recipe(
        "this project", (),
        "nothing: Adam at a constant rate after a warm-up, the weights averaged, the epoch chosen by the validation"
        " accuracy of the average; made for MPO networks, which annealing to zero lets overfit",
        epochs=50, batch_size=256, learning_rate=1e-2, warmup=1.0, average=0.999,
    ),
    "cosine": _recipe(
        "this project", (),
        "nothing: AdamW with a cosine, for dense networks",
        epochs=40, batch_size=256, learning_rate=2e-3, optimizer="adamw", weight_decay=1e-2, schedule="cosine",
    ),
}  # fmt: skip
"""{name: `Recipe`}; `RECIPES["keene"].training` goes to `fit`, `dataclasses.replace` changes a field."""
