"""Labels and hoppings of a dataset as a table."""

import csv

from sshml.arguments import function
from sshml.dataset.layout import FORMAT, FORMAT_VERSION
from sshml.dataset.store import open_dataset
from sshml.files import new_file
from sshml.hdf5 import open_hdf5

ROWS = 10000
"""Samples read at once."""


def export(data, path, force=False, progress=None):
    """Write a CSV table with a line per chain: split, sample, winding, log_margin, what varies, v_1 ... v_M, w_1 ...

    Hoppings have 17 digits, so that they are read back exactly.

    Args:
        data: the dataset file.
        path: the CSV file to make.
        force: replace a file that exists.
        progress: called as progress(samples done, samples in all).

    Returns:
        Number of chains.

    Raises:
        SSHMLError: not a dataset, or the file exists or cannot be written.
    """
    function(progress, "progress", optional=True)
    dataset = open_dataset(data)
    spec, done, total = dataset.spec, 0, sum(map(len, dataset.splits.values()))
    labels = ["winding", *["log_margin"] * (not spec.is_longer), *spec.stored]
    columns = [f"{name}_{m + 1}" for name in spec.kinds for m in range(spec.bonds(name))]
    with (
        new_file(path, force) as partial,
        partial.open("w", newline="", encoding="utf-8") as target,
        open_hdf5(dataset.path, FORMAT, FORMAT_VERSION) as file,
    ):
        writer = csv.writer(target)
        writer.writerow(["split", "sample", *labels, *columns])
        for name, split in dataset.splits.items():
            for first in range(0, len(split), ROWS):
                rows = slice(first, min(first + ROWS, len(split)))
                arrays = split.read((*labels, *spec.kinds), rows, file)
                lists = [array.reshape(len(array), -1).tolist() for array in arrays]
                for i, parts in enumerate(zip(*lists, strict=True)):
                    writer.writerow([name, first + i, *(value for part in parts for value in part)])
                done += rows.stop - rows.start
                if progress:
                    progress(done, total)
    return total
