"""One command per job; imports inside the commands, so that --help is instant."""

import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from sshml.console import print_table, progress_bars, spread, waiting
from sshml.errors import SSHMLError

app = typer.Typer(
    help="SSH chains, networks that recognise their topological phase, and what survives their compression.",
    add_completion=False,
    pretty_exceptions_enable=False,
)


UsageError = typer.BadParameter.__base__


def main():
    """Run the command line; what a user can mend is one line on stderr and exit code 2."""
    for number in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):  # so that temporary files are removed
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda number, _: sys.exit(128 + number))
    try:
        code = app(sys.argv[1:] or ["--help"], standalone_mode=False)
    except (SSHMLError, UsageError) as error:
        message = str(error) if isinstance(error, SSHMLError) else error.format_message()
        print(f"sshml: {' '.join(message.split())}", file=sys.stderr, flush=True)
        if isinstance(error.__cause__, (OSError, RuntimeError)):
            os._exit(2)  # after a failed write HDF5 tries again at exit, and crashes
        sys.exit(2)
    if code == 130:  # typer's code for Ctrl-C
        print("sshml: interrupted; no unfinished file is left.", file=sys.stderr)
    sys.exit(code or 0)


DataFile = Annotated[Path, typer.Argument(metavar="DATA", help="Dataset file.")]
RunFile = Annotated[Path, typer.Argument(metavar="RUN", help="Run file.")]
Method = Annotated[str, typer.Option(help="svd, mpo or prune.")]
Shape = Annotated[
    str | None, typer.Option(help="MPO sites OUT_DIMS:IN_DIMS, as 4,4,4,4:4,7,7,4; balanced if not given.")
]
Layer = Annotated[str, typer.Option(help="Linear layer: its number from 0, or its name in the module.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda; auto takes CUDA where there is one.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite what exists.")]


@app.command()
def generate(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="HDF5 file to make.")],
    cells: Annotated[int, typer.Option(help="Cells M of a chain; it has 2 M sites.")] = 8,
    v: Annotated[str, typer.Option(help="Intracell hopping: 0.5, a range 0:1, or a grid 0:2:21.")] = "0:1",
    w: Annotated[str, typer.Option(help="Intercell hopping, like --v.")] = "0:1",
    disorder_v: Annotated[float, typer.Option(help="Disorder strength of v, see --law.")] = 0.0,
    disorder_w: Annotated[float, typer.Option(help="Disorder strength of w.")] = 0.0,
    boundary: Annotated[str, typer.Option(help="open or periodic.")] = "open",
    gauge: Annotated[str, typer.Option(help="Signs of the states: random or fixed.")] = "random",
    train: Annotated[int, typer.Option(help="Training chains.")] = 16000,
    valid: Annotated[int, typer.Option(help="Validation chains.")] = 2000,
    test: Annotated[int, typer.Option(help="Test chains.")] = 10000,
    seed: Annotated[int, typer.Option(help="Seed; the same seed gives the same bytes.")] = 0,
    law: Annotated[str, typer.Option(help="Law of the disorder: uniform, normal or multiplicative.")] = "uniform",
    j3: Annotated[str | None, typer.Option(help="Longer-range hopping A_m-B_m+1, like --v.")] = None,
    j4: Annotated[str | None, typer.Option(help="Longer-range hopping B_m-A_m+2, like --v.")] = None,
    disorder_j3: Annotated[float, typer.Option(help="Disorder strength of j3.")] = 0.0,
    disorder_j4: Annotated[float, typer.Option(help="Disorder strength of j4.")] = 0.0,
    recipe: Annotated[
        bool, typer.Option("--recipe", help="Store hoppings and labels; make states on reading.")
    ] = False,
    shard_size: Annotated[int | None, typer.Option(help="Chains per shard; one file if not given.")] = None,
    workers: Annotated[int, typer.Option(help="Processes on this machine; they make shards.")] = 1,
    scheduler: Annotated[str | None, typer.Option(help="Address of a Dask scheduler; its workers make shards.")] = None,
    force: Force = False,
):
    """Generate a dataset of SSH chains; an interrupted one in shards goes on where it stopped."""
    from sshml.dataset import DatasetSpec, open_dataset
    from sshml.dataset import generate as make

    spec = DatasetSpec(
        cells=cells,
        v=v,
        w=w,
        disorder_v=disorder_v,
        disorder_w=disorder_w,
        boundary=boundary,
        gauge=gauge,
        train=train,
        valid=valid,
        test=test,
        seed=seed,
        law=law,
        j3=j3,
        j4=j4,
        disorder_j3=disorder_j3,
        disorder_j4=disorder_j4,
    )
    how = {"recipe": recipe, "shard_size": shard_size, "workers": workers, "scheduler": scheduler}
    with progress_bars() as bar:
        make(spec, out, force, bar("chains"), **how)
    files = open_dataset(out).files
    size = sum(file.stat().st_size for file in files) / 2**20
    shards = f" in {len(files) - 1} shards" if len(files) > 1 else ""
    print(f"{out}: {train} + {valid} + {test} chains of {spec.sites} sites, {size:.1f} MiB{shards}")


