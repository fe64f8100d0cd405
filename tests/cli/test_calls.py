"""Every option and argument of every command with values it cannot take: exit 0 or 2, one line, nothing half done."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import pytest
import typer

from sshml.cli.app import app

TEXTS = (
    "",
    " ",
    "nope",
    "--",
    "-1",
    "0",
    "1.5",
    "1e400",
    "nan",
    "inf",
    "9" * 25,
    "9" * 5000,
    "None",
    "true",
    "[",
    "**",
    "*?",
    "%s%n",
    "{0}",
    "a,b",
    ",,",
    "1:2:3:4",
    "::",
    "\x1b[31mred",
    "ψ",
    "\udcff",
    "a\nb",
    "a" * 300,
    "a/" * 200 + "b",
    ".",
    "..",
    "/",
    "~nobody/x",
    "chains.h5",
    "run.h5",
    "loop",
    "loop/x.h5",
    "dangling",
    "folder",
    "notes.txt",
    "notes.txt/x",
    "secret/x",
    "empty.h5",
    "/dev/null",
    "/dev/null/x",
    "/proc/x.h5",
    "os:getcwd",
    "os.path",
    "tcp://",
)

BASES = {
    "generate": ("OUT", "--cells", "2", "--train", "4", "--valid", "2", "--test", "2"),
    "check": ("chains.h5",),
    "show": ("chains.h5", "--out", "OUT.png", "--count", "3"),
    "info": ("chains.h5",),
    "compress": ("run.h5", "OUT.h5", "--rank", "1"),
    "export": ("chains.h5", "OUT.csv"),
    "train": ("chains.h5", "OUT.h5", "--hidden", "2", "--seeds", "1", "--epochs", "1", "--device", "cpu"),
    "evaluate": ("run.h5", "chains.h5", "--device", "cpu"),
    "reproduce": ("phases", "--out", "OUT", "--part", "1/100000", "--set", "test=10", "--set", "train=10"),
    "report": ("run.h5", "--out", "OUT.html"),
    "sweep": ("run.h5", "chains.h5", "--out", "OUT.csv", "--device", "cpu"),
    "select": ("run.h5", "chains.h5", "--out", "OUT.png"),
    "entanglement": ("run.h5", "--out", "OUT.png", "--shuffles", "2"),
}

DEFAULT = 6
"""The default run takes every so many'th value of each option, another one for each; all of them are slow."""


def lines_of(name, base):
    """Yield command lines with one argument or option replaced or added."""
    places = [
        i for i, word in enumerate(base) if not word.startswith("-") and (i == 0 or not base[i - 1].startswith("-"))
    ]
    for i in places:
        for text in TEXTS:
            yield f"argument {i}", text, (*base[:i], text, *base[i + 1 :])
    for option in typer.main.get_command(app).commands[name].params:
        if option.param_type_name == "option" and not option.is_flag:
            flag = option.opts[-1]
            kept = list(base)
            if flag in kept:
                del kept[kept.index(flag) : kept.index(flag) + 2]
            for text in TEXTS:
                yield flag, text, (*kept, flag, text)


def lay_out(made, folder):
    for name in ("chains.h5", "run.h5"):
        os.link(folder / name, made / name)
    (made / "notes.txt").write_text("no HDF5 here\n" * 9)
    (made / "empty.h5").touch()
    (made / "folder").mkdir()
    (made / "loop").symlink_to("loop")
    (made / "dangling").symlink_to("/nowhere/x")
    return {path.name: path.lstat().st_mtime_ns for path in made.iterdir() if path.name != "folder"}


def wrong_with(code, err, made, before):
    """Return what is wrong with the end of a command."""
    said = [line for line in err.splitlines() if line.strip() and "━" not in line]
    now = {path.name: path.lstat().st_mtime_ns for path in made.iterdir()}
    if code not in (0, 2):
        return f"exit {code}"
    if any(now.get(name) != stamp for name, stamp in before.items()):
        return "what was there was changed"
    if code == 2 and (len(said) != 1 or not said[0].startswith("sshml: ") or not said[0].isprintable()):
        return f"{len(said)} lines: {said[:2]}"
    if code == 2 and len(said[0]) > 1010:
        return f"{len(said[0])} letters"
    left = set(now) - {*before, "folder"}
    return f"left {left}" if code == 2 and left else None


