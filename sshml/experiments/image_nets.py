"""Networks of the image experiments in dense and in MPO form, and how they are trained."""

import dataclasses
import json

import numpy as np
import torch

from sshml.analysis import entropy_recorder
from sshml.classifier import FC2, RECIPES, TrainingSpec, fit, load_run, save_run
from sshml.compression import LAYERS, MPOShape, orders, tensorize
from sshml.dataset import images
from sshml.errors import SSHMLError
from sshml.files import new_file

FC2_SHAPE = MPOShape((4, 4, 4, 4), (4, 7, 7, 4))
"""Layer 1 of FC2 (784 -> 256) in Gao et al. 2020."""
FC2_OUT = MPOShape((1, 1, 10, 1), (4, 4, 4, 4))
"""Layer 2 of FC2 (256 -> 10), with bond 4."""
TWO_SITES = MPOShape((16, 16), (28, 28))
"""Layer 1 with one cut."""
THREE_SITES = MPOShape((4, 8, 8), (14, 8, 7))
FIVE_SITES = MPOShape((4, 2, 4, 2, 4), (2, 7, 4, 7, 2))
"""Layer 1 with sites of 56, 64, 56 and of 8, 14, 16, 14, 8 numbers."""
LOW_RANK = MPOShape((1, 256), (784, 1))
"""Layer 1 as a product of two matrices: the MPO whose cut lies between inputs and outputs."""
FAMILIES = {
    "mpo": FC2_SHAPE,
    "two sites": TWO_SITES,
    "three sites": THREE_SITES,
    "five sites": FIVE_SITES,
    "two matrices": LOW_RANK,
}
BLOCKS = orders.blocked((2, 7, 1, 2), (2, 1, 7, 2))
"""Pixels of 28 x 28 so that sites 4, 7, 7, 4 hold halves, rows, columns, and pairs: coarse to fine."""
ENTROPIES = "entropies.json"
"""Entropies of layer 1 of dense networks through the training, in the folder of the job."""
RUN = "run.h5"
"""The networks that a job trained, in its folder."""
TITLES = {"mnist": "MNIST", "fashion-mnist": "Fashion-MNIST"}
TESTED = 10000
"""Images in the test sets of MNIST, Fashion-MNIST and CIFAR-10."""
FC2_HEAD = 256 * 10
FC2_DENSE = 784 * 256 + FC2_HEAD
"""Weights of dense FC2, biases aside; those of its layer 2."""
DLRT = (784, 500, 500, 500, 500, 10)
"""Widths of the network of Schotthoefer et al., NeurIPS 2022 (dynamical low-rank training)."""
DLRT_SOURCE, DLRT_DENSE = "Schotthoefer et al. 2022", 0.9843
DLRT_PUBLISHED = {0.651: 0.9846, 0.384: 0.9849, 0.247: 0.9815, 0.135: 0.9783, 0.089: 0.9744, 0.076: 0.9646}
"""Share of its weights: MNIST accuracy after 250 epochs (the authors' logs)."""


@dataclasses.dataclass(frozen=True)
class Training:
    """What the image experiments share: data, seeds, training; the epoch is chosen on held-out images."""

    seeds: int = 5
    epochs: int = 10
    batch_size: int = 256
    learning_rate: float = 5e-3
    valid: int = 5000
    average: float = 0.0
    warmup: float = 0.0
    weight_decay: float = 0.0
    precision: str = "float32"

    def __post_init__(self):
        if self.seeds < 2:
            raise SSHMLError(f"seeds is {self.seeds}; error bars need at least 2.")
        self.training()

    def training(self, **changes):
        """Return what a job of training is given: the `TrainingSpec`, seeds, images held out."""
        spec = TrainingSpec(**{name: getattr(self, name) for name in TRAINING} | changes)
        return {"training": spec, "seeds": self.seeds, "valid": self.valid}

    def work(self, epochs=None):
        """Return how long a training takes, in passes of one network over the images."""
        return self.seeds * (epochs or self.epochs)


LONG = 50
"""Epochs from which on networks of FC2 have learned what they can and are compared with published ones."""


@dataclasses.dataclass(frozen=True)
class Averaged(Training):
    """How FC2 is trained: `RECIPES["averaged"]` of `sshml.classifier`, with the L2 term of Gao et al. 2020.

    Chosen on the validation data of MNIST with three seeds that no result uses, by the mean accuracy of D = 22: the L2
    term adds .002, a rate of 2e-2 takes .001 (and adds .002 at D = 2), products in bfloat16 change nothing. At D = 2
    three times as many epochs add .004: so many it gets, its few numbers learn slowly.
    """

    learning_rate: float = RECIPES["averaged"].training.learning_rate
    average: float = RECIPES["averaged"].training.average
    warmup: float = RECIPES["averaged"].training.warmup
    weight_decay: float = 1e-4
    precision: str = "bf16"

    def training_at(self, family, bond):
        """Return what a job of a family and a bond is given, as `training` does."""
        return self.training(epochs=3 * self.epochs) if (family, bond) == ("mpo", 2) else self.training()


