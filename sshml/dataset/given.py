"""A dataset from hoppings that someone has: arrays, batches from an iterator, or a file of them."""

import csv
from pathlib import Path

import numpy as np

from sshml.arguments import as_array, as_path, flag, function, integer, shown
from sshml.chain import as_hoppings, as_longer, as_onsite
from sshml.dataset.checking import marks_of
from sshml.dataset.draw import labels_of, solved, with_labels
from sshml.dataset.layout import Layout, Writer
from sshml.dataset.ranges import SPLITS
from sshml.dataset.spec import KINDS, MOST, GivenSpec
from sshml.errors import GapClosedError, SSHMLError
from sshml.files import new_file, refuse_existing
from sshml.hdf5 import new_group, new_hdf5, open_foreign

NAMED = 5
"""Rows that an error names."""

READ_ROWS = 65536
"""Rows of an HDF5 file read at once."""

LABELS = ("split", "sample", "winding", "log_margin")
"""Columns of a table of `sshml export` that hold no hopping; the split is used, the others are made anew."""


def from_hoppings(
    v,
    w,
    path,
    *,
    train,
    valid,
    test,
    boundary="open",
    j3=None,
    j4=None,
    onsite=None,
    gauge="random",
    seed=0,
    recipe=False,
    force=False,
    progress=None,
):
    """Make a dataset of chains with given hoppings: states, labels and signs as `generate` makes them.

    The rows go into the splits in their order: the first `train` of them, the next `valid`, the last `test`. Shuffle
    rows that are sorted, by a strength of disorder say. `check` proves the file from its hoppings.

    Args:
        v: intracell hoppings, shape (chain, M); or, with `w` None, an iterator over batches, each (v, w) or a
            dictionary of arrays by the names of the arguments.
        w: intercell hoppings, shape (chain, M - 1) open, (chain, M) periodic or with half a cell at the end.
        path: the HDF5 file to make.
        train: chains of the training split; the three sum to the number of rows.
        valid: chains of the validation split.
        test: chains of the test split.
        boundary: "open" or "periodic".
        j3: longer-range hoppings A_m-B_{m+1}, shapes as in `sshml.chain.as_longer`.
        j4: the same for the bonds B_m-A_{m+2}.
        onsite: on-site energies, shape (chain, N).
        gauge: "random" or "fixed".
        seed: seed of the random signs.
        recipe: store hoppings and labels only.
        force: replace a file that exists.
        progress: called as progress(chains done, chains in all).

    Raises:
        SSHMLError: shapes that do not match, NaN, rows without a label as their gap is closed (which are named), equal
            rows, more or fewer rows than the splits take, or the file exists or cannot be written.

    >>> from_hoppings(v, w, "mine.h5", train=8000, valid=1000, test=1000)  # doctest: +SKIP
    """
    path, force, recipe = as_path(path), flag(force, "force"), flag(recipe, "recipe")
    function(progress, "progress", optional=True)
    sizes = {n: integer(x, n, 1, MOST) for n, x in zip(SPLITS, (train, valid, test), strict=True)}
    refuse_existing(path, force)
    total = sum(sizes.values())
    given = {"v": v, "w": w, "j3": j3, "j4": j4, "onsite": onsite}
    rows = _Rows(_batches(given, boundary), total)
    first = rows.peek()
    half_cell = _has_half_cell(first["v"], first["w"], boundary)
    cells, kinds = first["v"].shape[1], tuple(name for name in KINDS if name in first)
    spec = GivenSpec(cells, kinds, boundary, gauge, **sizes, seed=seed, half_cell=half_cell)
    layout, done, marks = Layout(spec, recipe), 0, []
    with new_file(path, force, layout.n_bytes(total)) as partial, new_hdf5(partial) as file:
        layout.describe(file)
        for split, size in sizes.items():
            writer = Writer(new_group(file, split), layout, size)
            for start in range(0, size, layout.block_rows):
                drawn = rows.take(min(layout.block_rows, size - start))
                arrays = _labelled(spec, drawn, done)
                marks.append(marks_of([drawn[name] for name in kinds]))
                if not recipe:
                    numbers = start + np.arange(len(drawn["v"]))
                    states, energies = solved(spec, split, numbers, arrays)
                    arrays |= {"states": states, "energies": energies}
                writer.write(arrays)
                done += len(drawn["v"])
                if progress:
                    progress(done, total)
            writer.finish()
        rows.refuse_more(total)
        _refuse_equal(np.concatenate(marks))


