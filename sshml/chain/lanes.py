"""What the kernels share: chains side by side in SIMD lanes, and the signs of the states they wrote.

A kernel solves LANES chains at once, level after level. Every array of a kernel ends in the axis `lane`, so that the
compiler turns the innermost loop into vector instructions; what a lane computes never depends on its neighbours.
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numba
import numpy as np
from numba import njit

LANES = 64
"""Chains per block; shorter loops are unrolled by LLVM instead of vectorised."""

JIT = {"cache": True, "nogil": True, "error_model": "numpy", "fastmath": {"contract"}}
"""Compiled once per machine. Fused multiply-add is the only liberty taken with IEEE arithmetic."""

THREADS = numba.config.NUMBA_NUM_THREADS
"""Threads the kernels run on: the environment variable NUMBA_NUM_THREADS, else the cores this process may use."""

PARTS = 4
"""Parts per thread, so that none waits long for the last one."""

_pools = {}


def run(kernel, *arguments):
    """Call a kernel on all chains, in parts of whole blocks on THREADS threads.

    Arrays are split along their first axis, the chains. Plain threads around kernels without the interpreter's lock:
    they survive a fork (the child makes its own) and calls from several threads, which those of numba do not. Asking
    numba for its number of threads would not do either: it takes a lock that all forked processes share, and one
    killed in that moment would stop all others for ever.
    """
    if not kernel.signatures:
        name = f"{kernel.py_func.__module__.rpartition('.')[2]}.{kernel.py_func.__qualname__}-"
        folder = Path(kernel.stats.cache_path or ".")
        if not any(folder.glob(f"{name}*.nbi")):
            print("sshml: compiling kernels for this machine, once ...", file=sys.stderr, flush=True)
    chains, threads = len(arguments[0]), THREADS
    rows = LANES * -(-chains // (LANES * threads * PARTS))
    if threads == 1 or chains <= rows:
        kernel(*arguments)
        return
    key = os.getpid(), threads
    if key not in _pools:
        _pools[key] = ThreadPoolExecutor(threads, "sshml-kernel")

    def part(first):
        kernel(*(x[first : first + rows] if np.ndim(x) else x for x in arguments))

    list(_pools[key].map(part, range(0, chains, rows)))


@njit(**JIT)
def multiply_levels(states, signs):
    """Multiply the levels of states (chain, level, site) by signs (chain, level), in place."""
    for chain in range(len(states)):
        for level in range(states.shape[1]):
            if signs[chain, level] < 0:
                for site in range(states.shape[2]):
                    states[chain, level, site] = -states[chain, level, site]


@njit(**JIT)
def multiply_sites(states, signs):
    """Multiply the sites of states (chain, level, site) by signs (chain, site), in place."""
    for chain in range(len(states)):
        for level in range(states.shape[1]):
            for site in range(states.shape[2]):
                states[chain, level, site] *= signs[chain, site]


@njit(**JIT)
def first_maximum_signs(states, threshold, signs):
    """Fill signs (chain, level) with the sign of the first site whose |psi| is at least threshold * maximum."""
    for chain in range(len(states)):
        for level in range(states.shape[1]):
            psi = states[chain, level]
            largest = abs(psi[0])
            for site in range(1, len(psi)):
                largest = max(largest, abs(psi[site]))
            site = 0
            while site < len(psi) - 1 and not abs(psi[site]) >= threshold * largest:
                site += 1
            signs[chain, level] = -1 if psi[site] < 0 else 1
