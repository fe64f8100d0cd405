import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from sshml import jobs
from sshml.dataset import DatasetSpec, Layout, check, generate, open_dataset, samples
from sshml.errors import SSHMLError

SPEC = DatasetSpec(cells=3, disorder_v=0.5, disorder_w=1.0, train=40, valid=7, test=11, seed=5)
SPECS = {
    "disordered": SPEC,
    "clean": dataclasses.replace(SPEC, disorder_v=0, disorder_w=0),
    "ring": dataclasses.replace(SPEC, boundary="periodic"),
    "fixed gauge": dataclasses.replace(SPEC, gauge="fixed"),
    "grid": dataclasses.replace(SPEC, v="0:2:11", w="0.5:1.5:11", disorder_v=0, disorder_w=0),
    "normal law": dataclasses.replace(SPEC, law="normal"),
    "longer range": dataclasses.replace(SPEC, disorder_v=0, disorder_w=0, j3="-1:1", j4="-1:1"),
    "two cells": dataclasses.replace(SPEC, cells=2, disorder_v=0, disorder_w=0, j3="-1:1"),
    "longer ring": dataclasses.replace(SPEC, cells=9, boundary="periodic", j3="-1:1", disorder_j4=0.2, j4=0),
}


def arrays_of(path):
    with h5py.File(path) as file:
        return {f"{s}/{name}": file[s][name][()] for s in ("train", "valid", "test") for name in file[s]}


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_the_file_is_valid_and_the_same_on_every_run(tmp_path, spec):
    for name in ("a.h5", "b.h5"):
        generate(spec, tmp_path / name)
    dataset = check(tmp_path / "a.h5")
    assert dataset.spec == spec
    first, second = arrays_of(tmp_path / "a.h5"), arrays_of(tmp_path / "b.h5")
    assert all(first[name].tobytes() == second[name].tobytes() for name in first)


def test_progress_ends_at_the_total(tmp_path):
    calls = []
    generate(SPEC, tmp_path / "a.h5", progress=lambda *call: calls.append(call))
    assert calls[-1] == (58, 58)


