import dataclasses

import numpy as np
import pytest

from sshml.chain import eigenstates, hamiltonian, log_margin, winding_number
from sshml.dataset import DatasetSpec, draw, samples
from sshml.dataset.draw import labelled, parameters
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
    "diagram": dataclasses.replace(SPEC, v="0:2", disorder_v="0:4", disorder_w="0:2:5"),
    "grid of strengths": dataclasses.replace(SPEC, v="0:2:4", disorder_v="0.5:4:8"),
    "on-site": dataclasses.replace(SPEC, disorder_onsite=0.7),
    "Rice-Mele": dataclasses.replace(SPEC, disorder_v=0, disorder_w=0, onsite="0:1"),
    "half a cell": dataclasses.replace(SPEC, half_cell=True, disorder_onsite="0:1", law="normal"),
    "quasiperiodic": dataclasses.replace(SPEC, law="quasiperiodic", power=3, beta="0.3:0.7"),
    "binary": dataclasses.replace(SPEC, law="binary", probability=0.3, correlated=True),
    "longer ring": dataclasses.replace(SPEC, cells=9, boundary="periodic", j3="-1:1", disorder_j4=0.2, j4=0),
}


def hoppings(spec, split, first, count):
    drawn = labelled(spec, split, first, count)
    return tuple(drawn[name] for name in spec.hoppings)


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


def test_parameters_lie_in_their_ranges_and_are_stored():
    spec = SPECS["diagram"]
    found = labelled(spec, "train", 0, 40)
    assert set(spec.stored) == {"clean_v", "clean_w", "disorder_v", "disorder_w"}
    all_of_it = parameters(spec, "train", 0, 40)
    for name in spec.stored:
        np.testing.assert_array_equal(found[name], all_of_it[name])
    assert found["disorder_v"].min() >= 0
    assert 3 < found["disorder_v"].max() < 4
    assert set(found["disorder_w"]) == {0, 0.5, 1, 1.5, 2}


def test_a_range_holds_the_chains_of_each_strength():
    """v_m - v = W r_m: the numbers r and the clean hoppings are those of a file of one strength."""
    ranged, fixed = SPECS["diagram"], dataclasses.replace(SPECS["diagram"], disorder_v=1.0, disorder_w=1.0)
    many, one = (labelled(spec, "train", 0, 40) for spec in (ranged, fixed))
    clean = parameters(fixed, "train", 0, 40)
    np.testing.assert_array_equal(many["clean_v"], clean["clean_v"])
    for kind in "vw":
        r = one[kind] - clean[f"clean_{kind}"][:, None]
        strength = many[f"disorder_{kind}"][:, None]
        np.testing.assert_allclose(many[kind] - clean[f"clean_{kind}"][:, None], strength * r, atol=1e-14)


def test_a_range_more_leaves_the_others():
    one, two = (dataclasses.replace(SPEC, disorder_w="0:1", disorder_v=x) for x in (0.5, "0:4"))
    a, b = (parameters(spec, "test", 0, 11)["disorder_w"] for spec in (one, two))
    np.testing.assert_array_equal(a, b)


def test_every_point_of_a_grid_of_strengths_comes_once():
    spec = SPECS["grid of strengths"]
    found = parameters(spec, "train", 0, 32)
    points = np.stack([found["clean_v"], found["disorder_v"]], axis=1)
    assert len(np.unique(points, axis=0)) == 32


def test_bonds_of_a_cell_share_their_number():
    spec = dataclasses.replace(SPEC, correlated=True, half_cell=True, v=2, w=3, disorder_v=0.5, disorder_w=1.0)
    v, w = hoppings(spec, "train", 0, 40)
    np.testing.assert_allclose((v - 2) / 0.5, w - 3, atol=1e-14)
    v, w = hoppings(dataclasses.replace(spec, law="quasiperiodic", disorder_v=1.0), "train", 0, 40)
    np.testing.assert_allclose(v - 2, w - 3, atol=1e-14)


