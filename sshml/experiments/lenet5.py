"""Gao et al., Phys. Rev. Research 2, 023300 (2020): LeNet-5 with its linear layers as MPOs, on MNIST (claim G2)."""

import dataclasses

from sshml.classifier import LeNet5
from sshml.compression import MPOShape, tensorize
from sshml.dataset import images
from sshml.experiments import Claim, Experiment, Job, Rule, near
from sshml.experiments.claims import standard_error
from sshml.experiments.image_nets import Training, accuracy_rows, best_tests, train
from sshml.plotting import COLORS, new_figure, plot_groups

SHAPES = {
    0: MPOShape((2, 5, 6, 2), (2, 10, 10, 2)),
    1: MPOShape((2, 3, 7, 2), (2, 5, 6, 2)),
    2: MPOShape((1, 5, 2, 1), (2, 3, 7, 2)),
}
BONDS = {0: 4, 1: 4, 2: 2}
DENSE = 400 * 120 + 120 * 84 + 84 * 10
PUBLISHED = {"dense": 0.9917, "mpo": 0.9917}
LABELS = {"dense": "dense", "mpo": "MPO"}


@dataclasses.dataclass(frozen=True)
class Settings(Training):
    """Size of the run; the defaults are the quick one."""

    epochs: int = 10
    batch_size: int = 128
    learning_rate: float = 2e-3


def share():
    """Return rho, the numbers in the cores over the weights of the dense linear layers.

    >>> round(share(), 3)
    0.049
    """
    return sum(SHAPES[layer].n_parameters(BONDS[layer]) for layer in SHAPES) / DENSE


def family(where, family, training, seeds, valid):
    """Train one family of networks and measure its accuracy."""
    data = images("mnist", where.root, valid)
    factories = {"dense": LeNet5, "mpo": lambda: tensorize(LeNet5(), SHAPES, BONDS)}
    run = train(where, factories[family], data, training, seeds, watch={"test": data.test})
    test = run.accuracy(data.test, where.device)
    numbers = 1.0 if family == "dense" else share()
    return {"accuracy": list(accuracy_rows({"family": family}, run, test, numbers))}


def jobs(settings):
    """Yield the training of both families."""
    for name in LABELS:
        yield Job(family, {"family": name} | settings.training(), settings.work())


def claims(tables, settings):
    """Yield the accuracies of both families, and their difference."""
    for name, label in LABELS.items():
        yield Claim(
            "G2", f"test accuracy of LeNet-5, {label}", lambda name=name: _test(tables, name),
            "Gao et al. 2020", f"{PUBLISHED[name]}", near(PUBLISHED[name], 0.002),
        )  # fmt: skip
        yield Claim(
            "G2", f"test accuracy of LeNet-5, {label}, of the best test epoch, as the source has it",
            lambda name=name: best_tests(tables.columns("accuracy", family=name)),
            "Gao et al. 2020", f"{PUBLISHED[name]}", near(PUBLISHED[name], 0.002),
        )  # fmt: skip
    yield Claim(
        "G2", f"MPO less dense, with {share():.3f} of the weights of the linear layers",
        lambda: _test(tables, "mpo") - _test(tables, "dense"), "Gao et al. 2020", "0",
        Rule(
            "|mean| <= 0.001 or 2 standard errors", lambda x: abs(x.mean()) <= max(0.001, 2 * standard_error(x))
        ),
    )  # fmt: skip


def _test(tables, family):
    return tables.columns("accuracy", family=family)["test"]


def _draw(tables, settings):
    figure, axes = new_figure(width=3.6)
    ax = axes[0, 0]
    groups = [_test(tables, family) for family in LABELS]
    plot_groups(ax, LABELS.values(), groups, COLORS[0], label="LeNet-5, MNIST")
    ax.axhline(0.9917, color="k", linewidth=1, linestyle=":", label="both, Gao et al. 2020")
    ax.set_xticks(range(2), ["dense", f"MPO, $\\rho = {share():.3f}$"])
    ax.set_xlim(-0.5, 1.5)
    ax.set_ylabel("test accuracy")
    ax.legend(fontsize=8)
    return figure


experiment = Experiment(Settings, jobs, claims, {"lenet5": _draw}, full={"epochs": 60})