def test_nothing_is_left_of_an_interrupted_file(tmp_path):
    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(SPEC, tmp_path / "a.h5", progress=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_no_overwriting(tmp_path):
    generate(SPEC, tmp_path / "a.h5")
    with pytest.raises(SSHMLError, match="exists"):
        generate(SPEC, tmp_path / "a.h5")
    generate(dataclasses.replace(SPEC, seed=9), tmp_path / "a.h5", force=True)
    assert open_dataset(tmp_path / "a.h5").spec.seed == 9


def bytes_of(path):
    """Return the bytes of a dataset file and of its shards."""
    files = [path, *path.with_suffix(".shards").glob("*.h5")]
    return {str(file.relative_to(path.parent)): file.read_bytes() for file in files}


def what_is_read(path):
    dataset = open_dataset(path)
    names = ["states", "energies", *dataset.spec.kinds, "winding"]
    return {(split, name): dataset.splits[split].read(name).tobytes() for split in dataset.splits for name in names}


@pytest.mark.parametrize("name", SPECS)
def test_every_way_gives_the_same_samples(tmp_path, name, monkeypatch):
    """In one piece, in shards, as a recipe, as a recipe in shards; also read from another folder."""
    for number, options in enumerate(({}, {"shard_size": 9}, {"recipe": True}, {"recipe": True, "shard_size": 16})):
        generate(SPECS[name], tmp_path / f"{number}.h5", **options)
    monkeypatch.chdir("/")
    found = [what_is_read(tmp_path / f"{number}.h5") for number in range(4)]
    assert found[0] == found[1] == found[2] == found[3]
    for number in range(4):
        assert check(tmp_path / f"{number}.h5").recipe == (number > 1)
    assert (tmp_path / "2.h5").stat().st_size < (tmp_path / "0.h5").stat().st_size


@pytest.mark.parametrize("index", [slice(3, 30, 4), [0, 1, 2, 9, 39], 7, slice(5, 5)])
def test_rows_of_a_recipe(tmp_path, index):
    generate(SPEC, tmp_path / "full.h5")
    generate(SPEC, tmp_path / "recipe.h5", recipe=True)
    for name in ("states", "energies", "v", "winding"):
        full, made = (open_dataset(tmp_path / f"{kind}.h5").train.read(name, index) for kind in ("full", "recipe"))
        np.testing.assert_array_equal(full, made)


def test_two_workers_make_shards_of_whole_blocks(tmp_path, monkeypatch):
    """Where no size is given; one process makes one file."""
    monkeypatch.setattr(sys.modules["sshml.dataset.generate"], "SHARD_BYTES", 1)
    spec = dataclasses.replace(SPEC, cells=40, train=200, valid=2, test=2)  # 160 chains of 80 sites to a block
    rows = Layout(spec).block_rows
    generate(spec, tmp_path / "a.h5", workers=2)
    assert sorted(path.name.split("-")[1] for path in (tmp_path / "a.shards").glob("train-*.h5")) == [
        f"{first:012d}" for first in range(0, 200, rows)
    ]
    generate(spec, tmp_path / "b.h5", workers=1)
    assert not (tmp_path / "b.shards").exists()


def test_workers_make_the_same_bytes(tmp_path):
    (tmp_path / "many").mkdir()
    calls = []
    generate(SPEC, tmp_path / "a.h5", shard_size=9)
    generate(SPEC, tmp_path / "many" / "a.h5", shard_size=9, workers=3, progress=lambda *call: calls.append(call))
    assert bytes_of(tmp_path / "a.h5") == bytes_of(tmp_path / "many" / "a.h5")
    assert calls[-1] == (58, 58)
    assert calls == sorted(calls)


def test_resume_keeps_the_shards_that_are_there(tmp_path):
    generate(SPEC, tmp_path / "a.h5", shard_size=9)
    expected = bytes_of(tmp_path / "a.h5")
    (tmp_path / "a.h5").unlink()
    (missing,) = (tmp_path / "a.shards").glob("train-000000000018*.h5")
    missing.unlink()
    kept = {file: file.stat().st_mtime_ns for file in missing.parent.glob("*.h5")}
    generate(SPEC, tmp_path / "a.h5", shard_size=9)
    assert bytes_of(tmp_path / "a.h5") == expected
    assert all(file.stat().st_mtime_ns == when for file, when in kept.items())


def test_shards_of_another_dataset_are_not_taken(tmp_path):
    generate(SPEC, tmp_path / "a.h5", shard_size=9)
    (tmp_path / "a.h5").unlink()
    for spec, size in ((dataclasses.replace(SPEC, seed=6), 9), (SPEC, 10)):
        with pytest.raises(SSHMLError, match="of another dataset or shard size"):
            generate(spec, tmp_path / "a.h5", shard_size=size)
    generate(dataclasses.replace(SPEC, seed=6), tmp_path / "a.h5", shard_size=9, force=True)
    assert check(tmp_path / "a.h5").spec.seed == 6


def test_force_deletes_what_is_ours_only_and_last(tmp_path):
    generate(SPEC, tmp_path / "a.h5", shard_size=9)
    folder, old = tmp_path / "a.shards", SPEC
    mine = {path.name for path in folder.iterdir()}
    (folder / "notes.h5").write_bytes(b"mine")
    (folder / "train-000000000000-0123abcd.h5").symlink_to(folder / "notes.h5")
    spec = dataclasses.replace(SPEC, seed=6)

    def interrupt(done, total):
        if done > 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(spec, tmp_path / "a.h5", shard_size=9, force=True, progress=interrupt)
    assert check(tmp_path / "a.h5").spec == old  # until the new one is whole
    generate(spec, tmp_path / "a.h5", shard_size=9, force=True)
    assert check(tmp_path / "a.h5").spec == spec
    left = {path.name for path in folder.iterdir()}
    assert left & mine == {".lock"}
    assert {"notes.h5", "train-000000000000-0123abcd.h5"} <= left
    generate(spec, tmp_path / "a.h5", force=True)  # in one piece: its shards go
    assert {path.name for path in folder.iterdir()} == {".lock", "notes.h5", "train-000000000000-0123abcd.h5"}


@pytest.mark.parametrize("force", [False, True])
def test_a_damaged_shard_is_made_anew_with_force_only(tmp_path, force):
    generate(SPEC, tmp_path / "a.h5", shard_size=9)
    expected = bytes_of(tmp_path / "a.h5")
    (tmp_path / "a.h5").unlink()
    shard = next((tmp_path / "a.shards").glob("train-000000000018*"))
    shard.write_bytes(b"lost")
    if force:
        generate(SPEC, tmp_path / "a.h5", shard_size=9, force=True)
        assert bytes_of(tmp_path / "a.h5") == expected
        return
    with pytest.raises(SSHMLError, match="is damaged, or no shard"):
        generate(SPEC, tmp_path / "a.h5", shard_size=9)
    shard.unlink()
    shard.mkdir()  # never anything but a file is replaced
    with pytest.raises(SSHMLError, match="is damaged, or no shard"):
        generate(SPEC, tmp_path / "a.h5", shard_size=9, force=True)


def test_files_of_one_stem_do_not_share_their_shards(tmp_path):
    names = ("a", "a.h5", "a.hdf5", "a.b")
    for seed, name in enumerate(names):
        generate(dataclasses.replace(SPEC, seed=seed), tmp_path / name, shard_size=9, force=True)
    assert [check(tmp_path / name).spec.seed for name in names] == [0, 1, 2, 3]


@pytest.mark.parametrize("option", [{"shard_size": 0}, {"workers": 0}, {"shard_size": 2.5}, {"workers": True}])
def test_bad_options(tmp_path, option):
    with pytest.raises(SSHMLError, match="expected an integer of at least 1"):
        generate(SPEC, tmp_path / "a.h5", **option)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_run_in_shards_keeps_whole_shards_only(tmp_path):
    def interrupt(done, total):
        if done > 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(SPEC, tmp_path / "a.h5", shard_size=9, progress=interrupt)
    left = sorted(f.name[:18] for f in (tmp_path / "a.shards").iterdir())
    assert left == [".lock", "train-000000000000", "train-000000000009", "train-000000000018"]
    assert not (tmp_path / "a.h5").exists()


KILLS = """
import os, signal, sys, time
from pathlib import Path
import numpy as np
from sshml.dataset import DatasetSpec, generate
spec = DatasetSpec.from_json(sys.argv[1])
path, size, kills = Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
rng, killed = np.random.default_rng(3), 0
generate(spec, path.with_name("warm.h5"))  # imports, compiled kernels

def start():
    child = os.fork()
    if child == 0:
        try:
            generate(spec, path, shard_size=size or None)
            os._exit(0)
        except BaseException as error:
            print("FAILED", repr(error), flush=True)
            os._exit(1)
    return child

def clear():
    for file in [path, *path.with_suffix(".shards").glob("*")]:
        file.unlink(missing_ok=True)

def undisturbed():
    began = time.perf_counter()
    os.waitpid(start(), 0)
    clear()
    return time.perf_counter() - began

whole = min(undisturbed() for _ in range(3))  # seconds on this machine, at this moment
while killed < kills:
    if path.exists():
        clear()
    if killed % 7 == 6 and path.with_suffix(".shards").exists():  # a shard lost between two runs
        (sorted(path.with_suffix(".shards").glob("*.h5")) or [path])[0].unlink(missing_ok=True)
    child = start()
    time.sleep(rng.uniform(0, 1.2 * whole))
    os.kill(child, signal.SIGKILL)
    died = os.WIFSIGNALED(os.waitpid(child, 0)[1])
    killed += died
    whole *= 1.02 if died else 0.9  # a load that comes and goes
if not path.exists():
    os.waitpid(start(), 0)
print("kills", killed)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("size", [0, 60])
def test_killed_at_random_moments_and_nothing_is_lost(tmp_path, size):
    """At least 60 kills: the finished dataset has the bytes of an undisturbed one, and no temporary file stays."""
    spec = dataclasses.replace(SPEC, cells=4, train=600, valid=60, test=60)
    (tmp_path / "calm").mkdir()
    generate(spec, tmp_path / "calm" / "a.h5", shard_size=size or None)
    arguments = [spec.to_json(), str(tmp_path / "a.h5"), str(size), "60"]
    found = subprocess.run([sys.executable, "-c", KILLS, *arguments], capture_output=True, text=True, timeout=200)
    assert found.returncode == 0, found.stderr
    assert "FAILED" not in found.stdout
    assert int(found.stdout.split()[-1]) >= 60
    assert bytes_of(tmp_path / "a.h5") == bytes_of(tmp_path / "calm" / "a.h5")
    left = [file for file in tmp_path.rglob(".*") if file.name != ".lock"]
    # killed between giving the name and dropping the temporary one: a second name of the finished file
    assert all(file.samefile(tmp_path / "a.h5") for file in left)


def test_two_processes_do_not_mix(tmp_path):
    """One wins, the other says why in one line; the file is that of the winner's seed, in one piece or in shards."""
    for size in ([], ["--shard-size", "2000"]):
        name = f"x{len(size)}.h5"
        command = [sys.executable, "-m", "sshml.cli", "generate", name, "--train", "20000", *size, "--seed"]
        both = [
            subprocess.Popen([*command, seed], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for seed in ("1", "2")
        ]
        errors = [process.communicate(timeout=100)[1] for process in both]
        codes = [process.returncode for process in both]
        assert sorted(codes) == [0, 2], errors
        assert "Traceback" not in "".join(errors)
        winner = 1 + codes.index(0)
        dataset = open_dataset(tmp_path / name)
        assert dataset.spec.seed == winner
        expected = samples(dataset.spec, "train", 19990, 10)
        np.testing.assert_array_equal(dataset.train.read("states", slice(19990, 20000)), expected["states"])


def test_a_locked_folder(tmp_path):
    fcntl = pytest.importorskip("fcntl")
    (tmp_path / "a.shards").mkdir()
    with (tmp_path / "a.shards" / ".lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(SSHMLError, match="being written by another process"):
            generate(SPEC, tmp_path / "a.h5", shard_size=9)


def test_a_full_disk_leaves_whole_shards_only(tmp_path):
    """The file size limit stands for a quota: the third shard does not fit."""
    resource = pytest.importorskip("resource")
    code = (
        "import sys; from sshml.dataset import DatasetSpec, generate;"
        "from sshml.errors import SSHMLError\n"
        "try: generate(DatasetSpec.from_json(sys.argv[1]), sys.argv[2], shard_size=2000)\n"
        "except SSHMLError as error: print(error); sys.stdout.flush(); import os; os._exit(2)"
    )
    spec = dataclasses.replace(SPEC, cells=4, train=1000, valid=1000, test=2000)
    found = subprocess.run(
        [sys.executable, "-c", code, spec.to_json(), str(tmp_path / "a.h5")],
        capture_output=True, text=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000)),
    )  # fmt: skip
    assert found.returncode == 2, found.stderr
    assert "could not be written: file too large" in found.stdout
    assert len(found.stdout.strip().splitlines()) == 1
    left = sorted(file.name[:18] for file in tmp_path.rglob("*") if file.is_file())
    assert left == [".lock", "train-000000000000", "valid-000000000000"]
    generate(spec, tmp_path / "a.h5", shard_size=2000)
    assert len(check(tmp_path / "a.h5").test) == 2000


def test_a_disk_too_small_is_refused_before_the_work(tmp_path):
    huge = dataclasses.replace(SPEC, cells=500, train=10**9)
    with pytest.raises(SSHMLError, match="no space left"):
        generate(huge, tmp_path / "a.h5", shard_size=10**6)
    assert list(tmp_path.iterdir()) == []


class TestWorkers:
    def test_a_killed_worker_is_one_line_and_the_next_run_goes_on(self, tmp_path):
        spec = dataclasses.replace(SPEC, cells=16, train=20000, valid=100, test=100)
        code = "import sys; from sshml.cli import main; main()"
        command = [
            sys.executable,
            "-c",
            code,
            "generate",
            "a.h5",
            "--cells",
            "16",
            "--train",
            "20000",
            "--valid",
            "100",
        ]
        command += ["--test", "100", "--seed", "5", "--disorder-v", "0.5", "--disorder-w", "1", "--shard-size", "1000"]
        command += ["--workers", "2"]
        process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
        try:
            for _ in range(1200):
                if list(tmp_path.glob("a.shards/train*.h5")):
                    break
                time.sleep(0.05)
            workers = [
                int(child)
                for threads in Path(f"/proc/{process.pid}/task").glob("*/children")
                for child in threads.read_text().split()
            ]
            if not workers:
                pytest.skip("needs /proc")
            os.kill(workers[0], signal.SIGKILL)
            error = process.communicate(timeout=60)[1]
        finally:
            process.kill()
        assert process.returncode == 2
        assert "a worker process died" in error.strip().splitlines()[-1]
        assert not (tmp_path / "a.h5").exists()
        assert len(list(tmp_path.glob("a.shards/*.h5"))) < 22
        generate(spec, tmp_path / "a.h5", shard_size=1000, workers=2)
        (tmp_path / "calm").mkdir()
        generate(spec, tmp_path / "calm" / "a.h5", shard_size=1000)
        assert bytes_of(tmp_path / "a.h5") == bytes_of(tmp_path / "calm" / "a.h5")


class TestCluster:
    def test_a_killed_dask_worker_loses_nothing(self, tmp_path):
        distributed = pytest.importorskip("distributed")
        spec = dataclasses.replace(SPEC, cells=16, train=12000, valid=100, test=100)
        (tmp_path / "calm").mkdir()
        generate(spec, tmp_path / "calm" / "a.h5", shard_size=500)
        killed = []
        with distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            dashboard_address=":0",
            local_directory=str(tmp_path / "d"),
        ) as cluster:

            def kill_one(done, total):
                if not killed:
                    killed.append(done)
                    os.kill(next(iter(cluster.workers.values())).pid, signal.SIGKILL)

            generate(spec, tmp_path / "a.h5", shard_size=500, scheduler=cluster.scheduler_address, progress=kill_one)
        assert killed
        assert killed[0] < 12200
        assert bytes_of(tmp_path / "a.h5") == bytes_of(tmp_path / "calm" / "a.h5")

    def test_no_scheduler(self, tmp_path, monkeypatch):
        pytest.importorskip("distributed")
        monkeypatch.setattr(jobs, "CONNECT_SECONDS", 1)
        with pytest.raises(SSHMLError, match=r"no Dask scheduler answers at .tcp://127.0.0.1:9"):
            generate(SPEC, tmp_path / "a.h5", scheduler="tcp://127.0.0.1:9")
        assert list(tmp_path.iterdir()) == []

    def test_without_dask(self, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "distributed", None)
        with pytest.raises(SSHMLError, match=r"sshml\[cluster\]"):
            generate(SPEC, tmp_path / "a.h5", scheduler="tcp://127.0.0.1:9")
