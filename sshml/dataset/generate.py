"""A dataset file from its spec: in one piece, or in shards made by local processes or a Dask cluster."""

import contextlib
import dataclasses
import os
from pathlib import Path

from sshml import jobs
from sshml.arguments import as_path, flag, function, instance, integer
from sshml.dataset.layout import Layout
from sshml.dataset.ranges import SPLITS
from sshml.dataset.shards import Shard, is_complete, is_own, shards, write_samples, write_virtual
from sshml.dataset.spec import MOST
from sshml.errors import SSHMLError
from sshml.files import locked, new_file, refuse_existing, refuse_full, remove_partials
from sshml.hdf5 import new_group, new_hdf5

SHARD_BYTES = 2**28
"""Size of a shard where workers are asked for and no size is given."""


def generate(spec, path, force=False, progress=None, *, recipe=False, shard_size=None, workers=1, scheduler=None):
    """Generate the dataset of a spec into an HDF5 file (format in data/README.md).

    The bytes depend on the spec, `recipe` and the shard size alone. Memory holds a few blocks of samples per worker,
    whatever the size. The file appears under its name when it is complete. A dataset in shards, `chains.h5` over the
    folder `chains.shards/`, goes on at the first missing shard when it was interrupted.

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
    path, force = as_path(path), flag(force, "force")
    function(progress, "progress", optional=True)
    layout = Layout(spec, recipe)
    shard_size = None if shard_size is None else integer(shard_size, "shard_size", 1, MOST)
    workers = integer(workers, "workers", 1)
    if scheduler is not None:
        instance(scheduler, "scheduler", str, "an address like tcp://host:8786")
    refuse_existing(path, force)
    path = Path(os.path.realpath(path)) if path.is_symlink() else path  # the shards lie beside the file itself
    total = sum(getattr(spec, split) for split in SPLITS)
    report = (lambda done: progress(done, total)) if progress else (lambda done: None)
    if shard_size is None and (workers > 1 or scheduler):
        per_shard = SHARD_BYTES // layout.n_bytes(1)
        shard_size = max(layout.block_rows, per_shard // layout.block_rows * layout.block_rows)
    if shard_size is None:
        _in_one_piece(layout, path, force, report)
    else:
        _in_shards(layout, path, force, report, shards(layout, shard_size), workers, scheduler)


def _in_one_piece(layout, path, force, report):
    sizes, done = {split: getattr(layout.spec, split) for split in SPLITS}, 0

    def count(number):
        nonlocal done
        done += number
        report(done)

    with new_file(path, force, layout.n_bytes(sum(sizes.values()))) as partial, new_hdf5(partial) as file:
        layout.describe(file)
        for split, size in sizes.items():
            write_samples(new_group(file, split), layout, Shard(split, 0, size), count)
    if force and (folder := shard_folder(path)).is_dir():  # that of a set which was replaced
        with _shard_folder(folder):
            for other in filter(is_own, list(folder.iterdir())):
                other.unlink()
            _clear_folder(folder)


def shard_folder(path):
    """Return the folder of shards of a dataset file: chains.shards of chains.h5, of other names NAME-shards."""
    path = as_path(path).absolute()
    return path.parent / (f"{path.stem}.shards" if path.suffix == ".h5" else f"{path.name}-shards")


def _in_shards(layout, path, force, report, parts, workers, scheduler):
    folder = shard_folder(path)
    given = {"spec": layout.spec.to_json(), "recipe": layout.recipe, "folder": str(folder)}
    with _shard_folder(folder):
        others = _others(layout, folder, parts, force)
        tasks = [
            jobs.Task("sshml.dataset.shards:shard_task", given | {"shard": dataclasses.asdict(part)}, part.name)
            for part in parts
        ]
        done = 0
        with jobs.pool(min(workers, len(parts)), scheduler) as pool:
            for _, count, error in jobs.run(tasks, pool):
                if error:
                    raise error
                done += count
                report(done)
        write_virtual(layout, path, folder, parts, force)
        for other in others:  # the new set is whole
            other.unlink()


@contextlib.contextmanager
def _shard_folder(folder):
    """Make and lock the folder; when the block fails take it away again unless it holds complete shards."""
    if folder.exists() and not folder.is_dir():
        raise SSHMLError(f"{folder} is a file, where the folder of shards would be; choose another name.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SSHMLError(f"{folder} could not be made: {error.strerror.lower()}.") from error
    with locked(folder / ".lock") as mine:
        if not mine:
            holder = (folder / ".lock").read_text().strip()
            raise SSHMLError(f"{folder} is being written by another process ({holder}); wait.")
        remove_partials(folder)
        with contextlib.ExitStack() as undo:
            undo.callback(_clear_folder, folder)
            yield
            undo.pop_all()


def _clear_folder(folder):
    remove_partials(folder)
    if {path.name for path in folder.iterdir()} <= {".lock"}:
        (folder / ".lock").unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            folder.rmdir()


def _others(layout, folder, parts, force):
    """Return the shards of other sets in the folder, to be removed in the end; raise where they may not be replaced.

    What `generate` did not make is never touched.
    """
    expected, others = {shard.name: shard for shard in parts}, []
    for path in sorted(folder.iterdir()):
        if path.name in expected:
            if is_complete(path, layout, expected[path.name]):
                continue
            if not force or path.is_symlink() or not path.is_file():
                raise SSHMLError(f"{path} is damaged, or no shard of this dataset; remove it or give another name.")
        elif is_own(path):
            others.append(path)
            if not force:
                raise SSHMLError(
                    f"{folder} holds {path.name} of another dataset or shard size; choose another name or replace the"
                    " shards with --force (force=True)."
                )
    refuse_full(folder, sum(layout.n_bytes(s.count) for s in parts if not (folder / s.name).exists()))
    return others
