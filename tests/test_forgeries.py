"""Files that are not what they say, with right checksums: nothing is read or written elsewhere, nothing raw."""

import gzip
import json
import shutil
import tracemalloc
import zipfile

import h5py
import numpy as np
import pytest
import torch
from torch import nn

from sshml.classifier import FC2, Run
from sshml.compression import Plan, compress, load_model, read_module, report, save_model
from sshml.dataset import DatasetSpec, check, generate, images, open_dataset
from sshml.dataset.images import ImageSplit
from sshml.errors import SSHMLError
from sshml.experiments import redraw
from sshml.experiments import run as reproduce
from sshml.experiments.store import _checksum
from sshml.hdf5 import crc32, seal

SPEC = DatasetSpec(cells=3, disorder_v=0.3, train=12, valid=4, test=6, seed=1)


def forged(path, change):
    """Change a sealed file and seal it anew."""
    path.write_bytes(path.read_bytes()[:-14])
    with h5py.File(path, "r+") as file:
        change(file)
    seal(path)


def virtual(shape, *sources, dtype=np.float32):
    layout = h5py.VirtualLayout(shape, dtype)
    for rows, name, array, size in sources:
        layout[rows] = h5py.VirtualSource(name, array, (size, *shape[1:]))
    return layout


def show(layout, where):
    def change(file):
        del file[where]
        file.create_virtual_dataset(where, layout)

    return change


@pytest.fixture
def sharded(tmp_path):
    generate(SPEC, tmp_path / "a.h5", shard_size=6)
    return tmp_path / "a.h5"


def test_every_array_shows_its_own_shards(sharded):
    """Not those of another split, another array, another folder, or none."""
    folder = sharded.with_suffix(".shards")
    train, test = (next(folder.glob(f"{split}-000000000000*")).name for split in ("train", "test"))
    shutil.copytree(folder, folder.with_name("evil.shards"))
    for name, array in (
        (f"a.shards/{train}", "states"),
        (f"a.shards/{test}", "energies"),
        (f"evil.shards/{test}", "states"),
    ):
        kept = sharded.read_bytes()
        forged(sharded, show(virtual((6, 6, 6), (slice(6), name, array, 6)), "test/states"))
        with pytest.raises(SSHMLError, match=r"forged|damaged"):
            open_dataset(sharded)
        sharded.write_bytes(kept)
    assert check(sharded).spec == SPEC


def test_a_main_file_without_its_seal(sharded):
    sharded.write_bytes(sharded.read_bytes()[:-14])
    with pytest.raises(SSHMLError, match="checksum at its end is missing"):
        open_dataset(sharded)


