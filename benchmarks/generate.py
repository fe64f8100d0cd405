"""Datasets into HDF5 from end to end: sshml beside a published-style loop, workers, Dask, and the peak of memory.

python benchmarks/generate.py FOLDER      (a folder on the disk, or on a RAM disk, to measure)
python benchmarks/generate.py FOLDER --large
python benchmarks/generate.py FOLDER --diagram      (a million chains, twice a repeat)
"""

import argparse
import dataclasses
import shutil
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import torch
from eigenstates import published
from side_by_side import interleaved, machine, table

from sshml.dataset import DatasetSpec, generate
from sshml.dataset.draw import labelled, samples

SIZES = {16: 100000, 64: 20000}
LOOPED = {16: 2000, 64: 400}
DISORDER = {
    "clean": {},
    "disordered": {"disorder_v": 0.5, "disorder_w": 0.5},
    "on-site disorder": {"disorder_onsite": 0.5},
    "disordered, half a cell at the end": {"disorder_v": 0.5, "disorder_w": 0.5, "half_cell": True},
}
ONE = {"v": 1, "disorder_v": 1, "disorder_w": 1}
DIAGRAM = {"v": (0, 2), "disorder_v": (0, 4), "disorder_w": (0, 4)}

LARGE = """
import resource, sys, time
from pathlib import Path
from sshml.dataset import DatasetSpec, generate, samples
spec = DatasetSpec.from_json(sys.argv[1])
samples(spec, "train", 0, 256)  # compiled kernels
start = time.perf_counter()
Path(sys.argv[2]).unlink(missing_ok=True)
generate(spec, sys.argv[2])
print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def loop_into_hdf5(spec, path, count):
    """Diagonalise chain by chain, append, and write the lists at the end."""
    drawn = labelled(spec, "train", 0, count)
    energies, states = published(*(drawn[name] for name in spec.kinds))
    with h5py.File(path, "w") as file:
        file["states"] = np.swapaxes(states, 1, 2).astype(np.float32)
        file["energies"] = np.array(energies, np.float32)


def plain_write(path, size, anew=True):
    """Write as many bytes as the dataset has, from one buffer, into a new file or over the old one: the floor."""
    if anew:
        path.unlink(missing_ok=True)
    buffer = np.ones(2**24, np.uint8)
    with path.open("wb", buffering=0) as file:
        for first in range(0, size, len(buffer)):
            file.write(buffer[: min(len(buffer), size - first)])


def anew(spec, path, **options):
    """Generate a dataset where none is."""
    path.unlink(missing_ok=True)
    shutil.rmtree(path.with_suffix(".shards"), ignore_errors=True)
    generate(spec, path, **options)


def spec_of(sites, kind, chains):
    return DatasetSpec(cells=sites // 2, train=chains - 200, valid=100, test=100, **DISORDER[kind])


def compare(folder, repeats):
    """Print the table of end-to-end rates for every size and kind of chain."""
    for sites, chains in SIZES.items():
        for kind in DISORDER:
            spec, few = spec_of(sites, kind, chains), LOOPED[sites]
            samples(spec, "train", 0, 256)
            size = chains * 4 * spec.sites**2
            calls = {
                "published-style loop": lambda spec=spec, few=few: loop_into_hdf5(spec, folder / "loop.h5", few),
                "sshml generate": lambda spec=spec: anew(spec, folder / "x.h5"),
                "sshml generate, recipe": lambda spec=spec: anew(spec, folder / "r.h5", recipe=True),
                "plain write over a file": lambda size=size: plain_write(folder / "over", size, anew=False),
                "plain write of a new file": lambda size=size: plain_write(folder / "raw", size),
            }
            units = dict(zip(calls, (few / 1000, *[chains / 1000] * 4), strict=True))
            found = interleaved(calls, repeats)
            table(f"{kind}, N = {sites}, ms per 1000 chains", found, units, "published-style loop")
            for floor in list(calls)[-2:]:
                print(f"  sshml generate takes {found['sshml generate'] / found[floor]:.2f} x the {floor}")


def scaling(folder, repeats):
    """Print how workers and a Dask cluster scale; disordered chains of 64 sites, in shards of 4096."""
    from distributed import LocalCluster

    chains = 3 * SIZES[64]
    spec = spec_of(64, "disordered", chains)
    options = {"one process, two threads": {}, "2 workers": {"workers": 2}}
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        options["Dask, 2 processes"] = {"scheduler": cluster.scheduler_address}
        calls = {name: lambda o=o: anew(spec, folder / "s.h5", shard_size=4096, **o) for name, o in options.items()}
        found = interleaved(calls, repeats)
    table(
        "shards, N = 64 disordered, ms per 1000 chains",
        found,
        dict.fromkeys(calls, chains / 1000),
        "one process, two threads",
    )


def whole_diagram(folder, repeats):
    """Print what a million chains over a diagram take beside as many of one v and one strength; N = 16."""
    sizes = {"cells": 8, "w": 1, "train": 10**6 - 200, "valid": 100, "test": 100}
    specs = {"one v, one strength": DatasetSpec(**sizes, **ONE), "v and W as ranges": DatasetSpec(**sizes, **DIAGRAM)}
    calls = {name: lambda spec=spec: anew(spec, folder / "d.h5") for name, spec in specs.items()}
    found = interleaved(calls, repeats)
    table("a million chains of 16 sites, s", found, dict.fromkeys(calls, 1000.0), "one v, one strength")
    print(f"  ranges take {found['v and W as ranges'] / found['one v, one strength']:.2f} x one strength")


def large(folder):
    """Print time, rate and peak memory of a million chains of 16 sites and a hundred thousand of 64."""
    for sites, chains in ((16, 10**6), (64, 10**5)):
        for kind in ("clean", "disordered"):
            spec = dataclasses.replace(spec_of(sites, kind, chains), seed=1)
            command = [sys.executable, "-c", LARGE, spec.to_json(), str(folder / "large.h5")]
            seconds, peak = map(float, subprocess.run(command, capture_output=True, check=True).stdout.split())
            size = (folder / "large.h5").stat().st_size
            start = time.perf_counter()
            plain_write(folder / "raw", size)
            disk = time.perf_counter() - start
            print(
                f"  {chains} chains of {sites} sites, {kind}: {seconds:.1f} s, {size / seconds / 1e9:.2f} GB/s (plain"
                f" write of the same bytes {disk:.1f} s), peak memory {peak:.0f} MiB"
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--diagram", action="store_true")
    options = parser.parse_args()
    print(machine(torch.get_num_threads()), f"; {options.folder}")
    folder = options.folder / "sshml-benchmark"
    folder.mkdir()
    try:
        if options.large:
            large(folder)
        elif options.diagram:
            whole_diagram(folder, options.repeats)
        else:
            compare(folder, options.repeats)
            scaling(folder, options.repeats)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
