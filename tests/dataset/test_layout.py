import dataclasses
import zlib

import h5py
import numpy as np
import pytest

from sshml.dataset import DatasetSpec, Layout, generate, samples
from sshml.dataset.layout import Writer
from sshml.errors import SSHMLError

SPEC = DatasetSpec(cells=3, disorder_v=0.5, train=40, valid=7, test=11, seed=5)


@pytest.mark.parametrize("recipe", [False, True])
def test_arrays_and_bytes(recipe):
    layout = Layout(SPEC, recipe)
    drawn = samples(SPEC, "train", 0, 5)
    assert set(layout.arrays) == set(drawn) - ({"states", "energies"} if recipe else set())
    for name, (shape, dtype) in layout.arrays.items():
        assert drawn[name].shape[1:] == shape
        assert drawn[name].dtype == dtype
    assert layout.n_bytes(5) == sum(drawn[name].nbytes for name in layout.arrays)
    assert layout.version == (2 if recipe else 1)


@pytest.mark.parametrize(
    ("change", "version"),
    [
        ({}, 1),
        ({"law": "normal"}, 2),
        ({"law": "binary"}, 3),
        ({"disorder_v": "0:1"}, 3),
        ({"onsite": 0.1}, 3),
        ({"half_cell": True}, 3),
        ({"correlated": True}, 3),
    ],
)
def test_versions_are_as_old_as_can_be(change, version):
    layout = Layout(dataclasses.replace(SPEC, **change))
    assert layout.version == version
    drawn = samples(layout.spec, "train", 0, 5)
    assert {name: (array.shape[1:], array.dtype) for name, array in drawn.items()} == layout.arrays


def test_a_recipe_says_what_it_lacks(tmp_path):
    for recipe in (False, True):
        path = tmp_path / f"{recipe}.h5"
        generate(SPEC, path, recipe=recipe)
        with h5py.File(path) as file:
            assert ("lacks" in file.attrs) == recipe
            if recipe:
                assert "states and /SPLIT/energies" in file.attrs["lacks"]


def test_what_the_labels_of_chains_with_on_site_energies_are(tmp_path):
    generate(dataclasses.replace(SPEC, onsite=0.1), tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        assert "of the hoppings alone" in file["train/winding"].attrs["label"]


@pytest.mark.parametrize("parts", [[40], [1, 39], [16, 16, 8], [7] * 5 + [5]])
def test_samples_come_in_any_portions(tmp_path, parts, monkeypatch):
    monkeypatch.setattr("sshml.dataset.layout.CHUNK_BYTES", 2 * 4 * 36)  # two samples a chunk
    drawn = samples(SPEC, "train", 0, 40)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        writer, first = Writer(file, Layout(SPEC), 40), 0
        for count in parts:
            writer.write({name: array[first : first + count] for name, array in drawn.items()})
            first += count
        writer.finish()
        for name, array in drawn.items():
            np.testing.assert_array_equal(file[name][()], array)
            assert file[name].attrs["crc32"] == zlib.crc32(np.ascontiguousarray(array))


def test_a_block_of_states_is_about_16_mebibytes():
    for cells in (2, 8, 32, 200):
        layout = Layout(DatasetSpec(cells=cells))
        assert 2**23 < 4 * layout.block_rows * (2 * cells) ** 2 <= 2**24 or layout.block_rows == 16


def test_what_is_no_spec():
    for arguments in ((None,), ({"cells": 3},), (DatasetSpec(cells=2, train=1, valid=1, test=1), "yes")):
        with pytest.raises(SSHMLError, match=r"DatasetSpec|True or False"):
            Layout(*arguments)
