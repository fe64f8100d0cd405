import errno
import os
import platform
import subprocess
import sys

import pytest

from sshml.errors import SSHMLError
from sshml.files import locked, new_file, new_folder


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_when_it_is_complete(tmp_path):
    with new_file(tmp_path / "deep" / "a.txt") as partial:
        partial.write_text("done")
        assert not (tmp_path / "deep" / "a.txt").exists()
    assert (tmp_path / "deep" / "a.txt").read_text() == "done"
    assert names(tmp_path / "deep") == ["a.txt"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ZeroDivisionError])
@pytest.mark.parametrize("make", [new_file, new_folder])
def test_an_interrupted_one_leaves_nothing(tmp_path, make, error):
    with pytest.raises(error), make(tmp_path / "deep" / "er" / "a"):
        raise error
    assert names(tmp_path) == []


@pytest.mark.parametrize("make", [new_file, new_folder])
def test_nothing_is_overwritten_without_force(tmp_path, make):
    for round_, force in (("old", False), ("new", True)):
        with make(tmp_path / "a", force) as partial:
            (partial / "b" if make is new_folder else partial).write_text(round_)
        with pytest.raises(SSHMLError, match="exists"), make(tmp_path / "a"):
            pass
        inside = tmp_path / "a" / "b" if make is new_folder else tmp_path / "a"
        assert inside.read_text() == round_
    assert names(tmp_path) == ["a"]


def test_a_failed_overwrite_keeps_the_old_one(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "kept").touch()
    with pytest.raises(ZeroDivisionError), new_folder(tmp_path / "a", force=True):
        raise ZeroDivisionError
    assert names(tmp_path / "a") == ["kept"]


@pytest.mark.parametrize("make", [new_file, new_folder])
def test_a_failed_write_below_new_folders_is_an_error(tmp_path, make):
    with pytest.raises(SSHMLError, match="no space left on device"), make(tmp_path / "deep" / "a"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert names(tmp_path) == []


def test_files_and_folders_are_not_confused(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(SSHMLError, match="is a folder"), new_file(tmp_path / "folder", force=True):
        pass
    with pytest.raises(SSHMLError, match="is a file"), new_folder(tmp_path / "file", force=True):
        pass
    with pytest.raises(SSHMLError, match="could not be written"), new_file(tmp_path / "file" / "below"):
        pass


def test_a_disk_too_small_is_refused_before_the_work(tmp_path):
    with pytest.raises(SSHMLError, match="no space left"), new_file(tmp_path / "a", size=2**60):
        pytest.fail("the work began")
    assert names(tmp_path) == []


def test_what_a_killed_process_left_goes_with_the_next_write(tmp_path):
    """Temporary files of dead processes of this machine are removed, those of living ones stay."""
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    names = [f".a.{platform.node()}-{process}.xyz.partial" for process in (dead.pid, os.getpid())]
    for name in (*names, ".a.elsewhere-1.xyz.partial"):
        (tmp_path / name).write_text("half")
    with new_file(tmp_path / "a") as partial:
        partial.write_text("whole")
    assert sorted(f.name for f in tmp_path.iterdir()) == sorted(["a", names[1], ".a.elsewhere-1.xyz.partial"])


def test_a_name_taken_meanwhile_is_not_overwritten(tmp_path):
    def write():
        with new_file(tmp_path / "a") as partial:
            partial.write_text("mine")
            (tmp_path / "a").write_text("theirs")

    with pytest.raises(SSHMLError, match="exists"):
        write()
    assert [f.read_text() for f in tmp_path.iterdir()] == ["theirs"]


def test_a_lock_is_held_by_one(tmp_path):
    pytest.importorskip("fcntl")
    with locked(tmp_path / ".lock") as mine, locked(tmp_path / ".lock") as theirs:
        assert mine
        assert not theirs
        assert str(os.getpid()) in (tmp_path / ".lock").read_text()
    with locked(tmp_path / ".lock") as again:
        assert again


def test_a_lock_falls_with_its_process(tmp_path):
    pytest.importorskip("fcntl")
    code = (
        "import os, sys; from pathlib import Path; from sshml.files import locked\n"
        "with locked(Path(sys.argv[1])): os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / ".lock")], check=False)
    assert (tmp_path / ".lock").exists()
    with locked(tmp_path / ".lock") as mine:
        assert mine
