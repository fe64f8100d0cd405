"""Whole runs of a small experiment: killed, side by side, on a cluster, in parts, with errors."""

import functools
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from sshml.errors import SSHMLError
from sshml.experiments import Reproduction, redraw, run
from sshml.experiments.runner import RATES, STARTING, job_lines
from sshml.tables import read_csv

SOURCE = '''
"""A small experiment: numbers, and what is made of them."""

import dataclasses
import os
import time

from sshml.errors import SSHMLError
from sshml.experiments import Claim, Experiment, Job, above
from sshml.plotting import new_figure, plot_groups


@dataclasses.dataclass(frozen=True)
class Settings:
    count: int = 6
    seconds: float = 0.0
    bad: tuple = ()
    wrong_claim: bool = False
    wrong_figure: bool = False


def note(where, word):
    with (where.folder.parent.parent / "calls.txt").open("a") as file:
        file.write(f"{word}\\n")


def number(where, n, seconds):
    note(where, f"number {n}")
    for step in range(3):
        time.sleep(seconds / 3)
        (where.folder / f"step{step}").write_text("done")
    return {"numbers": [{"n": n, "seed": seed, "square": n * n + seed / 7} for seed in range(3)]}


def total(where, number, n, bad, seconds):
    note(where, f"total {n}")
    time.sleep(seconds)
    if bad:
        raise [SSHMLError("no images here"), ZeroDivisionError("by zero")][n % 2]
    return {"totals": [{"n": n, "total": sum(row["square"] for row in number.tables["numbers"])}]}


def jobs(settings):
    for n in range(settings.count):
        first = Job(number, {"n": n, "seconds": settings.seconds})
        yield first
        yield Job(total, {"number": first, "n": n, "bad": n in settings.bad, "seconds": settings.seconds})


def claims(tables, settings):
    for n in range(settings.count):
        if settings.wrong_claim and n == 1:
            yield Claim("A", "wrong", lambda: 1 / 0)
        yield Claim("A", f"square {n}", lambda n=n: tables.columns("numbers", n=n)["square"], "me", "> 3", above(3))
        yield Claim("B", f"total {n}", lambda n=n: tables.columns("totals", n=n)["total"])


def figure(tables, settings):
    figure, axes = new_figure()
    groups = [tables.columns("numbers", n=n)["square"] for n in range(settings.count)]
    plot_groups(axes[0, 0], range(settings.count), groups)
    return figure


def wrong(tables, settings):
    return new_figure(nonsense=1)[0] if settings.wrong_figure else None


experiment = Experiment(Settings, jobs, claims, {"wrong": wrong, "squares": figure}, full={"count": 8})
'''


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(SOURCE)
    return path


def calls(out):
    path = out / "jobs" / "calls.txt"
    return path.read_text().split("\n")[:-1] if path.exists() else []


def tables_of(out):
    """Return the bytes of the tables and figures of the small experiment, times aside."""
    folder = out / "own"
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.name != "jobs.csv"}


def test_a_second_run_makes_only_what_is_missing(file, tmp_path):
    out = tmp_path / "out"
    first = run(file, out)
    assert first.failures == []
    assert sorted(calls(out)) == sorted([f"{kind} {n}" for kind in ("number", "total") for n in range(6)])
    before = tables_of(out)
    assert run(file, out).claims == first.claims
    assert len(calls(out)) == 12
    assert tables_of(out) == before
    next((out / "jobs").glob("total-*/done/result.json")).unlink()
    run(file, out)
    assert len(calls(out)) == 13
    assert tables_of(out) == before


def test_other_settings_share_their_jobs_and_need_a_word(file, tmp_path):
    out = tmp_path / "out"
    run(file, out)
    with pytest.raises(SSHMLError, match="other settings"):
        run(file, out, {"count": 7})
    (out / "own" / "mine.txt").write_text("not yours")
    assert run(file, out, {"count": 7}, force=True).failures == []
    assert len(calls(out)) == 14
    assert len(read_csv(out / "own" / "numbers.csv")) == 21
    assert (out / "own" / "mine.txt").exists()
    assert len(run(file, tmp_path / "else", full=True).claims) == 16


