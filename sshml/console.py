"""What the command line prints: tables, means with their spread, progress."""

import contextlib
import sys


def spread(values):
    """Return "mean ± std (n)", or the count of those that exist where some are NaN."""
    import numpy as np

    found = np.asarray(values, dtype=float)
    found = found[np.isfinite(found)]
    if not found.size:
        return f"none of {len(values)}"
    std = f" ± {found.std(ddof=1):.2g}" if found.size > 1 else ""
    count = f" ({found.size})" if found.size == len(values) else f" ({found.size} of {len(values)})"
    return f"{found.mean():.4g}{std}{count}"


def print_table(title, columns, rows):
    """Print a table of texts."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", show_header=any(columns))
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 160, markup=False).print(table)


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
    with Progress(*columns, console=Console(stderr=True)) as progress:

        def bar(description):
            task = None

            def update(done, total):
                nonlocal task
                if task is None:
                    task = progress.add_task(description)
                progress.update(task, completed=done, total=total)

            return update

        yield bar


@contextlib.contextmanager
def waiting(text):
    """Show a spinner with a text on stderr."""
    from rich.console import Console

    with Console(stderr=True).status(text):
        yield
