"""Tables: CSV files of rows with equal keys, and a folder of them."""

import csv
from pathlib import Path

import numpy as np

from sshml.arguments import as_path
from sshml.errors import SSHMLError, flat
from sshml.files import new_file


def write_csv(path, rows, force=False):
    """Write dictionaries as a CSV file with one header line; a key that a row lacks is left empty."""
    rows = list(rows)
    with new_file(path, force) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(dict.fromkeys(key for row in rows for key in row)))
        writer.writeheader()
        writer.writerows(rows)


def aligned(columns, rows):
    """Return rows of cells as a text, columns below their names; columns without a cell are left out.

    >>> print(aligned(("site", "rank", "why"), [("first", 8, ""), ("head", 10, "")]), end="")
    site   rank
    first  8
    head   10
    """
    table = [tuple(columns), *(tuple(map(str, row)) for row in rows)]
    kept = [number for number in range(len(columns)) if any(row[number] for row in table[1:])]
    widths = {number: max(len(row[number]) for row in table) for number in kept}
    return "".join("  ".join(row[number].ljust(widths[number]) for number in kept).rstrip() + "\n" for row in table)


def read_csv(path):
    """Return the rows of a CSV file as dictionaries of texts."""
    try:
        with as_path(path).open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))
    except FileNotFoundError:
        raise SSHMLError(f"{path} does not exist.") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SSHMLError(f"{path} is no table that can be read ({flat(error):.200}).") from None


def columns(rows, name, /, **chosen):
    """Return the columns of rows of texts that match, numbers as float arrays.

    Args:
        rows: of `read_csv`.
        name: of the table, for the error.
        **chosen: texts as they are written there, or numbers.
    """
    rows = [row for row in rows if all(_same(row[key], value) for key, value in chosen.items())]
    if not rows:
        wanted = ", ".join(f"{key} = {value}" for key, value in chosen.items())
        raise SSHMLError(f"{name} has no row{f' with {wanted}' if wanted else ''}.")
    found = {}
    for key in rows[0]:
        column = [row[key] for row in rows]
        try:
            found[key] = np.array([text if text != "" else "nan" for text in column] if any(column) else column, float)
        except ValueError:
            found[key] = np.array(column)
    return found


def _same(text, value):
    if isinstance(value, (str, bool)):
        return text == str(value)
    try:
        return float(text) == value
    except ValueError:
        return False


class Tables:
    """The CSV tables of a folder by name. `used` are the names of those that were read, for whoever clears it."""

    def __init__(self, folder):
        self.folder, self.used, self._known = Path(folder), set(), {}

    def __contains__(self, name):
        return (self.folder / f"{name}.csv").is_file()

    def rows(self, name):
        """Return the rows of a table as dictionaries of texts."""
        self.used.add(name)
        if name not in self._known:
            self._known[name] = read_csv(self.folder / f"{name}.csv")
        return self._known[name]

    def columns(self, name, /, **chosen):
        """Return the columns of a table, numbers as float arrays, of the rows where the given columns match."""
        return columns(self.rows(name), f"table {name}", **chosen)


def pivot(columns, row, column, value):
    """Return a table as an array: (row keys, column keys, values (row, column)), keys ascending.

    Args:
        columns: columns of a table that holds every pair of keys once.
        row: name of the column whose values become rows.
        column: name of the column whose values become columns.
        value: name of the column that holds the values.

    Raises:
        SSHMLError: a pair is missing or there more than once.
    """
    (rows, i), (keys, j) = (np.unique(columns[name], return_inverse=True) for name in (row, column))
    found = np.full((len(rows), len(keys)), np.nan)
    if len(i) != found.size or len(set(zip(i.tolist(), j.tolist(), strict=True))) != found.size:
        raise SSHMLError(f"the table does not hold {value} once for every {row} and {column}.")
    found[i, j] = columns[value]
    return rows, keys, found
