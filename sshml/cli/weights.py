"""Commands that look at trained weights."""

from pathlib import Path
from typing import Annotated

import typer

from sshml.cli.app import app
from sshml.cli.guards import refuse_figure, refuse_idle, refuse_same, save
from sshml.cli.opening import dataset_for, load
from sshml.cli.options import DataFile, Device, Force, Json, Layer, Method, RunFile, Shape, choose, dims_of, layer_of
from sshml.console import print_table, progress_bars, waiting
from sshml.errors import SSHMLError


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
    below: Annotated[
        float | None, typer.Option(help="Accuracy that each network may lose of its own, instead of --threshold.")
    ] = None,
    device: Device = "auto",
    json: Json = False,
    force: Force = False,
):
    """Measure the test accuracy against the rank, the bond or the kept weights of a layer."""
    import functools

    import numpy as np

    from sshml.analysis import bond_sweep, prune_sweep, rank_sweep
    from sshml.arguments import real
    from sshml.files import refuse_existing
    from sshml.plotting import sweep_figure
    from sshml.statistics import Spread
    from sshml.tables import write_csv

    refuse_idle(method, {"shape": shape}, {"mpo": ["shape"]})
    by_bond = functools.partial(bond_sweep, shape=dims_of(shape))
    measure = choose("method", method, {"svd": rank_sweep, "mpo": by_bond, "prune": prune_sweep})
    threshold = real(threshold, "threshold")
    refuse_same(out, run, data, plot)
    refuse_existing(out, force)
    if plot is not None:
        refuse_same(plot, run, data)
        refuse_figure(plot, force)
    trained = load(run)
    dataset = dataset_for(trained, data)
    with progress_bars() as bar:
        found = measure(trained, dataset.test, layer=layer_of(layer), device=device, progress=bar(f"layer {layer}"))
    whole = found.accuracy[:, -1]
    if below is not None:
        threshold = whole - real(below, "below", 0, 1)
    smallest = Spread.over(found.smallest(threshold))
    write_csv(out, found.rows(trained.seeds), force)
    verb, wanted = "keep" if method == "prune" else "keeps", f"{np.mean(threshold):.4g}"
    wanted += "" if below is None else f", {below:g} below its own"
    row = (str(out), f"smallest {found.what} that {verb} {wanted}", smallest)
    own = (str(out), f"accuracy with the largest {found.what}, {found.sizes[-1]}", Spread.over(whole))
    if json:
        print_table("", ("table", "quantity", "value"), [row, own], json)
    else:
        print(f"{': '.join(map(str, row))}; with the largest, {found.sizes[-1]}: accuracy {own[-1]}")
    if plot is not None:
        save(sweep_figure(found, float(np.mean(threshold))), plot, force)


@app.command()
def select(
    run: RunFile,
    data: DataFile,
    layer: Layer = "0",
    out: Annotated[Path, typer.Option(help="Figure to make (PNG, PDF, SVG).")] = Path("selection.png"),
    json: Json = False,
    force: Force = False,
):
    """Show what the top singular vectors of a layer, the first if none is named, select."""
    from sshml.analysis import outliers
    from sshml.analysis import select as measure
    from sshml.compression import linear_layers
    from sshml.plotting import selection_figure
    from sshml.statistics import Spread

    refuse_same(out, run, data)
    refuse_figure(out, force)
    trained = load(run)
    dataset = dataset_for(trained, data)
    ratio = dataset.test.ratio
    with waiting("singular vectors"):
        found = measure(trained, dataset, layer_of(layer), vectors=1)
    sites = dataset.spec.sites
    uniform, of_middle = f"uniform {2 / sites:.3f}", f"uniform {(2 - sites % 2) / sites:.3f}"
    rows = [("share of |v1|² on the edge sites", Spread.over(found.edge_share[:, 0]), uniform)]
    if found.view != "projector":
        rows.insert(0, ("share of |v1|² on the mid-gap levels", Spread.over(found.mid_gap_share[:, 0]), of_middle))
    rows.append(("overlap of v1 with the first principal component", Spread.over(found.overlap[:, 0]), ""))
    for number, name in enumerate(linear_layers(trained.model())):
        for when, weights in (("initial", trained.initial), ("trained", trained.weights)):
            if f"{name}.weight" in weights:
                above = Spread.over(outliers(weights[f"{name}.weight"]))
                rows.append((f"values above the Marchenko-Pastur edge, layer {number}, {when}", above, ""))
    title = f"{run}, layer {layer}, view {found.view}"
    print_table(title, ("quantity", "mean ± std over seeds", "note"), rows, json)
    save(selection_figure(found, ratio, dataset.test.labels), out, force)
    if not json:
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
    json: Json = False,
    force: Force = False,
):
    """Measure the entanglement entropy of a layer's weights at every cut, beside random matrices."""
    import math

    from sshml.analysis import cut_report, load_weights
    from sshml.plotting import cuts_figure
    from sshml.statistics import Spread

    if not 1 < base < math.inf:
        raise SSHMLError(f"--base is {base}; expected a number above 1.")
    refuse_same(out, model)
    refuse_figure(out, force)
    name, trained, initial = load_weights(model, layer_of(layer))
    where = f"layer {layer}" if layer == name else f"layer {layer} (module {name})"
    with waiting(f"entropies of {where}"):
        report = cut_report(trained, dims_of(shape), initial, shuffles)
    rows = []
    for k, top in enumerate(report.ceiling):
        share = float(report.entropies["trained"][:, k].mean() / top) if top > 0 else 0.0
        entropies = [Spread.over(values[:, k] / math.log(base)) for values in report.entropies.values()]
        gaussian = report.mean[k] / math.log(base), report.std[k] / math.log(base)
        ceiling, above = top / math.log(base), Spread.over(report.outliers[:, k])
        if json:
            rows.append((k + 1, *entropies, {"mean": gaussian[0], "std": gaussian[1]}, ceiling, above, share))
        else:
            of_gaussian, bar = "{:.4g} ± {:.2g}".format(*gaussian), "█" * round(12 * share)
            rows.append((k + 1, *entropies, of_gaussian, f"{ceiling:.3f}", above, f"{bar:12}"))
    unit = "nats" if math.isclose(base, math.e) else "bits" if base == 2 else f"base {base:g}"
    head = ("cut", *report.entropies, "Gaussian", "ceiling", "above MP edge", "trained / ceiling")
    dims = f"{report.shape.out_dims} x {report.shape.in_dims}"
    print_table(f"{model}, {where}, {dims}, S in {unit}", head, rows, json)
    save(cuts_figure(report), out, force)
    if not json:
        print(out)
