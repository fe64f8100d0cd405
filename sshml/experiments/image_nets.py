"""Networks of the image experiments in dense and in MPO form, and how they are trained."""

import dataclasses

import numpy as np
import torch

from sshml.classifier import FC2, TrainingSpec, fit, load_run, save_run
from sshml.compression import LAYERS, MPOShape, tensorize
from sshml.errors import SSHMLError

FC2_SHAPE = MPOShape((4, 4, 4, 4), (4, 7, 7, 4))
"""Layer 1 of FC2 (784 -> 256) in Gao et al. 2020."""
FC2_OUT = MPOShape((1, 1, 10, 1), (4, 4, 4, 4))
"""Layer 2 of FC2 (256 -> 10), with bond 4."""
TWO_SITES = MPOShape((16, 16), (28, 28))
"""Layer 1 with one cut."""
LOW_RANK = MPOShape((1, 256), (784, 1))
"""Layer 1 as a product of two matrices: the MPO whose cut lies between inputs and outputs."""
TITLES = {"mnist": "MNIST", "fashion-mnist": "Fashion-MNIST"}
FC2_DENSE = 784 * 256 + 256 * 10
"""Weights of dense FC2, biases aside."""


@dataclasses.dataclass(frozen=True)
class Training:
    """What the image experiments share: data, seeds, training; the epoch is chosen on held-out images.

    `RECIPES["averaged"]` of `sshml.classifier` is epochs=50, learning_rate=1e-2, warmup=1, average=.999.
    """

    seeds: int = 5
    epochs: int = 10
    batch_size: int = 256
    learning_rate: float = 5e-3
    valid: int = 5000
    average: float = 0.0
    warmup: float = 0.0

    def __post_init__(self):
        if self.seeds < 2:
            raise SSHMLError(f"seeds is {self.seeds}; error bars need at least 2.")
        self.training()

    def training(self, **changes):
        """Return what a job of training is given: the `TrainingSpec`, seeds, images held out."""
        own = {name: getattr(self, name) for name in ("epochs", "batch_size", "learning_rate", "average", "warmup")}
        spec = TrainingSpec(**own | changes)
        return {"training": spec, "seeds": self.seeds, "valid": self.valid}

    def work(self, epochs=None):
        """Return how long a training takes, in passes of one network over the images."""
        return self.seeds * (epochs or self.epochs)


def train(where, factory, data, training, seeds, on_epoch=None, name="run", watch=None):
    """Train one network per seed in a job; return the `Run`, saved in the job's folder. A killed one goes on."""
    checkpoint = where.folder / f"{name}.state.h5"
    how = {"on_epoch": on_epoch, "checkpoint": checkpoint, "watch": watch}
    spec = TrainingSpec(**training)
    run = fit(factory, data.train, data.valid, spec, seeds, where.device, where.progress, **how)
    save_run(run, where.folder / f"{name}.h5", force=True)
    checkpoint.unlink(missing_ok=True)
    return run


def trained(result, factory, name="run"):
    """Return the run that `train` saved in the folder of a job."""
    return load_run(result.folder / f"{name}.h5", factory, LAYERS)


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


def ranks_of(model):
    """Return the ranks of the layers that were cut, "-" for dense ones."""
    layers = [m for m in model.modules() if hasattr(m, "rank") or type(m) is torch.nn.Linear]
    return [str(getattr(layer, "rank", "-")) for layer in layers]


def best_tests(table):
    """Return the column `best_test`, NaN where the tables are older than it."""
    return table["best_test"] if "best_test" in table else np.full(len(table["test"]), np.nan)


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
