import dataclasses
import gzip
import hashlib
import io
import sys
import tarfile

import numpy as np
import pytest

from sshml.dataset import ImageSplit, images
from sshml.errors import SSHMLError

module = sys.modules["sshml.dataset.images"]


def idx(array):
    return bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


@pytest.fixture
def root(tmp_path, monkeypatch, rng):
    """A folder mnist/ of 30 + 10 images of 4 x 5 pixels, half of the files gzipped, known to `images` by its sums."""
    module._read.cache_clear()
    folder = tmp_path / "mnist"
    folder.mkdir()
    arrays = [rng.integers(0, 256, (n, *shape)).astype(np.uint8) for n in (30, 10) for shape in ((4, 5), ())]
    arrays[1] %= 10
    arrays[3] %= 10
    files = module.SETS["mnist"].files
    for number, (file, array) in enumerate(zip(files, arrays, strict=True)):
        (folder / (file + ".gz" * (number % 2))).write_bytes(gzip.compress(idx(array)) if number % 2 else idx(array))
    sums = tuple(hashlib.md5(idx(array), usedforsecurity=False).hexdigest() for array in arrays)
    monkeypatch.setitem(module.SETS, "mnist", dataclasses.replace(module.SETS["mnist"], sums=sums))
    return tmp_path, arrays


def test_splits_hold_every_image_once(root):
    folder, (train, labels, test, test_labels) = root
    data = images("mnist", folder, valid=7)
    assert (len(data.train), len(data.valid), len(data.test)) == (23, 7, 10)
    both = np.concatenate([data.train.pixels, data.valid.pixels])[:, 0]
    order = np.concatenate([data.train.labels, data.valid.labels])
    found = sorted((image.tobytes(), label) for image, label in zip(both, order, strict=True))
    assert found == sorted((image.tobytes(), label) for image, label in zip(train, labels, strict=True))
    np.testing.assert_array_equal(data.test.inputs()[:, 0], test / np.float32(255))
    np.testing.assert_array_equal(data.test.labels, test_labels)
    assert data.train.inputs().dtype == np.float32
    assert data.train.labels.dtype == np.int64


def test_the_held_out_part_is_a_function_of_the_seed(root):
    folder, _ = root
    first, again, other = (images("mnist", folder / "mnist", valid=7, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.valid.pixels, again.valid.pixels)
    assert (first.valid.pixels != other.valid.pixels).any()


def test_padding_is_a_black_border(root):
    folder, _ = root
    plain, padded = (images("mnist", folder, valid=7, padding=n).test.inputs() for n in (0, 2))
    assert padded.shape == (10, 1, 8, 9)
    np.testing.assert_array_equal(padded[..., 2:-2, 2:-2], plain)
    assert padded.sum() == pytest.approx(plain.sum())


def test_cifar(tmp_path, monkeypatch, rng):
    module._read.cache_clear()
    records = rng.integers(0, 10, (6, 2, 3073)).astype(np.uint8)
    path = tmp_path / "cifar-10-binary.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, record in zip(module._Cifar.members, records, strict=True):
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = record.nbytes
            archive.addfile(member, io.BytesIO(record.tobytes()))
    sums = (hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest(),)
    monkeypatch.setitem(module.SETS, "cifar-10", dataclasses.replace(module.SETS["cifar-10"], sums=sums))
    data = images("cifar-10", tmp_path, valid=2)
    assert data.train.inputs().shape == (8, 3, 32, 32)
    np.testing.assert_array_equal(data.test.labels, records[5, :, 0])
    np.testing.assert_array_equal(data.test.pixels[1].ravel(), records[5, 1, 1:])


def test_bad_input(root, tmp_path):
    folder, _ = root
    with pytest.raises(SSHMLError, match="choose one of mnist, fashion-mnist, cifar-10"):
        images("cifar", folder)
    for valid in (0, 30, -1):
        with pytest.raises(SSHMLError, match="from 1 to 29"):
            images("mnist", folder, valid=valid)
    for bad in ({"valid": 1.5}, {"valid": True}, {"seed": -1}, {"padding": "2"}):
        with pytest.raises(SSHMLError, match="expected an integer"):
            images("mnist", folder, **bad)
    with pytest.raises(SSHMLError, match="holds no train-images-idx3-ubyte; get it from"):
        images("fashion-mnist", tmp_path)


@pytest.mark.parametrize("damage", [lambda b: b[:-9], lambda b: b[:40] + b"x" + b[41:], lambda b: b""])
@pytest.mark.parametrize("number", [0, 1])
def test_damaged_files(root, damage, number):
    folder, _ = root
    file = next((folder / "mnist").glob(f"{module.SETS['mnist'].files[number]}*"))
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(SSHMLError, match=r"is damaged.*get it again"):
        images("mnist", folder, valid=7)


def test_no_network(tmp_path, monkeypatch):
    import pooch

    def fail(*_, **__):
        raise OSError("unreachable")

    module._read.cache_clear()
    monkeypatch.setattr(pooch, "retrieve", fail)
    monkeypatch.setenv("SSHML_DATA_DIR", str(tmp_path))
    with pytest.raises(SSHMLError, match=r"could not be downloaded to .*--root"):
        images("mnist")


@pytest.mark.parametrize("data", [b"", b"\0\0\x09\1\0\0\0\1x", b"\0\0\x08\1\0\0\0\2x", b"\0\0\x08\3\0\0"])
def test_not_an_idx_file(tmp_path, data):
    with pytest.raises(SSHMLError, match="not an IDX file"):
        module._idx_array(tmp_path, data)


def test_other_numbers_than_bytes_are_refused():
    with pytest.raises(SSHMLError, match="expected uint8"):
        ImageSplit(np.full((2, 1, 3, 3), 65535, dtype=np.uint16), np.zeros(2, dtype=int))
    split = ImageSplit(np.array([[[[0, 255]]]], dtype=np.uint8), [3])
    assert split.inputs().tolist() == [[[[0.0, 1.0]]]]
    assert split.labels.tolist() == [3]
