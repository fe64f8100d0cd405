"""How compiled kernels run: samples side by side in SIMD lanes, parts of a batch on plain threads.

A kernel works on LANES samples at once. Its arrays end in the axis `lane`, so that the compiler turns the innermost
loop into vector instructions; what a lane computes never depends on its neighbours.
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numba

LANES = 64
"""Samples per block; shorter loops are unrolled by LLVM instead of vectorised."""


def _can_cache():
    """Return whether compiled kernels can be kept; a read-only package without a home folder is no fault."""
    try:
        numba.njit(cache=True)(_can_cache)
    except RuntimeError:  # numba finds no folder for them
        return False
    return True


JIT = {"cache": _can_cache(), "nogil": True, "error_model": "numpy", "fastmath": {"contract"}}
"""Compiled once per machine. Fused multiply-add is the only liberty taken with IEEE arithmetic."""

THREADS = numba.config.NUMBA_NUM_THREADS
"""Threads the kernels run on: the environment variable NUMBA_NUM_THREADS, else the cores this process may use."""

PARTS = 4
"""Parts per thread, so that none waits long for the last one."""

_pools, _said = {}, []


def run(kernel, *arrays, shared=(), unit=LANES):
    """Call kernel(*arrays, *shared) on all samples, in parts of whole blocks on THREADS threads.

    Plain threads around kernels without the interpreter's lock: they survive a fork (the child makes its own) and calls
    from several threads, which those of numba do not. Asking numba for its number of threads would not do either: it
    takes a lock that all forked processes share, and one killed in that moment would stop all others for ever.

    Args:
        kernel: the compiled function; it fills some of its arrays.
        *arrays: split along their first axis, the samples.
        shared: passed whole to every part.
        unit: a part has a multiple of so many samples.
    """
    if not kernel.signatures:
        name = f"{kernel.py_func.__module__.rpartition('.')[2]}.{kernel.py_func.__qualname__}-"
        folder = Path(kernel.stats.cache_path or ".")
        if not any(folder.glob(f"{name}*.nbi")) and not _said:
            _said.append(name)
            print("sshml: compiling kernels for this machine, once ...", file=sys.stderr, flush=True)
    samples, threads = len(arrays[0]), THREADS
    rows = unit * -(-samples // (unit * threads * PARTS))
    if threads == 1 or samples <= rows:
        kernel(*arrays, *shared)
        return
    key = os.getpid(), threads
    if key not in _pools:
        _pools[key] = ThreadPoolExecutor(threads, "sshml-kernel")

    def part(first):
        kernel(*(x[first : first + rows] for x in arrays), *shared)

    list(_pools[key].map(part, range(0, samples, rows)))
