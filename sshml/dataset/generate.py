"""A dataset file from its spec: in one piece, or in shards made by local processes or a Dask cluster."""

import contextlib
import dataclasses
import functools
import json
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path

from sshml.dataset.shards import Shard, batches, is_complete, make_shard, only_writer, shards, write_virtual
from sshml.dataset.spec import SPLITS
from sshml.dataset.store import Writer, block_rows, describe, n_bytes
from sshml.errors import SSHMLError
from sshml.files import new_file, new_hdf5, refuse_existing, refuse_full, remove_partials

SHARD_BYTES = 2**28
"""Size of a shard where workers are asked for and no size is given."""

CONNECT_SECONDS = 10
"""How long to wait for a Dask scheduler."""

THREAD_LIMITS = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

WORKER_DIED = "a worker process died (out of memory?); finished shards are kept: run the same command again."


def generate(spec, path, force=False, progress=None, *, recipe=False, shard_size=None, workers=1, scheduler=None):
    """Generate the dataset of a spec into an HDF5 file (format in data/README.md).

    The bytes depend on the spec and the shard size alone. Memory holds a few blocks of samples per worker, whatever
    the size. The file appears under its name when it is complete. A dataset in shards, `chains.h5` over the folder
    `chains.shards/`, goes on at the first missing shard when it was interrupted.

    Args:
        spec: the `DatasetSpec`.
        path: the file to make.
        force: replace a file that exists, and its shards.
        progress: called as progress(samples done, samples in all).
        recipe: store hoppings and labels only; states and energies are made, the same, when they are read.
        shard_size: samples per shard; one file without shards if None, some 256 MiB per shard with workers.
        workers: processes on this machine.
        scheduler: address of a Dask scheduler whose workers make the shards; they see `path` under the same name.

    Raises:
        SSHMLError: the file exists or cannot be written, shards of another spec are there, no scheduler answers, or
            another process is writing the same shards.
    """
    path = Path(path)
    for name, value in (("shard_size", shard_size), ("workers", workers)):
        if value is not None and (isinstance(value, bool) or not hasattr(value, "__index__") or value < 1):
            raise SSHMLError(f"{name} is {value!r}; expected an integer of at least 1.")
    refuse_existing(path, force)
    total = sum(getattr(spec, split) for split in SPLITS)
    report = (lambda done: progress(done, total)) if progress else (lambda done: None)
    if shard_size is None and (workers > 1 or scheduler):
        per_shard = max(1, SHARD_BYTES // n_bytes(spec, 1, recipe))
        shard_size = max(block_rows(spec), per_shard // block_rows(spec) * block_rows(spec))
    if shard_size is None:
        _in_one_piece(spec, path, force, report, recipe)
    else:
        _in_shards(spec, path, force, report, recipe, shards(spec, shard_size), workers, scheduler)


def _in_one_piece(spec, path, force, report, recipe):
    size, done = sum(n_bytes(spec, getattr(spec, split), recipe) for split in SPLITS), 0
    with new_file(path, force, size) as partial, new_hdf5(partial) as file:
        describe(file, spec, recipe)
        for split in SPLITS:
            writer = Writer(file.create_group(split), spec, getattr(spec, split), recipe)
            for arrays in batches(spec, Shard(split, 0, getattr(spec, split)), recipe):
                writer.write(arrays)
                done += len(arrays["winding"])
                report(done)
            writer.finish()


def shard_folder(path):
    """Return the folder of shards of a dataset file: chains.shards of chains.h5, of other names NAME-shards."""
    path = Path(path).absolute()
    return path.with_suffix(".shards") if path.suffix == ".h5" else path.with_name(f"{path.name}-shards")


def _in_shards(spec, path, force, report, recipe, parts, workers, scheduler):
    folder = shard_folder(path)
    make = functools.partial(make_shard, spec, folder, recipe=recipe)
    with _shard_folder(folder):
        _refuse_foreign(spec, folder, parts, recipe, force)
        if scheduler:
            counts = _on_cluster(make, parts, scheduler)
        elif workers > 1:
            counts = _on_processes(spec, folder, parts, recipe, workers)
        else:
            counts = (make(shard) for shard in parts)
        done = 0
        with contextlib.closing(counts):
            for count in counts:
                done += count
                report(done)
        write_virtual(spec, path, folder, parts, recipe, force)


@contextlib.contextmanager
def _shard_folder(folder):
    """Make and lock the folder; when the block fails take it away again unless it holds complete shards."""
    if folder.exists() and not folder.is_dir():
        raise SSHMLError(f"{folder} is a file, where the folder of shards would be; choose another name.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SSHMLError(f"{folder} could not be made: {error.strerror.lower()}.") from error
    with only_writer(folder):
        remove_partials(folder)
        with contextlib.ExitStack() as undo:
            undo.callback(_clear_folder, folder)
            yield
            undo.pop_all()


def _clear_folder(folder):
    remove_partials(folder)
    if not list(folder.glob("*.h5")):
        (folder / ".lock").unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            folder.rmdir()


def _refuse_foreign(spec, folder, parts, recipe, force):
    """Raise where the folder holds shards of another dataset, or remove all shards where `force` is set."""
    expected = {shard.name: shard for shard in parts}
    for path in sorted(folder.glob("*.h5")):
        if force:
            path.unlink()
        elif path.name not in expected or not is_complete(path, spec, expected[path.name], recipe):
            raise SSHMLError(
                f"{folder} holds {path.name} of another dataset or shard size; choose another name or replace the"
                " shards with --force (force=True)."
            )
    refuse_full(folder, sum(n_bytes(spec, s.count, recipe) for s in parts if not (folder / s.name).exists()))


def _on_processes(spec, folder, parts, recipe, workers):
    """Yield the sizes of shards as processes of this machine finish them; see `sshml.dataset.worker`."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = dict.fromkeys(THREAD_LIMITS, str(max(1, cores // workers)))
    command = [sys.executable, "-m", "sshml.dataset.worker"]
    pipe = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "start_new_session": True}
    job = json.dumps({"spec": spec.to_json(), "folder": str(folder), "recipe": recipe}) + "\n"
    left, answers = queue.SimpleQueue(), queue.SimpleQueue()
    for shard in parts:
        left.put(shard)

    def drive(process):
        try:
            process.stdin.write(job)
            while True:
                process.stdin.write(json.dumps(dataclasses.asdict(left.get_nowait())) + "\n")
                process.stdin.flush()
                answers.put(json.loads(process.stdout.readline()))
        except queue.Empty:
            process.stdin.close()
        except (OSError, ValueError):  # the pipe is closed
            answers.put({"error": WORKER_DIED})

    processes = [subprocess.Popen(command, env=os.environ | threads, **pipe) for _ in range(min(workers, len(parts)))]
    try:
        for process in processes:
            threading.Thread(target=drive, args=(process,), daemon=True).start()
        for _ in parts:
            answer = answers.get()
            if "error" in answer:
                raise SSHMLError(answer["error"])
            yield answer["count"]
    finally:
        for process in processes:
            process.kill()
            process.wait()
            process.stdout.close()


def _on_cluster(make, parts, address):
    """Yield the sizes of shards as the workers of a Dask scheduler finish them; lost ones are made again."""
    try:
        from distributed import Client, as_completed
        from distributed.scheduler import KilledWorker
    except ImportError:
        raise SSHMLError("a scheduler needs Dask; install it with: pip install 'sshml[cluster]'.") from None
    try:
        client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise SSHMLError(f"no Dask scheduler answers at {address} ({error}).") from None
    with client:
        futures = client.map(make, parts, retries=3, pure=False)
        try:
            for future in as_completed(futures, loop=client.loop):
                yield future.result()
        except KilledWorker as error:
            raise SSHMLError(f"a shard was lost with several workers ({error}); run the same command again.") from None
        finally:
            client.cancel(futures)