def test_laws_on_the_hoppings():
    binary = dataclasses.replace(SPEC, law="binary", v=2, w="1:2", disorder_v=0.5, disorder_w=0.0)
    v, _ = hoppings(binary, "train", 0, 40)
    assert set(v.ravel()) == {1.75, 2.25}
    always = dataclasses.replace(binary, probability=1.0)
    assert set(hoppings(always, "train", 0, 40)[0].ravel()) == {2.25}
    quasi = dataclasses.replace(SPEC, law="quasiperiodic", v=2, w=9, disorder_v=1.0, beta=0.25, cells=8)
    v, _ = hoppings(quasi, "train", 0, 40)
    np.testing.assert_allclose(v[:, 4:], v[:, :4], atol=1e-12)  # four cells to a period
    np.testing.assert_allclose(v[:, 2:4] - 2, -(v[:, :2] - 2), atol=1e-12)
    assert len(np.unique(v[:, 0])) == 40  # a phase for each chain


def test_on_site_energies_are_staggered():
    found = labelled(SPECS["Rice-Mele"], "train", 0, 40)
    mass = found["clean_onsite"]
    np.testing.assert_array_equal(found["onsite"], np.where(np.arange(6) % 2, -1, 1) * mass[:, None])
    assert mass.min() >= 0
    assert 0.8 < mass.max() < 1
    zero = labelled(dataclasses.replace(SPEC, disorder_onsite=0.7), "train", 0, 40)["onsite"]
    assert np.abs(zero).max() <= 0.35
    assert len(np.unique(zero)) == 40 * 6


def test_labels_with_on_site_energies_are_those_of_the_hoppings():
    plain, onsite = (samples(spec, "test", 0, 11) for spec in (SPEC, SPECS["on-site"]))
    np.testing.assert_array_equal(plain["winding"], onsite["winding"])
    np.testing.assert_array_equal(plain["v"], onsite["v"])
    h = hamiltonian(onsite["v"], onsite["w"], onsite=onsite["onsite"])
    found = np.einsum("bls,bst,blt->bl", onsite["states"], h, onsite["states"])
    np.testing.assert_allclose(found, onsite["energies"], atol=1e-5)


def test_closed_gaps_are_drawn_again_with_their_parameters():
    """Bonds of two values cancel often: such a chain takes hoppings, mass and on-site energies from the next draw."""
    binary = {"law": "binary", "v": 1, "w": 1, "disorder_v": 1, "disorder_w": 1, "onsite": "0:1"}
    spec = DatasetSpec(cells=2, boundary="periodic", train=60, valid=2, test=2, **binary)
    first, found = draw._draw(spec, "train", 0, 60, 0), labelled(spec, "train", 0, 60)
    closed = np.abs(log_margin(first["v"], first["w"], "periodic")) < 1e-14
    assert 10 < closed.sum() < 50
    assert (np.abs(found["log_margin"]) > 1e-14).all()
    for name in ("v", "clean_onsite"):
        np.testing.assert_array_equal(found[name][~closed], first[name][~closed])
    assert (found["clean_onsite"][closed] != first["clean_onsite"][closed]).all()
    np.testing.assert_array_equal(found["onsite"][:, 0], found["clean_onsite"])


def test_what_is_no_spec_is_refused():
    with pytest.raises(SSHMLError, match="expected a DatasetSpec"):
        hoppings("chains", "train", 0, 1)


def test_the_last_draw_counts(monkeypatch):
    spec, seen = DatasetSpec(cells=2, train=3, valid=1, test=1), []

    def closed_until_the_last(spec, drawn):
        seen.append(1)
        winding = np.zeros(len(drawn["v"]), dtype=np.int8)
        return winding, np.full(len(winding), len(seen) < draw.ATTEMPTS)

    monkeypatch.setattr(draw, "labels_of", closed_until_the_last)
    draw.labelled(spec, "train", 0, 3)
    assert len(seen) == draw.ATTEMPTS
