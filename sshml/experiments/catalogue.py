"""Which experiments there are, and their settings from texts."""

import ast
import dataclasses
import os
from pathlib import Path

from sshml.arguments import flag, instance, shown
from sshml.errors import SSHMLError, one_line
from sshml.experiments.experiment import Experiment
from sshml.jobs import load_module

HERE = Path(__file__).parent
MAIN = "poster"
"""The experiment that runs where none is named."""


def names():
    """Return {name: first line of its docstring} of the experiments of sshml; none is imported."""
    found = {}
    for path in sorted([*HERE.glob("*.py"), *HERE.glob("*/__init__.py")]):
        text = path.read_text(encoding="utf-8")
        if path.parent / path.name != HERE / "__init__.py" and "\nexperiment = Experiment(" in text:
            name = path.stem if path.parent == HERE else path.parent.name
            found[name] = (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
    return dict(sorted(found.items(), key=lambda item: item[0] != MAIN))


def load(name):
    """Return (short name, `Experiment`) of an experiment of sshml, or of a file that ends in .py.

    Raises:
        SSHMLError: no such experiment, or a file that defines none.
    """
    if not isinstance(name, (str, os.PathLike)):
        raise SSHMLError(f"the experiment is {shown(name)}; choose one of {', '.join(names())}, or a .py file.")
    if str(name).endswith(".py"):
        found = getattr(load_module(str(name)), "experiment", None)
        if not isinstance(found, Experiment):
            raise SSHMLError(f"{name} defines no experiment; end it in: experiment = Experiment(...).")
        if Path(name).stem == "jobs":
            raise SSHMLError(f"{name} would have the folder of the results of jobs; give it another name.")
        return Path(name).stem, found
    if name not in names():
        raise SSHMLError(f"experiment {name!r} is unknown; choose one of {', '.join(names())}, all, or a .py file.")
    return name, load_module(f"sshml.experiments.{name}").experiment


def settings_of(experiment, full=False, changes=()):
    """Return the settings of an experiment with changes.

    Args:
        experiment: the `Experiment`.
        full: whether to start from its full size.
        changes: {field: text or value}; a text is read as the field's default is: numbers, true or false, texts,
            lists with commas.

    Raises:
        SSHMLError: no such field, or a text that is no such value.
    """
    instance(experiment, "experiment", Experiment, "an Experiment, as load(name)[1]")
    full, changes = flag(full, "full"), as_changes(changes)
    fields = {field.name: _default(field) for field in dataclasses.fields(experiment.settings)}
    values = dict(experiment.full) if full else {}
    for name, value in changes.items():
        if name not in fields:
            raise SSHMLError(f"setting {name!r} is unknown; choose one of {', '.join(fields)}.")
        values[name] = _parsed(name, value, fields[name]) if isinstance(value, str) else value
    try:
        return experiment.settings(**values)
    except SSHMLError:
        raise
    except Exception as error:
        raise SSHMLError(f"the settings do not fit: {one_line(error)}.") from None


def as_changes(changes):
    """Return {field: value}, or raise."""
    try:
        if isinstance(changes, (str, bytes)):
            raise TypeError("a text")
        return dict(changes)
    except (TypeError, ValueError):
        raise SSHMLError(f"the settings are {shown(changes)}; expected {{field: value}}.") from None


def _default(field):
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def _parsed(name, text, like):
    """Return a text as a value of the kind of another."""
    try:
        if isinstance(like, bool):
            return {"true": True, "1": True, "false": False, "0": False}[text.lower()]
        if isinstance(like, (tuple, list)):
            parts = [part.strip() for part in text.split(",") if part.strip()]
            if not like:
                return tuple(map(_guessed, parts))
            kind = like[0] if all(type(item) is type(like[0]) for item in like) else 0.5
            return tuple(_parsed(name, part, kind) for part in parts)
        if isinstance(like, int):
            return int(text)
        return float(text) if isinstance(like, float) else text
    except (KeyError, ValueError):
        raise SSHMLError(f"setting {name} is {shown(text)}; expected a value like {_shown(like)}.") from None


def _guessed(text):
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def _shown(value):
    return ",".join(map(_shown, value)) if isinstance(value, (tuple, list)) else str(value)


def described(experiment):
    """Return rows (field, default, value of the full size) of an experiment's settings, as texts."""
    return [
        (field.name, _shown(_default(field)), _shown(experiment.full.get(field.name, "")))
        for field in dataclasses.fields(experiment.settings)
    ]
