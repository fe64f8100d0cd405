import multiprocessing
import operator
import pickle
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from sshml.dataset import DatasetSpec, View, check, generate, open_dataset, samples, store
from sshml.errors import SSHMLError

SPEC = DatasetSpec(cells=3, disorder_v=0.4, train=12, valid=4, test=6, seed=1)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "whole.h5"
    generate(SPEC, path)
    return path


def test_what_was_written_is_read(whole):
    dataset = open_dataset(whole)
    for name, split in dataset.splits.items():
        expected = samples(SPEC, name, 0, len(split))
        for array in expected:
            np.testing.assert_array_equal(split.read(array), expected[array])
    np.testing.assert_array_equal(dataset.train.labels, expected := samples(SPEC, "train", 0, 12)["winding"])
    assert dataset.train.labels.dtype == np.int64
    assert expected.dtype == np.int8


def test_readable_with_h5py_alone(whole):
    with h5py.File(whole) as file:
        assert file.attrs["format"] == "sshml-dataset"
        assert file.attrs["format_version"] == 1
        assert file["train/states"].shape == (12, 6, 6)
        assert file["train/states"].dtype == np.float32


def test_views(whole):
    split = open_dataset(whole).test
    states = split.inputs()
    np.testing.assert_array_equal(split.inputs("abs"), np.abs(states))
    np.testing.assert_allclose(split.inputs("density").sum(-1), 1, atol=1e-5)
    projector = split.inputs("projector").astype(float)
    np.testing.assert_allclose(projector @ projector, projector, atol=1e-5)
    np.testing.assert_allclose(np.trace(projector, axis1=1, axis2=2), 3, atol=1e-5)
    np.testing.assert_allclose(states[:, :3] @ projector, states[:, :3], atol=1e-5)  # b level [site], b [site] site
    np.testing.assert_array_equal(split.inputs("abs", slice(1, 3)), np.abs(states[1:3]))
    with pytest.raises(SSHMLError, match="states, abs, density, projector"):
        split.inputs("colour")


@pytest.mark.parametrize("view", ["abs", "density", "projector"])
def test_gauge_invariant_views(rng, view):
    states = samples(SPEC, "test", 0, 6)["states"]
    signs = rng.choice([-1, 1], size=(6, 6, 1)).astype(np.float32)
    seen = [View(view).of(psi, SPEC, 2, np.arange(6)) for psi in (states * signs, states)]
    np.testing.assert_allclose(*seen, atol=1e-7)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_splits_travel_to_other_processes(whole, method):
    split = open_dataset(whole).train
    expected = split.inputs()  # read here first: no handle may be inherited
    with multiprocessing.get_context(method).Pool(2) as pool:
        for found in pool.map_async(operator.methodcaller("inputs"), [split] * 4).get(timeout=60):
            np.testing.assert_array_equal(found, expected)
    assert pickle.loads(pickle.dumps(split)) == split


def test_frozen_format_1():
    """Files of every released format stay readable; this one was written by sshml 0.1.0."""
    dataset = check(Path(__file__).parents[2] / "data" / "dataset-1.h5")
    assert dataset.created_by == "sshml 0.1.0"
    for name, split in dataset.splits.items():
        expected = samples(dataset.spec, name, 0, len(split))
        np.testing.assert_array_equal(split.read("v"), expected["v"])
        np.testing.assert_array_equal(split.read("winding"), expected["winding"])
        np.testing.assert_allclose(split.inputs("abs"), np.abs(expected["states"]), atol=1e-6)


def test_frozen_format_2():
    """Longer range, normal law, a ring: written by sshml 0.2.0."""
    dataset = check(Path(__file__).parents[2] / "data" / "dataset-2.h5")
    assert dataset.created_by == "sshml 0.2.0"
    assert dataset.spec.windings == (-1, 0, 1, 2)
    for name, split in dataset.splits.items():
        expected = samples(dataset.spec, name, 0, len(split))
        for array in ("v", "w", "j3", "j4"):
            np.testing.assert_allclose(split.read(array), expected[array], rtol=1e-12)
        np.testing.assert_array_equal(split.labels, expected["winding"] + 1)
        np.testing.assert_allclose(split.inputs("density"), expected["states"] ** 2, atol=1e-5)


@pytest.mark.parametrize("recipe", [False, True])
@pytest.mark.parametrize(
    "index",
    [
        [7, 3],
        [3, 3, 0],
        [-1, 0],
        np.array([5, 2, 9]),
        slice(None, None, -1),
        slice(8, 2, -2),
        [],
        np.arange(12) % 3 == 0,
        -2,
    ],
)
def test_rows_in_any_order(tmp_path, index, recipe):
    generate(SPEC, tmp_path / "a.h5", recipe=recipe)
    split, expected = open_dataset(tmp_path / "a.h5").train, samples(SPEC, "train", 0, 12)
    rows = np.arange(12)[np.array(index, dtype=int)] if isinstance(index, list) else np.arange(12)[index]
    for name in ("states", "energies", "v", "winding"):
        np.testing.assert_array_equal(split.read(name, index), expected[name][rows])


