import dataclasses

import h5py
import numpy as np
import pytest

from sshml.chain import eigenstates, winding_number
from sshml.dataset import DatasetSpec, check, generate, open_dataset, samples
from sshml.dataset.generate import grid_points, hoppings
from sshml.errors import SSHMLError

SPEC = DatasetSpec(cells=3, disorder_v=0.5, disorder_w=1.0, train=40, valid=7, test=11, seed=5)
SPECS = {
    "disordered": SPEC,
    "clean": dataclasses.replace(SPEC, disorder_v=0, disorder_w=0),
    "ring": dataclasses.replace(SPEC, boundary="periodic"),
    "clean ring": dataclasses.replace(SPEC, boundary="periodic", disorder_v=0, disorder_w=0),
    "fixed gauge": dataclasses.replace(SPEC, gauge="fixed"),
    "grid": dataclasses.replace(SPEC, v="0:2:11", w="0.5:1.5:11", disorder_v=0, disorder_w=0),
    "fixed v": dataclasses.replace(SPEC, v=0, disorder_v=0),
}


def arrays_of(path):
    with h5py.File(path) as file:
        return {f"{s}/{name}": file[s][name][()] for s in ("train", "valid", "test") for name in file[s]}


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_the_file_is_valid_and_the_same_on_every_run(tmp_path, spec):
    for name in ("a.h5", "b.h5"):
        generate(spec, tmp_path / name)
    dataset = check(tmp_path / "a.h5")
    assert dataset.spec == spec
    first, second = arrays_of(tmp_path / "a.h5"), arrays_of(tmp_path / "b.h5")
    assert all(first[name].tobytes() == second[name].tobytes() for name in first)


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_a_sample_depends_on_seed_split_and_index_only(spec):
    whole = samples(spec, "train", 0, 20)
    part = samples(dataclasses.replace(spec, train=12, valid=2, test=2), "train", 5, 7)
    for name in whole:
        assert whole[name][5:12].tobytes() == part[name].tobytes()


def test_the_gauge_does_not_change_the_chains():
    random, fixed = (samples(SPECS[name], "test", 0, 11) for name in ("disordered", "fixed gauge"))
    np.testing.assert_array_equal(random["v"], fixed["v"])
    np.testing.assert_array_equal(np.abs(random["states"]), np.abs(fixed["states"]))


def test_splits_and_seeds_differ():
    draws = [hoppings(SPEC, split, 0, 5)[0] for split in ("train", "valid", "test")]
    draws.append(hoppings(dataclasses.replace(SPEC, seed=6), "train", 0, 5)[0])
    assert len(np.unique(np.concatenate(draws))) == 4 * 5 * 3


def test_what_is_stored_is_what_the_chain_room_says():
    found = samples(SPEC, "valid", 0, 7)
    energies, states = eigenstates(found["v"], found["w"])
    np.testing.assert_allclose(found["energies"], energies, atol=1e-6)
    np.testing.assert_allclose(np.abs(found["states"]), np.abs(states), atol=1e-6)
    np.testing.assert_array_equal(found["winding"], winding_number(found["v"], found["w"]))


def test_disorder_has_the_asked_law():
    v, w = hoppings(dataclasses.replace(SPEC, v=2, w=3, cells=20), "train", 0, 4000)
    for x, centre, width in ((v, 2, 0.5), (w, 3, 1.0)):
        assert x.min() >= centre - width / 2
        assert x.max() <= centre + width / 2
        assert x.mean() == pytest.approx(centre, abs=width * 0.01)
        assert x.std() == pytest.approx(width / np.sqrt(12), rel=0.02)


def test_a_closed_gap_is_drawn_again():
    """On the 2-point grids half of the points have |v| = |w|; with disorder in w alone none may stay."""
    spec = DatasetSpec(cells=2, v="1:2:2", w="1:2:2", disorder_w=1e-300, train=20, valid=1, test=1)
    with pytest.raises(SSHMLError, match="closed gap"):
        hoppings(spec, "train", 0, 8)
    spec = DatasetSpec(cells=2, v="0:1", w="0:1", train=4, valid=1, test=1)
    v, w = hoppings(spec, "train", 0, 4)
    assert (v[:, 0] != w[:, 0]).all()


def test_grid_points_are_used_once():
    spec = SPECS["grid"]
    points = np.concatenate([
        np.stack([v[:, 0], w[:, 0]], 1)
        for v, w in (hoppings(spec, split, 0, getattr(spec, split)) for split in ("train", "valid", "test"))
    ])  # fmt: skip
    assert len(np.unique(points, axis=0)) == 40 + 7 + 11
    assert (np.abs(points[:, 0] - points[:, 1]) > 1e-9).all()
    allowed = grid_points(spec)
    assert (points[:, None] == allowed[None]).all(-1).any(1).all()


def test_progress_ends_at_the_total(tmp_path):
    calls = []
    generate(SPEC, tmp_path / "a.h5", progress=lambda *call: calls.append(call))
    assert calls[-1] == (58, 58)


def test_nothing_is_left_of_an_interrupted_file(tmp_path):
    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(SPEC, tmp_path / "a.h5", progress=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_no_overwriting(tmp_path):
    generate(SPEC, tmp_path / "a.h5")
    with pytest.raises(SSHMLError, match="exists"):
        generate(SPEC, tmp_path / "a.h5")
    generate(dataclasses.replace(SPEC, seed=9), tmp_path / "a.h5", force=True)
    assert open_dataset(tmp_path / "a.h5").spec.seed == 9


def test_unknown_split():
    with pytest.raises(SSHMLError, match="train, valid, test"):
        samples(SPEC, "holdout", 0, 1)
