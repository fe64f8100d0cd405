import json
import shutil

import numpy as np
import pytest

from sshml.errors import SSHMLError
from sshml.experiments import Where, store
from sshml.experiments.experiment import Job
from sshml.experiments.store import checked_tables, inventory, perform, read, recorded, surroundings, task
from sshml.files import locked
from sshml.jobs import LATER, load_module

SOURCE = """
from pathlib import Path

def measure(where, x, fail=False):
    with (where.folder / "calls").open("a") as file:
        file.write("x")
    if fail:
        raise RuntimeError("on purpose")
    (where.folder / "data.txt").write_text(str(x))
    where.progress(1, 1)
    return {"numbers": [{"x": x, "y": x / 3}], "empty": []}

def use(where, first, factor):
    return {"used": [{"z": factor * first.tables["numbers"][0]["y"], "file": (first.folder / "data.txt").read_text()}]}
"""


@pytest.fixture
def module(tmp_path):
    (tmp_path / "own.py").write_text(SOURCE)
    return load_module(str(tmp_path / "own.py"))


def make(folder, job, keep=False):
    return perform(**task(folder, job, Where("cpu"), keep).arguments)


def test_a_result_is_made_once(module, tmp_path):
    job = Job(module.measure, {"x": 2.5})
    assert read(tmp_path, job) is None
    assert make(tmp_path, job) == "made"
    known = read(tmp_path, job)
    assert known["tables"] == {"numbers": [{"x": 2.5, "y": 2.5 / 3}], "empty": []}
    assert known["arguments"] == {"x": 2.5}
    assert make(tmp_path, job) == "there"
    assert (tmp_path / job.key / "done" / "calls").read_text() == "x"
    assert (tmp_path / job.key / "done" / "data.txt").read_text() == "2.5"
    assert not (tmp_path / job.key / "work").exists()


def test_a_job_gets_the_result_it_needs(module, tmp_path):
    first = Job(module.measure, {"x": 3})
    after = Job(module.use, {"first": first, "factor": 2})
    assert task(tmp_path, after, Where()).needs == (first.key,)
    with pytest.raises(SSHMLError, match="missing or damaged"):
        make(tmp_path, after)
    make(tmp_path, first)
    make(tmp_path, after)
    assert read(tmp_path, after)["tables"]["used"] == [{"z": 2.0, "file": "3"}]


def test_where_it_runs_is_no_part_of_it(module, tmp_path):
    job = Job(module.measure, {"x": 1})
    keys = {task(tmp_path, job, where).key for where in (Where(), Where("cpu"), Where("cuda", "images"))}
    assert keys == {job.key}


def test_other_code_makes_it_anew_unless_kept(module, tmp_path):
    job = Job(module.measure, {"x": 1})
    make(tmp_path, job)
    path = tmp_path / "own.py"
    path.write_text(SOURCE.replace("x / 3", "x / 4").replace("def use", "def other"))
    shutil.copy(path, tmp_path / "own2.py")
    (tmp_path / "again").mkdir()
    shutil.move(tmp_path / "own2.py", tmp_path / "again" / "own.py")
    other = Job(load_module(str(tmp_path / "again" / "own.py")).measure, {"x": 1})
    assert other.key == job.key
    assert other.code != job.code
    assert read(tmp_path, other) is None
    assert read(tmp_path, other, keep=True)["tables"]["numbers"] == [{"x": 1, "y": 1 / 3}]
    assert make(tmp_path, other, keep=True) == "there"
    assert [row["code"] for row in inventory(tmp_path, [other], keep=True)] == ["older"]
    assert make(tmp_path, other) == "made"
    assert read(tmp_path, other)["tables"]["numbers"] == [{"x": 1, "y": 1 / 4}]
    assert [row["code"] for row in inventory(tmp_path, [other])] == ["same"]
    assert [p.name for p in (tmp_path / job.key).iterdir() if p.name != ".lock"] == ["done"]


