import sys
import zlib

import h5py
import numpy as np
import pytest

from sshml.errors import SSHMLError
from sshml.hdf5 import crc32, new_hdf5, open_hdf5, seal


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


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_checksums_are_those_of_zlib(rng, dtype):
    data = (100 * rng.random((13, 7, 5))).astype(dtype)
    assert crc32(data) == zlib.crc32(data)
    assert crc32(data[4:], crc32(data[:4])) == zlib.crc32(data)
    assert crc32(b"") == 0


def test_without_isal_zlib_serves(monkeypatch):
    import importlib

    import sshml.hdf5

    monkeypatch.setitem(sys.modules, "isal.isal_zlib", None)
    try:
        assert importlib.reload(sshml.hdf5).crc32 is zlib.crc32
    finally:
        monkeypatch.undo()
        importlib.reload(sshml.hdf5)
