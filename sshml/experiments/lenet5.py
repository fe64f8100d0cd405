"""Gao et al., Phys. Rev. Research 2, 023300 (2020): LeNet-5 with its linear layers as MPOs, on MNIST (claim G2)."""

import dataclasses
import time

from sshml.classifier import LeNet5
from sshml.compression import MPOShape, tensorize
from sshml.experiments.claims import Claim, conclude, save_figures
from sshml.experiments.image_nets import Training
from sshml.files import new_folder, read_columns, write_csv
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


FULL = {"epochs": 60}
"""Changes for `--full`."""


def share():
    """Return rho, the numbers in the cores over the weights of the dense linear layers.

    >>> round(share(), 3)
    0.049
    """
    return sum(SHAPES[layer].n_parameters(BONDS[layer]) for layer in SHAPES) / DENSE


def reproduce(out, settings=None, device="auto", force=False, progress=None):
    """Run the experiment and write its figure, numbers and `claims.csv` into a new folder; return the claims.

    Args:
        out: the folder to make.
        settings: a `Settings`.
        device: "auto", "cpu" or "cuda".
        force: replace a folder that exists.
        progress: called as progress(description), returns a callable (done, total).

    Raises:
        SSHMLError: no images, the folder exists or cannot be written, no such device.
    """
    settings = settings or Settings()
    progress = progress or (lambda description: None)
    factories = {"dense": LeNet5, "mpo": lambda: tensorize(LeNet5(), SHAPES, BONDS)}
    with new_folder(out, force) as folder:
        data, rows = settings.images("mnist"), []
        for family, factory in factories.items():
            start = time.perf_counter()
            run = settings.run(factory, data, device, progress(f"LeNet-5, {family}"))
            seconds = (time.perf_counter() - start) / len(run)
            for seed, valid, test, epoch in zip(
                run.seeds, run.history["valid_accuracy"].max(1), run.accuracy(data.test, device), run.epoch, strict=True
            ):
                rows.append({
                    "family": family, "share": 1.0 if family == "dense" else f"{share():.4g}", "seed": seed,
                    "valid": f"{valid:.5g}", "test": f"{test:.5g}", "epoch": epoch, "epochs": settings.epochs,
                    "seconds": f"{seconds:.3g}",
                })  # fmt: skip
        write_csv(folder / "accuracy.csv", rows)
        return conclude(folder, _claims(folder), draw)


def _claims(folder):
    found = {family: read_columns(folder / "accuracy.csv", family=family)["test"] for family in LABELS}
    for family, values in found.items():
        yield Claim(
            "G2", f"test accuracy of LeNet-5, {LABELS[family]}", "Gao et al. 2020", f"{PUBLISHED[family]}", values,
            "mean within 0.002", bool(abs(values.mean() - PUBLISHED[family]) <= 0.002),
        )  # fmt: skip
    gap = found["mpo"] - found["dense"]
    error = gap.std(ddof=1) / len(gap) ** 0.5
    yield Claim(
        "G2", f"MPO less dense, with {share():.3f} of the weights of the linear layers", "Gao et al. 2020", "0", gap,
        "|mean| <= 0.001 or 2 standard errors", bool(abs(gap.mean()) <= max(0.001, 2 * error)),
    )  # fmt: skip


def draw(folder):
    """Draw the figure of a results folder from its CSV file."""
    figure, axes = new_figure(width=3.6)
    ax = axes[0, 0]
    groups = [read_columns(folder / "accuracy.csv", family=family)["test"] for family in LABELS]
    plot_groups(ax, LABELS.values(), groups, COLORS[0], label="LeNet-5, MNIST")
    ax.axhline(0.9917, color="k", linewidth=1, linestyle=":", label="both, Gao et al. 2020")
    ax.set_xticks(range(2), ["dense", f"MPO, $\\rho = {share():.3f}$"])
    ax.set_xlim(-0.5, 1.5)
    ax.set_ylabel("test accuracy")
    ax.legend(fontsize=8)
    save_figures(folder, {"lenet5": figure})
