"""The commands that train networks and look at how good they are."""

from pathlib import Path
from typing import Annotated

import typer

from sshml.cli.app import app
from sshml.cli.guards import refuse_figure, refuse_same, save
from sshml.cli.opening import dataset_for, load
from sshml.cli.options import DataFile, Device, Force, Json, RunFile, choose, widths_of
from sshml.console import print_table, progress_bars, waiting


@app.command()
def train(
    context: typer.Context,
    data: DataFile,
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run file to make.")],
    view: Annotated[
        str,
        typer.Option(help="What the network sees: states, abs, density or projector; or parts, states/levels=6,9."),
    ] = "states",
    hidden: Annotated[str, typer.Option(help="Hidden widths, comma-separated.")] = "128,64",
    activation: Annotated[str, typer.Option(help="relu, tanh, sigmoid or square.")] = "relu",
    seeds: Annotated[int, typer.Option(help="Networks trained at once, seeds 0, 1, ...")] = 16,
    epochs: Annotated[int, typer.Option(help="Passes through the training split.")] = 20,
    batch_size: Annotated[int, typer.Option(help="Chains per step.")] = 64,
    learning_rate: Annotated[float, typer.Option(help="Learning rate.")] = 1e-3,
    weight_decay: Annotated[float, typer.Option(help="L2 coefficient, of adamw decoupled decay.")] = 0.0,
    optimizer: Annotated[str, typer.Option(help="adam, adamw or sgd.")] = "adam",
    momentum: Annotated[float, typer.Option(help="Momentum of sgd.")] = 0.0,
    schedule: Annotated[str, typer.Option(help="Learning rate: constant, cosine, exponential or steps.")] = "constant",
    decay: Annotated[float, typer.Option(help="Factor of exponential (per epoch) and steps.")] = 1.0,
    decay_every: Annotated[int, typer.Option(help="Epochs between two steps of the schedule steps.")] = 1,
    warmup: Annotated[float, typer.Option(help="Epochs in which the rate rises from 0.")] = 0.0,
    label_smoothing: Annotated[float, typer.Option(help="Share of the label spread over all classes.")] = 0.0,
    clip: Annotated[float, typer.Option(help="Largest norm of the gradient; 0 for any.")] = 0.0,
    patience: Annotated[int, typer.Option(help="Stop after so many epochs without a better one; 0 for never.")] = 0,
    precision: Annotated[str, typer.Option(help="float32 or bf16.")] = "float32",
    average: Annotated[float, typer.Option(help="Decay per step of the moving average of the weights; 0: none.")] = 0.0,
    flip_signs: Annotated[bool, typer.Option("--flip-signs", help="Fresh random signs in every epoch.")] = False,
    stream: Annotated[bool, typer.Option("--stream", help="Read batches from the file, for large data.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Figure of the learning curves to make.")] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="File from which an interrupted training goes on.")] = None,
    device: Device = "auto",
    force: Force = False,
):
    """Train an ensemble of perceptrons on a dataset; print the test accuracy."""
    import functools
    import math

    import numpy as np

    from sshml.classifier import MLP, Stream, TrainingSpec, fit, save_run
    from sshml.dataset import View, open_dataset
    from sshml.files import refuse_existing
    from sshml.plotting import learning_curves
    from sshml.statistics import spread

    refuse_same(run, data, checkpoint, plot)
    refuse_existing(run, force)
    if plot is not None:
        refuse_same(plot, data, checkpoint)
        refuse_figure(plot, force)
    dataset = open_dataset(data)
    widths = (math.prod(View.parse(view).shape(dataset.spec)), *widths_of(hidden), len(dataset.spec.windings))
    network = functools.partial(MLP, widths, activation)
    fields = set(TrainingSpec.__dataclass_fields__) & set(context.params)
    training = TrainingSpec(**{name: context.params[name] for name in fields})
    with progress_bars() as bar:
        source = Stream(dataset.train, view, batch_size) if stream else dataset.train
        progress = bar(f"{seeds} networks")
        trained = fit(network, source, dataset.valid, training, seeds, device, progress, checkpoint=checkpoint)
    save_run(trained, run, force)
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    if plot is not None:
        save(learning_curves(trained), plot, force)
    best = np.nanmax(trained.history["valid_accuracy"], axis=1)
    print(
        f"{run}: {seeds} networks; accuracy: validation {spread(best)}, test {spread(trained.accuracy(dataset.test))}"
    )


@app.command()
def evaluate(
    run: RunFile,
    data: Annotated[list[Path], typer.Argument(metavar="DATA...", help="Dataset files.")],
    split: Annotated[str, typer.Option(help="train, valid or test.")] = "test",
    plot: Annotated[Path | None, typer.Option(help="Figure to make (PNG, PDF, SVG).")] = None,
    device: Device = "auto",
    json: Json = False,
    force: Force = False,
):
    """Measure the accuracy of a run by label, by w/v and by disorder, its confusion and its calibration."""
    from sshml.analysis import evaluate as measure
    from sshml.plotting import evaluation_figure
    from sshml.statistics import Spread

    if plot is not None:
        refuse_same(plot, run, *data)
        refuse_figure(plot, force)
    trained = load(run)
    splits = {str(path): choose("split", split, dataset_for(trained, path).splits) for path in data}
    found = {}
    for name, chosen in splits.items():
        with waiting(f"{len(trained)} networks on {name}"):
            found[name] = measure(trained, chosen, device=device)
    rows = []
    for name, evaluation in found.items():
        if evaluation.disorder:
            strengths = ", ".join(f"W_{hopping} = {value:g}" for hopping, value in evaluation.disorder.items())
            rows.append((name, "disorder strengths", evaluation.disorder if json else strengths, ""))
        rows += [(name, what, Spread.over(values), int(count)) for what, values, count in evaluation.rows()]
    print_table(f"{run}, {split}", ("data", "quantity", "mean ± std over seeds", "samples"), rows, json)
    if plot is not None:
        save(evaluation_figure(found if len(found) > 1 else next(iter(found.values()))), plot, force)
