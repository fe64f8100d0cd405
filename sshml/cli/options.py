"""Options that several commands share, and what their texts mean."""

from pathlib import Path
from typing import Annotated

import typer

from sshml.errors import SSHMLError, one_line

DataFile = Annotated[Path, typer.Argument(metavar="DATA", help="Dataset file.")]
RunFile = Annotated[Path, typer.Argument(metavar="RUN", help="Run file.")]
Method = Annotated[str, typer.Option(help="svd, mpo, prune or, of compress, blocks.")]
Shape = Annotated[
    str | None, typer.Option(help="MPO sites OUT_DIMS:IN_DIMS, as 4,4,4,4:4,7,7,4; balanced if not given.")
]
Layer = Annotated[str, typer.Option(help="Linear layer: its number from 0, or its name in the module.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda; auto takes CUDA where there is one.")]
Factory = Annotated[
    str | None,
    typer.Option(metavar="MODULE:FUNCTION", help="Class or function that makes the module of a state dict."),
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite what exists.")]
Json = Annotated[bool, typer.Option("--json", help="Print the table as JSON.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes on this machine.")]
Scheduler = Annotated[str | None, typer.Option(help="Address of a Dask scheduler, whose workers see the same files.")]


def layer_of(text):
    """Return a layer's number, or its name."""
    try:
        return int(text)
    except ValueError:
        return text


def dims_of(text):
    """Return ((out dims), (in dims)) of a text like 4,4:7,7; None for None."""
    if text is None:
        return None
    try:
        out_dims, in_dims = (tuple(int(dim) for dim in side.split(",")) for side in text.split(":"))
    except ValueError:
        raise SSHMLError(f"--shape {text!r} is not understood; write OUT_DIMS:IN_DIMS like 4,4,4,4:4,7,7,4.") from None
    return out_dims, in_dims


def factory_of(text):
    """Return the callable of a text like package.module:function; modules of the working folder are found too."""
    import importlib
    import sys

    from sshml.arguments import shown

    module, colon, name = text.partition(":")
    if not module or not colon or not name:
        raise SSHMLError(f"--factory {text!r} is not understood; write MODULE:FUNCTION like mynets:Net.")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        found = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (Exception, SystemExit) as error:  # whatever runs in somebody's module
        raise SSHMLError(f"--factory {shown(text)} cannot be imported: {one_line(error):.300}.") from None
    return found


def widths_of(text):
    """Return the hidden widths of a text like 128,64."""
    try:
        return tuple(int(width) for width in text.split(",")) if text else ()
    except ValueError:
        raise SSHMLError(f"--hidden {text!r} is not understood; write widths like 128,64.") from None


def choose(what, name, choices):
    """Return the choice of a name."""
    if name not in choices:
        raise SSHMLError(f"{what} {name!r} is unknown; choose one of {', '.join(choices)}.")
    return choices[name]
