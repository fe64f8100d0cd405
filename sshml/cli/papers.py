"""The command that reproduces published work, and experiments of one's own."""

import contextlib
import sys
from pathlib import Path
from typing import Annotated

import typer

from sshml.cli.app import app
from sshml.cli.options import Device, Force, Json, Scheduler, Workers
from sshml.console import duration, job_bar, print_json, print_table, waiting
from sshml.errors import SSHMLError

LINES = 15
"""Claims that are printed; the others are in claims.csv."""


def _experiments(incomplete):
    from sshml.experiments import names

    return [name for name in (*names(), "all") if name.startswith(incomplete)]


@app.command()
def reproduce(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME...]",
            help="Experiments, all, or files of your own (.py); poster if not given.",
            autocompletion=_experiments,
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of results: OUT/NAME, and OUT/jobs, which all share.")] = Path(
        "results"
    ),
    show: Annotated[bool, typer.Option("--list", help="List the experiments, or the settings of those named.")] = False,
    full: Annotated[bool, typer.Option("--full", help="The full sizes; hours.")] = False,
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="Change a setting; see NAME --list.")
    ] = None,
    seeds: Annotated[int | None, typer.Option(help="The same as --set seeds=N: networks of each kind.")] = None,
    root: Annotated[Path | None, typer.Option(help="Folder of the image files; downloaded if not given.")] = None,
    device: Device = "auto",
    workers: Workers = None,
    scheduler: Scheduler = None,
    part: Annotated[
        str | None,
        typer.Option(metavar="I/N", help="Make the I-th of N parts of the jobs only: a SLURM array."),
    ] = None,
    redraw: Annotated[bool, typer.Option("--redraw", help="Make claims and figures anew from the tables.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Accept results that other code made.")] = False,
    json: Json = False,
    force: Force = False,
):
    """Reproduce published work: figures with error bars, tables, and the claims with their verdicts.

    A second call makes only what is missing: results of jobs are kept in OUT/jobs.
    """
    from sshml.experiments import catalogue

    wanted = list(dict.fromkeys(names or ([] if show else [catalogue.MAIN])))
    if "all" in wanted and len(wanted) > 1:
        raise SSHMLError(f"all is every experiment; leave {', '.join(n for n in wanted if n != 'all')} out.")
    if wanted == ["all"] or (show and not wanted):
        wanted = list(catalogue.names()) if not show or names else []
    if show:
        _list(wanted, json)
        return
    given = _changes(changes or [], seeds)
    outcomes = _redrawn(wanted, out, given or full or part) if redraw else None
    if outcomes is None:
        outcomes = _run(wanted, out, full, given, root, device, workers, scheduler, _part(part), keep, force)
    if outcomes is not None:
        _report(outcomes, json)


def _list(names, json):
    from sshml.experiments import catalogue

    if not names:
        rows = [(name, line) for name, line in catalogue.names().items()]
        print_table("Experiments", ("name", "what"), rows, json)
    loaded = {}
    for name in names:
        short, experiment = catalogue.load(name)
        loaded[short] = catalogue.described(experiment)
    if json and names:
        head = ("experiment", "field", "default", "with --full")
        print_table("", head, [(short, *row) for short, rows in loaded.items() for row in rows], json)
        return
    for short, rows in loaded.items():
        print_table(f"Settings of {short}: --set FIELD=VALUE", ("field", "default", "with --full"), rows)


def _changes(texts, seeds):
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise SSHMLError(f"--set {text!r} is not understood; write FIELD=VALUE, as in --set epochs=3.")
        found[name.strip()] = value.strip()
    if seeds is not None and found.setdefault("seeds", str(seeds)) != str(seeds):
        raise SSHMLError(f"--seeds {seeds} and --set seeds={found['seeds']} differ; give one of them.")
    return found


def _part(text):
    if text is None:
        return None
    try:
        number, parts = (int(each) for each in text.split("/"))
        if 1 <= number <= parts:
            return number, parts
    except ValueError:
        pass
    raise SSHMLError(f"--part {text!r} is not understood; write I/N with 1 <= I <= N, as in --part 1/4.")


def _redrawn(names, out, others):
    from sshml.experiments import redraw

    if others:
        raise SSHMLError("--redraw takes its settings from the results; leave --set, --seeds, --full and --part out.")
    return [redraw(name, out) for name in names]


def _run(names, out, full, changes, root, device, workers, scheduler, part, keep, force):
    """Run what is missing; return the outcomes, None for a part of the jobs."""
    from sshml.experiments import Reproduction, Where, job_lines

    _refuse_device(device)
    work = Reproduction(
        names, out, full, changes, Where(device, None if root is None else str(root)), part, keep, force
    )
    workers = min(workers or work.default_workers(), max(1, len(work.missing)))
    if work.missing:
        where = f"on {scheduler}" if scheduler else f"with {workers} worker{'s' * (workers > 1)}"
        rest = f"{len(work.missing)} of {len(work.jobs)} jobs {where}"
        seconds = work.estimate(workers)
        time = "no time known yet" if seconds is None else f"about {duration(seconds)}"
        typer.echo(f"{', '.join(work.parts)}: {rest}, {time}", err=True)
    with contextlib.redirect_stdout(sys.stderr), job_bar() as report:  # what jobs print is no result
        failed = work.run(workers, scheduler, report)
    if part is None:
        with waiting("tables, claims and figures"):
            return work.conclude(failed)
    print(
        f"part {part[0]} of {part[1]}: {len(work.jobs) - len(failed)} of {len(work.jobs)} jobs are done in {work.store}"
    )
    _fail(job_lines(failed))
    return None


def _refuse_device(device):
    """Raise before the work where a device is no device."""
    if device not in ("auto", "cpu"):
        from sshml.classifier import pick_device

        pick_device(device)


def _report(outcomes, json):
    from sshml.experiments.claims import SHOWN, most_telling, shown

    rows = [{"experiment": outcome.name} | row for outcome in outcomes for row in outcome.claims]
    if json:
        numbers = ("mean", "std", "error")
        print_json([row | {name: float(row[name]) if row[name] else None for name in numbers} for row in rows])
    elif rows:
        decided = sum(row["criterion"] != "" for row in rows)
        first = most_telling(rows, max(LINES, decided) if len(outcomes) > 1 else LINES)
        head, *table = ((*line[:5], line[6]) for line in (SHOWN, *map(shown, first)))  # the criterion is in claims.csv
        some = f" ({len(first)} of {len(rows)}, those of the sources first; all are in claims.csv)"
        print_table(f"Claims{some if len(first) < len(rows) else ''}", head, table)
    if not json:
        for outcome in outcomes:
            count = f"{len(outcome.claims)} claims in claims.csv, figures (png, pdf), tables (csv), jobs.csv"
            print(f"{outcome.folder}: {count if outcome.folder.exists() else 'nothing is written, no job is done'}")
    failures = [f"{outcome.name}: {line}" for outcome in outcomes for line in outcome.failures]
    _fail(failures + _joint(outcomes, json))


def _joint(outcomes, json):
    """Write the table of all claims of several experiments in the folder of the results; return failures as lines."""
    from sshml.experiments import write_joint

    if len(outcomes) < 2 or not any(outcome.claims for outcome in outcomes):
        return []
    folder = outcomes[0].folder.parent
    try:
        path = write_joint(folder)
    except SSHMLError as error:
        return [str(error)]
    if not json:
        print(f"{path}: the claims of all experiments in {folder}")
    return []


def _fail(lines):
    for line in lines:
        typer.echo(f"sshml: {' '.join(line.split())}", err=True)
    if lines:
        raise typer.Exit(1)
