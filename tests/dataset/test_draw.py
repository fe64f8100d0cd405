import dataclasses

import numpy as np
import pytest

from sshml.chain import eigenstates, hamiltonian, winding_number
from sshml.dataset import DatasetSpec, samples
from sshml.dataset.draw import hoppings
from sshml.dataset.ranges import grid_points
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
    "normal law": dataclasses.replace(SPEC, law="normal"),
    "multiplicative law": dataclasses.replace(SPEC, law="multiplicative"),
    "longer range": dataclasses.replace(SPEC, disorder_v=0, disorder_w=0, j3="-1:1", j4="-1:1"),
    "longer ring": dataclasses.replace(SPEC, cells=9, boundary="periodic", j3="-1:1", disorder_j4=0.2, j4=0),
}


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


@pytest.mark.parametrize("law", ["uniform", "normal", "multiplicative"])
def test_disorder_is_paired_across_strengths(law):
    """The same seed at twice the strength is the same chain, twice as far from its clean value."""
    clean = dataclasses.replace(SPEC, v=2, w=3, disorder_v=0.0, disorder_w=1e-9)
    weak, strong = (dataclasses.replace(clean, law=law, disorder_v=x, disorder_w=2 * x) for x in (0.25, 0.5))
    (v0, w0), (v1, w1), (v2, w2) = (hoppings(spec, "train", 0, 50) for spec in (clean, weak, strong))
    np.testing.assert_allclose(v2 - v0, 2 * (v1 - v0), atol=1e-12)
    np.testing.assert_allclose(w2 - 3, 2 * (w1 - 3), atol=1e-12)
    np.testing.assert_allclose(w0, 3, atol=1e-8)


def test_laws():
    base = dataclasses.replace(SPEC, cells=20, v=2, w=3, disorder_v=0.5, disorder_w=0.2)
    v, w = hoppings(dataclasses.replace(base, law="normal"), "train", 0, 4000)
    for x, centre, std in ((v, 2, 0.5), (w, 3, 0.2)):
        assert x.mean() == pytest.approx(centre, abs=0.01 * std)
        assert x.std() == pytest.approx(std, rel=0.01)
        assert ((x - centre) ** 4).mean() == pytest.approx(3 * std**4, rel=0.05)
    v, w = hoppings(dataclasses.replace(base, law="multiplicative", v="1:2"), "train", 0, 4000)
    clean, _ = hoppings(dataclasses.replace(base, v="1:2", disorder_v=0), "train", 0, 4000)
    ratio = v / clean
    assert 0.75 <= ratio.min() < 0.76
    assert 1.24 < ratio.max() < 1.25
    assert w.std() == pytest.approx(3 * 0.2 / np.sqrt(12), rel=0.02)


def test_longer_range_labels_and_states():
    found = samples(SPECS["longer range"], "train", 0, 40)
    assert set(found) == {"states", "energies", "v", "w", "j3", "j4", "winding"}
    assert found["j3"].shape == (40, 2)
    assert found["j4"].shape == (40, 1)
    assert set(np.unique(found["winding"])) <= {-1, 0, 1, 2}
    assert len(np.unique(found["winding"])) > 2
    states, h = (
        found["states"].astype(float),
        hamiltonian(*(found[n] for n in ("v", "w")), j3=found["j3"], j4=found["j4"]),
    )
    np.testing.assert_allclose(states @ h, found["energies"][..., None] * states, atol=1e-5)


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
    allowed = grid_points(spec.clean, spec.is_clean, spec.seed)
    assert (points[:, None] == allowed[None]).all(-1).any(1).all()


def test_unknown_split():
    with pytest.raises(SSHMLError, match="train, valid, test"):
        samples(SPEC, "holdout", 0, 1)
