"""Commands that compress networks, those of runs and of other makes, and write what leaves the package."""

from pathlib import Path
from typing import Annotated

import typer

from sshml.cli.app import app
from sshml.cli.guards import refuse_given, refuse_idle, refuse_same
from sshml.cli.opening import dataset_for, load
from sshml.cli.options import Factory, Force, Json, Layer, Method, Shape, choose, dims_of, factory_of, layer_of
from sshml.console import print_json, progress_bars
from sshml.errors import SSHMLError, one_line

PROGRAMS = (".pt2", ".onnx")

Model = Annotated[
    Path,
    typer.Argument(metavar="MODEL", help="Run file, program (.pt2), or with --factory a state dict or model file."),
]


@app.command()
def compress(
    model: Model,
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="File to make: a run of a run; else .h5, .safetensors, .pt2 or .onnx.")
    ],
    share: Annotated[float | None, typer.Option(help="Budget: share of the bytes of the whole model.")] = None,
    n_bytes: Annotated[int | None, typer.Option("--bytes", help="Budget: bytes.")] = None,
    tolerance: Annotated[float | None, typer.Option(help="Instead: relative error of the outputs on --data.")] = None,
    accuracy: Annotated[float | None, typer.Option(help="Instead: accuracy to keep on --data.")] = None,
    plan: Annotated[
        Path | None, typer.Option(help="Instead: a plan, as --only-plan writes it, perhaps edited.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Inputs (sample, ...), .npy, or .npz with x and y; of a run a dataset.")
    ] = None,
    labels: Annotated[Path | None, typer.Option(help="Labels of --data, .npy.")] = None,
    test: Annotated[
        Path | None, typer.Option(help="Inputs, or .npz with x and y, of the report; --data if not given.")
    ] = None,
    methods: Annotated[str, typer.Option(help="Those of svd, mpo, prune and blocks that may be chosen.")] = "svd,mpo",
    layers: Annotated[
        str | None, typer.Option(help="Layers that may change, comma-separated; all if not given.")
    ] = None,
    absorb_bias: Annotated[bool, typer.Option("--absorb-bias", help="Cut biases with their weights (svd).")] = False,
    faster: Annotated[bool, typer.Option("--faster", help="Leave layers dense whose form is slower here.")] = False,
    only_plan: Annotated[bool, typer.Option("--only-plan", help="Write the plan to OUT, as JSON, and stop.")] = False,
    layer: Layer = "0",
    method: Method = "svd",
    rank: Annotated[int | None, typer.Option(help="One layer: singular values to keep (svd, blocks).")] = None,
    blocks: Annotated[int | None, typer.Option(help="One layer: equal blocks of its inputs (blocks).")] = None,
    max_bond: Annotated[int | None, typer.Option(help="One layer: largest bond dimension (mpo).")] = None,
    shape: Shape = None,
    keep: Annotated[int | None, typer.Option(help="One layer: weights to keep (prune).")] = None,
    factory: Factory = None,
    json: Json = False,
    force: Force = False,
):
    """Compress a network: within a budget, by a plan, or one layer. Prints what it stores and loses."""
    from sshml.files import refuse_existing

    refuse_same(out, model, data, labels, plan, test)
    refuse_existing(out, force)
    goals = {"share": share, "n_bytes": n_bytes, "tolerance": tolerance, "accuracy": accuracy}
    options = {"methods": methods, "layers": layers, "absorb_bias": absorb_bias, "faster": faster}
    one = {"rank": rank, "max_bond": max_bond, "keep": keep, "shape": dims_of(shape), "blocks": blocks}
    size = _asked(goals, options, plan, only_plan, method, one)
    run = dataset = report_on = None
    if _is_run(model):
        refuse_given("a run, whose dataset has labels and splits", {"test": test, "labels": labels, "factory": factory})
        run = load(model)
        dataset = None if data is None else dataset_for(run, data)
        dense, known = run.model(), None if dataset is None else _seen(run, dataset.valid)
    else:
        dense, known = _module(model, factory), _arrays(data, labels)
        report_on = known if test is None else _arrays(test, None)
    planned = _planned(dense, known, plan, goals, options) if size is None else None
    if only_plan:
        _write_plan(planned, out, force, json)
    elif run is not None:
        _compress_run(run, dataset, (planned, layer_of(layer), method, size), out, force, json)
    else:
        _compress_module(dense, known, (planned, layer_of(layer), method, size), report_on, out, force, json)


