"""The command that trains networks."""

from pathlib import Path
from typing import Annotated

import typer

from sshml.cli.app import app
from sshml.cli.guards import refuse_same
from sshml.cli.options import DataFile, Device, Force, widths_of
from sshml.console import progress_bars


@app.command()
def train(
    data: DataFile,
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run file to make.")],
    view: Annotated[str, typer.Option(help="What the network sees: states, abs, density or projector.")] = "states",
    hidden: Annotated[str, typer.Option(help="Hidden widths, comma-separated.")] = "128,64",
    activation: Annotated[str, typer.Option(help="relu, tanh or sigmoid.")] = "relu",
    seeds: Annotated[int, typer.Option(help="Networks trained at once, seeds 0, 1, ...")] = 16,
    epochs: Annotated[int, typer.Option(help="Passes through the training split.")] = 20,
    batch_size: Annotated[int, typer.Option(help="Chains per step.")] = 64,
    learning_rate: Annotated[float, typer.Option(help="Learning rate of Adam.")] = 1e-3,
    weight_decay: Annotated[float, typer.Option(help="L2 coefficient of Adam.")] = 0.0,
    flip_signs: Annotated[bool, typer.Option("--flip-signs", help="Fresh random signs in every epoch.")] = False,
    stream: Annotated[bool, typer.Option("--stream", help="Read batches from the file, for large data.")] = False,
    checkpoint: Annotated[Path | None, typer.Option(help="File from which an interrupted training goes on.")] = None,
    device: Device = "auto",
    force: Force = False,
):
    """Train an ensemble of perceptrons on a dataset; print the test accuracy."""
    import functools

    from sshml.classifier import MLP, Stream, TrainingSpec, fit, save_run
    from sshml.dataset import open_dataset
    from sshml.files import refuse_existing
    from sshml.statistics import spread

    refuse_same(run, data, checkpoint)
    refuse_existing(run, force)
    dataset = open_dataset(data)
    widths = (dataset.spec.sites**2, *widths_of(hidden), len(dataset.spec.windings))
    network = functools.partial(MLP, widths, activation)
    training = TrainingSpec(epochs, batch_size, learning_rate, weight_decay, view, flip_signs)
    with progress_bars() as bar:
        source = Stream(dataset.train, view, batch_size) if stream else dataset.train
        progress = bar(f"{seeds} networks")
        trained = fit(network, source, dataset.valid, training, seeds, device, progress, checkpoint=checkpoint)
    save_run(trained, run, force)
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    best = trained.history["valid_accuracy"].max(1)
    print(
        f"{run}: {seeds} networks; accuracy: validation {spread(best)}, test {spread(trained.accuracy(dataset.test))}"
    )
