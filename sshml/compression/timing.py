"""Times of calls, measured side by side."""

import time

import numpy as np

LEAST = 2e-3
"""Seconds that a measurement takes, at least."""


def compare(calls, repeats=9):
    """Return the median seconds of each of several calls, interleaved; short ones run several times in a row."""
    counts = []
    for call in calls:
        call()
        start = time.perf_counter()
        call()
        counts.append(max(1, int(LEAST / max(1e-9, time.perf_counter() - start))))
    found = np.empty((repeats, len(calls)))
    for repeat in range(repeats):
        for number, (call, count) in enumerate(zip(calls, counts, strict=True)):
            start = time.perf_counter()
            for _ in range(count):
                call()
            found[repeat, number] = (time.perf_counter() - start) / count
    return np.median(found, 0).tolist()
