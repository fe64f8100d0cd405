"""Time several callables against each other: interleaved, median, in one process."""

import os
import platform
import statistics
import time

import torch


def machine(threads):
    """Return one line that names the machine, the thread count and the library versions."""
    name = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123
            name = next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{name}, {os.cpu_count()} cores{gpu}; {threads} threads; torch {torch.__version__}"


IDLE = 0.15
"""Seconds before each timing: threads of OpenBLAS spin for 0.1 s after a call and would slow whoever comes next."""


def interleaved(calls, repeats, row=1):
    """Return {name: median seconds of a call}; every round runs each, after one round that does not count.

    A timing is the mean of `row` calls in a row, as training makes them.
    """
    seconds = {name: [] for name in calls}
    for round_ in range(repeats + 1):
        for name, call in calls.items():
            time.sleep(IDLE)
            start = time.perf_counter()
            for _ in range(row):
                call()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if round_:
                seconds[name].append((time.perf_counter() - start) / row)
    return {name: statistics.median(found) for name, found in seconds.items()}


def table(title, medians, units, baseline):
    """Print a row for each name: time per unit and ratio baseline / own."""
    print(title)
    per = {name: medians[name] / units[name] * 1e3 for name in medians}
    for name, value in per.items():
        print(f"  {name:44s} {value:9.3f} ms   {per[baseline] / value:7.1f} x")