def test_results_are_not_written_into_a_folder_of_others(file, tmp_path):
    (tmp_path / "out" / "own").mkdir(parents=True)
    (tmp_path / "out" / "own" / "thesis.txt").write_text("years of work")
    with pytest.raises(SSHMLError, match="holds no results"):
        run(file, tmp_path / "out")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["own"]


def test_an_error_loses_nothing_else(file, tmp_path):
    out = tmp_path / "out"
    found = run(file, out, {"bad": (1, 2, 4), "wrong_claim": True, "wrong_figure": True})
    assert len(found.failures) == 2 + 1 + 3 + 1
    text = "\n".join(found.failures)
    assert "ZeroDivisionError: by zero" in text
    assert "and 1 more: no images here" in text
    assert "ZeroDivisionError: by zero (own.py:" in text
    assert "claim A, wrong: ZeroDivisionError: division by zero (own.py:" in text
    assert "claim B, total 1: table totals has no row with n = 1" in text
    assert "figure wrong: TypeError" in text
    assert len(read_csv(out / "own" / "totals.csv")) == 3
    assert len(found.claims) == 6 + 3
    assert (out / "own" / "squares.png").exists()
    assert not (out / "own" / "wrong.png").exists()
    assert [p.read_text().splitlines()[-1] for p in (out / "jobs").glob("*/error.txt")] == [
        "ZeroDivisionError: by zero"
    ]


def test_the_command_says_so_and_exits_with_one(file, tmp_path):
    command = [sys.executable, "-m", "sshml.cli", "reproduce", "own.py", "--set", "bad=2", "--workers", "2"]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert found.returncode == 1
    lines = [line for line in found.stderr.splitlines() if line.startswith("sshml: ")]
    assert len(lines) == 2
    assert "no images here" in lines[0]
    assert "Traceback" not in found.stderr
    assert (tmp_path / "results" / "own" / "claims.csv").exists()
    assert "holds" in found.stdout


def test_claims_and_figures_are_drawn_anew_without_a_job(file, tmp_path):
    out = tmp_path / "out"
    run(file, out)
    before = tables_of(out)
    (out / "own" / "squares.png").unlink()
    (out / "own" / "claims.csv").write_text("spoilt")
    shutil.rmtree(out / "jobs")
    assert redraw(file, out).failures == []
    assert tables_of(out) == before
    assert not (out / "jobs").exists()
    with pytest.raises(SSHMLError, match="run the experiment"):
        redraw(file, tmp_path / "nowhere")


def test_older_results_are_kept_on_request_and_named(file, tmp_path):
    out = tmp_path / "out"
    run(file, out)
    (tmp_path / "new").mkdir()
    later = tmp_path / "new" / "own.py"
    later.write_text(SOURCE.replace("n * n + seed / 7", "n * n + seed / 8").replace('"A", f"square', '"C", f"square'))
    kept = run(later, out, keep=True)
    assert len(calls(out)) == 12
    assert {row["code"] for row in read_csv(out / "own" / "jobs.csv")} == {"older"}
    numbers = {p.parent.name for p in (out / "jobs").glob("number-*/done")}
    named = [row["older"] for row in kept.claims if row["id"] == "C"]
    first, _, more = named[0].partition(" and ")
    assert set(first.split()) < numbers
    assert more == f"{len(numbers) - 3} more, see jobs.csv"
    assert run(later, out).failures == []
    assert len(calls(out)) == 24
    assert {row["older"] for row in read_csv(out / "own" / "claims.csv")} == {""}


def test_parts_make_all_of_it_together(file, tmp_path):
    out, made = tmp_path / "out", []
    for number in (1, 2, 3):
        plan = Reproduction([file], out, part=(number, 3))
        assert plan.run() == {}
        made.append(len(plan.missing))
        assert not (out / "own").exists()
    assert all(made)
    assert len(calls(out)) == 12
    assert Reproduction([file], out).missing == []
    assert run(file, out).failures == []
    assert len(calls(out)) == 12


@pytest.mark.parametrize("part", [(0, 3), (4, 3), (1,), (1, 2, 3), "1/3"])
def test_parts_that_are_none(file, tmp_path, part):
    with pytest.raises(SSHMLError, match="part"):
        Reproduction([file], tmp_path / "out", part=part)


