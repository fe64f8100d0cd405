"""Results of jobs on disk: made once, whole or absent, for all experiments that need them.

A store is a folder with a folder for each job, named by its key: `.lock`, held by whoever makes it; `work`, the job's
own folder meanwhile, which outlives a kill; `done`, the same when it is complete, with `result.json` in it.
"""

import json
import platform
import re
import shutil
import sys
import time
from importlib.metadata import version
from pathlib import Path

from sshml.arguments import real, shown
from sshml.errors import SSHMLError
from sshml.experiments.experiment import Result, Where, canonical, joined
from sshml.experiments.fingerprint import code_of
from sshml.files import disk_errors, locked, new_file
from sshml.hdf5 import crc32
from sshml.jobs import LATER, Task, resolve

FORMAT, VERSION = "sshml-job", 1


def read(store, job, keep=False):
    """Return what a store holds of a job (its result.json), None where it must be made.

    Args:
        store: the folder.
        job: the `Job`.
        keep: accept a result of other code.
    """
    known = _read(Path(store) / job.key / "done")
    return known if known and (keep or known["code"] == job.code) else None


def _read(folder):
    """Return the result.json of a job's folder where it is whole, else None."""
    try:
        known = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        whole = known["format"] == FORMAT and known["crc32"] == _checksum(known)
        return known if whole and known["version"] <= VERSION and _is_result(known) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):  # ValueError: SSHMLError too
        return None


def _is_result(known):
    """Return whether a result holds what `perform` writes: plain tables, and what is said beside them.

    Raises:
        AttributeError, KeyError, TypeError, ValueError: it does not.
    """
    checked_tables(known["tables"])
    texts = (known["function"], known["code"], known["machine"], known["device"], known["date"])
    "".join([*texts, *map(str, known["versions"].values())]).encode()  # no halves of letters
    for name in ("work", "seconds"):
        real(known[name], name, 0)
    own = {"sshml", "torch"} <= set(known["versions"]) and isinstance(known["resumed"], bool)
    return own and isinstance(known["arguments"], dict)


def _checksum(known):
    return crc32(canonical({name: value for name, value in known.items() if name != "crc32"}).encode())