def test_an_old_result_stays_until_the_new_one_is_whole(module, tmp_path):
    job = Job(module.measure, {"x": 1})
    make(tmp_path, job)
    arguments = task(tmp_path, job, Where()).arguments | {"arguments": {"x": 1, "fail": True}}
    arguments["codes"] = ["another", arguments["codes"][1]]
    with pytest.raises(RuntimeError, match="on purpose"):
        perform(**arguments)
    assert read(tmp_path, job)["tables"]["numbers"]


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"format": "sshml-job"}', "flipped", "cut"])
def test_a_damaged_result_is_made_again(module, tmp_path, damage):
    job = Job(module.measure, {"x": 1.25})
    make(tmp_path, job)
    path = tmp_path / job.key / "done" / "result.json"
    text = path.read_text()
    changed = {"flipped": text.replace("1.25", "1.35", 1), "cut": text[: len(text) // 2]}
    path.write_text(changed.get(damage, damage))
    assert read(tmp_path, job) is None
    assert make(tmp_path, job) == "made"
    assert read(tmp_path, job)["tables"]["numbers"][0]["x"] == 1.25


def test_a_job_that_fails_leaves_its_folder_for_the_next_time(module, tmp_path):
    job = Job(module.measure, {"x": 1, "fail": True})
    for calls in ("x", "xx"):
        with pytest.raises(RuntimeError):
            make(tmp_path, job)
        assert (tmp_path / job.key / "work" / "calls").read_text() == calls
    (tmp_path / job.key / "work" / ".code").write_text("that of yesterday")
    with pytest.raises(RuntimeError):
        make(tmp_path, job)
    assert (tmp_path / job.key / "work" / "calls").read_text() == "x"


def test_what_another_process_makes_comes_later(module, tmp_path):
    job = Job(module.measure, {"x": 1})
    (tmp_path / job.key).mkdir()
    with locked(tmp_path / job.key / ".lock"):
        assert make(tmp_path, job) == LATER
    assert make(tmp_path, job) == "made"


@pytest.mark.parametrize("at", ["before", "between"])
def test_a_kill_while_it_gets_its_name(module, tmp_path, at):
    """`work` is complete, `done` is still the old one, or is aside already: the next run gives the name."""
    job = Job(module.measure, {"x": 1})
    make(tmp_path, job)
    folder = tmp_path / job.key
    shutil.copytree(folder / "done", folder / "work")
    if at == "between":
        (folder / "done").rename(folder / "old-1")
    else:
        (folder / "done" / "result.json").write_text("{}")
    assert make(tmp_path, job) == "there"
    assert sorted(p.name for p in folder.iterdir()) == [".lock", "done"]


def test_code_that_changed_under_a_running_command(module, tmp_path):
    arguments = task(tmp_path, Job(module.measure, {"x": 1}), Where()).arguments
    with pytest.raises(SSHMLError, match="run it again"):
        perform(**arguments | {"codes": [arguments["codes"][0], "other"]})


def test_numbers_of_numpy_and_nothing_else_in_tables(module, tmp_path, monkeypatch):
    job = Job(module.measure, {"x": 1})
    monkeypatch.setattr(module, "measure", lambda where, x: {"t": [{"a": np.float32(0.5), "b": np.int64(3)}]})
    monkeypatch.setattr(store, "code_of", lambda function: "code")
    arguments = task(tmp_path, job, Where()).arguments
    perform(**arguments)
    known = json.loads((tmp_path / job.key / "done" / "result.json").read_text())
    assert known["tables"]["t"] == [{"a": 0.5, "b": 3}]
    shutil.rmtree(tmp_path / job.key)
    monkeypatch.setattr(module, "measure", lambda where, x: {"t": [{"a": object()}]})
    with pytest.raises(SSHMLError, match="holds a object"):
        perform(**arguments)


def test_what_stands_beside_a_result(module, tmp_path):
    job = Job(module.measure, {"x": 1}, work=4.0)
    make(tmp_path, job)
    known = read(tmp_path, job)
    assert set(surroundings("cpu")) <= set(known)
    assert known["device"] == "cpu"
    assert known["seconds"] >= 0
    assert recorded(tmp_path) == {"own.measure": known["seconds"] / 4}


def test_what_is_made_of_an_older_result_is_older(module, tmp_path):
    """`--keep` may give a job an old result of what it needs: it is made again when that is."""
    make(tmp_path, Job(module.measure, {"x": 3}))
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "own.py").write_text(SOURCE.replace("x / 3", "x / 4"))
    new = load_module(str(tmp_path / "new" / "own.py"))
    first = Job(new.measure, {"x": 3})
    after = Job(new.use, {"first": first, "factor": 1})
    make(tmp_path, after, keep=True)
    assert read(tmp_path, after, keep=True)["tables"]["used"][0]["z"] == 1
    assert read(tmp_path, after) is None
    assert [row["code"] for row in inventory(tmp_path, [after], keep=True)] == ["older"]
    make(tmp_path, first)
    make(tmp_path, after)
    assert read(tmp_path, after)["tables"]["used"][0]["z"] == 0.75


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (None, "returned a NoneType"),
        ([1], "returned a list"),
        ({"claims": []}, "a table is named 'claims'"),
        ({"jobs": []}, "a table is named 'jobs'"),
        ({"../out": []}, "a table is named"),
        ({"a table": []}, "a table is named"),
        ({"x" * 300: []}, "a table is named"),
        ({1: []}, "a table is named 1"),
        ({"t": [[1, 2]]}, "no row"),
        ({"t": {"y": 1}}, "no row"),
        ({"t": [{1: 2}]}, "no row"),
        ({"t": [{"a": {"b": 1}}]}, "a table holds a dict|holds a dict"),
        ({"t": [{"a": np.zeros(2)}]}, "holds a ndarray"),
    ],
)
def test_what_is_no_result(made, words):
    with pytest.raises(SSHMLError, match=words):
        checked_tables(made)


def test_rows_may_be_made_late():
    assert checked_tables({"t": ({"n": np.int64(n), "x": np.nan} for n in range(2))})["t"][1]["n"] == 1


def test_a_job_without_work_spoils_no_estimate(module, tmp_path):
    make(tmp_path, Job(module.measure, {"x": 1}, work=0))
    assert recorded(tmp_path) == {}


def test_a_damaged_leftover_is_made_anew(tmp_path):
    (tmp_path / "own.py").write_text(
        "from sshml.errors import SSHMLError\n"
        "def measure(where, x):\n"
        "    left = where.folder / 'state'\n"
        "    if left.exists():\n"
        "        raise SSHMLError(f'{left} is damaged')\n"
        "    left.write_text('half')\n"
        "    if not (where.folder.parent.parent / 'second').exists():\n"
        "        (where.folder.parent.parent / 'second').touch()\n"
        "        raise KeyboardInterrupt\n"
        "    return {'t': [{'x': x}]}\n"
    )
    job = Job(load_module(str(tmp_path / "own.py")).measure, {"x": 1})
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path, job)
    assert make(tmp_path, job) == "made"
    assert read(tmp_path, job)["tables"]["t"] == [{"x": 1}]
