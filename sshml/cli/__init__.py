"""The command line: one file per family of commands; imports inside the commands, so that --help is instant."""

import contextlib
import os
import re
import signal
import sys

import typer

from sshml.cli import data, models, networks, pages, papers, weights  # noqa: F401  (they add their commands)
from sshml.cli.app import app
from sshml.console import plain
from sshml.errors import SSHMLError, is_out_of_memory

WORDS = {
    "--sites": "--cells, half as many",
    "--disorder": "--disorder-v and --disorder-w",
    "--output": "--out",
    "--lr": "--learning-rate",
    "--bond": "--max-bond",
    "--chi": "--max-bond",
    "--noise": "--disorder-v and --disorder-w",
}
"""Options by names that others use."""

UsageError = typer.BadParameter.__base__


def main():
    """Run the command line; what a user can mend is one line on stderr and exit code 2."""
    for number in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):  # so that temporary files are removed
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda number, _: sys.exit(128 + number))
    os.environ["MPLBACKEND"] = "agg"  # no window is opened, whatever the user's notebooks want
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # terminals that know fewer letters, names that are no UTF-8
            stream.reconfigure(errors="backslashreplace")
    try:
        code = app(sys.argv[1:] or ["--help"], prog_name="sshml", standalone_mode=False)
        sys.stdout.flush()  # here, where it can be said that it does not work
    except (SSHMLError, UsageError) as error:
        message = str(error) if isinstance(error, SSHMLError) else error.format_message()
        if (unknown := re.match(r"No such option:? '?(--[\w-]+)", message)) and unknown[1] in WORDS:
            message += f" Here it is {WORDS[unknown[1]]}."
        _say(message)
        if isinstance(error.__cause__, (OSError, RuntimeError)):
            os._exit(2)  # after a failed write HDF5 tries again at exit, and crashes
        sys.exit(2)
    except BrokenPipeError:  # whoever reads has seen enough, as head
        _forget_output()
        sys.exit(1)
    except OSError as error:
        _forget_output()
        _say(f"{error.filename or 'the output'}: {str(error.strerror or error).lower()}")
        sys.exit(2)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        _say(f"not enough memory: {error!s:.200}")
        sys.exit(2)
    if code == 130:  # typer's code for Ctrl-C
        _say("interrupted; no unfinished file is left.")
    sys.exit(code or 0)


def _say(text):
    print(f"sshml: {plain(' '.join(text.split())):.1000}", file=sys.stderr, flush=True)


def _forget_output():
    """Let what could not be printed go nowhere, or it would be tried again at exit."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
