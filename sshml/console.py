"""What the command line prints: tables and progress."""

import contextlib
import dataclasses
import json
import math
import sys


def plain(text):
    r"""Return a text of files or users without what a terminal would obey: control characters as they are written.

    >>> plain("a\x1b[31mb")
    'a\\x1b[31mb'
    """
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


def print_table(title, columns, rows, as_json=False):
    """Print a table, or a JSON list with an object for each row; cells are texts, numbers or `Spread`s."""
    if as_json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(title=plain(title), title_justify="left", show_header=any(columns))
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(plain(str(cell)) for cell in row))
    Console(width=None if sys.stdout.isatty() else 160, markup=False).print(table)


def print_json(rows):
    """Print plain data as JSON: numbers of numpy as numbers, dataclasses as objects, what is not finite as null."""
    print(json.dumps(plain_data(rows), indent=1, ensure_ascii=False, allow_nan=False))


def plain_data(value):
    """Return data as JSON holds them: numbers of numpy as numbers, dataclasses as dictionaries, no NaN but None."""
    if dataclasses.is_dataclass(value):
        return plain_data(dataclasses.asdict(value))
    if isinstance(value, dict):
        return {key: plain_data(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_data(item) for item in value]
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, list):
        return plain_data(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value


def duration(seconds):
    """Return a time in words.

    >>> duration(0.4), duration(75), duration(7300)
    ('1 s', '75 s', '2.0 h')
    """
    if seconds < 100:
        return f"{math.ceil(seconds)} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


@contextlib.contextmanager
def progress_bars():
    """Yield bar(description), which adds a progress bar on stderr and returns its update(done, total).

    The bar shows how many are done, the rate per second, the time since the start and the time left.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    class RateColumn(ProgressColumn):
        def render(self, task):
            return f"{task.finished_speed or task.speed or 0:.3g}/s"

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        RateColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    progress = Progress(*columns, console=Console(stderr=True))

    def bar(description):
        task = None

        def update(done, total):
            nonlocal task
            if task is None:
                progress.start()
                task = progress.add_task(description, total=total)
            progress.update(task, completed=done, total=total)

        return update

    with _stopped(progress):
        yield bar


@contextlib.contextmanager
def _stopped(progress):
    """Stop bars in the end that were started; those that were not leave no empty line before an error."""
    try:
        yield
    finally:
        if progress.live.is_started:
            progress.stop()


@contextlib.contextmanager
def job_bar():
    """Yield report(jobs done, jobs, seconds done, seconds) of a bar on stderr; the seconds are estimates.

    The time left follows from the estimates and from how fast they were met so far.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.fields[jobs]} jobs"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
    )
    progress, task = Progress(*columns, console=Console(stderr=True)), None

    def report(done, total, seconds, all_seconds):
        nonlocal task
        if not total:
            return
        if task is None:
            progress.start()
            task = progress.add_task("", total=1.0, jobs="", left="")
        share = seconds / all_seconds if all_seconds else done / total
        elapsed = progress.tasks[0].elapsed or 0.0
        left = f"about {duration(elapsed * (1 - share) / share)} left" if share > 0.02 and done < total else ""
        progress.update(task, completed=share, jobs=f"{done}/{total}", left=left)

    with _stopped(progress):
        yield report


@contextlib.contextmanager
def waiting(text):
    """Show a spinner with a text on stderr."""
    from rich.console import Console

    with Console(stderr=True).status(text):
        yield
