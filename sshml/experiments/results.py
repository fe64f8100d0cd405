"""The folder of an experiment's results: tables, claims.csv, jobs.csv, figures, made from stored results of jobs."""

import contextlib
import dataclasses
import json
import re
from pathlib import Path

from sshml.arguments import as_path
from sshml.errors import SSHMLError, one_line
from sshml.experiments.catalogue import load, names, settings_of
from sshml.experiments.claims import Claim
from sshml.experiments.experiment import plain
from sshml.files import new_file
from sshml.tables import Tables, write_csv

SETTINGS = "settings.json"


def refuse_other(folder, settings, force):
    """Raise where a folder holds something else than results of these settings and `force` is False."""
    folder = Path(folder)
    if force or not folder.exists():
        return
    if not folder.is_dir():
        raise SSHMLError(f"{folder} is a file; give the name of a folder.")
    if not (folder / SETTINGS).is_file() and any(not path.name.startswith(".") for path in folder.iterdir()):
        raise SSHMLError(f"{folder} exists and holds no results; choose another name or overwrite with --force.")
    if (folder / SETTINGS).is_file() and _settings(folder)["settings"] != plain(dataclasses.asdict(settings)):
        raise SSHMLError(
            f"{folder} holds results of other settings (settings.json); choose another --out, or replace them with"
            " --force (force=True)."
        )


def _is_name(file):
    """Return whether a text names a file of the folder itself."""
    return isinstance(file, str) and re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", file) is not None


def _settings(folder):
    try:
        known = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
        files, complete = known["files"], known.get("complete", True)
        if not isinstance(files, list) or not all(map(_is_name, files)) or not isinstance(complete, bool):
            raise ValueError("files and complete are of another kind")
        name = str(known.get("experiment", folder.name))
        found = {"experiment": name, "settings": dict(known["settings"]), "files": files, "complete": complete}
        return found | {"own": known.get("own", False)}
    except FileNotFoundError:
        raise SSHMLError(f"{folder} holds no results; run the experiment first.") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SSHMLError(
            f"{folder / SETTINGS} is damaged ({one_line(error):.200}); run the experiment with --force."
        ) from None


def _refuse_unfinished(folder, known):
    if not known["complete"]:
        raise SSHMLError(f"{folder} is unfinished: its tables were being written; run the same command again.")


def write(folder, name, experiment, settings, jobs, results, inventory):
    """Write tables, claims and figures; return (rows of claims.csv, failures as lines).

    Args:
        folder: the folder, made if it is not there. Files of earlier results are replaced, others left.
        name: of the experiment.
        experiment: the `Experiment`.
        settings: its settings.
        jobs: the jobs, in the order of the tables' rows.
        results: {key: result.json} of those that are done.
        inventory: rows of jobs.csv.
    """
    folder = Path(folder)
    rows = {}
    for job in jobs:
        for table, found in results.get(job.key, {}).get("tables", {}).items():
            rows.setdefault(table, []).extend(found)
    before = set()
    with contextlib.suppress(SSHMLError):  # none, or damaged
        before = set(_settings(folder)["files"])
    tables = {f"{table}.csv": found for table, found in rows.items() if found} | {"jobs.csv": inventory}
    # first, so that a killed run knows its own files, and that they do not belong together
    _remember(folder, name, settings, before | set(tables), complete=False)
    for file, found in tables.items():
        write_csv(folder / file, found, force=True)
    claims, failures, files = conclude(folder, experiment, settings, [*tables])
    _remember(folder, name, settings, files)
    for file in before - set(files):
        (folder / Path(file).name).unlink(missing_ok=True)
    return claims, failures


def _remember(folder, name, settings, files, complete=True):
    with new_file(folder / SETTINGS, force=True) as partial:
        known = {"experiment": name, "settings": plain(dataclasses.asdict(settings)), "files": sorted(files)}
        known |= {} if complete else {"complete": False}
        if not type(settings).__module__.startswith("sshml."):
            known["own"] = True  # of a file of somebody's
        partial.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")


def redraw(folder, name, experiment):
    """Make claims and figures anew from the tables of a folder; return (rows of claims.csv, failures as lines)."""
    folder = Path(folder)
    known = _settings(folder)
    _refuse_unfinished(folder, known)
    settings = settings_of(experiment, changes={field: _tuples(value) for field, value in known["settings"].items()})
    made = [file for file in known["files"] if file.endswith(".csv") and file != "claims.csv"]
    claims, failures, files = conclude(folder, experiment, settings, made)
    _remember(folder, name, settings, {*files, *known["files"]})
    return claims, failures


