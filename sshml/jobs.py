"""Tasks in this process, on local processes or on a Dask scheduler: one runner for shards and experiments alike.

A task is a function by name and arguments of plain data, so that any process can run it. Its results go to files; what
comes back through here is small.
"""

import concurrent.futures
import contextlib
import dataclasses
import hashlib
import importlib
import importlib.util
import json
import os
import re
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path

from sshml.arguments import shown
from sshml.errors import SSHMLError, one_line

LATER = "later"
"""What a task returns that another process is doing at the moment: it is tried again."""

PAUSE = 0.5
"""Seconds before such a task is tried again."""

CONNECT_SECONDS = 10
"""How long to wait for a Dask scheduler."""

THREAD_LIMITS = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclasses.dataclass(frozen=True)
class Task:
    """function(**arguments, report=...): `function` is "module:name" or "file.py:name", the arguments are JSON.

    `key` names the task among others, `needs` are the keys of those that must be done before.
    """

    function: str
    arguments: dict
    key: str
    needs: tuple = ()


class TaskError(SSHMLError):
    """A task that failed; `ours` where a user can mend it, `trace` its traceback."""

    def __init__(self, text, ours=True, trace=""):
        super().__init__(text)
        self.ours, self.trace = ours, trace


def run(tasks, pool, report=None):
    """Yield (task, value, error) as tasks end; error is a `TaskError` or None.

    Tasks start in their order as soon as what they need is done; one whose need failed fails too. A task that returns
    LATER is put off. Tasks that need each other raise SSHMLError.

    Args:
        tasks: `Task`s; what they need is among them.
        pool: from `pool`.
        report: called as report(task, done, total) while a task runs, from any thread; not from a scheduler's workers.
    """
    left, started, ended, failed = {task.key: [0.0, task] for task in tasks}, {}, set(), set()
    if missing := {need for _, task in left.values() for need in task.needs} - set(left):
        raise SSHMLError(f"tasks need {', '.join(sorted(missing))}, which are not among them.")
    while left or started:
        now, waiting = time.monotonic(), len(left)
        for key, (after, task) in list(left.items()):
            if len(started) >= pool.slots:
                break
            if lost := failed & set(task.needs):
                failed.add(key)
                del left[key]
                yield task, None, TaskError(f"needs {', '.join(sorted(lost))}, which failed")
            elif after <= now and ended >= set(task.needs):
                own = (lambda done, total, task=task: report(task, done, total)) if report else None
                started[pool.submit(task, own)] = task
                del left[key]
        if not started:
            if len(left) == waiting and all(after <= now for after, _ in left.values()):
                raise SSHMLError(f"tasks need each other: {', '.join(left)}.")
            time.sleep(PAUSE / 5 if left else 0)
            continue
        for future in concurrent.futures.wait(started, PAUSE, concurrent.futures.FIRST_COMPLETED).done:
            task = started.pop(future)
            value, error = _outcome(future)
            if value == LATER and error is None:
                left[task.key] = [time.monotonic() + PAUSE, task]
                continue
            (failed if error else ended).add(task.key)
            yield task, value, error


def _outcome(future):
    try:
        answer = future.result()
    except Exception as error:  # a worker or a scheduler that is lost; errors of the task itself come as answers
        text = str(error) if isinstance(error, SSHMLError) else f"{type(error).__name__}: {error}; run it again"
        answer = {"error": text, "ours": True, "trace": traceback.format_exc()}
    if "error" in answer:
        return None, TaskError(answer["error"], answer["ours"], answer["trace"])
    return answer["value"], None


def call(function, arguments, report=None):
    """Return {"value": function(**arguments)}, or {"error", "ours", "trace"} in its place."""
    try:
        return {"value": resolve(function)(**arguments, report=report)}
    except (Exception, SystemExit) as error:  # whatever it is, it is this task's alone
        return {"error": one_line(error), "ours": isinstance(error, SSHMLError), "trace": traceback.format_exc()}


def resolve(function):
    """Return a function by its name, "module:name" or "file.py:name"."""
    module, _, name = function.rpartition(":")
    return getattr(load_module(module), name)


def load_module(name):
    """Return a module by its name, or of a file, which ends in .py.

    Files beside it can be imported, as by a script. It is run anew where it or one of those was changed.
    """
    if not name.endswith(".py"):
        return importlib.import_module(name)
    path = Path(name).resolve()
    if not path.is_file():
        raise SSHMLError(f"{name} does not exist or is not a file.")
    source = path.read_bytes()
    known = f"{path.stem}_{hashlib.sha256(str(path).encode() + source).hexdigest()[:8]}"
    with _loading:  # threads of a Dask worker load a file once
        now, before = _beside(path.parent), _helpers.get(known, {})
        if known in sys.modules:
            if all(now.get(helper) == seen for helper, seen in before.items()):
                _helpers[known] = before | now
                return sys.modules[known]
            for helper in {*before, known}:
                sys.modules.pop(helper, None)
            importlib.invalidate_caches()
        if str(path.parent) not in sys.path:
            sys.path.append(str(path.parent))
        spec = importlib.util.spec_from_file_location(known, path)
        sys.modules[known] = module = importlib.util.module_from_spec(spec)
        try:  # by hand: the cache of a loader tells changes by whole seconds only
            exec(compile(source, path, "exec"), module.__dict__)
        except (Exception, SystemExit) as error:
            del sys.modules[known]
            raise SSHMLError(f"{name} could not be run: {one_line(error)}.") from error
        _helpers[known] = _beside(path.parent)
    return module