@pytest.mark.parametrize("name", ["format_version", "spec_crc32", "recipe", "created_by", "spec"])
@pytest.mark.parametrize("value", [np.arange(2), np.array([b"a", b"b"]), np.zeros(0), h5py.Empty("f4"), 1.5])
def test_attributes_of_another_kind(tmp_path, name, value):
    generate(SPEC, tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file.attrs[name] = value
    try:
        found = open_dataset(tmp_path / "a.h5")
    except SSHMLError:
        assert name != "created_by"
    else:
        assert name == "created_by"
        assert isinstance(found.created_by, str)


def test_a_checksum_of_another_kind(tmp_path):
    generate(SPEC, tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file["train/v"].attrs["crc32"] = np.arange(3)
    with pytest.raises(SSHMLError, match="has no checksum"):
        check(tmp_path / "a.h5")


def test_a_grid_of_more_points_than_memory_holds(tmp_path):
    text = json.loads(SPEC.to_json()) | {"disorder_v": 0.0}
    text["v"] = text["w"] = {"low": 0.0, "high": 1.0, "points": 10**6}
    generate(SPEC, tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file.attrs["spec"] = json.dumps(text)
        file.attrs["spec_crc32"] = np.uint32(crc32(json.dumps(text).encode()))
    with pytest.raises(SSHMLError, match="1000000000000 points"):
        open_dataset(tmp_path / "a.h5")


def test_generating_through_a_link_makes_the_file_itself(tmp_path):
    generate(SPEC, tmp_path / "a.h5", shard_size=6)
    (tmp_path / "o").mkdir()
    (tmp_path / "o" / "l.h5").symlink_to("../a.h5")
    generate(DatasetSpec(cells=2, disorder_v=1, train=9, valid=1, test=1), tmp_path / "o" / "l.h5", True, shard_size=6)
    assert check(tmp_path / "a.h5").spec.cells == 2
    assert check(tmp_path / "o" / "l.h5").spec.cells == 2
    assert [path.name for path in (tmp_path / "o").iterdir()] == ["l.h5"]
    assert len(list((tmp_path / "a.shards").glob("*.h5"))) == 4  # of the new set


def peak(function):
    tracemalloc.start()
    try:
        with pytest.raises(SSHMLError) as error:
            function()
        return str(error.value), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_archives_of_images_are_not_unpacked_whole(tmp_path):
    with gzip.open(tmp_path / "train-images-idx3-ubyte.gz", "wb", 1) as file:
        for _ in range(300):
            file.write(bytes(2**20))
    text, _ = peak(lambda: images("mnist", tmp_path))
    assert "more than" in text


def test_declared_layers_are_not_made(tmp_path):
    save_model(compress(FC2(), 0, "svd", rank=2), tmp_path / "m.h5")

    def larger(file):
        about = json.loads(file.attrs["model"])
        about["layers"]["1"]["arguments"] |= {"in_features": 10**6, "out_features": 10**6, "rank": 10**6}
        file.attrs["model"] = json.dumps(about)

    forged(tmp_path / "m.h5", larger)
    with pytest.raises(SSHMLError, match="declared"):
        load_model(tmp_path / "m.h5", FC2)


def test_a_program_with_an_empty_weight(tmp_path):
    net = nn.Linear(4, 3)
    torch.export.save(torch.export.export(net, (torch.zeros(2, 4),)), tmp_path / "a.pt2")
    with zipfile.ZipFile(tmp_path / "a.pt2") as source, zipfile.ZipFile(tmp_path / "b.pt2", "w") as target:
        for name in source.namelist():
            target.writestr(name, b"" if name.endswith("weight_0") else source.read(name))
    with pytest.raises(SSHMLError, match="is empty"):
        read_module(tmp_path / "b.pt2")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda w: w + 1j, "expected real ones"),
        (lambda w: w.double() * 1e300, "too large"),
        (lambda w: (w * 100).long(), "in the network torch.float32"),
        (lambda w: w > 0, "in the network torch.float32"),
    ],
)
def test_numbers_are_not_cast_without_a_word(tmp_path, change, words):
    net = nn.Linear(4, 3)
    torch.save({"weight": change(net.weight.detach()), "bias": net.bias}, tmp_path / "a.pt")
    with pytest.raises(SSHMLError, match=words):
        read_module(tmp_path / "a.pt", lambda: nn.Linear(4, 3))
    torch.save({"weight": net.weight.detach().double(), "bias": net.bias}, tmp_path / "a.pt")
    assert torch.equal(read_module(tmp_path / "a.pt", lambda: nn.Linear(4, 3)).weight, net.weight)


PLAN = {"format": "sshml-plan", "version": 1, "choices": {"0": {"method": "svd", "size": {"rank": 2}}}}


@pytest.mark.parametrize(
    "more",
    [
        {"absorb_bias": "no"},
        {"data_aware": "no"},
        {"shrink": [1]},
        {"n_bytes": True},
        {"n_bytes": -5},
        {"dense_bytes": -3},
        {"error": "small"},
        {"menu": "x"},
        {"choices": []},
        {"choices": {"0": {"method": "svd", "size": {"rank": 2}, "loss": {}}}},
        {"choices": {"0": {"method": "svd", "size": {"rank": "2"}}}},
        {"notes": "x"},
    ],
)
def test_plans_of_other_kinds(more):
    with pytest.raises(SSHMLError):
        Plan.from_json(json.dumps(PLAN | more))


def test_labels_that_cannot_be(run, dataset):
    net, x = nn.Linear(6, 4), torch.randn(20, 6)
    small = compress(net, 0, "svd", rank=1)
    for labels in (torch.full((20,), 4), torch.full((20,), -1)):
        with pytest.raises(SSHMLError, match="expected classes 0 to 3"):
            report(net, small, (x, labels))

    class Other:
        inputs, labels = dataset.test.inputs()[:3], np.array([0, 1, 5])

    for measure in (run.accuracy,):
        with pytest.raises(SSHMLError, match="label 5"):
            measure(Other())


@pytest.mark.parametrize(
    "member", ["a", [9], [0.5], 1.5, (0, 0.5), [True], np.True_, [[0, 1]], slice(0), slice("a"), {0}]
)
def test_members_that_are_none(run, member):
    with pytest.raises(SSHMLError):
        run[member]
    assert isinstance(run[[0, -1]], Run)
    assert len(run[1:]) == 2


