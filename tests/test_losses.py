"""Random kills over all writers, flipped bits of every kind of file, two writers on one target. Slow: `-m slow -s`."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from torch import nn

from sshml import experiments
from sshml.classifier import MLP, TrainingSpec, fit, load_run, save_run
from sshml.cli.guards import save
from sshml.compression import export_model, load_model, plan, read_module, save_model
from sshml.compression.plan import Plan
from sshml.dataset import DatasetSpec, check, export, generate, open_dataset
from sshml.errors import SSHMLError
from sshml.files import new_file
from sshml.tables import read_csv, write_csv

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

KILLS = 60
"""Of each writer: 660 in all."""

FLIPS = 300
"""Of each kind of file."""

EXPERIMENT = '''
"""Three jobs and a sum."""
import dataclasses, time
from sshml.experiments import Claim, Experiment, Job

@dataclasses.dataclass(frozen=True)
class Settings:
    seeds: int = 3

def square(where, number):
    time.sleep(0.01)
    (where.folder / "half").write_text("x")
    return {"squares": [{"number": number, "square": number**2}]}

def jobs(settings):
    return [Job(square, {"number": number}) for number in range(settings.seeds)]

def claims(tables, settings):
    yield Claim("S", "sum", tables.columns("squares")["square"])

experiment = Experiment(Settings, jobs, claims)
'''


def two():
    return MLP((4, 3, 2))


def net_of(version):
    torch.manual_seed(version)
    return nn.Sequential(nn.Linear(40, 60), nn.ReLU(), nn.Linear(60, 40))


class Few:
    inputs = np.random.default_rng(0).normal(size=(400, 4)).astype(np.float32)
    labels = (inputs[:, 0] > 0).astype(int)

    def __len__(self):
        return 400


def spec_of(version):
    return DatasetSpec(cells=6, disorder_v=0.3, train=900, valid=50, test=50, seed=version)


def trained(version, checkpoint=None):
    training = TrainingSpec(epochs=8, batch_size=16)
    return fit(two, Few(), Few(), training, seeds=[version, version + 7], device="cpu", checkpoint=checkpoint)


def draw(path, version):
    figure = Figure()
    figure.subplots().plot(np.arange(9) * version)
    save(figure, path, True)


def write_plan(path, version):
    with new_file(path, True) as partial:
        partial.write_text(plan(net_of(version), share=0.5).to_json())


def reproduce(path, version):
    experiments.run(path.parent / "own.py", path, {"seeds": 2 + version}, force=True)


class Writers:
    """What writes a file in two versions, and what reads it: an object to compare, or `SSHMLError`."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "own.py").write_text(EXPERIMENT)
        for version in (1, 2):
            generate(spec_of(version), folder / f"data{version}.h5")
        self.runs = {version: trained(version) for version in (1, 2)}
        self.all = {
            "dataset.h5": (lambda p, v: generate(spec_of(v), p, True), lambda p: check(p).spec.seed),
            "recipe.h5": (lambda p, v: generate(spec_of(v), p, True, recipe=True), lambda p: check(p).spec.seed),
            "sharded.h5": (lambda p, v: generate(spec_of(v), p, True, shard_size=300), lambda p: check(p).spec.seed),
            "table.csv": (lambda p, v: export(folder / f"data{v}.h5", p, True), lambda p: p.read_text()),
            "rows.csv": (lambda p, v: write_csv(p, [{"a": v}] * 20000, True), lambda p: str(read_csv(p))),
            "run.h5": (lambda p, v: save_run(self.runs[v], p, True), lambda p: numbers(load_run(p, two).weights)),
            "model.h5": (lambda p, v: save_model(net_of(v), p, True), lambda p: state(load_model(p, net_1))),
            "model.safetensors": (lambda p, v: save_model(net_of(v), p, True), lambda p: state(load_model(p, net_1))),
            "model.pt2": (lambda p, v: export_model(net_of(v), p, torch.zeros(2, 40), True), outputs),
            "figure.png": (draw, lambda p: p.read_bytes()),
            "plan.json": (write_plan, lambda p: Plan.from_json(p.read_text()).to_json()),
        }


def net_1():
    return net_of(1)


def numbers(weights):
    return {name: tensor.tolist() for name, tensor in weights.items()}


def state(model):
    return numbers(model.state_dict())


