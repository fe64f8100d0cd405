"""Errors a user can mend: what was got, what was expected, what to do."""

import traceback
from pathlib import Path


class SSHMLError(ValueError):
    """Report wrong input in one line that names the parameter or path and the remedy."""


class GapClosedError(SSHMLError):
    """Refuse to label a chain whose gap is closed, where the winding number is undefined."""


class BudgetError(SSHMLError):
    """Refuse a budget of bytes that no choice of forms and sizes meets."""


def is_out_of_memory(error):
    """Return whether an error says that memory, of the machine or of a card, does not suffice."""
    words = ("can't allocate memory", "out of memory")
    return isinstance(error, MemoryError) or any(word in str(error) for word in words)


def flat(text):
    r"""Return what something says as one line.

    >>> flat(ValueError("two\n  lines"))
    'two lines'
    """
    return " ".join(str(text).split())


def one_line(error):
    """Return an error as a line; with its kind, file and line where it is none that a user can mend."""
    text = flat(error)
    if isinstance(error, SSHMLError):
        return text
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {text}{place}"
