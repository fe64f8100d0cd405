"""Commands in this process and in their own, and a folder of small files they made."""

import os
import signal
import subprocess
import sys

import pytest

from sshml.cli import main


@pytest.fixture(scope="session")
def sshml():
    """Run a command in its own process, as a user does."""

    def run(*arguments, folder, **options):
        command = [sys.executable, "-m", "sshml.cli", *map(str, arguments)]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=250, **options)

    return run


@pytest.fixture(scope="package")
def folder(tmp_path_factory, sshml):
    """A folder with chains.h5 and run.h5 made by the commands themselves."""
    made = tmp_path_factory.mktemp("cli")
    sizes = ("--train", 300, "--valid", 50, "--test", 100)
    for arguments in (
        ("generate", "chains.h5", "--cells", 4, "--disorder-v", 0.2, *sizes, "--seed", 3),
        ("train", "chains.h5", "run.h5", "--hidden", "8,4", "--seeds", 2, "--epochs", 2, "--device", "cpu"),
    ):
        found = sshml(*arguments, folder=made)
        assert found.returncode == 0, found.stderr
    return made


@pytest.fixture
def call(monkeypatch, capsys):
    """Run a command in this process; return (exit code, stdout, stderr)."""

    def run(folder, *arguments):
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "argv", ["sshml", *map(str, arguments)])
        monkeypatch.setattr(signal, "signal", lambda *_: None)
        monkeypatch.setattr(os, "_exit", sys.exit)
        with pytest.raises(SystemExit) as stop:
            main()
        return stop.value.code, *capsys.readouterr()

    return run
