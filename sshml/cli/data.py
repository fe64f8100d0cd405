"""Commands that make, check and describe datasets."""

from pathlib import Path
from typing import Annotated

import typer

from sshml.cli.app import app
from sshml.cli.guards import refuse_figure, refuse_same, save
from sshml.cli.options import DataFile, Force, Json, Scheduler, Workers, choose
from sshml.console import print_table, progress_bars
from sshml.errors import SSHMLError


@app.command()
def generate(
    context: typer.Context,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="HDF5 file to make.")],
    cells: Annotated[int, typer.Option(help="Cells M of a chain; it has 2 M sites.")] = 8,
    v: Annotated[str, typer.Option(help="Intracell hopping: 0.5, a range 0:1, or a grid 0:2:21.")] = "0:1",
    w: Annotated[str, typer.Option(help="Intercell hopping, like --v.")] = "0:1",
    disorder_v: Annotated[str, typer.Option(help="Disorder strength of v, like --v; see --law.")] = "0",
    disorder_w: Annotated[str, typer.Option(help="Disorder strength of w, like --v.")] = "0",
    boundary: Annotated[str, typer.Option(help="open or periodic.")] = "open",
    gauge: Annotated[str, typer.Option(help="Signs of the states: random or fixed.")] = "random",
    train: Annotated[int, typer.Option(help="Training chains.")] = 16000,
    valid: Annotated[int, typer.Option(help="Validation chains.")] = 2000,
    test: Annotated[int, typer.Option(help="Test chains.")] = 10000,
    seed: Annotated[int, typer.Option(help="Seed; the same seed gives the same bytes.")] = 0,
    law: Annotated[
        str,
        typer.Option(help="Law of the disorder: uniform, normal, multiplicative, binary or quasiperiodic."),
    ] = "uniform",
    j3: Annotated[str | None, typer.Option(help="Longer-range hopping A_m-B_m+1, like --v.")] = None,
    j4: Annotated[str | None, typer.Option(help="Longer-range hopping B_m-A_m+2, like --v.")] = None,
    disorder_j3: Annotated[str, typer.Option(help="Disorder strength of j3.")] = "0",
    disorder_j4: Annotated[str, typer.Option(help="Disorder strength of j4.")] = "0",
    onsite: Annotated[str | None, typer.Option(help="Staggered on-site energy, +m on A and -m on B, like --v.")] = None,
    disorder_onsite: Annotated[str, typer.Option(help="Disorder strength of the on-site energies.")] = "0",
    probability: Annotated[str | None, typer.Option(help="Of x + W/2 in the binary law; 0.5 if not given.")] = None,
    beta: Annotated[str | None, typer.Option(help="Wavenumber of the quasi-periodic law; golden if not given.")] = None,
    power: Annotated[int, typer.Option(help="Power of the cosine of the quasi-periodic law.")] = 1,
    correlated: Annotated[
        bool, typer.Option("--correlated", help="One random number for all bonds of a cell.")
    ] = False,
    half_cell: Annotated[
        bool, typer.Option("--half-cell", help="End open chains in half a cell, 2 M + 1 sites.")
    ] = False,
    hoppings: Annotated[
        Path | None,
        typer.Option(help="File of hoppings instead: .npz or .h5 with v and w, .csv with v_1 ... w_1 ..."),
    ] = None,
    recipe: Annotated[
        bool, typer.Option("--recipe", help="Store hoppings and labels; make states on reading.")
    ] = False,
    shard_size: Annotated[int | None, typer.Option(help="Chains per shard; one file if not given.")] = None,
    workers: Workers = 1,
    scheduler: Scheduler = None,
    force: Force = False,
):
    """Generate a dataset of SSH chains; an interrupted one in shards goes on where it stopped."""
    from sshml.dataset import DatasetSpec, open_dataset
    from sshml.dataset import generate as make

    if hoppings is not None:
        _from_file(context, hoppings, out)
    else:
        spec = DatasetSpec(**{name: context.params[name] for name in DatasetSpec.__dataclass_fields__})
        how = {"recipe": recipe, "shard_size": shard_size, "workers": workers, "scheduler": scheduler}
        with progress_bars() as bar:
            make(spec, out, force, bar("chains"), **how)
    dataset = open_dataset(out)
    files, spec = dataset.files, dataset.spec
    size = sum(file.stat().st_size for file in files) / 2**20
    shards = f" in {len(files) - 1} shards" if len(files) > 1 else ""
    sizes = " + ".join(str(len(split)) for split in dataset.splits.values())
    print(f"{out}: {sizes} chains of {spec.sites} sites, {size:.1f} MiB{shards}")


