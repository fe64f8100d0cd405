import sys
import zlib

import h5py
import numpy as np
import pytest

from sshml.errors import SSHMLError
from sshml.hdf5 import crc32, new_group, new_hdf5, open_hdf5, refuse_foreign, seal


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


def test_files_and_groups_hold_no_times(tmp_path):
    """HDF5 before 2.0 writes them unless told: equal contents would be other bytes."""
    with new_hdf5(tmp_path / "a.h5") as file:
        group = new_group(file, "train")
        assert (group.name, list(file)) == ("/train", ["train"])
    raw = (tmp_path / "a.h5").read_bytes()
    heads = [raw[at + 5] for at in range(len(raw)) if raw[at : at + 4] == b"OHDR"]
    assert heads
    assert not any(flags & 0x20 for flags in heads)  # bit 5: times stored


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


def external_link(file, other):
    file["group/x"] = h5py.ExternalLink(str(other), "secret")


def soft_link(file, other):
    file["x"] = h5py.SoftLink("/y")


def external_storage(file, other):
    file.create_dataset("x", (4,), "u1", external=[(str(other), 0, 4)])


def virtual(name):
    def make(file, other):
        layout = h5py.VirtualLayout((4,), "f8")
        layout[:] = h5py.VirtualSource(name or str(other), "secret", (4,))
        file.create_virtual_dataset("x", layout)

    return make


def declared(file, other):
    file.create_dataset("x", (10**9,), "f4", chunks=(1000,))


def packed(file, other):
    file.create_dataset("x", (10**9,), "f4", chunks=(1000,), compression="gzip")


HOSTILE = {
    "external link": external_link,
    "soft link": soft_link,
    "external storage": external_storage,
    "virtual, absolute": virtual(None),
    "virtual, above": virtual("../other.h5"),
    "virtual, beside": virtual("other.h5"),
    "virtual, another folder": virtual("private/other.h5"),
    "virtual, above the shards": virtual("a.shards/../other.h5"),
    "declared": declared,
    "packed": packed,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_leads_elsewhere_or_declares_too_much_is_refused(tmp_path, name):
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["secret"] = np.arange(4.0)
    with new_hdf5(tmp_path / "a.h5") as file:
        file["fine"] = np.arange(5)
        HOSTILE[name](file, other)
    with h5py.File(tmp_path / "a.h5") as file, pytest.raises(SSHMLError, match=r"a\.h5: /(group/)?x "):
        refuse_foreign(file, tmp_path / "a.h5", shards=True)


def test_what_is_ones_own_is_fine(tmp_path):
    with new_hdf5(tmp_path / "a.h5") as file:
        file["x"], file["group/empty"], file["text"] = np.arange(5), np.zeros((0, 3)), "some text"
        file.create_dataset("zip", data=np.zeros(10**6), compression="gzip")
        virtual("a.shards/part-0.h5")(file.create_group("shown"), None)
    with h5py.File(tmp_path / "a.h5") as file:
        refuse_foreign(file, tmp_path / "a.h5", shards=True)
        with pytest.raises(SSHMLError, match="none of its own shards"):
            refuse_foreign(file, tmp_path / "a.h5")