def test_what_a_finished_job_needed_is_not_made_again(file, tmp_path):
    out = tmp_path / "out"
    run(file, out)
    for folder in (out / "jobs").glob("number-*"):
        shutil.rmtree(folder)
    assert {job.function.__name__ for job in Reproduction([file], out).missing} == {
        "number"
    }  # yielded for its own table
    plan = Reproduction([file], out, part=(2, 2))  # every total, all of them done
    assert plan.missing == []
    assert len(plan.jobs) == 6


def test_an_estimate_before_and_a_bar_meanwhile(file, tmp_path):
    out, seen = tmp_path / "out", []
    plan = Reproduction([file], out, changes={"seconds": 0.05})
    assert plan.estimate(1) is None  # nothing is recorded yet
    plan.run(report=lambda *now: seen.append(now))
    assert seen[0][:2] == (0, 12)
    assert seen[-1][:2] == (12, 12)
    assert all(before[2] <= after[2] + 1e-9 for before, after in itertools.pairwise(seen))
    later = Reproduction([file], out, changes={"seconds": 0.06})
    assert 0.3 < later.estimate(1) - STARTING < 6
    one, two = later.estimate(10**6) - STARTING, max(later.seconds.values())
    assert two < one <= 2 * two + 1e-9  # a number, then its total


def test_recorded_rates_are_of_functions_that_are_there():
    from sshml.jobs import resolve

    for function in json.loads(RATES.read_text(encoding="utf-8"))["rates"]:
        module, _, name = function.rpartition(".")
        assert callable(resolve(f"{module}:{name}"))


def test_lines_for_failures():
    failed = {"a-1": "no images", "a-2": "no images", "b-1": "by zero", "c-1": "needs a-1, which failed"}
    lines = ["job a-1 and 1 more: no images", "job b-1: by zero", "1 jobs that need them were left out"]
    assert job_lines(failed) == lines


