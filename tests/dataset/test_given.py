import h5py
import numpy as np
import pytest

from sshml.chain import log_margin
from sshml.dataset import (
    DatasetSpec,
    GivenSpec,
    check,
    export,
    from_hoppings,
    generate,
    given,
    open_dataset,
    read_hoppings,
    samples,
    spec_from_json,
)
from sshml.errors import GapClosedError, SSHMLError

SIZES = {"train": 12, "valid": 3, "test": 5}


@pytest.fixture
def chains(rng):
    return rng.random((20, 4)), rng.random((20, 3))


def test_same_states_and_labels_as_generated_ones(tmp_path):
    """The hoppings of a spec, given, make its file again: states, energies, labels; of its seed also the signs."""
    spec = DatasetSpec(cells=4, seed=7, disorder_v=0.5, onsite="0:0.3", gauge="random", **SIZES)
    made = [samples(spec, split, 0, size) for split, size in SIZES.items()]
    v, w, onsite = (np.concatenate([part[name] for part in made]) for name in ("v", "w", "onsite"))
    from_hoppings(v, w, tmp_path / "a.h5", onsite=onsite, seed=7, **SIZES)
    found = check(tmp_path / "a.h5", deep=True)
    for split, part in zip(SIZES, made, strict=True):
        for name in ("states", "energies", "winding", "log_margin", "v", "w", "onsite"):
            np.testing.assert_array_equal(found.splits[split].read(name), part[name])
    assert found.spec == GivenSpec(4, ("v", "w", "onsite"), seed=7, **SIZES)
    assert found.train.parameters == {}
    assert spec_from_json(found.spec.to_json()) == found.spec


@pytest.mark.parametrize("size", [1, 6, 7, 20])
def test_batches_of_any_size(tmp_path, chains, size):
    v, w = chains
    from_hoppings(v, w, tmp_path / "whole.h5", **SIZES)
    pairs = ((v[i : i + size], w[i : i + size]) for i in range(0, 20, size))
    from_hoppings(pairs, None, tmp_path / "pairs.h5", **SIZES)
    named = iter([{"w": w[:9], "v": v[:9]}, {"v": v[9:], "w": w[9:]}])
    from_hoppings(named, None, tmp_path / "named.h5", **SIZES)
    whole = (tmp_path / "whole.h5").read_bytes()
    assert (tmp_path / "pairs.h5").read_bytes() == whole
    assert (tmp_path / "named.h5").read_bytes() == whole


@pytest.mark.parametrize(
    ("boundary", "bonds", "more"),
    [("open", 4, {}), ("periodic", 4, {}), ("periodic", 4, {"j3": 0.1}), ("open", 3, {"onsite": True})],
)
@pytest.mark.parametrize("recipe", [False, True])
def test_kinds_of_chains(tmp_path, rng, boundary, bonds, more, recipe):
    v, w = rng.random((20, 4)), rng.random((20, bonds))
    sites = 8 + (boundary == "open" and bonds == 4)
    more = more | ({"onsite": rng.normal(size=(20, sites))} if "onsite" in more else {})
    done = []
    from_hoppings(
        v, w, tmp_path / "a.h5", boundary=boundary, recipe=recipe, gauge="fixed", **SIZES, **more,
        progress=lambda *x: done.append(x),
    )  # fmt: skip
    found = check(tmp_path / "a.h5", deep=True)
    assert found.spec.sites == sites
    assert found.test.read("states").shape == (5, sites, sites)
    assert done[-1] == (20, 20)
    if boundary == "open":
        np.testing.assert_allclose(found.train.read("log_margin"), log_margin(v[:12], w[:12]))
    if "j3" in more:
        assert found.train.read("j4").max() == 0
        assert set(found.train.read("winding")) <= {-1, 0, 1, 2}


