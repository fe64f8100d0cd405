import numpy as np
import pytest

from sshml.dataset import ImageDataset, ImageSplit
from sshml.experiments import image_nets
from sshml.experiments.poster import Settings, reproduce


@pytest.fixture(scope="session")
def small_poster(tmp_path_factory):
    """The poster with three networks and few chains: (folder, claims, baselines)."""
    folder = tmp_path_factory.mktemp("results") / "poster"
    return folder, *reproduce(folder, Settings(seeds=3, epochs=2, train=2000, valid=200, test=500), device="cpu")


@pytest.fixture
def small_images(monkeypatch):
    """Images of ten classes, a bright square each in its own place, instead of the files."""
    rng = np.random.default_rng(0)

    def split(count, padding):
        labels = rng.integers(0, 10, count)
        pixels = rng.integers(0, 60, (count, 1, 28, 28)).astype(np.uint8)
        for image, label in zip(pixels, labels, strict=True):
            row, column = divmod(int(label), 4)
            image[0, 8 * row : 8 * row + 6, 7 * column : 7 * column + 6] += 150
        return ImageSplit(pixels, labels, padding)

    def images(name, root=None, valid=0, seed=0, padding=0):
        return ImageDataset(name, split(500, padding), split(100, padding), split(200, padding))

    monkeypatch.setattr(image_nets, "images", images)
