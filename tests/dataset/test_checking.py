import dataclasses
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from sshml.dataset import DatasetSpec, check, checking, generate, open_dataset
from sshml.errors import SSHMLError
from sshml.hdf5 import crc32

SPEC = DatasetSpec(cells=3, disorder_v=0.4, train=12, valid=4, test=6, seed=1)
LONGER = dataclasses.replace(SPEC, cells=4, boundary="periodic", j3="-1:1", j4=(0, 1), disorder_w=0.3)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("check") / "whole.h5"
    generate(SPEC, path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A plain, a sharded and a recipe file, and one with longer range."""
    made = tmp_path_factory.mktemp("files")
    generate(SPEC, made / "plain.h5")
    generate(SPEC, made / "sharded.h5", shard_size=5)
    generate(SPEC, made / "recipe.h5", recipe=True)
    generate(LONGER, made / "longer.h5")
    return made


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
    def change(file):
        file.attrs[name] = value
        del file.attrs["spec_crc32"]

    return change


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
    "foreign hopping": (
        set_value("train/w", (4, 1), 0.123),
        "/train/w sample 4 is not what the spec and its seed draw",
    ),
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
    "changed spec": (
        lambda f: f.attrs.__setitem__("spec", f.attrs["spec"].replace("0.4", "0.3")),
        "attribute 'spec' differs from its checksum",
    ),
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


def test_check_finds_a_chain_in_two_splits(whole, tmp_path, monkeypatch):
    """Which no draw does; so the draw is taken from the file here."""
    path = shutil.copy(whole, tmp_path / "leak.h5")
    with h5py.File(path, "r+") as file:
        for name in file["train"]:
            file["test"][name][0] = file["train"][name][7]
            mend(file["test"], name)

    def stored(spec, split, first, count):
        with h5py.File(path) as file:
            return {name: file[split][name][first : first + count] for name in spec.kinds}

    monkeypatch.setattr(checking, "labelled", stored)
    monkeypatch.setattr(checking, "_other_states", lambda arrays, *_: np.zeros(len(arrays["v"]), bool))
    with pytest.raises(SSHMLError, match="same chain more than once"):
        check(path)


@pytest.mark.parametrize("part", [0.01, 0.3, 0.99])
def test_truncated_files(whole, tmp_path, part):
    data = Path(whole).read_bytes()
    (tmp_path / "cut.h5").write_bytes(data[: int(len(data) * part)])
    with pytest.raises(SSHMLError, match="truncated"):
        check(tmp_path / "cut.h5")


def contents(path):
    """Return all that a reader sees of a dataset."""
    dataset = open_dataset(path)
    names = [*dataset.spec.kinds, "winding", "states", "energies"] + ["log_margin"] * (not dataset.spec.is_longer)
    arrays = {(split, name): dataset.splits[split].read(name).tobytes() for split in dataset.splits for name in names}
    return dataset.spec, arrays


@pytest.mark.parametrize("name", ["plain", "sharded", "recipe", "longer"])
def test_valid_files(folder, name):
    calls = []
    check(folder / f"{name}.h5", lambda *call: calls.append(call))
    assert calls[-1] == (22, 22)


@pytest.mark.parametrize("name", ["plain", "sharded", "recipe", "longer"])
def test_no_corruption_that_matters_passes(folder, tmp_path, rng, name):
    """Twelve bytes anywhere in the files are overwritten: `check` objects, or every reader sees the same as before."""
    expected = contents(folder / f"{name}.h5")
    files = [f.relative_to(folder) for f in (folder / f"{name}.h5", *(folder / f"{name}.shards").glob("*.h5"))]
    noticed = 0
    for file in files:
        data = (folder / file).read_bytes()
        for position in rng.integers(0, len(data) - 12, 100 // len(files)):
            shutil.rmtree(tmp_path / "copy", ignore_errors=True)
            shutil.copytree(folder, tmp_path / "copy")
            broken = data[:position] + bytes(rng.integers(0, 256, 12, dtype=np.uint8)) + data[position + 12 :]
            (tmp_path / "copy" / file).write_bytes(broken)
            try:
                check(tmp_path / "copy" / f"{name}.h5")
            except SSHMLError as error:
                assert "\n" not in str(error)  # noqa: PT017
                noticed += 1
            else:
                assert contents(tmp_path / "copy" / f"{name}.h5") == expected
    assert noticed > 5


def test_a_small_change_of_a_state_is_noticed(folder, tmp_path):
    """One bit in the seventh digit: within all physical rules, but not what was written."""
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    with h5py.File(shard(tmp_path / "sharded.shards", "train-000000000005"), "r+") as file:
        file["states"][2, 1, 1] = np.nextafter(file["states"][2, 1, 1], np.float32(9))
    with pytest.raises(SSHMLError, match=r"train-000000000005-.*h5: /train/states differs from its checksum"):
        check(tmp_path / "sharded.h5")


def shard(folder, start):
    (found,) = folder.glob(f"{start}*.h5")
    return found


def test_missing_and_foreign_shards(folder, tmp_path):
    """On opening, not when they are read."""
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    test = shard(tmp_path / "sharded.shards", "test-000000000000")
    test.rename(tmp_path / "kept.h5")
    with pytest.raises(SSHMLError, match=r"shard sharded.shards/test-000000000000.* is missing"):
        open_dataset(tmp_path / "sharded.h5")
    generate(dataclasses.replace(SPEC, seed=2), tmp_path / "other.h5", shard_size=5)
    generate(SPEC, tmp_path / "made.h5", shard_size=5, recipe=True)
    for other in (
        shard(test.parent, "train-000000000000"),
        shard(test.parent, "test-000000000005"),
        shard(tmp_path / "other.shards", "test-000000000000"),
        shard(tmp_path / "made.shards", "test-000000000000"),
    ):
        shutil.copy(other, test)
        with pytest.raises(SSHMLError, match="belongs to another dataset or another place"):
            open_dataset(tmp_path / "sharded.h5")
    test.write_bytes(b"nothing" * 200)
    with pytest.raises(SSHMLError, match="is damaged"):
        open_dataset(tmp_path / "sharded.h5")
    (tmp_path / "kept.h5").replace(test)
    assert check(tmp_path / "sharded.h5").spec == SPEC


def mend(file, array):
    """Give an array the checksum of what it holds."""
    file[array].attrs["crc32"] = np.uint32(crc32(np.ascontiguousarray(file[array][()])))


def forged_seed(file):
    text = dataclasses.replace(SPEC, seed=77).to_json()
    file.attrs["spec"], file.attrs["spec_crc32"] = text, np.uint32(crc32(text.encode()))


def swapped(file):
    for name in file["train"]:
        array = file["train"][name]
        array[:2] = array[:2][::-1]
        mend(file["train"], name)


def other_signs(file):
    states = file["test/states"]
    states[0] = -states[0]
    mend(file, "test/states")


def fixed_gauge(file):
    states = file["test/states"]
    states[...] = np.abs(states[...][:, :, :1] < 0) * -2 * states[...] + states[...]
    mend(file, "test/states")


def other_hopping(file):
    file["valid/v"][0, 0] *= 1 + 1e-10
    mend(file, "valid/v")


FORGERIES = {
    "another seed": (forged_seed, "is not what the spec and its seed draw"),
    "two samples swapped": (swapped, "is not what the spec and its seed draw"),
    "a hopping": (other_hopping, "is not what the spec and its seed draw"),
    "signs of a sample": (other_signs, "other signs"),
    "signs of all": (fixed_gauge, "other signs"),
    "no checksum": (lambda file: file["train/v"].attrs.pop("crc32"), "has no checksum"),
    "one more array": (lambda file: file["train"].create_dataset("more", data=[1]), "/train/more is no part"),
    "one more group": (lambda file: file.create_group("notes"), "/notes is no part"),
}


@pytest.mark.parametrize("case", FORGERIES)
def test_forgeries_that_obey_all_physical_rules(folder, tmp_path, case):
    forge, words = FORGERIES[case]
    shutil.copy(folder / "plain.h5", tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        forge(file)
    with pytest.raises(SSHMLError, match=words):
        check(tmp_path / "a.h5")


def test_deep_looks_at_every_sample(tmp_path):
    spec = DatasetSpec(cells=2, train=400, valid=1, test=1, seed=1)
    generate(spec, tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file["train/states"][3] *= -1
        mend(file, "train/states")
    assert check(tmp_path / "a.h5").spec == spec
    with pytest.raises(SSHMLError, match="sample 3 are not those of the spec"):
        check(tmp_path / "a.h5", deep=True)


@pytest.mark.parametrize(
    "change",
    [
        {"boundary": "periodic"},
        {"gauge": "fixed"},
        {"law": "normal", "disorder_v": 0.5},
        {"v": "0:2:9", "w": 1, "train": 4, "valid": 1, "test": 1},
        {"j3": "0:1", "boundary": "periodic"},
        {"disorder_v": 2.0, "disorder_w": 2.0},
    ],
)
@pytest.mark.parametrize("recipe", [False, True])
def test_what_generate_makes_is_proven(tmp_path, change, recipe):
    spec = dataclasses.replace(SPEC, **change)
    generate(spec, tmp_path / "a.h5", recipe=recipe)
    assert check(tmp_path / "a.h5", deep=True).spec == spec
