"""The command line: one file per family of commands; imports inside the commands, so that --help is instant."""

import os
import signal
import sys

import typer

from sshml.cli import data, models, networks, papers, weights  # noqa: F401  (they add their commands)
from sshml.cli.app import app
from sshml.errors import SSHMLError, is_out_of_memory

UsageError = typer.BadParameter.__base__


def main():
    """Run the command line; what a user can mend is one line on stderr and exit code 2."""
    for number in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):  # so that temporary files are removed
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda number, _: sys.exit(128 + number))
    try:
        code = app(sys.argv[1:] or ["--help"], prog_name="sshml", standalone_mode=False)
    except (SSHMLError, UsageError) as error:
        message = str(error) if isinstance(error, SSHMLError) else error.format_message()
        print(f"sshml: {' '.join(message.split())}", file=sys.stderr, flush=True)
        if isinstance(error.__cause__, (OSError, RuntimeError)):
            os._exit(2)  # after a failed write HDF5 tries again at exit, and crashes
        sys.exit(2)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        print(f"sshml: not enough memory: {' '.join(str(error).split()):.200}", file=sys.stderr, flush=True)
        sys.exit(2)
    if code == 130:  # typer's code for Ctrl-C
        print("sshml: interrupted; no unfinished file is left.", file=sys.stderr)
    sys.exit(code or 0)