def _asked(goals, options, plan, only_plan, method, one):
    """Return the size of one layer where that is asked for, None for a budget or a plan; raise if unclear."""
    ways = [any(v is not None for v in goals.values()), plan is not None, any(v is not None for v in one.values())]
    if sum(ways) != 1 and (any(ways) or method == "svd"):
        got = "several" if any(ways) else "none"
        raise SSHMLError(
            f"give a budget (--share), a plan (--plan) or the size of a layer (--rank); got {got} of them."
        )
    size = _size(method, one) if ways[2] or not any(ways) else None
    if only_plan and size is not None:
        raise SSHMLError("--only-plan goes with a budget (--share) or a plan (--plan); leave it out.")
    if not ways[0] and options != {"methods": "svd,mpo", "layers": None, "absorb_bias": False, "faster": False}:
        raise SSHMLError("--methods, --layers, --absorb-bias and --faster go with a budget (--share); leave them out.")
    return size


def _planned(dense, known, path, goals, options):
    """Return the plan of a file, or the one that meets a goal."""
    from sshml.compression import Plan, plan

    if path is not None:
        return Plan.from_json(_text_of(path))
    methods = tuple(word.strip() for word in options["methods"].split(","))
    layers = None if options["layers"] is None else options["layers"].split(",")
    with progress_bars() as bar:
        how = options | {"methods": methods, "layers": layers}
        return plan(dense, data=known, progress=bar("batches"), **goals, **how)


def _compress_run(run, dataset, how, out, force, json):
    """Compress all networks of a run; print the report of the first one and the accuracies of all."""
    from sshml.analysis import compress_run
    from sshml.classifier import save_run
    from sshml.compression import n_bytes, n_parameters, report
    from sshml.statistics import spread

    planned, layer, method, size = how
    if planned is None:
        small = compress_run(run, layer, method, **size)
    else:
        small = compress_run(run, planned, split=dataset.valid if dataset and planned.data_aware else None)
    save_run(small, out, force)
    before, after = run.model(), small.model()
    counts = f"{n_parameters(before)} -> {n_parameters(after)} parameters, {n_bytes(before)} -> {n_bytes(after)} bytes"
    data = None if dataset is None else _seen(run, dataset.test)
    _print_report(report(before, after, data), f"{out}: {counts} per network; the first one:", json)
    if dataset is not None and not json:
        print(f"test accuracy {spread(run.accuracy(dataset.test))} -> {spread(small.accuracy(dataset.test))}")


def _compress_module(dense, known, how, report_on, out, force, json):
    """Compress a network of another make and print its report."""
    from sshml.compression import compress, export_model, report, save_model

    planned, layer, method, size = how
    if planned is None:
        small = compress(dense, layer, method, **size)
    else:
        small = compress(dense, planned, data=known if planned.data_aware else None)
    found = report(dense, small, report_on)
    if out.suffix in PROGRAMS:
        export_model(small, out, _needed(known), force)
    else:
        save_model(small, out, force)
    _print_report(found, f"{out}:", json)