def _beside(folder):
    """Return {name: (file, time of its last change)} of the loaded modules in a folder, installed ones aside."""
    found = {}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if not file or name == "__main__" or name.partition(".")[0] == "sshml" or not file.startswith(f"{folder}/"):
            continue
        if "site-packages" not in file and "dist-packages" not in file and Path(file).is_file():
            found[name] = file, Path(file).stat().st_mtime_ns
    return found


_helpers = {}
_loading = threading.RLock()


@contextlib.contextmanager
def pool(workers=1, scheduler=None):
    """Yield where tasks run: this process, as many local processes, or the workers of a Dask scheduler.

    Local processes share the cores: each gets cores // workers threads.

    Args:
        workers: number of processes; 1 is this one.
        scheduler: address of a Dask scheduler, whose workers see the same files under the same names.

    Raises:
        SSHMLError: no scheduler answers, or Dask is not installed.
    """
    if scheduler:
        with _client(scheduler) as client:
            yield _Cluster(client)
    elif workers > 1:
        with contextlib.closing(_Processes(workers)) as processes:
            yield processes
    else:
        yield _Here()


def cores():
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


class _Here:
    """The process itself: a task is done when it is submitted."""

    slots = 1

    def submit(self, task, report):
        future = concurrent.futures.Future()
        future.set_result(call(task.function, task.arguments, report))
        return future


class _Processes:
    """Processes of this machine, `python -m sshml.worker`, each driven by a thread.

    Processes of their own rather than those of `multiprocessing`: no guard around the user's main module, no threads
    across a fork. They end with their standard input, and so with their parent.
    """

    def __init__(self, count):
        self.slots, self._processes, self._own = count, [], threading.local()
        self._threads = concurrent.futures.ThreadPoolExecutor(count)
        share = max(1, cores() // count)
        self._environment = os.environ | {name: str(_at_most(share, os.environ.get(name))) for name in THREAD_LIMITS}

    def submit(self, task, report):
        return self._threads.submit(self._call, task, report)

    def _call(self, task, report):
        if getattr(self._own, "process", None) is None:
            self._own.process = self._started()
        process = self._own.process
        try:
            process.stdin.write(json.dumps({"function": task.function, "arguments": task.arguments}) + "\n")
            process.stdin.flush()
            while "progress" in (answer := json.loads(process.stdout.readline())):
                if report:
                    report(*answer["progress"])
            return answer
        except (OSError, ValueError):  # the pipe is closed
            self._own.process = None
            raise SSHMLError(
                "a worker process died (out of memory?); what was finished is kept: run the same command again."
            ) from None

    def _started(self):
        pipe = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "start_new_session": True}
        process = subprocess.Popen([sys.executable, "-m", "sshml.worker"], env=self._environment, **pipe)
        self._processes.append(process)
        return process

    def close(self):
        for process in self._processes:
            process.kill()
            process.wait()
        self._threads.shutdown(cancel_futures=True)
        for process in self._processes:
            process.stdout.close()
            with contextlib.suppress(OSError):
                process.stdin.close()


def _at_most(share, wanted):
    """Return a number of threads, fewer where the environment asks for fewer."""
    return min(share, int(wanted)) if wanted and wanted.isdigit() and int(wanted) else share


class _Cluster:
    """The workers of a Dask scheduler; tasks of a worker that dies go to another."""

    slots = float("inf")

    def __init__(self, client):
        self._executor = client.get_executor(pure=False)

    def submit(self, task, report):
        return self._executor.submit(call, task.function, task.arguments)


ADDRESS = re.compile(r"([a-z]+://)?[^\s/:\0]+:\d{1,5}/?|(inproc|ucx)://\S+|\[?[0-9a-f:]+\]?:\d{1,5}")
"""Addresses of schedulers; what is none is refused before a client waits for an answer."""


def _client(address):
    if not isinstance(address, str) or not ADDRESS.fullmatch(address):
        raise SSHMLError(f"the scheduler {shown(address)} is no address; expected one like tcp://host:8786.")
    try:
        from distributed import Client
    except ImportError:
        raise SSHMLError("a scheduler needs Dask; install it with: pip install 'sshml[cluster]'.") from None
    try:
        return Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except Exception as error:  # OSError, ValueError, TimeoutError, of certificates TypeError
        raise SSHMLError(f"no Dask scheduler answers at {shown(address)} ({error!s:.200}).") from None
