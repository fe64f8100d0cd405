"""The command line as a whole."""

import os
import subprocess
import sys

import pytest

from sshml.cli import app

COMMANDS = [command.callback.__name__ for command in app.registered_commands]


def test_every_command_is_there():
    known = "generate check info show export train evaluate compress sweep select entanglement reproduce report"
    assert sorted(COMMANDS) == sorted(known.split())


def test_help_is_fast_because_it_imports_nothing(tmp_path):
    code = (
        "import sys, runpy; sys.argv = ['sshml', *sys.argv[1:]]\n"
        "from sshml.cli import main\n"
        "try: main()\n"
        "finally: print('HEAVY', [m for m in ('torch', 'numpy', 'h5py', 'numba', 'matplotlib') if m in sys.modules])"
    )
    for arguments in ((), ("--help",), *((command, "--help") for command in COMMANDS)):
        found = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
        assert "Usage" in found.stdout
        assert "HEAVY []" in found.stdout


def test_the_version(sshml, tmp_path):
    from importlib.metadata import version

    assert sshml("--version", folder=tmp_path).stdout == f"sshml {version('sshml')}\n"


def test_completion_in_a_shell(sshml, tmp_path):
    asked = os.environ | {"_SSHML_COMPLETE": "complete_bash", "COMP_WORDS": "sshml repr", "COMP_CWORD": "1"}
    assert sshml(folder=tmp_path, env=asked).stdout.split() == ["reproduce"]
    assert "--install-completion" in sshml("--help", folder=tmp_path).stdout


def test_options_of_generate_are_the_fields_of_the_spec():
    """Names, defaults and kinds agree, so that a new field of the spec cannot be forgotten."""
    import inspect

    from sshml.cli.data import generate
    from sshml.dataset import DatasetSpec

    options = inspect.signature(generate).parameters
    for name, field in DatasetSpec.__dataclass_fields__.items():
        default = options[name].default
        assert DatasetSpec(cells=8, **{name: default} if name != "cells" else {}) == DatasetSpec(cells=8), field


@pytest.mark.parametrize("arguments", [("train", "chains.h5", "x.h5", "--hidden", "1000000000")])
def test_too_little_memory_is_one_line(call, folder, tmp_path, arguments):
    arguments = [str(tmp_path / "x.h5") if word == "x.h5" else word for word in arguments]
    code, _, err = call(folder, *arguments)
    assert code == 2
    assert "\n" not in err.strip()
    assert "not enough memory" in err or "GiB" in err
    assert not (tmp_path / "x.h5").exists()


def test_options_by_names_that_others_use(call, tmp_path):
    code, _, err = call(tmp_path, "generate", "x.h5", "--sites", 8)
    assert code == 2
    assert "No such option" in err
    assert "--sites" in err.partition("(")[0]
    assert "Here it is --cells, half as many." in err
    assert "Here it is" not in call(tmp_path, "generate", "x.h5", "--colour", "red")[2]