def _from_file(context, hoppings, out):
    """Make a dataset of the hoppings of a file."""
    from sshml.dataset import from_hoppings, read_hoppings

    used = ("boundary", "gauge", "train", "valid", "test", "seed", "recipe", "force")
    given = [name for name in context.params if context.get_parameter_source(name).name == "COMMANDLINE"]
    idle = [name for name in given if name not in (*used, "hoppings", "out")]
    if idle:
        raise SSHMLError(f"--{idle[0].replace('_', '-')} has no meaning beside --hoppings; leave it out.")
    refuse_same(out, hoppings)
    rows, sizes = read_hoppings(hoppings)
    options = {name: context.params[name] for name in used}
    if sizes:
        differs = [name for name in sizes if name in given and options[name] != sizes[name]]
        if differs:
            raise SSHMLError(
                f"--{differs[0]} is {options[differs[0]]} but {hoppings} has {sizes[differs[0]]} rows of that split."
            )
        options |= sizes
    with progress_bars() as bar:
        from_hoppings(rows, None, out, **options, progress=bar("chains"))


@app.command()
def check(
    file: DataFile,
    deep: Annotated[bool, typer.Option("--deep", help="Make the states of all chains anew, not of some.")] = False,
):
    """Prove that a dataset file is what its spec makes, and whole."""
    from sshml.dataset import check as check_file

    with progress_bars() as bar:
        dataset = check_file(file, bar("check"), deep)
    sizes = " + ".join(str(len(split)) for split in dataset.splits.values())
    print(f"{file}: valid, {sizes} chains of {dataset.spec.sites} sites")


@app.command()
def show(
    data: DataFile,
    out: Annotated[Path, typer.Option(help="Figure to make (PNG, PDF, SVG).")] = Path("chains.png"),
    split: Annotated[str, typer.Option(help="train, valid or test.")] = "test",
    count: Annotated[int, typer.Option(min=1, help="Chains, the first ones of the split.")] = 24,
    states: Annotated[int, typer.Option(min=1, max=5, help="Chains whose states next to zero are drawn.")] = 3,
    json: Json = False,
    force: Force = False,
):
    """Show a few chains: levels, the states next to zero energy and their share in the end cells, local markers."""
    import numpy as np

    from sshml.dataset import open_dataset, preview
    from sshml.plotting import chains_figure

    refuse_same(out, data)
    refuse_figure(out, force)
    found = preview(choose("split", split, open_dataset(data).splits), count, states)
    rows = []
    for chain, winding in enumerate(found.winding.tolist()):
        gap, share = float(np.abs(found.energies[chain]).min()), float(found.edge[chain])
        ratio = None if found.ratio is None else float(found.ratio[chain])
        cells = (ratio, gap, share) if json else (_number(ratio), f"{gap:.4g}", f"{share:.3f}")
        rows.append((chain, winding, *cells))
    head = ("chain", "winding number", "w/v", "smallest |E|", "share in the end cells")
    print_table(f"{data}, {split}", head, rows, json)
    save(chains_figure(found), out, force)
    if not json:
        print(out)


def _number(value):
    return "" if value is None else f"{value:.4g}"


def _shown(value):
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def _plain(value):
    """Return a field of a spec as JSON has it: a range as a number where it is one."""
    if getattr(value, "is_fixed", False):
        return value.low
    return value if value is None or isinstance(value, (int, float)) else _shown(value)


@app.command()
def info(file: Annotated[Path, typer.Argument(metavar="FILE", help="Dataset file.")], json: Json = False):
    """Describe a dataset: spec, labels, sign leakage, distance between the splits."""
    from sshml.dataset import diagram, one_number_baselines, open_dataset, sign_leakage, split_distance

    dataset = open_dataset(file)
    values = {name: getattr(dataset.spec, name) for name in dataset.spec.__dataclass_fields__}
    rows = [(name, _plain(value) if json else _shown(value)) for name, value in values.items()]
    rows.append(("created by", dataset.created_by))
    for name, split in dataset.splits.items():
        winding = split.read("winding").tolist()
        shares = {str(nu): winding.count(nu) / len(winding) for nu in dataset.spec.windings}
        text = ", ".join(f"{nu}: {share:.4f}" for nu, share in shares.items())
        rows.append((f"share of each winding number, {name}", shares if json else text))
    closest, median = split_distance(dataset)
    text = f"smallest {closest:.3g}, median {median:.3g}"
    rows.append(
        ("distance of test chains to training chains", {"smallest": closest, "median": median} if json else text)
    )
    try:
        mean, error = sign_leakage(dataset.train.read("states", slice(16000)), dataset.train.labels)
        leak = {"accuracy": mean, "error": error} if json else f"{mean:.4f} ± {error:.4f} (chance 0.5)"
    except SSHMLError as error:
        leak = f"not measured: {error}"
    rows.append(("label from the signs alone", leak))
    try:
        for name, (accuracy, error) in one_number_baselines(dataset).items():
            text = f"{accuracy:.4f} ± {error:.4f}"
            cell = {"accuracy": accuracy, "error": error} if json else text
            rows.append((f"label from one number, {name} (test)", cell))
    except SSHMLError as error:
        rows.append(("label from one number", f"not measured: {error}"))
    found = diagram(dataset.train, 4)
    if found is not None:
        axis, edges, shares, _ = found.along(found.topological)
        for low, high, share in zip(edges[:-1], edges[1:], shares.tolist(), strict=True):
            name = f"share of topological chains, {axis} {low:.3g} to {high:.3g}, train"
            rows.append((name, share if json else f"{share:.4f}"))
    print_table(str(file), ("quantity", "value"), rows, json)
