"""What is refused before the work begins, and how figures are written."""

import os
from pathlib import Path

from sshml.errors import SSHMLError, one_line


def refuse_idle(method, given, options, size=()):
    """Raise where an option was given that the method does not use."""
    used = {*size, *options.get(method, ())}
    refuse_given(f"the method {method}", {name: value for name, value in given.items() if name not in used})


def refuse_given(what, given):
    """Raise where one of the options {name: value} was given, which have no meaning for something."""
    for name, value in given.items():
        if value is not None:
            raise SSHMLError(f"--{name.replace('_', '-')} has no meaning for {what}; leave it out.")


def refuse_same(out, *others):
    """Raise where an output would replace an input, a shard of an input, or another output."""
    from sshml.arguments import as_path
    from sshml.dataset import shard_folder

    place = os.path.realpath(as_path(out))
    for other in filter(None, others):
        if place == os.path.realpath(as_path(other)):
            raise SSHMLError(f"{out} is named twice; give the output a name of its own.")
        folders = {os.path.realpath(shard_folder(path)) for path in (other, os.path.realpath(other))}
        if str(Path(place).parent) in folders:
            raise SSHMLError(f"{out} lies among the shards of {other}; give the output another folder.")


def refuse_figure(path, force):
    """Raise where a figure may not be written or its format is unknown, before the work."""
    from matplotlib.figure import Figure

    from sshml.files import refuse_existing

    refuse_existing(path, force)
    formats = sorted(Figure().canvas.get_supported_filetypes())
    if path.suffix[1:].lower() not in formats:
        raise SSHMLError(f"{path} has no known figure format; end it in one of {', '.join(formats)}.")


def save(figure, path, force):
    """Write a figure."""
    from sshml.files import new_file

    with new_file(path, force) as partial:
        try:
            figure.savefig(partial, dpi=200)
        except (OSError, MemoryError):
            raise
        except Exception as error:  # LaTeX that is not there, fonts, settings of the user's matplotlib
            raise SSHMLError(f"{path} cannot be drawn here: {one_line(error):.300}") from None
