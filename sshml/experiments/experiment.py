"""What an experiment is: settings, jobs that make small tables, and claims and figures read from the tables alone."""

import dataclasses
import functools
import hashlib
import inspect
import json
import numbers
import re
import sys
from pathlib import Path

from sshml.errors import SSHMLError
from sshml.experiments.fingerprint import code_of


@dataclasses.dataclass(frozen=True)
class Experiment:
    """One piece of work. A file that ends in `experiment = Experiment(...)` is run by `sshml reproduce`.

    Args:
        settings: frozen dataclass of plain fields; its defaults are the quick size.
        jobs: jobs(settings) yields `Job`s, whose tables of one name are joined in this order.
        claims: claims(tables, settings) yields `Claim`s, from `sshml.tables.Tables`.
        figures: {name: draw}, draw(tables, settings) returns a matplotlib figure, or None where there is nothing; what
            its docstring says after the first line is the caption.
        full: {field of the settings: value} for `--full`.
    """

    settings: type
    jobs: object
    claims: object = lambda tables, settings: ()
    figures: dict = dataclasses.field(default_factory=dict)
    full: dict = dataclasses.field(default_factory=dict)

    def caption(self, name, settings=None):
        """Return the caption of a figure as a line, "" where it has none.

        It is the docstring of what draws the figure, without its first line; {seeds} there is the setting `seeds`.

        Args:
            name: of the figure.
            settings: {name: value}; the defaults where they do not say.
        """
        draw = self.figures.get(name)
        text = inspect.getdoc(getattr(draw, "func", draw)) if draw else None
        known = plain(dataclasses.asdict(self.settings())) | (settings or {})
        text = re.sub(r"\{(\w+)\}", lambda found: str(known.get(found[1], found[0])), text or "")
        return " ".join(text.partition("\n\n")[2].split())


@dataclasses.dataclass(frozen=True)
class Where:
    """What a job is given that must not change its result.

    `device` for `fit`; `root`, the folder of image files; `folder`, the job's own, which outlives a kill and where
    files of the result go; `progress(done, total)` may be called at any time.
    """

    device: str = "auto"
    root: str | None = None
    folder: Path | None = None
    progress: object = lambda done, total: None


@dataclasses.dataclass(frozen=True)
class Result:
    """What a job made: its `tables` {name: rows} and the `folder` of its files."""

    tables: dict
    folder: Path


@dataclasses.dataclass(frozen=True)
class Job:
    """function(where, **arguments) -> {table: rows}, a pure function of plain data.

    Rows are dictionaries of numbers and texts. Dataclasses among the arguments arrive as dictionaries of the fields
    that are not at their default. An argument may be a `Job`: the function gets its `Result`.

    Args:
        function: a function of a module or file.
        arguments: numbers, texts, None, lists, dictionaries, dataclasses of these, and jobs.
        work: how long it takes, in any unit that jobs of one function share; for the time left.
    """

    function: object
    arguments: dict
    work: float = 1.0

    def __post_init__(self):
        if not inspect.isfunction(self.own) or not isinstance(self.arguments, dict):
            raise SSHMLError(
                f"a job got {self.function!r:.80}; give a function of a file, and a dictionary of arguments."
            )

    @property
    def own(self):
        """The function itself, without what decorators have put around it."""
        return inspect.unwrap(self.function) if callable(self.function) else None

    @functools.cached_property
    def needs(self):
        """{argument: job} of the jobs among the arguments."""
        return {name: value for name, value in self.arguments.items() if isinstance(value, Job)}

    @functools.cached_property
    def plain(self):
        """The other arguments as plain data."""
        return {name: plain(value) for name, value in self.arguments.items() if name not in self.needs}

    @functools.cached_property
    def inputs(self):
        """What the key is made of: the function's name and the arguments that are not at their default."""
        defaults = {name: p.default for name, p in inspect.signature(self.function).parameters.items()}
        given = {
            name: value
            for name, value in self.plain.items()
            if defaults.get(name, inspect.Parameter.empty) is inspect.Parameter.empty
            or canonical(plain(defaults[name])) != canonical(value)
        }
        given |= {name: job.inputs for name, job in self.needs.items()}
        module = self.own.__module__
        home = module if module.split(".")[0] == "sshml" else Path(inspect.getsourcefile(self.own)).stem
        return {"function": f"{home}.{self.own.__qualname__}", "arguments": given}

    @functools.cached_property
    def key(self):
        """Name of the job in a store: the function's name and a hash of the inputs."""
        digest = hashlib.sha256(canonical(self.inputs).encode()).hexdigest()
        return f"{self.own.__name__}-{digest[:16]}"

    @functools.cached_property
    def code(self):
        """Hash of the code of the function and of what it needs; see `fingerprint`."""
        return joined([code_of(self.function), *(job.code for job in self.needs.values())])

    @property
    def address(self):
        """Name of the function for another process: "module:name" or "file.py:name"."""
        module = self.own.__module__
        is_file = module == "__main__" or getattr(sys.modules.get(module), "__spec__", None) is None
        path = Path(inspect.getsourcefile(self.own)).resolve()
        of_file = is_file or module.startswith(f"{path.stem}_")
        return f"{path if of_file else module}:{self.own.__qualname__}"

    def __hash__(self):
        return hash(self.key)


def joined(codes):
    """Return one code for that of a function and those of what it needs."""
    return codes[0] if len(codes) == 1 else hashlib.sha256(" ".join(codes).encode()).hexdigest()[:16]


def canonical(value):
    """Return plain data, as `plain` gives it, as a text that is equal for equal data, in whatever order keys come."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def plain(value):
    """Return an argument as data that JSON holds.

    >>> plain((4.0, {"a": 1.5}, None))
    [4, {'a': 1.5}, None]
    """
    if value is None or isinstance(value, (str, bool)):
        return value
    if hasattr(value, "item") and getattr(value, "size", 0) == 1:  # a number of numpy
        return plain(value.item())
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return int(value) if value == value and abs(value) < 2**53 and int(value) == value else float(value)
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: plain(item) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, (type, Job)):
        return changed(value)
    raise SSHMLError(f"a job got a {type(value).__name__}; give numbers, texts, lists, or dataclasses of these.")


def changed(instance):
    """Return {field: value} of the fields of a dataclass that are not at their default, as plain data."""
    found = {}
    for field in dataclasses.fields(instance):
        value = plain(getattr(instance, field.name))
        default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        if default is dataclasses.MISSING or canonical(plain(default)) != canonical(value):
            found[field.name] = value
    return found