@app.command()
def check(file: DataFile):
    """Check a dataset file against every rule of its format."""
    from sshml.dataset import check as check_file

    with progress_bars() as bar:
        dataset = check_file(file, bar("check"))
    sizes = " + ".join(str(len(split)) for split in dataset.splits.values())
    print(f"{file}: valid, {sizes} chains of {dataset.spec.sites} sites")


@app.command()
def info(file: Annotated[Path, typer.Argument(metavar="FILE", help="Dataset file.")]):
    """Describe a dataset: spec, labels, sign leakage, distance between the splits."""
    from sshml.dataset import open_dataset, sign_leakage, split_distance

    dataset = open_dataset(file)
    rows = [(name, str(getattr(dataset.spec, name))) for name in dataset.spec.__dataclass_fields__]
    rows.append(("created by", dataset.created_by))
    for name, split in dataset.splits.items():
        winding = split.read("winding").tolist()
        shares = ", ".join(f"{nu}: {winding.count(nu) / len(winding):.4f}" for nu in dataset.spec.windings)
        rows.append((f"share of each winding number, {name}", shares))
    closest, median = split_distance(dataset)
    rows.append(("distance of test chains to training chains", f"smallest {closest:.3g}, median {median:.3g}"))
    try:
        mean, error = sign_leakage(dataset.train.read("states", slice(16000)), dataset.train.labels)
        leak = f"{mean:.4f} ± {error:.4f} (chance 0.5)"
    except SSHMLError as error:
        leak = f"not measured: {error}"
    rows.append(("label from the signs alone", leak))
    print_table(str(file), ("", ""), rows)


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
    device: Device = "auto",
    force: Force = False,
):
    """Train an ensemble of perceptrons on a dataset; print the test accuracy."""
    import functools

    from sshml.classifier import MLP, Stream, TrainingSpec, fit, save_run
    from sshml.dataset import open_dataset
    from sshml.files import refuse_existing

    _refuse_same(run, data)
    refuse_existing(run, force)
    dataset = open_dataset(data)
    try:
        widths = tuple(int(width) for width in hidden.split(",")) if hidden else ()
    except ValueError:
        raise SSHMLError(f"--hidden {hidden!r} is not understood; write widths like 128,64.") from None
    network = functools.partial(MLP, (dataset.spec.sites**2, *widths, len(dataset.spec.windings)), activation)
    training = TrainingSpec(epochs, batch_size, learning_rate, weight_decay, view, flip_signs)
    with progress_bars() as bar:
        source = Stream(dataset.train, view, batch_size) if stream else dataset.train
        trained = fit(network, source, dataset.valid, training, seeds, device, bar(f"{seeds} networks"))
    save_run(trained, run, force)
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

    sizes = {"svd": {"rank": rank}, "mpo": {"max_bond": max_bond}, "prune": {"keep": keep}}
    size = _choose("method", method, sizes)
    _refuse_idle(method, {"shape": shape} | sizes["svd"] | sizes["mpo"] | sizes["prune"], {"mpo": ["shape"]}, size)
    if None in size.values():
        raise SSHMLError(f"method {method} needs --{next(iter(size)).replace('_', '-')}.")
    if method == "mpo":
        size["shape"] = _dims(shape)
    _refuse_same(out, run, data)
    trained = _load(run)
    split = None if data is None else _dataset_for(trained, data).test
    small = compress_run(trained, _layer(layer), method, **size)
    save_run(small, out, force)
    before, after = trained.model(), small.model()
    print(
        f"{out}: {n_parameters(before)} -> {n_parameters(after)} parameters, {n_bytes(before)} -> {n_bytes(after)}"
        " bytes per network"
    )
    if split is not None:
        print(f"test accuracy {spread(trained.accuracy(split))} -> {spread(small.accuracy(split))}")


