"""MNIST, Fashion-MNIST and CIFAR-10 as splits: from a folder, from Debian's package, or downloaded once.

Files are checked by the MD5 sum of their uncompressed content, of CIFAR-10 of the archive. Nothing is unpickled.
"""

import dataclasses
import functools
import gzip
import hashlib
import io
import os
import tarfile
import zlib
from pathlib import Path

import numpy as np

from sshml.arguments import as_array, as_path, choice, integer, shown
from sshml.dataset.store import rows_of
from sshml.errors import SSHMLError

MOST_BYTES = 2**28
"""Bytes of an unpacked file, at most; the largest of the sets has 180 MB."""


@dataclasses.dataclass(frozen=True)
class ImageSplit:
    """Images and their classes: `pixels` uint8 (sample, channel, row, column), `labels` whole numbers (sample)."""

    pixels: np.ndarray = dataclasses.field(repr=False)
    labels: np.ndarray = dataclasses.field(repr=False)
    padding: int = 0

    def __post_init__(self):
        pixels = as_array(self.pixels, "pixels", axes="sample, channel, row, column", kinds="u")
        labels = as_array(self.labels, "labels", axes="sample", kinds="iu")
        if pixels.dtype != np.uint8:
            raise SSHMLError(f"pixels are {pixels.dtype}; expected uint8, 0 to 255.")
        if len(pixels) != len(labels):
            raise SSHMLError(f"{len(pixels)} images and {len(labels)} labels do not match; give one for each.")
        object.__setattr__(self, "pixels", pixels)
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "padding", integer(self.padding, "padding", 0, 10**4))

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, number):
        """Return (image, class) of a sample, as a torch `DataLoader` takes them."""
        number = integer(number, "the image's number")
        if not -len(self) <= number < len(self):
            raise IndexError(f"image {number} of {len(self)}")  # ends a loop over the split
        return self.inputs(index=number), int(self.labels[number])

    def inputs(self, view=None, index=slice(None)):
        """Return images as float32 in 0 ... 1, shape (sample, channel, row, column), with a black border of `padding`.

        Args:
            view: None; images have one view only.
            index: images to return: a number, a slice, a mask, or numbers in any order.
        """
        if view is not None:
            raise SSHMLError(f"images have no view {shown(view)}; leave it out.")
        border = ((self.padding,) * 2,) * 2
        rows, back = rows_of(index, len(self))
        pixels = self.pixels[rows] if back is None else self.pixels[rows][back]
        return np.pad(pixels, ((0, 0),) * (pixels.ndim - 2) + border).astype(np.float32) / np.float32(255)


@dataclasses.dataclass(frozen=True)
class ImageDataset:
    """Splits `train`, `valid` (held out of the training images) and `test` of one image data set."""

    name: str
    train: ImageSplit
    valid: ImageSplit
    test: ImageSplit


@dataclasses.dataclass(frozen=True)
class _Idx:
    """A data set of four IDX files: where to download them, MD5 sums of images and labels of train and test."""

    title: str
    url: str
    sums: tuple
    folders: tuple = ()

    files = tuple(f"{part}-{what}-ubyte" for part in ("train", "t10k") for what in ("images-idx3", "labels-idx1"))

    def read(self, folder):
        """Return (pixels, labels, pixels, labels) of train and test from `folder(file)`, a path to each file."""
        arrays = []
        for file, expected in zip(self.files, self.sums, strict=True):
            path = folder(file)
            data = _uncompressed(path)
            _check_sum(path, data, expected)
            arrays.append(_idx_array(path, data))
        for images, labels in (arrays[:2], arrays[2:]):
            if len(images) != len(labels):
                raise SSHMLError(f"{self.title}: {len(images)} images and {len(labels)} labels do not match.")
        return arrays[0][:, None], arrays[1], arrays[2][:, None], arrays[3]

    def find(self, file, folders):
        """Return the path of a file, gzipped or not, in one of the folders; None where there is none."""
        return next((f / (file + end) for f in folders for end in ("", ".gz") if (f / (file + end)).is_file()), None)

    def download(self, file):
        return _download(f"{self.url}{file}.gz")