def recorded(store):
    """Return {function: median seconds per unit of work} of all results in a store."""
    rates = {}
    for folder in Path(store).glob("*/done"):
        if (known := _read(folder)) and not known["resumed"] and known["work"] > 0:
            rates.setdefault(known["function"], []).append(known["seconds"] / known["work"])
    return {function: sorted(found)[len(found) // 2] for function, found in rates.items()}


def task(store, job, where, keep=False):
    """Return the `Task` that makes a job in a store unless it is there; it may be LATER."""
    arguments = {
        "store": str(Path(store).absolute()),
        "key": job.key,
        "address": job.address,
        "inputs": job.inputs,
        "work": job.work,
        "arguments": job.plain,
        "needs": {name: need.key for name, need in job.needs.items()},
        "codes": [job.code, code_of(job.function)],
        "where": {"device": where.device, "root": None if where.root is None else str(Path(where.root).absolute())},
        "keep": keep,
    }
    return Task("sshml.experiments.store:perform", arguments, job.key, tuple(n.key for n in job.needs.values()))


def perform(store, key, address, inputs, work, arguments, needs, codes, where, keep, report=None):
    """Make a job of `task`; return "made" or "there", or LATER where another process is at it."""
    function, (code, own) = resolve(address), codes
    if code_of(function) != own:
        raise SSHMLError(f"the code of {inputs['function']} differs from that of the command; run it again.")
    folder = Path(store) / key

    def is_there():
        known = _read(folder / "done")
        return known is not None and (keep or known["code"] == code)

    if is_there():
        return "there"
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / ".lock") as mine:
        if not mine:
            return LATER
        _settle(folder)
        if is_there():
            return "there"
        known_needs = {name: _needed(Path(store) / need / "done") for name, need in needs.items()}
        given = {
            name: Result(known["tables"], Path(store) / needs[name] / "done") for name, known in known_needs.items()
        }
        code = joined([own, *(known["code"] for known in known_needs.values())])  # that of what it is made from
        resumed = _prepare(folder / "work", code)
        place = Where(**where, folder=folder / "work", progress=report or (lambda done, total: None))
        start = time.perf_counter()
        try:
            made = function(place, **arguments, **given)
        except SSHMLError as error:
            if not resumed or str(folder / "work") not in str(error):
                raise
            shutil.rmtree(folder / "work")  # what an interrupted one left there is damaged
            resumed, made = _prepare(folder / "work", code), function(place, **arguments, **given)
        known = {
            "format": FORMAT,
            "version": VERSION,
            **inputs,
            "code": code,
            "work": work,
            "seconds": round(time.perf_counter() - start, 3),
            "resumed": resumed,
            **surroundings(where["device"]),
            "tables": checked_tables(made),
        }
        with new_file(folder / "work" / "result.json", force=True) as partial:
            partial.write_text(json.dumps(known | {"crc32": _checksum(known)}, indent=1), encoding="utf-8")
        _settle(folder)
    return "made"


def checked_tables(made):
    """Return what a job made as {table: list of rows} of plain data.

    Raises:
        SSHMLError: no such dictionary, a name that makes no file, rows that are no dictionaries of numbers and texts.
    """
    if not isinstance(made, dict):
        raise SSHMLError(f"a job returned a {type(made).__name__}; return a dictionary of tables, {{name: rows}}.")
    found = {}
    for name, rows in made.items():
        if not isinstance(name, str) or not TABLE.fullmatch(name) or name in ("claims", "jobs"):
            raise SSHMLError(f"a table is named {name!r:.60}; use letters, digits, _ and -, and not claims or jobs.")
        found[name] = [_row(row, name) for row in rows]
    return found


TABLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


def _row(row, table):
    if not isinstance(row, dict) or not all(isinstance(key, str) for key in row):
        raise SSHMLError(f"table {table} holds {shown(row)}, no row; give dictionaries {{column: number or text}}.")
    return {key: _cell(value, table) for key, value in row.items()}


def _cell(value, table):
    if hasattr(value, "item") and getattr(value, "size", 1) == 1:
        value = value.item()
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise SSHMLError(f"table {table} holds a {type(value).__name__}; give numbers and texts.")


def _settle(folder):
    """Give a finished `work` its name `done`, also where a process was killed on the way."""
    if _read(folder / "work") is not None:
        if (folder / "done").exists():
            (folder / "done").rename(folder / f"old-{time.time_ns()}")
        (folder / "work").rename(folder / "done")
    for old in folder.glob("old-*"):
        shutil.rmtree(old, ignore_errors=True)


def _prepare(folder, code):
    """Make the working folder of a job; return whether it holds what the same code left there when it was stopped."""
    mark = folder / ".code"
    if mark.is_file() and mark.read_text() == code:
        return True
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    mark.write_text(code)
    return False


def _needed(folder):
    """Return the result.json of a job that another needs."""
    known = _read(folder)
    if known is None:
        raise SSHMLError(f"{folder} is missing or damaged; run the same command again.")
    return known


def surroundings(device):
    """Return what is said beside a result: machine, device, threads, versions, date."""
    torch, lanes = sys.modules.get("torch"), sys.modules.get("sshml.lanes")  # only of what the job has used
    on_gpu = torch is not None and device != "cpu" and torch.cuda.is_available()
    return {
        "machine": f"{platform.node()}, {platform.machine()}",
        "device": torch.cuda.get_device_name() if on_gpu else "cpu",
        "threads": torch.get_num_threads() if torch else lanes.THREADS if lanes else 1,
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in ("sshml", "torch", "numpy")},
        "date": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def inventory(store, jobs, keep=False):
    """Return rows that say where the tables of jobs come from: key, function, code, seconds, machine, versions."""
    rows = []
    for job in jobs:
        known = _read(Path(store) / job.key / "done")
        if known is None or not (keep or known["code"] == job.code):
            continue
        rows.append({
            "job": job.key,
            "tables": " ".join(known["tables"]),
            "code": "same" if known["code"] == job.code else "older",
            "seconds": known["seconds"],
            "resumed": known["resumed"],
            "machine": known["machine"],
            "device": known["device"],
            "threads": known["threads"],
            "sshml": known["versions"]["sshml"],
            "torch": known["versions"]["torch"],
            "date": known["date"],
            "arguments": canonical(known["arguments"])[:1000],
        })  # fmt: skip
    return rows