def too_short(settings, long=LONG):
    """Return why accuracies and entropies of a training are not compared with published ones, "" if they are."""
    return "" if settings.epochs >= long else f"{settings.epochs} epochs; {long} are needed"


TRAINING = ("epochs", "batch_size", "learning_rate", "average", "warmup", "weight_decay", "precision")
"""Settings that are fields of the `TrainingSpec`."""


def train(where, factory, data, training, seeds, on_epoch=None, watch=None):
    """Train one network per seed in a job; return the `Run`, saved in the job's folder. A killed one goes on."""
    checkpoint = where.folder / "run.state.h5"
    how = {"on_epoch": on_epoch, "checkpoint": checkpoint, "watch": watch}
    spec = TrainingSpec(**training)
    run = fit(factory, data.train, data.valid, spec, seeds, where.device, where.progress, **how)
    save_run(run, where.folder / RUN, force=True)
    checkpoint.unlink(missing_ok=True)
    return run


def network(where, data, family, bond, training, seeds, valid, order="row-major"):
    """Train FC2 of one family at one bond, its pixels in an order, and measure the accuracy.

    Of dense networks (bond 0) the entropies of layer 1 through the training stay in the folder of the job.
    """
    split = images(data, where.root, valid)
    recorder = entropy_recorder({"1": FC2_SHAPE}) if family == "dense" else None
    run = train(
        where, fc2_network(family, bond, order), split, training, seeds, recorder, watch={"test": split.test}
    )  # fmt: skip
    if recorder:
        with new_file(where.folder / ENTROPIES, force=True) as partial:
            partial.write_text(json.dumps(recorder.state_dict()), encoding="utf-8")
    share = 1.0 if family == "dense" else fc2_share(FAMILIES[family], bond)
    head, test = {"data": data, "family": family, "bond": bond}, run.accuracy(split.test, where.device)
    return {"curve": list(accuracy_rows(head, run, test, share))}


def trained(result, factory=None):
    """Return the run that `train` saved in the folder of a job."""
    return load_run(result.folder / RUN, factory, LAYERS)


def accuracy_rows(head, run, test, numbers):
    """Yield a row per seed: accuracy on the validation and the test split, the epoch kept.

    Where the test split was watched, `best_test` is its largest accuracy of all epochs: chosen on test data, what some
    sources report.
    """
    for member, (seed, accuracy) in enumerate(zip(run.seeds, test, strict=True)):
        valid = np.nanmax(run.history["valid_accuracy"][member])
        row = {"share": f"{numbers:.5g}", "seed": seed, "valid": f"{valid:.5g}", "test": f"{accuracy:.5g}"}
        if "test_accuracy" in run.history:
            row["best_test"] = f"{np.nanmax(run.history['test_accuracy'][member]):.5g}"
        yield head | row | {"epoch": run.epoch[member], "epochs": run.training.epochs}


@torch.no_grad()
def accuracy_of(model, data):
    """Return the accuracy of a network on (inputs, labels), tensors."""
    inputs, labels = data
    return float(torch.cat([model(x).argmax(1) for x in inputs.split(2000)]).eq(labels).double().mean())


def best_tests(table):
    """Return the column `best_test`, NaN where the tables are older than it."""
    return table["best_test"] if "best_test" in table else np.full(len(table["test"]), np.nan)


def fc2_network(family, bond, order="row-major"):
    """Return the factory of a family of FC2 networks; the order is "row-major", "blocked" or "random"."""
    if family == "dense":
        return FC2
    places = {"row-major": None, "blocked": (None, BLOCKS), "random": (None, orders.shuffled(784, 0))}[order]
    return fc2_factory(FAMILIES[family], bond, places)


def fc2_factory(shape, bond, order=None):
    """Return a factory of FC2 networks with layer 1 in MPO form and layer 2 as `FC2_OUT` with bond 4."""
    return lambda: tensorize(FC2(), {0: shape, 1: FC2_OUT}, {0: bond, 1: 4}, {0: order})


def fc2_share(shape, bond):
    """Return rho, the numbers in the cores of both layers over the weights of dense FC2.

    >>> round(fc2_share(FC2_SHAPE, 4), 4)
    0.0087
    """
    return (shape.n_parameters(bond) + FC2_OUT.n_parameters(4)) / FC2_DENSE


def bond_for(shape, numbers):
    """Return the largest bond whose cores hold at most so many numbers, 1 at least.

    >>> bond_for(LOW_RANK, 15000)
    14
    """
    bond, largest = 1, max(shape.bonds())
    while bond < largest and shape.n_parameters(bond + 1) <= numbers:
        bond += 1
    return bond