def test_rows_without_a_label_are_named(tmp_path, chains):
    v, w = chains
    v[14], w[14] = 0.5, 0.5
    v[17], w[17] = 0.25, 0.25
    with pytest.raises(GapClosedError, match=r"rows 14, 17 \(from 0\)|row 14 \(from 0\)"):
        from_hoppings(v, w, tmp_path / "a.h5", **SIZES)
    v[3] = 1e31
    with pytest.raises(SSHMLError, match="row 3 "):
        from_hoppings(v, w, tmp_path / "a.h5", **SIZES)
    v[:, :], w[:, :] = 0.5, 0.5
    with pytest.raises(GapClosedError, match="rows 0, 1, 2, 3, 4 and 7 more"):
        from_hoppings(v, w, tmp_path / "a.h5", **SIZES)
    assert list(tmp_path.iterdir()) == []


def test_equal_rows_are_named(tmp_path, chains):
    v, w = chains
    v[16], w[16] = v[2], w[2]
    with pytest.raises(SSHMLError, match="rows 2 and 16"):
        from_hoppings(v, w, tmp_path / "a.h5", **SIZES)
    assert list(tmp_path.iterdir()) == []


def bad(v, w):
    yield v, w, {"train": 13}, "20 chains were given"
    yield v, w, {"train": 11}, "more chains were given"
    yield v, w[:, :2], {}, "needs 3, or 4"
    yield v, w[:5], {}, "20 chains and w has 5"
    yield v[0], w[0], {}, "chain, bond"
    yield v, w, {"boundary": "moebius"}, "boundary"
    yield v, w, {"onsite": np.ones((20, 9))}, "9 energies"
    yield v, w, {"gauge": "free"}, "gauge"
    yield v * np.nan, w, {}, "NaN"
    yield iter([(v, w)]), None, {"onsite": 0.1}, "iterator"
    yield 3, None, {}, "iterator"
    yield "v", None, {}, "iterator"
    yield iter([v]), None, {}, "a batch is"
    yield iter([{"v": v}]), None, {}, "has the arrays"
    yield iter([{"v": v, "w": w, "x": w}]), None, {}, "has the arrays"
    yield iter([(v[:9], w[:9]), (v[9:, :3], w[9:, :2])]), None, {}, "other bonds"
    yield iter([]), None, {}, "0 chains were given"
    yield iter([(v, w), (v[:0], w[:0])]), None, {"train": 11}, "more chains"
    yield v, w, {"seed": -1}, "seed"
    yield v, w, {"valid": 0}, "valid"


def test_bad_input(tmp_path, chains):
    for v, w, options, words in bad(*chains):
        with pytest.raises(SSHMLError, match=words):
            from_hoppings(v, w, tmp_path / "a.h5", **SIZES | options)
    assert list(tmp_path.iterdir()) == []
    from_hoppings(*chains, tmp_path / "a.h5", **SIZES)
    with pytest.raises(SSHMLError, match="exists"):
        from_hoppings(*chains, tmp_path / "a.h5", **SIZES)
    from_hoppings(*chains, tmp_path / "a.h5", **SIZES, force=True)


def test_check_finds_what_does_not_belong_to_the_hoppings(tmp_path, chains):
    from_hoppings(*chains, tmp_path / "a.h5", **SIZES)
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file["train/v"][3] *= 1.01
    with pytest.raises(SSHMLError, match="/train/states sample 3 does not solve"):
        check(tmp_path / "a.h5")