@pytest.mark.parametrize("index", [12, -13, [0, 12], [0.5], "first", [[0, 1]], np.ones(5, bool)])
def test_rows_that_are_not_there(whole, index):
    with pytest.raises(SSHMLError, match=r"are not among 12 samples|expected whole numbers|no slice"):
        open_dataset(whole).train.read("v", index)


def test_several_arrays_of_a_recipe_are_solved_once(tmp_path, monkeypatch):
    generate(SPEC, tmp_path / "a.h5", recipe=True)
    calls, solved = [], store.solved
    monkeypatch.setattr(store, "solved", lambda *arguments: calls.append(1) or solved(*arguments))
    split, expected = open_dataset(tmp_path / "a.h5").train, samples(SPEC, "train", 0, 12)
    names = ("states", "v", "energies")
    for array, name in zip(split.read(names), names, strict=True):
        np.testing.assert_array_equal(array, expected[name])
    assert calls == [1]


def test_samples_one_by_one(whole):
    split = open_dataset(whole).train
    expected = samples(SPEC, "train", 0, 12)
    states, label = split[5]
    np.testing.assert_array_equal(states, expected["states"][5])
    assert (label, split[-1][1]) == (expected["winding"][5], expected["winding"][-1])
    assert len(list(split)) == 12
    with pytest.raises(IndexError):
        split[12]
    with pytest.raises(SSHMLError, match="expected an integer"):
        split[1:3]


def test_w_over_v(whole):
    split = open_dataset(whole).test
    v, w = split.read(("v", "w"))
    np.testing.assert_allclose(split.ratio, np.exp(np.log(abs(w)).mean(1) - np.log(abs(v)).mean(1)))
    longer = open_dataset(Path(__file__).parents[2] / "data" / "dataset-2.h5")
    with pytest.raises(SSHMLError, match="longer range"):
        _ = longer.test.ratio


def test_the_file_of_version_3():
    """Half a cell, on-site energies, a quasi-periodic law with parameters that vary: as 0.6.0 wrote them."""
    dataset = check(Path(__file__).parents[2] / "data" / "dataset-3.h5", deep=True)
    assert dataset.created_by == "sshml 0.6.0"
    assert dataset.spec.stored == ("clean_v", "disorder_v", "clean_onsite", "beta")
    found = dataset.train.parameters
    assert set(found) == {"clean_v", "clean_w", "clean_onsite", "disorder_v", "disorder_w", "disorder_onsite", "beta"}
    assert ((found["beta"] >= 0.3) & (found["beta"] < 0.7)).all()
    np.testing.assert_array_equal(found["clean_w"], 1)


def test_parameters_of_older_files_come_from_the_seed(tmp_path):
    spec = DatasetSpec(cells=3, v="0:2", disorder_v=0.5, train=9, valid=2, test=2)
    generate(spec, tmp_path / "a.h5")
    found = open_dataset(tmp_path / "a.h5").train.parameters
    same = DatasetSpec(cells=3, v="0:2", disorder_v="0.5:1", train=9, valid=2, test=2)
    generate(same, tmp_path / "b.h5")
    other = open_dataset(tmp_path / "b.h5").train.parameters
    np.testing.assert_array_equal(found["clean_v"], other["clean_v"])
    np.testing.assert_array_equal(found["disorder_v"], 0.5)
    fixed = DatasetSpec(cells=3, v=1, w=2, disorder_v=0.5, train=9, valid=2, test=2)
    generate(fixed, tmp_path / "c.h5")
    np.testing.assert_array_equal(open_dataset(tmp_path / "c.h5").train.parameters["clean_w"], 2)


def test_xarray(tmp_path):
    spec = DatasetSpec(cells=3, half_cell=True, onsite=0.1, train=5, valid=2, test=2)
    generate(spec, tmp_path / "a.h5", recipe=True)
    dataset = open_dataset(tmp_path / "a.h5")
    found = dataset.to_xarray()
    assert dict(found.sizes) == {"sample": 9, "level": 7, "site": 7, "bond_v": 3, "bond_w": 3}
    train = found.isel(sample=found["split"] == "train")
    np.testing.assert_array_equal(train["states"], dataset.train.read("states"))
    np.testing.assert_array_equal(train["number"], np.arange(5))
    assert list(found["site"].values) == ["A1", "B1", "A2", "B2", "A3", "B3", "A4"]
    assert found["onsite"].dims == ("sample", "site")
    assert DatasetSpec.from_json(found.attrs["spec"]) == spec
    assert "hoppings alone" in found.attrs["winding"]
    assert set(dataset.to_xarray(["winding"]).data_vars) == {"winding"}
    with pytest.raises(SSHMLError, match="array"):
        dataset.to_xarray(["colour"])


def test_without_xarray(tmp_path, monkeypatch):
    generate(DatasetSpec(cells=2, train=2, valid=1, test=1), tmp_path / "a.h5")
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(SSHMLError, match="pip install"):
        open_dataset(tmp_path / "a.h5").to_xarray()
