"""Commands that train networks and compress them."""

from pathlib import Path
from typing import Annotated

import typer

from sshml.cli.app import app
from sshml.cli.guards import dataset_for, load, refuse_idle, refuse_same
from sshml.cli.options import (
    DataFile,
    Device,
    Force,
    Layer,
    Method,
    RunFile,
    Shape,
    choose,
    dims_of,
    layer_of,
    widths_of,
)
from sshml.console import progress_bars
from sshml.errors import SSHMLError


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


@app.command()
def compress(
    run: RunFile,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Run file to make.")],
    layer: Layer = "0",
    method: Method = "svd",
    rank: Annotated[int | None, typer.Option(help="Singular values to keep (svd).")] = None,
    max_bond: Annotated[int | None, typer.Option(help="Largest bond dimension (mpo).")] = None,
    shape: Shape = None,
    keep: Annotated[int | None, typer.Option(help="Weights to keep (prune).")] = None,
    data: Annotated[Path | None, typer.Option(help="Dataset to report the test accuracy on.")] = None,
    force: Force = False,
):
    """Compress a layer of every network of a run."""
    from sshml.analysis import compress_run
    from sshml.classifier import save_run
    from sshml.compression import n_bytes, n_parameters
    from sshml.statistics import spread

    sizes = {"svd": {"rank": rank}, "mpo": {"max_bond": max_bond}, "prune": {"keep": keep}}
    size = choose("method", method, sizes)
    refuse_idle(method, {"shape": shape} | sizes["svd"] | sizes["mpo"] | sizes["prune"], {"mpo": ["shape"]}, size)
    if None in size.values():
        raise SSHMLError(f"method {method} needs --{next(iter(size)).replace('_', '-')}.")
    if method == "mpo":
        size["shape"] = dims_of(shape)
    refuse_same(out, run, data)
    trained = load(run)
    split = None if data is None else dataset_for(trained, data).test
    small = compress_run(trained, layer_of(layer), method, **size)
    save_run(small, out, force)
    before, after = trained.model(), small.model()
    print(
        f"{out}: {n_parameters(before)} -> {n_parameters(after)} parameters, {n_bytes(before)} -> {n_bytes(after)}"
        " bytes per network"
    )
    if split is not None:
        print(f"test accuracy {spread(trained.accuracy(split))} -> {spread(small.accuracy(split))}")