@app.command()
def export(
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", help="Dataset; or run, program (.pt2), or with --factory a state dict.")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="CSV file of a dataset; .pt2 or .onnx of a network.")],
    data: Annotated[
        Path | None, typer.Option(help="Inputs (sample, ...) of a network, .npy; one sample will do.")
    ] = None,
    member: Annotated[int | None, typer.Option(help="Network of a run; 0 if not given.")] = None,
    factory: Factory = None,
    force: Force = False,
):
    """Write a dataset's labels and hoppings as a CSV table, or a network as a program that runs without sshml."""
    refuse_same(out, source, data)
    if out.suffix not in PROGRAMS:
        refuse_given("a dataset", {"data": data, "member": member, "factory": factory})
        from sshml.dataset import export as write

        with progress_bars() as bar:
            rows = write(source, out, force, bar("chains"))
        print(f"{out}: {rows} chains")
        return
    from sshml.compression import export_model

    if _is_run(source):
        refuse_given("a run", {"factory": factory})
        run, member = load(source), member or 0
        if not -len(run) <= member < len(run):
            raise SSHMLError(f"--member {member} is out of range; the run has {len(run)} networks, from 0.")
        module = run.model(member)
        example = _arrays(data, None)[:1] if data is not None else _example_of(run)
    else:
        refuse_given("one network", {"member": member})
        module, example = _module(source, factory), _needed(_arrays(data, None))
    export_model(module, out, example, force)
    print(f"{out}: {out.stat().st_size} bytes")


def _size(method, given):
    """Return the arguments of the form of one layer."""
    sizes = {"svd": "rank", "mpo": "max_bond", "prune": "keep", "blocks": "rank"}
    further = {"mpo": ["shape"], "blocks": ["blocks"]}
    name = choose("method", method, sizes)
    refuse_idle(method, given, further, (name,))
    if given[name] is None:
        raise SSHMLError(f"method {method} needs --{name.replace('_', '-')}.")
    own = {"ranks" if method == "blocks" else name: given[name]}
    return own | {option: given[option] for option in further.get(method, ())}


def _is_run(path):
    """Return whether a file says that it is a run."""
    from sshml.hdf5 import format_of

    found = format_of(path)
    return path.suffix in (".h5", ".hdf5") if found is None else found != "sshml-model"  # says what is wrong with it


def _module(path, factory):
    from sshml.compression import read_module

    return read_module(path, None if factory is None else factory_of(factory))


def _arrays(data, labels):
    """Return the inputs of a file, or (inputs, labels)."""
    import numpy as np

    if data is None:
        if labels is not None:
            raise SSHMLError("--labels has a meaning beside --data only.")
        return None
    try:
        x = np.load(data, allow_pickle=False)
        y = None if labels is None else np.load(labels, allow_pickle=False)
        if hasattr(x, "files"):
            with x as found:
                x, y = found["x"], found["y"] if "y" in found.files and y is None else y
    except Exception as error:  # whatever a foreign or damaged file leads to
        raise SSHMLError(
            f"{data} cannot be read: {one_line(error):.200}; expected .npy, or .npz with x and y."
        ) from None
    if not x.ndim:
        raise SSHMLError(f"{data} holds a single number; expected an array (sample, ...).")
    return x if y is None else (x, y)


def _needed(arrays):
    if arrays is None:
        raise SSHMLError("a program is traced on inputs and compared with the module on them; give --data.")
    return (arrays[0] if isinstance(arrays, tuple) else arrays)[:1]


def _seen(run, split):
    """Return (inputs, labels) of a split as the networks of a run see them."""
    from sshml.classifier import resident

    return resident(split, run.training.view)


def _text_of(path):
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SSHMLError(f"{path} cannot be read: {error}.") from None


def _example_of(run):
    """Return one sample of the size of the chains that a run was trained on."""
    import numpy as np

    from sshml.dataset import View, spec_from_json

    if run.data is None:
        raise SSHMLError("the run does not say what it was trained on; give inputs with --data.")
    shape = View.parse(run.training.view).shape(spec_from_json(run.data))
    return np.random.default_rng(0).standard_normal((1, *shape))


def _write_plan(planned, out, force, json):
    from sshml.files import new_file

    with new_file(out, force) as partial:
        partial.write_text(planned.to_json(), encoding="utf-8")
    print(planned.to_json() if json else f"{out}:\n{planned}", end="\n" if json else "")


def _print_report(found, head, json):
    if json:
        print_json({"rows": found.rows, "totals": found.totals, "notes": found.notes})
    else:
        print(f"{head}\n{found}", end="")
