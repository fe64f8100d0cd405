import multiprocessing
import operator
import pickle
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from sshml.dataset import DatasetSpec, check, generate, open_dataset, samples
from sshml.dataset.store import apply_view
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
    np.testing.assert_allclose(apply_view(states * signs, view), apply_view(states, view), atol=1e-7)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_splits_travel_to_other_processes(whole, method):
    split = open_dataset(whole).train
    expected = split.inputs()  # read here first: no handle may be inherited
    with multiprocessing.get_context(method).Pool(2) as pool:
        for found in pool.map_async(operator.methodcaller("inputs"), [split] * 4).get(timeout=60):
            np.testing.assert_array_equal(found, expected)
    assert pickle.loads(pickle.dumps(split)) == split


def set_value(name, index, value):
    def change(file):
        file[name][index] = value

    return change


def replace(name, array):
    def change(file):
        del file[name]
        file[name] = array

    return change


def delete(name):
    return lambda file: file.__delitem__(name)


def set_attribute(name, value):
    return lambda file: file.attrs.__setitem__(name, value)


MUTATIONS = {
    "one NaN state": (set_value("train/states", (3, 2, 1), np.nan), "/train/states sample 3 holds NaN"),
    "one NaN hopping": (set_value("test/v", (5, 0), np.nan), "/test/v sample 5 holds NaN"),
    "infinite energy": (set_value("valid/energies", (0, 0), -np.inf), "/valid/energies sample 0 holds NaN or inf"),
    "norm": (set_value("train/states", (1, 2, 3), 3.0), "/train/states sample 1 is not of unit norm"),
    "level twice": (
        lambda f: [f[f"train/{a}"].__setitem__((2, 1), f[f"train/{a}"][2, 0]) for a in ("states", "energies")],
        "/train/states sample 2 has levels that are not orthogonal",
    ),
    "order": (set_value("train/energies", (2, 0), 9.0), "/train/energies sample 2 does not ascend"),
    "foreign hopping": (set_value("train/w", (4, 1), 0.123), "/train/states sample 4 does not solve"),
    "swapped states": (
        lambda file: file["train/states"].write_direct(np.roll(file["train/states"][()], 1, axis=0)),
        "/train/states sample 0 does not solve",
    ),
    "label": (lambda f: f["valid/winding"].__setitem__(1, 1 - f["valid/winding"][1]), "/valid/winding sample 1 is not"),
    "margin": (set_value("valid/log_margin", 3, 0.5), "/valid/log_margin sample 3 differs"),
    "shape": (replace("train/states", np.zeros((12, 6, 5), np.float32)), "/train/states is float32 .*; expected"),
    "dtype": (replace("test/winding", np.zeros(6)), "/test/winding is float64"),
    "fewer samples": (replace("test/v", np.zeros((5, 3))), r"/test/v is float64 \(5, 3\); expected"),
    "missing group": (delete("valid"), "/valid/states is missing"),
    "missing array": (delete("test/energies"), "/test/energies is missing"),
    "group for an array": (lambda f: (f.pop("test/v"), f.create_group("test/v")), "/test/v is missing"),
    "format": (set_attribute("format", "sshml-run"), "is a sshml-run file"),
    "version": (set_attribute("format_version", 99), "version 99"),
    "version as text": (set_attribute("format_version", "one"), "version one"),
    "format as array": (set_attribute("format", np.arange(3)), "without the attribute"),
    "spec that is no table": (set_attribute("spec", "5"), "attribute 'spec'"),
    "spec": (set_attribute("spec", "{}"), "attribute 'spec'"),
    "no spec": (lambda file: file.attrs.__delitem__("spec"), "lacks the attribute 'spec'"),
    "other size": (set_attribute("spec", DatasetSpec(cells=3, train=13, valid=4, test=6).to_json()), "expected"),
}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_check_names_the_broken_rule(whole, tmp_path, mutation):
    change, words = MUTATIONS[mutation]
    path = shutil.copy(whole, tmp_path / "broken.h5")
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(SSHMLError, match=words) as caught:
        check(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_check_finds_a_chain_in_two_splits(whole, tmp_path):
    path = shutil.copy(whole, tmp_path / "leak.h5")
    with h5py.File(path, "r+") as file:
        for name in file["train"]:
            file["test"][name][0] = file["train"][name][7]
    with pytest.raises(SSHMLError, match="same chain more than once"):
        check(path)


@pytest.mark.parametrize("part", [0.01, 0.3, 0.99])
def test_truncated_files(whole, tmp_path, part):
    data = Path(whole).read_bytes()
    (tmp_path / "cut.h5").write_bytes(data[: int(len(data) * part)])
    with pytest.raises(SSHMLError, match="truncated"):
        check(tmp_path / "cut.h5")


def test_frozen_format_1():
    """Files of every released format stay readable; this one was written by sshml 0.1.0."""
    dataset = check(Path(__file__).parents[2] / "data" / "dataset-1.h5")
    assert dataset.created_by == "sshml 0.1.0"
    for name, split in dataset.splits.items():
        expected = samples(dataset.spec, name, 0, len(split))
        np.testing.assert_array_equal(split.read("v"), expected["v"])
        np.testing.assert_array_equal(split.read("winding"), expected["winding"])
        np.testing.assert_allclose(split.inputs("abs"), np.abs(expected["states"]), atol=1e-6)