KILLS = """
import os, signal, sys, time
from pathlib import Path
import numpy as np
from sshml.experiments import run
import sshml.plotting
file, out, workers, kills = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
rng = np.random.default_rng(5)

def start(out):
    child = os.fork()
    if child == 0:
        try:
            found = run(file, out, {"seconds": 0.02}, workers=workers)
            os._exit(0 if not found.failures else 2)
        except BaseException as error:
            print("FAILED", repr(error), flush=True)
            os._exit(1)
    return child

began = time.perf_counter()
assert os.waitstatus_to_exitcode(os.waitpid(start(out.with_name("calm")), 0)[1]) == 0
whole, killed, number = time.perf_counter() - began, 0, 0
while killed < kills:
    folder = out.with_name(f"{out.name}{number}")
    child = start(folder)
    time.sleep(rng.uniform(0, 1.05 * whole))
    os.kill(child, signal.SIGKILL)
    died = os.WIFSIGNALED(os.waitpid(child, 0)[1])
    killed += died
    number += not died or rng.random() < 0.3
for each in sorted(out.parent.glob(f"{out.name}*")):
    code = os.waitstatus_to_exitcode(os.waitpid(start(each), 0)[1])
    print("end", each.name, code, flush=True)
print("kills", killed)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("workers", [1, 2])
def test_killed_at_random_moments_the_tables_are_those_of_an_undisturbed_run(file, tmp_path, workers):
    command = [sys.executable, "-c", KILLS, str(file), str(tmp_path / "out"), str(workers), "8"]
    found = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    assert found.returncode == 0, found.stderr
    assert "FAILED" not in found.stdout
    assert int(found.stdout.split()[-1]) >= 8
    expected = tables_of(tmp_path / "calm")
    assert {"numbers.csv", "totals.csv", "claims.csv", "squares.png", "settings.json"} <= set(expected)
    folders = [line.split()[1] for line in found.stdout.splitlines() if line.startswith("end")]
    assert folders
    for name in folders:
        assert tables_of(tmp_path / name) == expected
        left = [p.name for p in (tmp_path / name / "jobs").glob("*/*") if p.name not in (".lock", "done")]
        assert left == []


def test_a_result_that_another_run_replaced_is_a_failure(file, tmp_path):
    """Two runs of different code on one store: rows that are gone are said, not dropped."""
    out = tmp_path / "out"
    plan = Reproduction([file], out)
    assert plan.run() == {}
    (tmp_path / "new").mkdir()
    later = tmp_path / "new" / "own.py"
    later.write_text(SOURCE.replace("n * n + seed / 7", "n * n + seed / 8"))
    run(later, tmp_path / "out", {"count": 1}, force=True)
    outcome = plan.conclude()[0]
    assert "its result is gone" in "\n".join(outcome.failures)


def test_two_files_of_one_name_do_not_hide_each_other(file, tmp_path):
    (tmp_path / "else").mkdir()
    shutil.copy(file, tmp_path / "else" / "own.py")
    with pytest.raises(SSHMLError, match="two experiments have the name own"):
        Reproduction([file, tmp_path / "else" / "own.py"], tmp_path / "out")
    shutil.copy(file, tmp_path / "jobs.py")
    with pytest.raises(SSHMLError, match="give it another name"):
        Reproduction([tmp_path / "jobs.py"], tmp_path / "out")


def test_equal_jobs_are_one(file, tmp_path):
    file.write_text(SOURCE.replace("        yield first\n", "        yield first\n        yield first\n"))
    assert run(file, tmp_path / "out").failures == []
    assert len(read_csv(tmp_path / "out" / "own" / "numbers.csv")) == 18


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "    for n in range(settings.count):\n        first",
            "    1 / 0\n    for n in range(0):\n        first",
            "cannot be told",
        ),
        ("        yield first\n", "        yield 3\n", "yields a int; yield Jobs"),
    ],
)
def test_jobs_that_cannot_be_told(file, tmp_path, old, new, words):
    assert old in SOURCE
    file.write_text(SOURCE.replace(old, new))
    with pytest.raises(SSHMLError, match=words):
        Reproduction([file], tmp_path / "out")


def test_unfinished_tables_are_not_drawn(file, tmp_path):
    out = tmp_path / "out"
    run(file, out)
    settings = out / "own" / "settings.json"
    known = json.loads(settings.read_text())
    settings.write_text(json.dumps(known | {"complete": False}))
    with pytest.raises(SSHMLError, match="is unfinished"):
        redraw(file, out)
    settings.write_text("garbage")
    with pytest.raises(SSHMLError, match="damaged"):
        run(file, out)
    assert run(file, out, force=True).failures == []
    assert redraw(file, out).failures == []


def test_two_runners_on_one_store_do_no_job_twice(file, tmp_path):
    command = [sys.executable, "-m", "sshml.cli", "reproduce", str(file), "--set", "seconds=0.2", "--workers", "2"]
    both = [
        subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for process in both:
        _, error = process.communicate(timeout=120)
        assert process.returncode == 0, error
    found = calls(tmp_path / "results")
    assert len(found) == len(set(found)) == 12
    assert len(read_csv(tmp_path / "results" / "own" / "totals.csv")) == 6


def test_a_dask_worker_that_dies_loses_nothing(file, tmp_path):
    distributed = pytest.importorskip("distributed")
    settings = {"seconds": 0.2}
    run(file, tmp_path / "calm", settings)
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": ":0"}
    with distributed.LocalCluster(**options, local_directory=str(tmp_path / "dask")) as cluster:
        plan, killed = Reproduction([file], tmp_path / "out", changes=settings), []

        def kill_one(done, *_):
            if done and not killed:
                killed.append(done)
                os.kill(next(iter(cluster.workers.values())).pid, 9)

        failed = plan.run(scheduler=cluster.scheduler_address, report=kill_one)
        assert failed == {}
        outcome = plan.conclude(failed)[0]
    assert outcome.failures == []
    assert killed
    assert killed[0] < 12
    assert tables_of(tmp_path / "out") == tables_of(tmp_path / "calm")


def test_ctrl_c_leaves_a_run_that_goes_on(file, tmp_path):
    command = [sys.executable, "-m", "sshml.cli", "reproduce", str(file), "--set", "seconds=0.5", "--workers", "2"]
    default = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a background shell ignores it
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, cwd=tmp_path, preexec_fn=default, **pipes)
    while not list(tmp_path.glob("results/jobs/*/done")):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(2)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Traceback" not in error
    done = len(list(tmp_path.glob("results/jobs/*/done")))
    assert 0 < done < 12
    assert run(file, tmp_path / "results", {"seconds": 0.5}, workers=2).failures == []