def _labelled(spec, drawn, first):
    """Return the arrays with their labels; raise, naming rows, where one has none or cannot be stored."""
    size = np.max([np.abs(x).max(axis=1, initial=0) for x in drawn.values()], axis=0)
    _refuse(~((size >= 1e-30) & (size <= 1e30)), first, "a largest hopping outside 1e-30 to 1e30, as float32 needs")
    winding, closed = labels_of(spec, drawn)
    _refuse(closed, first, "a closed gap, where the winding number is undefined", GapClosedError)
    return with_labels(spec, drawn, winding)


def _refuse(broken, first, what, error=SSHMLError):
    rows = first + np.flatnonzero(broken)
    if rows.size:
        more = f" and {rows.size - NAMED} more close by" if rows.size > NAMED else ""
        named = ", ".join(str(row) for row in rows[:NAMED])
        raise error(f"row{'s' * (rows.size > 1)} {named}{more} (from 0): {what}; leave them out.")


def _refuse_equal(marks):
    order = np.argsort(marks, kind="stable")
    equal = np.flatnonzero(marks[order][1:] == marks[order][:-1])
    if equal.size:
        a, b = order[equal[0]], order[equal[0] + 1]
        raise SSHMLError(f"rows {a} and {b} (from 0) are the same chain; splits must share none: leave one out.")


class _Rows:
    """The rows of batches in pieces of any size."""

    def __init__(self, batches, total):
        self.batches, self.total, self.kept, self.taken = batches, total, [], 0

    def peek(self):
        """Return the first batch."""
        self._load(1)
        return self.kept[0]

    def _load(self, count):
        while sum(len(part["v"]) for part in self.kept) < count:
            part = next(self.batches, None)
            if part is None:
                found = self.taken + sum(len(part["v"]) for part in self.kept)
                raise SSHMLError(f"{found} chains were given; train + valid + test = {self.total}: make them equal.")
            if self.kept and {n: x.shape[1] for n, x in part.items()} != {
                n: x.shape[1] for n, x in self.kept[0].items()
            }:
                raise SSHMLError("a batch of hoppings has other bonds, or other kinds of them, than the one before.")
            self.kept.append(part)

    def take(self, count):
        """Return the next rows as a dictionary of arrays."""
        self._load(count)
        whole = {name: np.concatenate([part[name] for part in self.kept]) for name in self.kept[0]}
        self.kept = [{name: array[count:] for name, array in whole.items()}]
        self.taken += count
        return {name: np.ascontiguousarray(array[:count]) for name, array in whole.items()}

    def refuse_more(self, total):
        """Raise where rows are left."""
        if len(self.kept[0]["v"]) or next(self.batches, None) is not None:
            raise SSHMLError(f"more chains were given than train + valid + test = {total}: make them equal.")


def _batches(given, boundary):
    """Yield checked batches {name: float64 array (chain, bond)}."""
    if given["w"] is not None:
        yield _checked(given, boundary)
        return
    source = given.pop("v")
    others = [name for name, x in given.items() if x is not None]
    if others or isinstance(source, (str, bytes, Path, dict)) or not hasattr(source, "__iter__"):
        raise SSHMLError(
            f"w is None and v is {shown(source)}; give v and w as arrays, or as v alone an iterator over batches."
        )
    for batch in source:
        if not isinstance(batch, dict):
            try:
                v, w = batch
            except (TypeError, ValueError):
                raise SSHMLError(f"a batch is {shown(batch)}; expected (v, w) or a dictionary of arrays.") from None
            batch = {"v": v, "w": w}
        if not {"v", "w"} <= set(batch) <= set(KINDS):
            raise SSHMLError(f"a batch has the arrays {sorted(map(str, batch))}; expected v and w, and among {KINDS}.")
        yield _checked(dict.fromkeys(KINDS) | batch, boundary)


def _has_half_cell(v, w, boundary):
    return boundary == "open" and v.shape[1] == w.shape[1]


