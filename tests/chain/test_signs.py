import numpy as np
import pytest

from sshml.chain import eigenstates, hamiltonian
from sshml.chain.signs import first_maximum_signs, multiply_levels, multiply_sites, turn_pairs


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_signs_of_levels_and_sites(rng, dtype):
    states = rng.normal(size=(7, 4, 6)).astype(dtype)
    levels, sites = (rng.choice(np.array([-1, 1], np.int8), size=(7, n)) for n in (4, 6))
    found = states.copy()
    multiply_levels(found, levels)
    np.testing.assert_array_equal(found, states * levels[..., None])
    found = states.copy()
    multiply_sites(found, sites)
    np.testing.assert_array_equal(found, states * sites[:, None])


def test_the_first_of_the_largest_decides():
    states = np.array([[[0.1, -0.7, 0.7], [0.5, 0.2, -0.502], [0.0, 0.0, 0.0]]])
    signs = np.empty((1, 3), np.int8)
    first_maximum_signs(states, signs, 0.99)
    assert signs.tolist() == [[-1, 1, 1]]


def test_a_staggered_mass_turns_pairs(rng):
    """The turned levels solve H with +-m on the diagonal, for whole cells and with half of one at the end."""
    for sites in (6, 7):
        v, w = rng.random((3, 3)), rng.random((3, sites - 4))
        energies, states = eigenstates(v, w)
        on_a, on_b = rng.normal(size=3), rng.normal(size=3)
        turn_pairs(energies, states, on_a, on_b)
        onsite = np.where(np.arange(sites) % 2, on_b[:, None], on_a[:, None])
        h = hamiltonian(v, w, onsite=onsite)
        np.testing.assert_allclose(states @ h, energies[..., None] * states, atol=1e-13)
        assert (np.diff(energies) >= 0).all()