def outputs(path):
    with torch.no_grad():
        return read_module(path)(torch.ones(2, 40)).tolist()


@pytest.fixture(scope="module")
def writers(tmp_path_factory):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # what is forked cannot use the threads of others
    yield Writers(tmp_path_factory.mktemp("writers"))
    torch.set_num_threads(threads)


NAMES = (
    "dataset.h5",
    "recipe.h5",
    "sharded.h5",
    "table.csv",
    "rows.csv",
    "run.h5",
    "model.h5",
    "model.safetensors",
    "model.pt2",
    "figure.png",
    "plan.json",
)


def forked(function, *arguments):
    child = os.fork()
    if child == 0:
        try:
            function(*arguments)
            os._exit(0)
        except BaseException as error:
            print("FAILED", repr(error), flush=True)
            os._exit(1)
    return child


@pytest.mark.parametrize("name", NAMES)
def test_kills(writers, name):
    """At any moment there is a whole file, the old one or the new one; what is left goes with the next write."""
    write, read = writers.all[name]
    place = writers.folder / "kills" / name
    place.parent.mkdir(exist_ok=True)
    expected = {}
    for version in (2, 1):
        began = time.perf_counter()
        assert os.waitpid(forked(write, place, version), 0)[1] == 0
        whole = time.perf_counter() - began
        expected[version] = read(place)
    assert expected[1] != expected[2]
    rng, killed, kept, tries = np.random.default_rng(1), 0, {1: 0, 2: 0}, 0
    while killed < KILLS:
        version = 1 + tries % 2
        tries += 1
        child = forked(write, place, version)
        time.sleep(rng.uniform(0, 1.1 * whole))
        os.kill(child, signal.SIGKILL)
        died = os.WIFSIGNALED(os.waitpid(child, 0)[1])
        killed += died
        whole *= 1.01 if died else 0.9
        found = read(place)
        assert found in expected.values()
        kept[1 if found == expected[1] else 2] += 1
    write(place, 1)
    assert read(place) == expected[1]
    left = [path.name for path in place.parent.rglob("*") if ".partial" in path.name]
    assert not left
    shutil.rmtree(place.parent)
    print(f"\n{name}: {killed} kills, each left a whole file ({kept[1]} and {kept[2]} of the two versions)")


def test_kills_of_an_experiment(writers):
    """It goes on where it was, to the same tables; nothing that was there is lost."""
    calm, place = writers.folder / "calm", writers.folder / "stormy"
    reproduce(calm, 1)
    expected = {path.name: path.read_text() for path in (calm / "own").glob("*.csv") if path.name != "jobs.csv"}
    rng, killed = np.random.default_rng(2), 0
    while killed < KILLS:
        child = forked(reproduce, place, 1)
        time.sleep(rng.uniform(0, 0.4))
        os.kill(child, signal.SIGKILL)
        killed += os.WIFSIGNALED(os.waitpid(child, 0)[1])
        if rng.random() < 0.2:
            shutil.rmtree(place, ignore_errors=True)
    reproduce(place, 1)
    assert {name: (place / "own" / name).read_text() for name in expected} == expected
    print(f"\nexperiment: {killed} kills, the same tables")


def test_kills_of_a_training(writers):
    """It goes on from its checkpoint, to the same weights."""
    place, rng, killed = writers.folder / "state.h5", np.random.default_rng(3), 0
    began = time.perf_counter()
    expected = numbers(trained(1).weights)
    whole = time.perf_counter() - began
    while killed < KILLS:
        child = forked(trained, 1, place)
        time.sleep(rng.uniform(0, 1.2 * whole))
        os.kill(child, signal.SIGKILL)
        killed += os.WIFSIGNALED(os.waitpid(child, 0)[1])
    assert numbers(trained(1, place).weights) == expected
    print(f"\ntraining: {killed} kills, the same weights")


def flipped(data, rng):
    position = int(rng.integers(len(data)))
    return data[:position] + bytes([data[position] ^ (1 << int(rng.integers(8)))]) + data[position + 1 :]


SEALED = [name for name in NAMES if name.endswith((".h5", ".safetensors"))]