@app.command()
def sweep(
    run: RunFile,
    data: DataFile,
    layer: Layer = "0",
    method: Method = "svd",
    shape: Shape = None,
    out: Annotated[Path, typer.Option(help="CSV file to make.")] = Path("sweep.csv"),
    plot: Annotated[Path | None, typer.Option(help="Figure to make (PNG, PDF, SVG).")] = None,
    threshold: Annotated[float, typer.Option(help="Accuracy to keep.")] = 0.95,
    device: Device = "auto",
    force: Force = False,
):
    """Measure the test accuracy against the rank, the bond or the kept weights of a layer."""
    import functools

    from sshml.analysis import bond_sweep, prune_sweep, rank_sweep
    from sshml.files import refuse_existing, write_csv

    _refuse_idle(method, {"shape": shape}, {"mpo": ["shape"]})
    by_bond = functools.partial(bond_sweep, shape=_dims(shape))
    measure = _choose("method", method, {"svd": rank_sweep, "mpo": by_bond, "prune": prune_sweep})
    _refuse_same(out, run, data, plot)
    refuse_existing(out, force)
    if plot is not None:
        _refuse_same(plot, run, data)
        _refuse_figure(plot, force)
    trained = _load(run)
    dataset = _dataset_for(trained, data)
    with waiting(f"sweep over layer {layer}"):
        found = measure(trained, dataset.test, layer=_layer(layer), device=device)
    rows = [
        {"method": found.method, "layer": found.layer, "size": size, "removed": share, "bytes": stored}
        | {f"seed {seed}": accuracy for seed, accuracy in zip(trained.seeds, found.accuracy[:, i], strict=True)}
        for i, (size, share, stored) in enumerate(zip(found.sizes, found.share, found.stored, strict=True))
    ]
    write_csv(out, rows, force)
    what = {"svd": "rank", "mpo": "bond", "prune": "weights"}[method]
    verb = "keep" if what == "weights" else "keeps"
    print(f"{out}: smallest {what} that {verb} {threshold:g}: {spread(found.smallest(threshold))}")
    if plot is not None:
        from sshml.plotting import new_figure, plot_band, set_accuracy_axis, set_removed_axis

        figure, axes = new_figure(width=5)
        std = found.accuracy.std(0, ddof=1) if len(trained) > 1 else 0
        plot_band(axes[0, 0], 1 - found.share, found.accuracy.mean(0), std)
        removed = {"svd": "singular values", "mpo": "largest bond", "prune": "weights"}[method]
        set_removed_axis(axes[0, 0], f"{removed} of layer {layer} removed")
        set_accuracy_axis(axes[0, 0], threshold)
        _save(figure, plot, force)


