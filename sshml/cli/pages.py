"""The command that makes one page of what is in a folder or file."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from sshml.cli.app import app
from sshml.cli.guards import refuse_same
from sshml.cli.options import Force
from sshml.console import plain_data, waiting
from sshml.errors import SSHMLError

CLAIMS = ("id", "claim", "source", "published", "mean", "std", "error", "seeds", "of", "criterion", "verdict", "unlike")
JOBS = ("job", "tables", "seconds", "threads", "machine", "device", "date", "code")


@app.command()
def report(
    path: Annotated[Path, typer.Argument(help="Folder of results, run file, or file of a compressed model.")],
    out: Annotated[Path | None, typer.Option(help="The page; beside PATH, of its name, if not given.")] = None,
    force: Force = False,
):
    """Make one HTML page of results, of a run, or of a compressed model: tables that sort, figures, the numbers.

    The page needs no network and no other file.
    """
    from sshml.files import new_file, refuse_existing
    from sshml.webpage import page

    place = Path(os.path.abspath(path))  # noqa: PTH100  (resolve follows links, and raises where they loop)
    out = place.with_name(f"{place.name if place.is_dir() else place.stem}.html") if out is None else out
    refuse_same(out, path)
    refuse_existing(out, force)
    with waiting("the page"):
        title, parts, data = _results(path) if path.is_dir() else _file(path)
        text = page(title, parts, plain_data(data))
    with new_file(out, force) as partial:
        partial.write_text(text, encoding="utf-8")
    print(f"{out}: {len(text.encode()) / 1024:.0f} KiB")


def _results(path):
    """Return (title, parts, data) of a folder of results, of one experiment or of several."""
    from sshml.experiments import results_of
    from sshml.webpage import Picture, Rows, Text

    folders = [path] if (path / "settings.json").is_file() else sorted(f.parent for f in path.glob("*/settings.json"))
    if not folders:
        raise SSHMLError(f"{path} holds no results; give a folder that `sshml reproduce` made.")
    parts, data = [], {}
    for folder in folders:
        found = results_of(folder)
        decided = [row for row in found.claims if row["criterion"]]
        rest = [row for row in found.claims if not row["criterion"]]
        claims = [[row.get(name, "") for name in CLAIMS] for row in decided + rest]
        counts = [f"{sum(row['verdict'] == v for row in decided)} {v}" for v in sorted({r["verdict"] for r in decided})]
        parts += [
            Text(f"{found.name}: claims", 2),
            Text(f"{len(decided)} of {len(claims)} claims are decided by a criterion: {', '.join(counts) or 'none'}."),
            Rows(CLAIMS, claims),
        ]
        if found.figures:
            parts.append(Text(f"{found.name}: figures", 2))
            for name, figure in found.figures.items():
                parts.append(Picture(figure, f"{found.name}, {name}: {found.captions.get(name, '')}".rstrip(": ")))
        parts += [Text(f"{found.name}: history of the jobs", 2)]
        parts += [Rows(JOBS, [[row.get(name, "") for name in JOBS] for row in found.jobs])]
        data[found.name] = {"settings": found.settings, "claims": found.claims, "jobs": found.jobs}
    return f"Results of sshml: {', '.join(data)}", parts, data


def _file(path):
    """Return (title, parts, data) of a file."""
    from sshml.hdf5 import format_of

    kind = "sshml-model" if path.suffix == ".safetensors" else format_of(path)
    makers = {"sshml-run": _run, "sshml-model": _model}
    if kind not in makers:
        what = f"a {kind} file" if kind else "no file of sshml"
        raise SSHMLError(f"{path} is {what}; give a folder of results, a run, or a compressed model.")
    return makers[kind](path)


def _run(path):
    import numpy as np

    from sshml.analysis import outliers, singular_values
    from sshml.cli.opening import load
    from sshml.compression import stable_rank
    from sshml.plotting import learning_curves
    from sshml.webpage import Picture, Rows, Text

    run = load(path)
    best = np.nanmax(run.history["valid_accuracy"], axis=1)
    members = [[int(s), int(e), float(a)] for s, e, a in zip(run.seeds, run.epoch, best, strict=True)]
    layers = []
    for name, weights in run.weights.items():
        row = [name, " x ".join(map(str, weights.shape[1:])), int(weights[0].numel())]
        if weights.ndim == 3:
            values, count = singular_values(weights), outliers(weights)
            stable = stable_rank(weights)
            row += [float(values[:, 0].mean()), float(stable.mean()), float(count.mean())]
        layers.append(row + [""] * (6 - len(row)))
    heads = ("seed", "epoch kept", "validation accuracy"), (
        "tensor", "shape", "numbers", "largest singular value", "stable rank", "values above the noise",
    )  # fmt: skip
    history = {name: values.tolist() for name, values in run.history.items()}
    data = {
        "members": members,
        "tensors": layers,
        "history": history,
        "training": run.training,
        "dataset": run.data and json.loads(run.data),
    }
    parts = [
        Text(f"{len(run)} networks {run.model().__class__.__name__}; {run.training}."),
        Text("Networks", 2), Rows(heads[0], members),
        Text("Training", 2), Picture(learning_curves(run), "mean and standard deviation over networks, by epoch"),
        Text("Tensors", 2), Text("Of matrices, means over networks; noise by Marchenko and Pastur."),
        Rows(heads[1], layers),
    ]  # fmt: skip
    return f"Run {path.name}", parts, data


def _model(path):
    from sshml.compression import model_contents
    from sshml.webpage import Rows, Text

    about, state = model_contents(path)
    layers = [
        [name, layer["class"], ", ".join(f"{key} = {value}" for key, value in layer["arguments"].items())]
        for name, layer in about["layers"].items()
    ]
    tensors = [
        [name, " x ".join(map(str, t.shape)), str(t.dtype).removeprefix("torch."), t.numel(), t.nbytes]
        for name, t in state.items()
    ]
    total = sum(t.nbytes for t in state.values())
    parts = [
        Text(f"A {about.get('class')} of {total} bytes, {len(layers)} of its layers compressed."),
        Text("Compressed layers", 2), Rows(("layer", "form", "arguments"), layers),
        Text("Tensors", 2), Rows(("tensor", "shape", "type", "numbers", "bytes"), tensors),
    ]  # fmt: skip
    return f"Model {path.name}", parts, {"layers": about["layers"], "tensors": tensors, "bytes": total}