def _checked(given, boundary):
    v, w = (as_array(given[name], name, axes="chain, bond", dtype=np.float64, finite=True) for name in ("v", "w"))
    if len(v) != len(w):
        raise SSHMLError(f"v has {len(v)} chains and w has {len(w)}; give a row of each per chain.")
    v, w = as_hoppings(v, w, boundary)
    longer = as_longer(given["j3"], given["j4"], v, boundary, _has_half_cell(v, w, boundary))
    found = {"v": v, "w": w} | (dict(zip(("j3", "j4"), longer, strict=True)) if longer else {})
    onsite = as_onsite(given["onsite"], v, w, boundary)
    return found if onsite is None else found | {"onsite": onsite}


def read_hoppings(path):
    """Return (what `from_hoppings` takes as v with w None, {split: rows} or None) of a file of hoppings.

    Args:
        path: .npz with arrays v, w and perhaps j3, j4, onsite, a row per chain; .h5 with such datasets in its root; or
            .csv with columns v_1 ... w_1 ..., as `sshml export` writes them, whose column `split` is kept to.

    Raises:
        SSHMLError: no such file, other names in it, or it cannot be read.
    """
    path = as_path(path)
    readers = {".npz": _read_npz, ".csv": _read_csv, ".h5": _read_hdf5, ".hdf5": _read_hdf5}
    if path.suffix not in readers:
        raise SSHMLError(f"{path} is none of {', '.join(readers)}; write the hoppings as one of them.")
    if not path.is_file():
        raise SSHMLError(f"{path} does not exist, or is no file.")
    return readers[path.suffix](path)


def _refuse_names(path, names, what="array"):
    if not {"v", "w"} <= set(names) <= set(KINDS):
        raise SSHMLError(f"{path} has the {what}s {sorted(names)}; expected v and w, and perhaps j3, j4, onsite.")


def _read_npz(path):
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {name: file[name] for name in file.files}
    except Exception as error:  # whatever a foreign or damaged file leads to
        raise SSHMLError(f"{path} cannot be read: {str(error).splitlines()[0]:.200}.") from None
    _refuse_names(path, found)
    return iter([found]), None


def _read_hdf5(path):
    with open_foreign(path) as file:
        _refuse_names(path, list(file), "dataset")
        shapes = [getattr(file[name], "shape", ()) for name in file]
        if any(len(shape) != 2 or shape[0] != shapes[0][0] for shape in shapes):
            raise SSHMLError(f"{path}: v, w and the others must be datasets (chain, bond) of as many chains.")
        rows = shapes[0][0]

    def batches():
        for first in range(0, rows, READ_ROWS):
            with open_foreign(path) as file:
                yield {name: file[name][first : first + READ_ROWS] for name in file}

    return batches(), None


def _read_csv(path):
    try:
        with path.open(newline="", encoding="utf-8") as file:
            header, *lines = csv.reader(file)
    except (OSError, ValueError, csv.Error) as error:
        raise SSHMLError(f"{path} cannot be read: {error}.") from None
    places = {}
    for place, name in enumerate(header):
        kind, _, number = name.rpartition("_")
        if kind in KINDS and number.isdecimal():
            if int(number) in places.setdefault(kind, {}):
                raise SSHMLError(f"{path}: {kind}_{int(number)} is there twice; give each hopping one column.")
            places[kind][int(number)] = place
        elif (
            name not in LABELS and not name.startswith(("clean_", "disorder_")) and name not in ("beta", "probability")
        ):
            raise SSHMLError(f"{path}: column {name!r:.40} is no hopping; expected v_1 ... w_1 ...")
    _refuse_names(path, places, "column")
    for kind, found in places.items():
        if sorted(found) != list(range(1, len(found) + 1)):
            raise SSHMLError(f"{path}: the columns of {kind} are not {kind}_1 to {kind}_{len(found)}.")
    for number, line in enumerate(lines):
        if len(line) != len(header):
            raise SSHMLError(f"{path}: line {number + 2} has {len(line)} fields; its header has {len(header)}.")
    sizes = None
    if "split" in header:
        at = header.index("split")
        if other := {line[at] for line in lines} - set(SPLITS):
            raise SSHMLError(f"{path}: split {min(other)!r:.40} is none of {', '.join(SPLITS)}.")
        lines.sort(key=lambda line: SPLITS.index(line[at]))
        sizes = {split: sum(line[at] == split for line in lines) for split in SPLITS}
    try:
        found = {
            kind: np.array([[float(line[columns[n]]) for n in sorted(columns)] for line in lines])
            for kind, columns in places.items()
        }
    except ValueError as error:
        raise SSHMLError(f"{path}: {error}.") from None
    return iter([found]), sizes
