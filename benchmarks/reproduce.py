"""Whole commands: `sshml reproduce` of this tree beside that of another one, alternating.

python benchmarks/reproduce.py [--other FOLDER_OF_ANOTHER_CHECKOUT] [--repeats 2] [-- NAME --set field=value ...]
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from side_by_side import IDLE, machine

HERE = Path(__file__).resolve().parents[1]


def seconds(tree, arguments):
    """Return how long the command takes from start to end, results in a folder of their own."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "sshml.cli", "reproduce", *arguments, "--out", folder]
        time.sleep(IDLE)
        start = time.perf_counter()
        subprocess.run(command, env=os.environ | {"PYTHONPATH": str(tree)}, cwd=folder, check=True, capture_output=True)
        return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--other", type=Path, help="another checkout, e.g. of an earlier release")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("arguments", nargs="*", default=["poster"])
    options = parser.parse_args()
    print(machine(os.cpu_count()))
    trees = {"this tree": HERE} | ({str(options.other): options.other.resolve()} if options.other else {})
    found = {name: [] for name in trees}
    for _ in range(options.repeats):
        for name, tree in trees.items():
            found[name].append(seconds(tree, options.arguments))
    for name, times in found.items():
        ratio = statistics.median(found["this tree"]) / statistics.median(times)
        print(f"  {name:40s} {statistics.median(times):7.1f} s   {' '.join(f'{t:.1f}' for t in times)}   {ratio:.2f}")


if __name__ == "__main__":
    main()
