import contextlib
import sys
import threading
import time

import pytest

from sshml import jobs
from sshml.errors import SSHMLError
from sshml.jobs import Task, call, load_module, pool, resolve, run

FUNCTIONS = """
import os, time
from pathlib import Path

def add(a, b, report=None):
    if report:
        report(1, 2)
    print("words on stdout")
    return a + b

def fail(report=None):
    raise ValueError("two\\nlines")

def mine(report=None):
    from sshml.errors import SSHMLError
    raise SSHMLError("mend me")

def die(report=None):
    os._exit(3)

def when_there(path, report=None):
    return "there" if Path(path).exists() else "later"

def sleep(seconds, path, report=None):
    Path(path).touch()
    time.sleep(seconds)

def threads(report=None):
    return os.environ.get("OMP_NUM_THREADS")
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "functions.py"
    path.write_text(FUNCTIONS)
    return path


def outcomes(tasks, where, report=None):
    return {task.key: (value, error and str(error)) for task, value, error in run(tasks, where, report)}


@pytest.fixture(params=["here", "processes", "cluster"])
def where(request):
    if request.param == "cluster":
        distributed = pytest.importorskip("distributed")
        options = {"n_workers": 2, "threads_per_worker": 1, "processes": False, "dashboard_address": ":0"}
        with distributed.LocalCluster(**options) as cluster, pool(scheduler=cluster.scheduler_address) as found:
            yield found
    else:
        with pool(1 if request.param == "here" else 2) as found:
            yield found


def test_every_pool_runs_every_kind_of_task(where, file, tmp_path):
    def task(key, function, *needs, **arguments):
        return Task(f"{file}:{function}", arguments, key, needs)

    tasks = [
        task("after", "add", "sum", a=1, b=1),
        task("sum", "add", a=2, b=3),
        task("bad", "fail"),
        task("ours", "mine"),
        task("lost", "add", "bad", a=0, b=0),
        task("lost too", "add", "lost", a=0, b=0),
        task("waits", "when_there", path=str(tmp_path / "flag")),
        task("flag", "sleep", seconds=0.01, path=str(tmp_path / "flag")),
    ]
    found = outcomes(tasks, where)
    assert found["sum"] == (5, None)
    assert found["after"] == (2, None)
    assert found["bad"] == (None, "ValueError: two lines (functions.py:12)")
    assert found["ours"] == (None, "mend me")
    assert found["lost"] == (None, "needs bad, which failed")
    assert found["lost too"] == (None, "needs lost, which failed")
    assert found["waits"] == ("there", None)
    assert list(found).index("sum") < list(found).index("after")


def test_errors_know_whose_they_are(file):
    with pool() as here:
        found = {t.key: e for t, _, e in run([Task(f"{file}:{f}", {}, f) for f in ("fail", "mine")], here)}
    assert not found["fail"].ours
    assert "raise ValueError" in found["fail"].trace
    assert found["mine"].ours


def test_progress_comes_from_other_processes(file):
    seen = []
    with pool(2) as where:
        outcomes([Task(f"{file}:add", {"a": 1, "b": 1}, "x")], where, lambda task, *now: seen.append((task.key, *now)))
    assert seen == [("x", 1, 2)]


def test_a_task_that_ends_the_program_ends_only_itself(tmp_path):
    (tmp_path / "exits.py").write_text("import sys\ndef leave(report=None):\n    sys.exit(0)\n")
    with pool() as here:
        assert "SystemExit" in outcomes([Task(f"{tmp_path / 'exits.py'}:leave", {}, "x")], here)["x"][1]
    (tmp_path / "top.py").write_text("import sys\nsys.exit(0)\n")
    with pytest.raises(SSHMLError, match=r"top\.py could not be run: SystemExit"):
        load_module(str(tmp_path / "top.py"))


def test_files_beside_can_be_imported_and_are_read_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "mine.py").write_text("import beside_it\ndef value(report=None):\n    return beside_it.K\n")
    for k in (1, 22):
        (tmp_path / "beside_it.py").write_text(f"K = {k}\n")
        assert resolve(f"{tmp_path / 'mine.py'}:value")() == k


def test_processes_share_the_cores(file, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(jobs, "cores", lambda: 7)
    with pool(3) as where:
        assert outcomes([Task(f"{file}:threads", {}, "x")], where)["x"] == ("2", None)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with pool(3) as where:
        assert outcomes([Task(f"{file}:threads", {}, "x")], where)["x"] == ("1", None)


def test_a_process_that_dies_takes_its_task_only(file):
    tasks = [Task(f"{file}:{'die' if n == 1 else 'add'}", {} if n == 1 else {"a": n, "b": 0}, str(n)) for n in range(6)]
    with pool(2) as where:
        found = outcomes(tasks, where)
    assert "a worker process died" in found.pop("1")[1]
    assert found == {str(n): (n, None) for n in (0, 2, 3, 4, 5)}


def test_an_interrupted_pool_leaves_no_process(file, tmp_path):
    tasks = [Task(f"{file}:sleep", {"seconds": 600, "path": str(tmp_path / str(n))}, str(n)) for n in range(2)]

    def interrupt():
        with pool(2) as where:
            thread = threading.Thread(target=lambda: list(contextlib.suppress(Exception) and run(tasks, where)))
            thread.daemon = True
            thread.start()
            while not all((tmp_path / str(n)).exists() for n in range(2)):
                time.sleep(0.05)
            started.extend(where._processes)
            raise KeyboardInterrupt

    started = []
    with pytest.raises(KeyboardInterrupt):
        interrupt()
    assert [process.poll() for process in started] == [-9, -9]


def test_needs_must_be_among_the_tasks(file):
    with pool() as here, pytest.raises(SSHMLError, match="need x, which are not among them"):
        list(run([Task(f"{file}:add", {}, "a", ("x",))], here))


def test_functions_by_name(file):
    assert resolve("sshml.jobs:resolve") is resolve
    assert resolve(f"{file}:add")(1, 2) == 3
    assert load_module(str(file)) is (before := load_module(str(file)))
    file.write_text(FUNCTIONS.replace("a + b", "a - b"))
    assert load_module(str(file)) is not before
    assert resolve(f"{file}:add")(1, 2) == -1
    file.write_text(FUNCTIONS)
    assert call(f"{file}:add", {"a": 1, "b": 2}) == {"value": 3}
    with pytest.raises(SSHMLError, match="does not exist"):
        load_module("nowhere.py")
    file.with_name("broken.py").write_text("1 / 0")
    with pytest.raises(SSHMLError, match=r"broken\.py could not be run: ZeroDivisionError"):
        load_module(str(file.with_name("broken.py")))


def test_no_scheduler(monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(jobs, "CONNECT_SECONDS", 1)
    with (
        pytest.raises(SSHMLError, match=r"no Dask scheduler answers at .tcp://127.0.0.1:9"),
        pool(1, "tcp://127.0.0.1:9"),
    ):
        pass
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(SSHMLError, match=r"sshml\[cluster\]"), pool(1, "tcp://127.0.0.1:9"):
        pass


def test_a_file_is_run_once_for_many_threads(tmp_path):
    path = tmp_path / "slow.py"
    path.write_text("import time\ntime.sleep(0.3)\nvalue = 7\n")
    found = []
    threads = [threading.Thread(target=lambda: found.append(load_module(str(path)).value)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [7] * 4


def test_tasks_that_need_each_other_are_refused(file):
    tasks = [Task(f"{file}:add", {"a": 1, "b": 1}, key, (need,)) for key, need in ("ab", "ba")]
    with pool(1) as here, pytest.raises(SSHMLError, match="need each other: a, b"):
        list(run(tasks, here))