@dataclasses.dataclass(frozen=True)
class Shown:
    """What a folder of results shows: rows of claims.csv and jobs.csv, figures, or bytes of the PNG where unknown.

    `captions` are those of figures that have one.
    """

    name: str
    settings: dict
    claims: list
    jobs: list
    figures: dict
    captions: dict


def results_of(folder):
    """Return what a folder of results shows, the figures of an experiment of sshml drawn anew from its tables.

    Raises:
        SSHMLError: the folder holds no results, or damaged ones.
    """
    folder = as_path(folder, "folder")
    known, tables = _settings(folder), Tables(folder)
    _refuse_unfinished(folder, known)
    rows = {name: tables.rows(name) if f"{name}.csv" in known["files"] else [] for name in ("claims", "jobs")}
    figures, captions = {}, {}
    for file in known["files"]:
        if file.endswith(".png"):
            figures[file.removesuffix(".png")] = (folder / file).read_bytes()
    if known["own"] is not True and known["experiment"] in names():
        _, experiment = load(known["experiment"])
        captions = {name: experiment.caption(name, known["settings"]) for name in figures}
        with contextlib.suppress(Exception):  # tables of an older release: the pictures it made are there
            settings = settings_of(experiment, changes={k: _tuples(v) for k, v in known["settings"].items()})
            drawn = {name: draw(tables, settings) for name, draw in experiment.figures.items()}
            figures |= {name: figure for name, figure in drawn.items() if figure is not None}
    return Shown(known["experiment"], known["settings"], rows["claims"], rows["jobs"], figures, captions)


def _tuples(value):
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def conclude(folder, experiment, settings, made):
    """Write claims.csv and the figures from the tables of a folder; return (claims, failures, names of all files).

    An error in a claim or a figure is a line among the failures and loses nothing else.
    """
    tables, rows, failures, files = Tables(folder), [], {}, list(made)
    older = {}
    for row in tables.rows("jobs"):
        if row.get("code") == "older":
            for table in (row.get("tables") or "").split():
                older.setdefault(table, []).append(row["job"])
    for number, claim in enumerate(_claims(experiment, tables, settings, failures), 1):
        tables.used.clear()
        what = f"claim {claim.id}, {claim.statement}" if isinstance(claim, Claim) else f"claim {number}"
        try:
            if not isinstance(claim, Claim):
                raise SSHMLError(f"claims(tables, settings) yields a {type(claim).__name__}; yield Claims.")
            row = claim.row()
        except Exception as error:
            failures[what] = one_line(error)
            continue
        keys = [key for table in sorted(tables.used) for key in older.get(table, ())]
        more = [f"and {len(keys) - 3} more, see jobs.csv"] if len(keys) > 3 else []
        rows.append(row | {"older": " ".join(keys[:3] + more)})
    if rows:
        write_csv(folder / "claims.csv", rows, force=True)
        files.append("claims.csv")
    for name, draw in experiment.figures.items():
        try:
            figure = draw(tables, settings)
            if figure is not None:
                files += save_figure(folder, name, figure)
        except Exception as error:
            failures[f"figure {name}"] = one_line(error)
    return rows, grouped(failures), files


def _claims(experiment, tables, settings, failures):
    """Yield the claims of an experiment up to the first error in making them."""
    try:
        yield from experiment.claims(tables, settings) or ()
    except Exception as error:
        failures["the claims stop"] = one_line(error)


def grouped(failures):
    """Return {what: error} as lines, one for each error."""
    names = {}
    for what, error in failures.items():
        names.setdefault(error, []).append(what)
    more = {error: f" and {len(found) - 1} more" if len(found) > 1 else "" for error, found in names.items()}
    return [f"{found[0]}{more[error]}: {error}" for error, found in names.items()]


def save_figure(folder, name, figure):
    """Write a figure into a folder as PNG and PDF, without the date; return the names of the files."""
    files = []
    for suffix, options in (("png", {"dpi": 200}), ("pdf", {"metadata": {"CreationDate": None}})):
        with new_file(Path(folder) / f"{name}.{suffix}", force=True) as partial:
            figure.savefig(partial, format=suffix, **options)
        files.append(f"{name}.{suffix}")
    return files
