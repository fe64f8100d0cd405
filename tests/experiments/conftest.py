import sys

import numpy as np
import pytest

from sshml.experiments import Where, run
from sshml.tables import Tables

SMALL = {"seeds": 3, "epochs": 2, "train": 2000, "valid": 200, "test": 500}


class Reproduced:
    """A small run: its folder, claims, tables and settings."""

    def __init__(self, outcome):
        self.folder, self.claims, self.failures = outcome.folder, outcome.claims, outcome.failures
        self.tables, self.store = Tables(outcome.folder), outcome.folder.parent / "jobs"

    def file(self, job, name):
        """Return the path of a file that the first job whose key starts so, and whose arguments hold it, left."""
        function, _, word = job.partition(" ")
        for row in self.tables.rows("jobs"):
            if row["job"].startswith(f"{function}-") and word in row["arguments"]:
                return self.store / row["job"] / "done" / name
        raise KeyError(job)


@pytest.fixture(scope="session")
def small_poster(tmp_path_factory):
    """The poster with three networks and few chains."""
    return Reproduced(run("poster", tmp_path_factory.mktemp("results"), SMALL, where=Where("cpu")))


@pytest.fixture
def reproduced(tmp_path):
    """Run an experiment with some settings; return what came of it."""

    def call(name, **settings):
        return Reproduced(run(name, tmp_path / "results", settings, where=Where("cpu")))

    return call


@pytest.fixture
def small_images(monkeypatch):
    """Images of ten classes, a bright square each in its own place, instead of the files."""
    rng = np.random.default_rng(0)

    def split(count):
        labels = rng.integers(0, 10, count).astype(np.uint8)
        pixels = rng.integers(0, 60, (count, 1, 28, 28)).astype(np.uint8)
        for image, label in zip(pixels, labels, strict=True):
            row, column = divmod(int(label), 4)
            image[0, 8 * row : 8 * row + 6, 7 * column : 7 * column + 6] += 150
        return pixels, labels

    files = *split(600), *split(200)
    monkeypatch.setattr(sys.modules["sshml.dataset.images"], "_read", lambda name, root: files)