@pytest.mark.parametrize("name", SEALED)
def test_flipped_bits(writers, name):
    """A changed bit is an error in one line, or changes nothing that is read."""
    write, read = writers.all[name]
    place = writers.folder / "flips" / name
    place.parent.mkdir(exist_ok=True)
    write(place, 1)
    expected = read(place)
    files = [place, *sorted((writers.folder / "flips").rglob("*.shards/*.h5"))[:2]] if "shard" in name else [place]
    rng, noticed = np.random.default_rng(4), 0
    for file in files:
        data = file.read_bytes()
        for _ in range(FLIPS // len(files)):
            file.write_bytes(flipped(data, rng))
            try:
                assert read(place) == expected
            except SSHMLError:
                noticed += 1
        file.write_bytes(data)
    shutil.rmtree(place.parent)
    assert noticed > 0
    print(f"\n{name}: {FLIPS} flips, {noticed} named as damage, {FLIPS - noticed} without effect")


def test_flipped_bits_of_a_checkpoint(writers, monkeypatch):
    monkeypatch.setattr("sshml.classifier.resume.SECONDS", 0)
    place = writers.folder / "flipped-state.h5"
    expected, data = numbers(trained(1, place).weights), place.read_bytes()
    rng, noticed = np.random.default_rng(5), 0
    for _ in range(FLIPS):
        place.write_bytes(flipped(data, rng))
        try:
            assert numbers(trained(1, place).weights) == expected
        except SSHMLError:
            noticed += 1
    assert noticed == FLIPS
    print(f"\ncheckpoint: {FLIPS} flips, {noticed} named as damage")


def test_flipped_bits_of_a_result(writers):
    """The job is made again."""
    place = writers.folder / "results"
    reproduce(place, 1)
    expected = (place / "own" / "squares.csv").read_text()
    (file, *_) = sorted((place / "jobs").rglob("result.json"))
    data, rng = file.read_bytes(), np.random.default_rng(6)
    for _ in range(FLIPS // 3):
        file.write_bytes(flipped(data, rng))
        reproduce(place, 1)
        assert (place / "own" / "squares.csv").read_text() == expected
        assert json.loads(file.read_text())["tables"] == json.loads(data)["tables"]
    print(f"\nresult of a job: {FLIPS // 3} flips, the same table after each")


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_two_writers(writers, name, force):
    """Of two without force one wins and the other says so; with force the file is one of the two."""
    write, read = writers.all[name]
    if not force and name not in ("dataset.h5", "sharded.h5", "run.h5", "model.h5"):
        pytest.skip("the writer of this test takes force only")
    plain = {
        "dataset.h5": lambda p, v: generate(spec_of(v), p),
        "sharded.h5": lambda p, v: generate(spec_of(v), p, shard_size=300),
        "run.h5": lambda p, v: save_run(writers.runs[v], p),
        "model.h5": lambda p, v: save_model(net_of(v), p),
    }
    place = writers.folder / "race" / name
    write = write if force else plain[name]
    expected = {}
    for version in (1, 2):
        shutil.rmtree(place.parent, ignore_errors=True)
        place.parent.mkdir()
        write(place, version)
        expected[version] = read(place)
    for _ in range(10):
        shutil.rmtree(place.parent)
        place.parent.mkdir()
        children = [forked(write, place, version) for version in (1, 2)]
        codes = [os.waitpid(child, 0)[1] for child in children]
        assert read(place) in expected.values()
        if not force:
            assert sorted(code != 0 for code in codes) == [False, True]
            assert read(place) == expected[1 + codes.index(0)]
        else:
            assert not all(codes)
    shutil.rmtree(place.parent)


def test_two_at_one_experiment(tmp_path):
    (tmp_path / "own.py").write_text(EXPERIMENT)
    command = [sys.executable, "-m", "sshml.cli", "reproduce", "own.py", "--out", "out", "--workers", "1"]
    both = [subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    errors = [process.communicate(timeout=100)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], errors
    assert len(read_csv(tmp_path / "out" / "own" / "squares.csv")) == 3


def test_a_dataset_is_read_while_it_is_replaced(writers):
    place = writers.folder / "live.h5"
    generate(spec_of(1), place)
    child = forked(lambda: [generate(spec_of(1 + k % 2), place, True) for k in range(20)])
    seen = 0
    while os.waitpid(child, os.WNOHANG)[0] == 0:
        split = open_dataset(place).train
        assert len(split.read("v")) == 900
        seen += 1
    assert seen > 5