def check_lines(call, folder, made, name, every):
    base = tuple(word.replace("OUT", "new") for word in BASES[name])
    before, wrong = lay_out(made, folder), []
    for number, (what, text, line) in enumerate(lines_of(name, base)):
        if number % every:
            continue
        try:
            code, _, err = call(made, name, *line)
            found = wrong_with(code, err, made, before)
        except Exception as error:
            found = f"{type(error).__name__}: {error}"
        if found:
            wrong.append(f"{name} {what} {text[:40]!r}: {found}")
        for path in made.iterdir():
            if path.name not in {*before, "folder"}:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert not wrong, "\n".join(wrong[:30])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", BASES)
def test_some_bad_values(call, folder, tmp_path, name):
    check_lines(call, folder, tmp_path, name, DEFAULT)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", BASES)
def test_all_bad_values(call, folder, tmp_path, name):
    check_lines(call, folder, tmp_path, name, 1)


def test_every_command_is_called():
    assert set(BASES) == set(typer.main.get_command(app).commands)


def run_in_shell(folder, line, **environment):
    """Run a line of a shell; return (exit code, output, errors)."""
    line = line.replace("sshml ", f"{shlex.quote(sys.executable)} -m sshml.cli ")
    found = subprocess.run(
        ["bash", "-c", line],
        cwd=folder,
        capture_output=True,
        env=os.environ | environment,
        check=False,
        timeout=200,
    )
    return found.returncode, found.stdout.decode(errors="replace"), found.stderr.decode(errors="replace")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_an_output_that_is_full_is_one_line(folder):
    code, _, err = run_in_shell(folder, "sshml info chains.h5 > /dev/full")
    assert (code, err.count("\n")) == (2, 1)
    assert "no space left" in err


def test_a_closed_pipe_is_the_end(folder):
    code, _, err = run_in_shell(folder, "set -o pipefail; sshml info chains.h5 --json | true")
    assert (code, err) in ((1, ""), (0, ""))


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_terminals_with_fewer_letters(folder, tmp_path, encoding):
    os.link(folder / "chains.h5", tmp_path / "c.h5")
    os.link(folder / "run.h5", tmp_path / "r.h5")
    for line in ("sshml sweep r.h5 c.h5 --out ψ.csv", "sshml select r.h5 c.h5 --out ψ.png", "sshml check nowhereψ.h5"):
        code, _, err = run_in_shell(tmp_path, line, PYTHONIOENCODING=encoding, LC_ALL="C.UTF-8")
        assert code == (2 if "nowhere" in line else 0), err
        assert "Traceback" not in err
    assert (tmp_path / "ψ.csv").exists()
    assert (tmp_path / "ψ.png").exists()


def test_a_working_folder_that_is_gone(tmp_path):
    code, _, err = run_in_shell(tmp_path, "mkdir x; cd x; rmdir ../x; sshml check a.h5")
    assert (code, err.count("\n")) == (2, 1), err
    assert "is gone" in err


def test_settings_of_matplotlib_are_the_users(folder, tmp_path):
    os.link(folder / "run.h5", tmp_path / "r.h5")
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\n")
    line = "sshml entanglement r.h5 --shuffles 2 --out a.png"
    code, _, err = run_in_shell(tmp_path, line, MPLBACKEND="nonsense", PATH="/nonexistent:/bin:/usr/bin")
    assert "Traceback" not in err
    assert code == 0 or "cannot be drawn here" in err
    assert (tmp_path / "a.png").exists() == (code == 0)


def test_escape_sequences_in_files_stay_texts(call, folder, tmp_path):
    path = tmp_path / "a.h5"
    path.write_bytes((folder / "chains.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        file.attrs["created_by"] = "\x1b[2Jgone\x07"
    code, out, _ = call(tmp_path, "info", "a.h5")
    assert code == 0
    assert "\x1b" not in out
    assert "gone" in out
