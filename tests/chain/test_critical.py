import numpy as np
import pytest

from sshml.chain import critical_states, eigenstates
from sshml.errors import SSHMLError


def states_at(s, sites):
    """Return the states of the clean chain of ln(w/v) = s, (level, site)."""
    cells, half = sites // 2, sites % 2
    return eigenstates(np.full((1, cells), np.exp(-s / 2)), np.full((1, cells - 1 + half), np.exp(s / 2)))[1][0]


@pytest.mark.parametrize("sites", [2, 4, 5, 16, 33])
def test_states_and_derivatives_are_those_of_the_hamiltonian(sites):
    found, turned = critical_states(sites)
    assert (found[:, 0] > 0).all()
    np.testing.assert_allclose(found @ found.T, np.eye(sites), atol=1e-12)
    np.testing.assert_allclose((found * turned).sum(1), 0, atol=1e-12)
    for s in (0.0, 1e-4, -1e-4):
        own = states_at(s, sites)
        own = own * np.sign((own * found).sum(1))[:, None]
        np.testing.assert_allclose(own, found + s * turned, atol=1e-6 * max(1, sites / 16) ** 3)


@pytest.mark.parametrize("sites", [8, 16, 24, 32, 48])
def test_the_first_bulk_level_turns_fastest(sites):
    speed = np.linalg.norm(critical_states(sites)[1], axis=1)
    assert {sites // 2 - 2, sites // 2 + 1} == set(np.argsort(speed)[-2:])


def test_fewer_than_two_sites():
    with pytest.raises(SSHMLError, match="sites"):
        critical_states(1)
