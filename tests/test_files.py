import errno
import os
import platform
import subprocess
import sys

import pytest

from sshml.errors import SSHMLError
from sshml.files import locked, new_file, remove_partials


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_when_it_is_complete(tmp_path):
    with new_file(tmp_path / "deep" / "a.txt") as partial:
        partial.write_text("done")
        assert not (tmp_path / "deep" / "a.txt").exists()
    assert (tmp_path / "deep" / "a.txt").read_text() == "done"
    assert names(tmp_path / "deep") == ["a.txt"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ZeroDivisionError])
def test_an_interrupted_one_leaves_nothing(tmp_path, error):
    with pytest.raises(error), new_file(tmp_path / "deep" / "er" / "a"):
        raise error
    assert names(tmp_path) == []


def test_nothing_is_overwritten_without_force(tmp_path):
    for round_, force in (("old", False), ("new", True)):
        with new_file(tmp_path / "a", force) as partial:
            partial.write_text(round_)
        with pytest.raises(SSHMLError, match="exists"), new_file(tmp_path / "a"):
            pass
        assert (tmp_path / "a").read_text() == round_
    assert names(tmp_path) == ["a"]


def test_a_failed_overwrite_keeps_the_old_one(tmp_path):
    (tmp_path / "a").write_text("kept")
    with pytest.raises(ZeroDivisionError), new_file(tmp_path / "a", force=True):
        raise ZeroDivisionError
    assert (tmp_path / "a").read_text() == "kept"
    assert names(tmp_path) == ["a"]


def test_a_failed_write_below_new_folders_is_an_error(tmp_path):
    with pytest.raises(SSHMLError, match="no space left on device"), new_file(tmp_path / "deep" / "a"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert names(tmp_path) == []


def test_files_and_folders_are_not_confused(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(SSHMLError, match="is a folder"), new_file(tmp_path / "folder", force=True):
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


@pytest.mark.parametrize("force", [False, True])
def test_links_to_nothing_and_what_is_no_file_are_refused(tmp_path, force):
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere" / "x")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    before = names(tmp_path)
    for name, words in (
        ("dangling", "link to what is not there"),
        ("loop", "link to what"),
        ("pipe", "no regular file"),
    ):
        with pytest.raises(SSHMLError, match=words), new_file(tmp_path / name, force):
            pytest.fail("it was opened")
    assert names(tmp_path) == before


def test_a_link_to_a_file_stays_one(tmp_path):
    (tmp_path / "target").write_text("old")
    (tmp_path / "link").symlink_to("target")
    with new_file(tmp_path / "link", force=True) as partial:
        partial.write_text("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "new"


@pytest.mark.parametrize("name", ["**", "[a]", "a?b*", "{0}%s"])
def test_names_are_no_patterns(tmp_path, name):
    for _ in range(2):
        with new_file(tmp_path / name, force=True) as partial:
            partial.write_text("x")
    assert names(tmp_path) == [name]


def test_a_name_taken_meanwhile_is_not_replaced(tmp_path):
    with pytest.raises(SSHMLError, match="exists"), new_file(tmp_path / "a"):
        (tmp_path / "a").write_text("first")
    assert (tmp_path / "a").read_text() == "first"
    with pytest.raises(SSHMLError, match="link to what"), new_file(tmp_path / "b"):
        (tmp_path / "b").symlink_to("nowhere")


def test_only_own_temporary_files_are_removed(tmp_path):
    other = [".notes.partial", ".cache.h5", "x.partial", ".a.h5.partial"]
    for name in [*other, ".a.h5.node-12.ab_c1.partial.h5", ".b.node-7.q8.partial"]:
        (tmp_path / name).touch()
    remove_partials(tmp_path)
    assert names(tmp_path) == sorted(other)