@app.command()
def select(
    run: RunFile,
    data: DataFile,
    layer: Layer = "0",
    out: Annotated[Path, typer.Option(help="Figure to make (PNG, PDF, SVG).")] = Path("selection.png"),
    force: Force = False,
):
    """Show what the top singular vectors of the first layer select."""
    from sshml.analysis import outliers
    from sshml.analysis import select as measure
    from sshml.compression import linear_layers
    from sshml.plotting import new_figure, plot_score, plot_shares, plot_vector

    _refuse_same(out, run, data)
    _refuse_figure(out, force)
    trained = _load(run)
    dataset = _dataset_for(trained, data)
    ratio = _ratio(dataset.test)
    with waiting("singular vectors"):
        found = measure(trained, dataset, _layer(layer), vectors=1)
    uniform = f"uniform {2 / dataset.spec.sites:.3f}"
    rows = [("share of |v1|² on the edge sites", spread(found.edge_share[:, 0]), uniform)]
    if found.view != "projector":
        rows.insert(0, ("share of |v1|² on the mid-gap levels", spread(found.mid_gap_share[:, 0]), uniform))
    rows.append(("overlap of v1 with the first principal component", spread(found.overlap[:, 0]), ""))
    for number, name in enumerate(linear_layers(trained.model())):
        for when, weights in (("initial", trained.initial), ("trained", trained.weights)):
            if f"{name}.weight" in weights:
                above = spread(outliers(weights[f"{name}.weight"]))
                rows.append((f"values above the Marchenko-Pastur edge, layer {number}, {when}", above, ""))
    print_table(f"{run}, layer {layer}, view {found.view}", ("quantity", "mean ± std over seeds", ""), rows)

    figure, axes = new_figure(1, 3, width=3.6, height=3)
    kind = "site" if found.view == "projector" else "level"
    plot_vector(axes[0, 0], found.vectors[0, 0], kind)
    plot_shares(axes[0, 1], found.row_share[:, 0], kind)
    plot_score(axes[0, 2], ratio, found.score[0], dataset.test.labels).legend(markerscale=4)
    _save(figure, out, force)
    print(out)


@app.command()
def entanglement(
    model: Annotated[Path, typer.Argument(metavar="RUN_OR_MODEL", help="Run file, or state_dict saved by torch.save.")],
    layer: Layer = "0",
    shape: Shape = None,
    base: Annotated[
        float, typer.Option(help="Base of the logarithm in the table; e if not given.")
    ] = 2.718281828459045,
    shuffles: Annotated[int, typer.Option(help="Shuffled copies of each weight, as a baseline.")] = 5,
    out: Annotated[Path, typer.Option(help="Figure to make (PNG, PDF, SVG).")] = Path("entanglement.png"),
    force: Force = False,
):
    """Measure the entanglement entropy of a layer's weights at every cut, beside random matrices."""
    import math

    from sshml.analysis import cut_report
    from sshml.plotting import new_figure, plot_cuts

    if not 1 < base < math.inf:
        raise SSHMLError(f"--base is {base}; expected a number above 1.")
    _refuse_same(out, model)
    _refuse_figure(out, force)
    name, trained, initial = _weights(model, layer)
    with waiting(f"entropies of layer {name}"):
        report = cut_report(trained, _dims(shape), initial, shuffles)
    rows = []
    for k, top in enumerate(report.ceiling):
        bar = "█" * round(12 * report.entropies["trained"][:, k].mean() / top) if top > 0 else ""
        entropies = [spread(values[:, k] / math.log(base)) for values in report.entropies.values()]
        gaussian = f"{report.mean[k] / math.log(base):.4g} ± {report.std[k] / math.log(base):.2g}"
        ceiling = f"{top / math.log(base):.3f}"
        rows.append((str(k + 1), *entropies, gaussian, ceiling, spread(report.outliers[:, k]), f"{bar:12}"))
    unit = "nats" if math.isclose(base, math.e) else "bits" if base == 2 else f"base {base:g}"
    head = ("cut", *report.entropies, "Gaussian", "ceiling", "above MP edge", "trained / ceiling")
    dims = f"{report.shape.out_dims} x {report.shape.in_dims}"
    print_table(f"{model}, layer {name}, {dims}, S in {unit}", head, rows)
    figure, axes = new_figure(width=max(5, 1.2 * report.shape.sites))
    cuts = [str(k + 1) for k in range(len(report.ceiling))]
    plot_cuts(axes[0, 0], cuts, report.entropies, report.mean, report.std, report.ceiling).legend(fontsize=7)
    _save(figure, out, force)
    print(out)


