"""Run experiments: what is missing of their jobs, side by side, then tables, claims and figures."""

import contextlib
import dataclasses
import json
import sys
from pathlib import Path

from sshml import jobs as tasks
from sshml.arguments import as_path, flag, instance, integer, integers
from sshml.errors import SSHMLError, one_line
from sshml.experiments import results, store
from sshml.experiments.catalogue import as_changes, load, settings_of
from sshml.experiments.experiment import Job, Where

RATES = Path(__file__).with_name("durations.json")
"""{function: seconds per unit of work}, recorded with the results of paper/; for the first estimate on a machine."""


LOST = "its result is gone: another run with other code or settings replaced it; run the same command again"

STARTING = 5.0
"""Seconds for imports, compiled kernels and figures."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came of an experiment: its `folder`, the rows of its `claims`, `failures` as lines."""

    name: str
    folder: Path
    claims: list
    failures: list


class Reproduction:
    """The jobs of some experiments: what is done, what is missing, and how long that may take.

    Args:
        names: experiments, or files that define one.
        out: folder of results; each experiment has a folder in it, `jobs` is the store they share.
        full: take the full sizes.
        changes: {field: value or text} of the settings; each field must be one of some experiment's.
        where: a `Where`.
        part: (i, n), i from 1: the i-th of n parts of the jobs, for runs side by side.
        keep: accept results of other code.
        force: replace results of other settings.

    Raises:
        SSHMLError: unknown experiments or settings, results of other settings.
    """

    def __init__(self, names, out="results", full=False, changes=(), where=None, part=None, keep=False, force=False):
        self.out, self.keep = as_path(out, "out").absolute(), flag(keep, "keep")
        self.where = Where() if where is None else instance(where, "where", Where, "a Where")
        full, force = flag(full, "full"), flag(force, "force")
        if part is not None and (len(part := integers(part, "part", 1)) != 2 or part[0] > part[1]):
            raise SSHMLError(f"part is {part}; expected (i, n) with 1 <= i <= n.")
        self.store = self.out / "jobs"
        if self.out.exists() and not self.out.is_dir():
            raise SSHMLError(f"{out} is a file; give the name of a folder.")
        loaded = {}
        for name in names:
            short, experiment = load(name)
            if loaded.setdefault(short, experiment) is not experiment:
                raise SSHMLError(f"two experiments have the name {short}; their results would replace each other.")
        changes, known = as_changes(changes), set()
        self.parts = {}
        for name, experiment in loaded.items():
            fields = {field.name for field in dataclasses.fields(experiment.settings)}
            known |= fields
            own = {field: value for field, value in changes.items() if field in fields or len(loaded) == 1}
            settings = settings_of(experiment, full, own)
            results.refuse_other(self.out / name, settings, force)
            self.parts[name] = experiment, settings, _jobs_of(name, experiment, settings)
        if unknown := set(changes) - known:
            raise SSHMLError(f"no experiment here has the settings {', '.join(sorted(unknown))}.")
        self.jobs, self.missing = {}, []
        for number, job in enumerate(job for _, _, found in self.parts.values() for job in found):
            if part is None or number % part[1] == part[0] - 1:
                self._add(job)
        rates = json.loads(RATES.read_text(encoding="utf-8"))["rates"] | store.recorded(self.store)
        self.is_known = all(job.inputs["function"] in rates for job in self.missing)
        self.seconds = {job.key: job.work * rates.get(job.inputs["function"], 1.0) for job in self.missing}

    def _add(self, job):
        """Add a job, behind those it needs where it must be made."""
        if job.key in self.jobs:
            return
        if store.read(self.store, job, self.keep) is None:
            for need in job.needs.values():
                self._add(need)
            self.missing.append(job)
        self.jobs[job.key] = job

    def default_workers(self):
        """Return the number of local processes that make sense: one a core, or one for a GPU."""
        torch = sys.modules.get("torch")  # there where an experiment trains
        if self.where.device != "cpu" and torch is not None and torch.cuda.is_available():
            return 1
        return max(1, min(tasks.cores(), len(self.missing), 16))

    def estimate(self, workers):
        """Return about how many seconds the missing jobs take, from what earlier ones took; None if unknown."""
        if not self.is_known:
            return None
        return STARTING + max([0.0, sum(self.seconds.values()) / workers, *self._ways().values()])

    def _ways(self):
        """Return {key: seconds from the start of a job to the end of all that needs it}."""
        ways, behind = {}, {}
        for job in reversed(self.missing):  # what a job needs stands before it
            ways[job.key] = self.seconds[job.key] + behind.get(job.key, 0.0)
            for need in job.needs.values():
                behind[need.key] = max(behind.get(need.key, 0.0), ways[job.key])
        return ways

    def run(self, workers=1, scheduler=None, report=None):
        """Make what is missing; return {key: line} of the jobs that failed.

        Args:
            workers: local processes.
            scheduler: address of a Dask scheduler; its workers see `out` under the same name.
            report: called as report(jobs done, jobs, seconds done, seconds) with estimated seconds.
        """
        ways, failed, shares = self._ways(), {}, dict.fromkeys(self.seconds, 0.0)
        order = sorted(self.missing, key=lambda job: -ways[job.key])
        missing = {job.key for job in self.missing}
        todo = []
        for job in order:
            task = store.task(self.store, job, self.where, self.keep)
            todo.append(dataclasses.replace(task, needs=tuple(need for need in task.needs if need in missing)))
        done = 0

        def tell(task=None, now=0, total=1):
            if task is not None:
                shares[task.key] = max(shares[task.key], min(now / max(total, 1), 1.0))
            if report:
                spent = sum(self.seconds[key] * share for key, share in shares.items())
                report(done, len(todo), spent, sum(self.seconds.values()))

        tell()
        with tasks.pool(workers, scheduler) as pool:
            for task, _, error in tasks.run(todo, pool, tell):
                done += 1
                if error:
                    failed[task.key] = str(error)
                    self._keep_trace(task.key, error)
                tell(task, 1, 1)
        return failed

    def _keep_trace(self, key, error):
        if error.trace and not error.ours:
            with contextlib.suppress(OSError):  # the error is told anyway
                (self.store / key).mkdir(exist_ok=True)
                (self.store / key / "error.txt").write_text(error.trace, encoding="utf-8")

    def conclude(self, failed=None):
        """Write tables, claims and figures of every experiment; return the `Outcome`s."""
        outcomes, failed = [], failed or {}
        for name, (experiment, settings, found) in self.parts.items():
            everything = list(dict.fromkeys([*(need for job in found for need in _needed(job)), *found]))
            known = {job.key: made for job in found if (made := store.read(self.store, job, self.keep))}
            inventory = store.inventory(self.store, everything, self.keep)
            lost = {job.key: LOST for job in found if job.key not in known and job.key not in failed}
            lines = job_lines(lost | {job.key: failed[job.key] for job in everything if job.key in failed})
            if not known:
                outcomes.append(Outcome(name, self.out / name, [], lines or ["no job is done."]))
                continue
            claims, failures = results.write(self.out / name, name, experiment, settings, found, known, inventory)
            outcomes.append(Outcome(name, self.out / name, claims, [*lines, *failures]))
        return outcomes


