"""Times of calls, measured side by side."""

import time

import numpy as np


def compare(calls, repeats=9, least=2e-3):
    """Return the median seconds of each of several calls, interleaved; short ones run several times in a row."""
    counts = []
    for call in calls:
        call()
        start = time.perf_counter()
        call()
        counts.append(max(1, int(least / max(1e-9, time.perf_counter() - start))))
    found = np.empty((repeats, len(calls)))
    for repeat in range(repeats):
        for number, (call, count) in enumerate(zip(calls, counts, strict=True)):
            start = time.perf_counter()
            for _ in range(count):
                call()
            found[repeat, number] = (time.perf_counter() - start) / count
    return np.median(found, 0).tolist()