@dataclasses.dataclass(frozen=True)
class _Cifar:
    """CIFAR-10 in its binary version: records of one label byte and 3072 pixel bytes."""

    title: str
    url: str
    sums: tuple
    folders: tuple = ()

    files = ("cifar-10-binary.tar.gz",)
    members = (*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin")

    def read(self, folder):
        path = folder(self.files[0])
        data = path.read_bytes()
        _check_sum(path, data, self.sums[0])
        records = []
        try:
            with tarfile.open(fileobj=io.BytesIO(data)) as archive:
                for name in self.members:
                    records.append(np.frombuffer(archive.extractfile(f"cifar-10-batches-bin/{name}").read(), np.uint8))
        except (tarfile.TarError, KeyError, EOFError, OSError, zlib.error) as error:
            raise SSHMLError(f"{path} is damaged: {error}; delete it and try again.") from None
        train, test = (np.concatenate(part).reshape(-1, 3073) for part in (records[:5], records[5:]))
        return train[:, 1:].reshape(-1, 3, 32, 32), train[:, 0], test[:, 1:].reshape(-1, 3, 32, 32), test[:, 0]

    def find(self, file, folders):
        return next((f / file for f in folders if (f / file).is_file()), None)

    def download(self, file):
        return _download(f"{self.url}{file}")


SETS = {
    "mnist": _Idx(
        "MNIST",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        (
            "6bbc9ace898e44ae57da46a324031adb",
            "a25bea736e30d166cdddb491f175f624",
            "2646ac647ad5339dbf082846283269ea",
            "27ae3e4e09519cfbb04c329615203637",
        ),
    ),
    "fashion-mnist": _Idx(
        "Fashion-MNIST",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        (
            "f4a8712d7a061bf5bd6d2ca38dc4d50a",
            "9018921c3c673c538a1fc5bad174d6f9",
            "8181f5470baa50b63fa0f6fddb340f0a",
            "15d484375f8d13e6eb1aabb0c3f46965",
        ),
        ("/usr/share/datasets/fashion-mnist",),
    ),
    "cifar-10": _Cifar("CIFAR-10", "https://www.cs.toronto.edu/~kriz/", ("c32a1d4ab5d03f1284b67883e8d87530",)),
}
"""Name: the data set (LeCun, Cortes and Burges; Xiao, Rasul and Vollgraf 2017; Krizhevsky 2009)."""


def images(name, root=None, valid=5000, seed=0, padding=0):
    """Return an image data set with a validation split held out of its training images.

    Args:
        name: "mnist", "fashion-mnist" or "cifar-10".
        root: folder with the files (IDX, gzipped or not; for CIFAR-10 cifar-10-binary.tar.gz), or with a folder
            `name` of them. If None, Debian's dataset-fashion-mnist is used where installed, or the files are
            downloaded once, into the cache folder of pooch (`SSHML_DATA_DIR` moves it).
        valid: number of training images held out, drawn by `seed`.
        seed: of the draw.
        padding: width of a black border, in pixels.

    Raises:
        SSHMLError: unknown name, missing or damaged files, no network, too many images held out.
    """
    choice(name, "data set", tuple(SETS))
    root = None if root is None else as_path(root, "root")
    seed, padding = integer(seed, "seed", 0), integer(padding, "padding", 0, 10**4)
    pixels, labels, test_pixels, test_labels = _read(name, None if root is None else str(root))
    valid = integer(valid, "valid", 1, len(labels) - 1)
    order = np.random.default_rng(seed).permutation(len(labels))
    parts = [np.sort(order[valid:]), np.sort(order[:valid])]
    train, held = (ImageSplit(pixels[part], labels[part].astype(np.int64), padding) for part in parts)
    return ImageDataset(name, train, held, ImageSplit(test_pixels, test_labels.astype(np.int64), padding))


@functools.lru_cache(4)
def _read(name, root):
    found = SETS[name]
    if root is None:
        folders = [Path(folder) for folder in found.folders]
    else:
        folders = [Path(root), Path(root) / name]

    def path_of(file):
        path = found.find(file, folders)
        if path is None and root is not None:
            raise SSHMLError(
                f"{found.title}: {root} holds no {file}; get it from {found.url}, or leave the root out to download."
            )
        return path or found.download(file)

    return found.read(path_of)


def _download(url):
    """Return the path of a file from the cache of pooch, downloaded if it is not there."""
    import pooch

    cache = os.environ.get("SSHML_DATA_DIR") or pooch.os_cache("sshml")
    try:
        return Path(pooch.retrieve(url, known_hash=None, path=cache, progressbar=False))
    except (OSError, ValueError) as error:  # requests and the disk raise kinds of OSError
        raise SSHMLError(
            f"{url} could not be downloaded to {cache} ({type(error).__name__}); get the file by other means and name"
            " its folder with --root (root=...)."
        ) from None


def _uncompressed(path):
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise SSHMLError(f"{path} holds more than {MOST_BYTES} bytes, none of the files looked for; delete it.")
        return data
    except (OSError, EOFError, zlib.error) as error:
        raise SSHMLError(f"{path} is damaged and cannot be read ({error}); delete it and get it again.") from None


def _check_sum(path, data, expected):
    found = hashlib.md5(data, usedforsecurity=False).hexdigest()
    if found != expected:
        raise SSHMLError(
            f"{path} is damaged or another file: MD5 {found}, expected {expected}; delete it, get it again."
        )


def _idx_array(path, data):
    """Return the uint8 array of an IDX file (header: 0, 0, type 8, number of axes, then their lengths)."""
    axes = data[3] if len(data) > 3 else 0
    shape = tuple(np.frombuffer(data, ">u4", axes, 4).astype(int)) if len(data) >= 4 + 4 * axes else ()
    if data[:3] != b"\0\0\x08" or len(data) != 4 + 4 * axes + int(np.prod(shape)):
        raise SSHMLError(f"{path} is not an IDX file of bytes.")
    return np.frombuffer(data, np.uint8, offset=4 + 4 * axes).reshape(shape)
