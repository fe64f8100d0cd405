import errno
import os
import platform
import subprocess
import sys

import h5py
import numpy as np
import pytest

from sshml.errors import SSHMLError
from sshml.files import new_file, new_folder, new_hdf5, open_hdf5, read_columns, read_csv, seal, write_csv


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


@pytest.mark.parametrize(
    ("attrs", "words"),
    [
        ({}, "without the attribute"),
        ({"format": "other"}, "is a other file; expected a thing file"),
        ({"format": "thing"}, "version None"),
        ({"format": "thing", "format_version": 3}, "reads versions 1 to 2"),
    ],
)
def test_foreign_hdf5(tmp_path, attrs, words):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs.update(attrs)
    with pytest.raises(SSHMLError, match=words), open_hdf5(tmp_path / "a.h5", "thing", 2):
        pass


def test_files_that_are_not_hdf5(tmp_path):
    (tmp_path / "text").write_text("hello" * 1000)
    with h5py.File(tmp_path / "whole.h5", "w") as file:
        file["x"] = np.zeros(10000)
    (tmp_path / "cut.h5").write_bytes((tmp_path / "whole.h5").read_bytes()[:2000])
    for name, words in (("text", "not an HDF5 file"), ("cut.h5", "truncated"), ("none", "does not exist")):
        with pytest.raises(SSHMLError, match=words), open_hdf5(tmp_path / name, "thing", 1):
            pass


def test_csv_round_trip(tmp_path):
    rows = [{"a": 1, "b": "x, y"}, {"a": 2.5, "b": ""}]
    write_csv(tmp_path / "t.csv", rows)
    assert read_csv(tmp_path / "t.csv") == [{"a": "1", "b": "x, y"}, {"a": "2.5", "b": ""}]


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


def test_a_sealed_file_is_read_only_if_whole(tmp_path):
    with new_hdf5(tmp_path / "a.h5") as file:
        file.attrs["format"], file.attrs["format_version"] = "f", 1
    seal(tmp_path / "a.h5")
    with open_hdf5(tmp_path / "a.h5", "f", 1) as file:
        assert file.attrs["format"] == "f"
    data = bytearray((tmp_path / "a.h5").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "a.h5").write_bytes(data)
    with pytest.raises(SSHMLError, match="differ from their checksum"), open_hdf5(tmp_path / "a.h5", "f", 1):
        pass


def test_columns_of_the_rows_that_match(tmp_path):
    write_csv(tmp_path / "a.csv", [{"name": n, "value": v} for n, v in (("x", 1), ("y", 2.5), ("x", 3))])
    found = read_columns(tmp_path / "a.csv", name="x")
    assert found["value"].tolist() == [1, 3]
    assert found["name"].tolist() == ["x", "x"]
    with pytest.raises(SSHMLError, match="no row with name = z"):
        read_columns(tmp_path / "a.csv", name="z")