def _jobs_of(name, experiment, settings):
    """Return the jobs of an experiment, equal ones once."""
    try:
        found = list(experiment.jobs(settings))
        if wrong := [job for job in found if not isinstance(job, Job)]:
            raise SSHMLError(f"jobs(settings) yields a {type(wrong[0]).__name__}; yield Jobs.")
        return list({job.key: job for job in found}.values())
    except Exception as error:
        raise SSHMLError(f"the jobs of {name} cannot be told: {one_line(error)}") from error


def job_lines(failed):
    """Return {key: error} of jobs as lines, one for each error; those that needed a failed one are only counted."""
    waited = [key for key, error in failed.items() if error.startswith("needs ")]
    lines = results.grouped({f"job {key}": error for key, error in failed.items() if key not in waited})
    return lines + ([f"{len(waited)} jobs that need them were left out"] if waited else [])


def _needed(job):
    for need in job.needs.values():
        yield from _needed(need)
        yield need


def run(name, out="results", settings=None, full=False, where=None, workers=1, scheduler=None, force=False, keep=False):
    """Run one experiment and return its `Outcome`; a second call makes only what is missing.

    Args:
        name: of an experiment of sshml, or a file that defines one.
        out: folder of results: `out/NAME` gets tables, claims and figures, `out/jobs` the results of jobs.
        settings: {field: value} of the settings to change.
        full: take the full size.
        where: a `Where`: device, folder of image files.
        workers: local processes.
        scheduler: address of a Dask scheduler.
        force: replace results of other settings.
        keep: accept results of other code.

    Raises:
        SSHMLError: an unknown experiment or setting, results of other settings, no scheduler.
    """
    workers = integer(workers, "workers", 1)
    work = Reproduction([name], out, full, {} if settings is None else settings, where, keep=keep, force=force)
    failed = work.run(min(workers, max(1, len(work.missing))), scheduler)
    return work.conclude(failed)[0]


def redraw(name, out="results"):
    """Make claims and figures of an experiment anew from its tables in `out/NAME`; return the `Outcome`."""
    name, experiment = load(name)
    out = as_path(out, "out")
    claims, failures = results.redraw(out / name, name, experiment)
    return Outcome(name, out / name, claims, failures)