@app.command()
def export(
    data: DataFile,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="CSV file to make.")],
    force: Force = False,
):
    """Write labels and hoppings of a dataset as a CSV table, one line per chain."""
    from sshml.dataset import export as write

    _refuse_same(out, data)
    with progress_bars() as bar:
        rows = write(data, out, force, bar("chains"))
    print(f"{out}: {rows} chains")


@app.command()
def reproduce(
    experiment: Annotated[
        str, typer.Argument(help="What to reproduce: poster, phases, fc2, lenet5 or entanglement.")
    ] = "poster",
    out: Annotated[Path, typer.Option(help="Folder of results; each experiment makes its own folder in it.")] = Path(
        "results"
    ),
    seeds: Annotated[int | None, typer.Option(help="Networks of each kind (poster 16, others 5) or draws (8).")] = None,
    full: Annotated[
        bool, typer.Option("--full", help="The paper's grid for fc2, lenet5, entanglement; hours.")
    ] = False,
    root: Annotated[Path | None, typer.Option(help="Folder of the image files; downloaded if not given.")] = None,
    device: Device = "auto",
    force: Force = False,
):
    """Reproduce a published work: figures with error bars, their numbers, and the table of its claims."""
    from sshml.experiments.claims import measured

    if seeds is not None and seeds < 2:
        raise SSHMLError(f"--seeds is {seeds}; error bars need at least 2.")
    runs = {"poster": _reproduce_poster, "phases": _reproduce_phases}
    runs |= dict.fromkeys(("fc2", "lenet5", "entanglement"), _reproduce_images)
    run = _choose("experiment", experiment, runs)
    options = {"full": full, "root": root}
    if run is not _reproduce_images and any(options.values()):
        raise SSHMLError(f"--full and --root are for fc2, lenet5 and entanglement, not for {experiment}.")
    folder = out / experiment
    with progress_bars() as bar:
        claims, files = run(folder, seeds, device, force, bar, **options)
    print_table(
        "Claims",
        ("", "claim", "source", "published", "measured (n seeds)", "verdict"),
        [(row["id"], row["claim"], row["source"], row["published"], measured(row), row["verdict"]) for row in claims],
    )
    print(f"{folder}: {files}")


def _reproduce_poster(folder, seeds, device, force, bar, **_):
    from sshml.experiments import poster

    claims, baselines = poster.reproduce(folder, poster.Settings(seeds=seeds or 16), device, force, bar)
    print_table(
        "One-number baselines, random-sign test chains",
        ("observable", "accuracy"),
        [(row["observable"], f"{row['accuracy']:.4f}") for row in baselines],
    )
    return claims, "fig1 ... fig5 (png, pdf), their numbers (csv), claims.csv, data and runs (h5)"


def _reproduce_phases(folder, seeds, device, force, bar, **_):
    from sshml.experiments import phases

    claims = phases.reproduce(folder, phases.Settings(seeds=seeds or 8), force, bar("phase diagrams"))
    return claims, "phases (png, pdf), its numbers diagram.csv and cut.csv, claims.csv"


def _reproduce_images(folder, seeds, device, force, bar, full, root):
    import importlib

    experiment = importlib.import_module(f"sshml.experiments.{folder.name}")
    changes = (experiment.FULL if full else {}) | {"root": root and str(root)} | ({"seeds": seeds} if seeds else {})
    claims = experiment.reproduce(folder, experiment.Settings(**changes), device, force, bar)
    return claims, "figures (png, pdf), their numbers and claims.csv"


def _load(path):
    from sshml.classifier import load_run
    from sshml.compression import LAYERS

    return load_run(path, layers=LAYERS)


def _weights(path, layer):
    """Return (name of a linear layer, its weight in every network, its initial weights or []), from a file."""
    import h5py

    from sshml.compression import MPOLinear, find_layer

    if path.is_file() and not h5py.is_hdf5(path):
        return _weights_of_state(path, layer)
    run = _load(path)
    name = find_layer(run.model(), _layer(layer))
    weights = [model.get_submodule(name) for model in run.models()]
    if isinstance(weights[0], MPOLinear):
        return name, [layer.to_weight().detach() for layer in weights], []
    initial = run.initial.get(f"{name}.weight", [])
    return name, [layer.weight.detach() for layer in weights], list(initial)