@pytest.mark.parametrize("index", ["a", [9], [0.5], 1.5, slice("a"), np.ma.masked_array([0, 1], [True, False])])
def test_images_that_are_none(index):
    split = ImageSplit(np.zeros((5, 1, 4, 4), np.uint8), np.arange(5))
    with pytest.raises(SSHMLError):
        split.inputs(index=index)
    assert split.inputs(index=3).shape == (1, 4, 4)
    assert split.inputs(index=[3, 0]).shape == (2, 1, 4, 4)
    for pixels, labels in ((np.zeros((5, 1, 4, 4), np.uint8), np.arange(4)), ("x", "y")):
        with pytest.raises(SSHMLError):
            ImageSplit(pixels, labels)


def test_rows_of_small_types_and_single_views(dataset):
    split = dataset.train
    for index in (np.array([-1, -100], np.int8), np.array([3, 1], np.uint8)):
        np.testing.assert_array_equal(split.read("winding", index), split.read("winding", index.astype(int)))
    np.testing.assert_array_equal(split.inputs("projector", 3), split.inputs("projector", [3])[0])


EXPERIMENT = '''
"""Squares."""
import dataclasses
from sshml.experiments import Claim, Experiment, Job

@dataclasses.dataclass(frozen=True)
class Settings:
    seeds: int = 2

def square(where, number):
    return {"squares": [{"number": number, "square": number**2}]}

def jobs(settings):
    return [Job(square, {"number": number}) for number in range(settings.seeds)]

def claims(tables, settings):
    yield Claim("S", "sum", tables.columns("squares")["square"])

experiment = Experiment(Settings, jobs, claims)
'''


@pytest.fixture
def results(tmp_path):
    (tmp_path / "own.py").write_text(EXPERIMENT)
    reproduce(tmp_path / "own.py", tmp_path / "out")
    return tmp_path


@pytest.mark.parametrize(
    "change",
    [
        {"tables": {"../../PWNED": [{"a": 1}]}},
        {"tables": {"/tmp/PWNED": [{"a": 1}]}},
        {"tables": {"claims": [{"a": 1}]}},
        {"tables": [1]},
        {"tables": None},
        {"tables": {"squares": 5}},
        {"tables": {"squares": [1]}},
        {"versions": []},
        {"work": "x"},
        {"seconds": "x"},
        {"machine": "\ud800"},
        {"resumed": "no"},
    ],
)
def test_forged_results_are_made_again(results, change):
    expected = (results / "out" / "own" / "squares.csv").read_text()
    file = next((results / "out" / "jobs").rglob("result.json"))
    known = json.loads(file.read_text()) | change
    file.write_text(json.dumps(known | {"crc32": _checksum(known)}))
    reproduce(results / "own.py", results / "out")
    assert (results / "out" / "own" / "squares.csv").read_text() == expected
    assert not list(results.rglob("PWNED*"))


@pytest.mark.parametrize("text", ["[" * 100000, "[1]", "5", "null", "{", '{"settings": {}, "files": "abc"}'])
@pytest.mark.parametrize("files", [[1, None], [[1]], [".."], [""], ["a\0b"], ["../x.csv"], "abc"])
def test_forged_settings(results, text, files):
    path = results / "out" / "own" / "settings.json"
    known = json.loads(path.read_text())
    (results / "out" / "x.csv").write_text("mine")
    for forgery in (text, json.dumps(known | {"files": files}), json.dumps(known | {"complete": "no"})):
        path.write_text(forgery)
        with pytest.raises(SSHMLError, match="damaged"):
            redraw(results / "own.py", results / "out")
    assert (results / "out" / "x.csv").read_text() == "mine"


@pytest.mark.parametrize("data", [b"\xff\xfe,\n", b"a\n" + b"x" * 200000, b"a,b\n1,2\n"])
def test_forged_tables(results, data):
    (results / "out" / "own" / "jobs.csv").write_bytes(data)
    if data.startswith(b"a,b"):
        assert redraw(results / "own.py", results / "out").claims
    else:
        with pytest.raises(SSHMLError, match=r"jobs.csv"):
            redraw(results / "own.py", results / "out")


def test_tables_that_were_being_written_are_not_redrawn(results, monkeypatch):
    """A kill between two tables leaves them of two runs."""

    def fail(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("sshml.experiments.results.write_csv", fail)
    with pytest.raises(KeyboardInterrupt):
        reproduce(results / "own.py", results / "out")
    monkeypatch.undo()
    with pytest.raises(SSHMLError, match="unfinished"):
        redraw(results / "own.py", results / "out")
    reproduce(results / "own.py", results / "out")
    assert redraw(results / "own.py", results / "out").claims