class TestFiles:
    def write(self, tmp_path, v, w):
        np.savez(tmp_path / "a.npz", v=v, w=w)
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file["v"], file["w"] = v, w
        head = [f"v_{i + 1}" for i in range(4)] + [f"w_{i + 1}" for i in range(3)]
        rows = [",".join(f"{x:.17g}" for x in row) for row in np.concatenate([v, w], 1)]
        (tmp_path / "a.csv").write_text("\n".join([",".join(head), *rows]) + "\n")

    @pytest.mark.parametrize("name", ["a.npz", "a.h5", "a.csv"])
    def test_are_read(self, tmp_path, chains, name, monkeypatch):
        monkeypatch.setattr(given, "READ_ROWS", 6)
        self.write(tmp_path, *chains)
        rows, sizes = read_hoppings(tmp_path / name)
        assert sizes is None
        from_hoppings(rows, None, tmp_path / "b.h5", **SIZES)
        np.testing.assert_array_equal(open_dataset(tmp_path / "b.h5").train.read("v"), chains[0][:12])

    def test_exported_tables_come_back(self, tmp_path):
        generate(DatasetSpec(cells=3, disorder_v="0:2", disorder_w=0.5, half_cell=True, **SIZES), tmp_path / "a.h5")
        export(tmp_path / "a.h5", tmp_path / "a.csv")
        lines = (tmp_path / "a.csv").read_text().splitlines()
        (tmp_path / "a.csv").write_text("\n".join([lines[0], *lines[:0:-1]]))  # the splits upside down
        rows, sizes = read_hoppings(tmp_path / "a.csv")
        assert sizes == SIZES
        from_hoppings(rows, None, tmp_path / "b.h5", **sizes)
        old, new = open_dataset(tmp_path / "a.h5"), check(tmp_path / "b.h5")
        for split in SIZES:
            np.testing.assert_array_equal(old.splits[split].read("w")[::-1], new.splits[split].read("w"))

    @pytest.mark.parametrize(
        ("name", "text", "words"),
        [
            ("a.txt", "", "none of .npz"),
            ("b.npz", None, "does not exist"),
            ("a.npz", "nothing", "cannot be read"),
            ("a.h5", "nothing", "not an HDF5 file"),
            ("a.csv", "", "cannot be read|has the columns"),
            ("a.csv", "v_1,w_1,colour\n1,2,3\n", "column 'colour'"),
            ("a.csv", "v_1,v_²,w_1\n1,2,3\n", "column 'v_²'"),
            ("a.csv", "v_1,v_3,w_1\n1,2,3\n", "columns of v"),
            ("a.csv", "v_1,w_1\n1\n", "line 2 has 1 fields"),
            ("a.csv", "v_1,v_01,w_1\n1,2,3\n", "v_1 is there twice"),
            ("a.csv", "v_1,w_1\n1,x\n", "x"),
            ("a.csv", "split,v_1,w_1\nmine,1,2\n", "split 'mine'"),
            ("a.csv", "v_1\n1\n", "expected v and w"),
        ],
    )
    def test_bad_ones(self, tmp_path, name, text, words):
        if text is not None:
            (tmp_path / name).write_text(text)
        with pytest.raises(SSHMLError, match=words):
            read_hoppings(tmp_path / name)

    def test_foreign_arrays(self, tmp_path, chains):
        np.savez(tmp_path / "a.npz", v=chains[0], u=chains[1])
        np.savez(tmp_path / "b.npz", v=np.array([object()]), w=chains[1])
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file["v"], file["w"] = chains[0], chains[1][:5]
        with h5py.File(tmp_path / "b.h5", "w") as file:
            file["v"], file["w"] = chains[0], h5py.ExternalLink("a.h5", "w")
        with h5py.File(tmp_path / "c.h5", "w") as file:
            file["v"], _ = 3.0, file.create_group("w")
        for name, words in (
            ("a.npz", "expected v and w"),
            ("b.npz", "cannot be read"),
            ("a.h5", "as many chains"),
            ("b.h5", "link"),
            ("c.h5", "chain, bond"),
        ):
            with pytest.raises(SSHMLError, match=words):
                read_hoppings(tmp_path / name)


def test_kinds_of_a_given_spec():
    assert GivenSpec(4, ("onsite", "w", "v")).kinds == ("v", "w", "onsite")
    assert GivenSpec(4, ("v", "w", "j3", "j4")).windings == (-1, 0, 1, 2)
    for kinds in (("v",), ("v", "w", "j3"), ("v", "w", "x"), "vw1", [1, 2]):
        with pytest.raises(SSHMLError, match="kinds"):
            GivenSpec(4, kinds)
    with pytest.raises(SSHMLError, match="whole cells"):
        GivenSpec(4, ("v", "w"), "periodic", half_cell=True)
    for text in ("{}", "[]", "x", '{"given": 3, "cells": 4}', '{"given": ["v", "w"], "colour": 4, "cells": 4}'):
        with pytest.raises(SSHMLError):
            GivenSpec.from_json(text)