def _weights_of_state(path, layer):
    import pickle

    import torch

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        state = {name: tensor for name, tensor in state.items() if isinstance(tensor, torch.Tensor)}
    except (AttributeError, EOFError, KeyError, OSError, RuntimeError, ValueError, pickle.UnpicklingError):
        raise SSHMLError(
            f"{path} is no run file and no state_dict of tensors; save one by torch.save(model.state_dict(), ...)."
        ) from None
    weights = {
        name.removesuffix(".weight"): tensor.float() if tensor.itemsize < 4 else tensor
        for name, tensor in state.items()
        if isinstance(name, str) and f".{name}".endswith(".weight") and tensor.ndim == 2 and tensor.is_floating_point()
    }
    names = list(weights)
    layer = _layer(layer)
    if isinstance(layer, int) and -len(names) <= layer < len(names):
        layer = names[layer]
    if layer not in names:
        known = ", ".join(f"{number} ({name})" for number, name in enumerate(names)) or "none"
        raise SSHMLError(f"{path} has no linear layer {layer!r}; it has {known}.")
    return layer, [weights[layer]], []


def _dims(text):
    """Return ((out dims), (in dims)) of a text like 4,4:7,7; None for None."""
    if text is None:
        return None
    try:
        out_dims, in_dims = (tuple(int(dim) for dim in side.split(",")) for side in text.split(":"))
    except ValueError:
        raise SSHMLError(f"--shape {text!r} is not understood; write OUT_DIMS:IN_DIMS like 4,4,4,4:4,7,7,4.") from None
    return out_dims, in_dims


def _dataset_for(run, path):
    """Open a dataset after checking that its chains have the size the run was trained on."""
    from sshml.dataset import DatasetSpec, open_dataset

    dataset = open_dataset(path)
    sites = DatasetSpec.from_json(run.data).sites if run.data else dataset.spec.sites
    if sites != dataset.spec.sites:
        raise SSHMLError(f"{path} has chains of {dataset.spec.sites} sites; the run was trained on {sites} sites.")
    return dataset


def _ratio(split):
    """Return the ratio of the geometric means of w and v of each chain."""
    import numpy as np

    if split.spec.is_longer:
        raise SSHMLError("w/v does not tell the phase of chains with longer range; select needs chains without.")
    return np.exp(np.clip(split.read("log_margin"), -20, 20))


def _choose(what, name, choices):
    if name not in choices:
        raise SSHMLError(f"{what} {name!r} is unknown; choose one of {', '.join(choices)}.")
    return choices[name]


def _refuse_idle(method, given, options, size=()):
    """Raise where an option was given that the method does not use."""
    for name, value in given.items():
        if value is not None and name not in (*size, *options.get(method, ())):
            raise SSHMLError(f"--{name.replace('_', '-')} has no meaning for the method {method}; leave it out.")


def _layer(text):
    try:
        return int(text)
    except ValueError:
        return text


def _refuse_same(out, *others):
    """Raise where an output would replace an input or another output."""
    for other in filter(None, others):
        if out.resolve() == other.resolve():
            raise SSHMLError(f"{out} is named twice; give the output a name of its own.")


def _refuse_figure(path, force):
    """Raise where a figure may not be written or its format is unknown, before the work."""
    from matplotlib.figure import Figure

    from sshml.files import refuse_existing

    refuse_existing(path, force)
    formats = sorted(Figure().canvas.get_supported_filetypes())
    if path.suffix[1:] not in formats:
        raise SSHMLError(f"{path} has no known figure format; end it in one of {', '.join(formats)}.")


def _save(figure, path, force):
    from sshml.files import new_file

    with new_file(path, force) as partial:
        figure.savefig(partial, dpi=200)


if __name__ == "__main__":
    main()
