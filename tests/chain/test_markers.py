import numpy as np
import pytest

from sshml.chain import (
    decay_length,
    edge_dipole,
    eigenstates,
    inverse_participation_ratio,
    local_chiral_marker,
    localisation_length,
    real_space_winding,
)
from sshml.errors import SSHMLError


def clean(v, w, cells, half=0, **options):
    return eigenstates(np.full(cells, float(v)), np.full(cells - 1 + half, float(w)), **options)[1]


def test_dimers():
    """Single dimers A_m B_m (w = 0) and B_m A_{m+1} (v = 0)."""
    trivial, topological = clean(1, 0, 6), clean(0, 1, 6)
    assert edge_dipole(topological) == pytest.approx(5)
    np.testing.assert_allclose(local_chiral_marker(trivial), 0, atol=1e-12)
    np.testing.assert_allclose(local_chiral_marker(topological), [1, 1, 1, 1, 1, -5], atol=1e-12)
    assert real_space_winding(topological) == pytest.approx(1)
    assert real_space_winding(clean(0, 1, 5)) == pytest.approx(1)
    np.testing.assert_allclose(inverse_participation_ratio(trivial), 0.5, atol=1e-12)


@pytest.mark.parametrize("r", [0.2, 0.5])
def test_long_clean_chains(r):
    """IPR (1 - r^2)/(1 + r^2)/2 of the hybridised pair; decay over 1/ln(w/v) cells; winding number in the bulk."""
    states = clean(r, 1, 60)
    ipr = (1 - r**2) / (1 + r**2)
    assert inverse_participation_ratio(states)[60] == pytest.approx(ipr / 2, rel=1e-9)
    assert decay_length(states) == pytest.approx(1 / np.log(1 / r), rel=0.02)
    np.testing.assert_allclose(local_chiral_marker(states)[20:40], 1, atol=1e-6)
    np.testing.assert_allclose(local_chiral_marker(clean(1, r, 60))[20:40], 0, atol=1e-6)
    assert local_chiral_marker(states).sum() == pytest.approx(0, abs=1e-9)


def test_half_a_cell_at_the_end(rng):
    """The decay of the zero mode is the localisation length of the hoppings, exactly; its IPR has a closed form."""
    v, w = rng.uniform(0.5, 2, (30, 20)), rng.uniform(0.5, 2, (30, 20))
    states = eigenstates(v, w)[1]
    np.testing.assert_allclose(decay_length(states), localisation_length(v, w), rtol=1e-10)
    r = 0.4
    ipr = (1 - r**2) / (1 + r**2)  # of r^(2m), up to r^(4M)
    assert inverse_participation_ratio(clean(r, 1, 40, half=1))[40] == pytest.approx(ipr, rel=1e-9)
    marker = local_chiral_marker(clean(r, 1, 40, half=1))
    assert marker.shape == (40,)
    np.testing.assert_allclose(marker[10:30], 1, atol=1e-6)
    with pytest.raises(SSHMLError, match="zero mode"):
        edge_dipole(states)


@pytest.mark.parametrize(("v", "expected"), [(0.3, 1), (3.0, 0)])
@pytest.mark.parametrize("cells", [8, 9])
def test_rings(v, expected, cells):
    states = eigenstates(np.full(cells, v), np.ones(cells), "periodic")[1]
    np.testing.assert_allclose(local_chiral_marker(states, "periodic"), expected, atol=0.02)


def test_batches(rng):
    v, w = rng.random((4, 3, 7)), rng.random((4, 3, 6))
    states = eigenstates(v, w)[1]
    for marker in (edge_dipole, local_chiral_marker, real_space_winding, decay_length):
        np.testing.assert_allclose(marker(states)[2, 1], marker(states[2, 1]))
        assert marker(states).shape[:2] == (4, 3)


def test_where_nothing_decays():
    even = np.eye(4)
    assert np.isnan(decay_length(even))  # one A site alone
    equal = np.zeros((4, 4))
    equal[2, [0, 2]] = np.sqrt(0.5)
    assert decay_length(equal) == np.inf


def test_closed_gap_and_zeros():
    assert localisation_length(1.0, 1.0) == np.inf
    assert localisation_length([0.0, 1.0], [1.0]) == 0


@pytest.mark.parametrize("function", [edge_dipole, local_chiral_marker, real_space_winding, decay_length])
def test_bad_shapes(function):
    for states in (np.ones(4), np.ones((2, 4)), np.ones((1, 1)), [[np.nan, 0], [0, 1]]):
        with pytest.raises(SSHMLError):
            function(states)


def test_bad_rings():
    with pytest.raises(SSHMLError, match="whole cells"):
        local_chiral_marker(np.eye(5), "periodic")
    with pytest.raises(SSHMLError, match="boundary"):
        local_chiral_marker(np.eye(4), "moebius")


def test_a_closed_gap_has_an_infinite_length(rng):
    v = rng.uniform(0.1, 1, (20, 7))
    assert np.isinf(localisation_length(v, rng.permuted(v, axis=1), "periodic")).all()
