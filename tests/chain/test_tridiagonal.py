import numpy as np
import pytest

from sshml.chain import eigenstates, hamiltonian
from sshml.chain.tridiagonal import solve

HARD = {
    "random": lambda rng, n, m: (rng.normal(size=(n, m)), rng.random((n, m - 1))),
    "weak": lambda rng, n, m: (1e-6 * rng.normal(size=(n, m)), 1 + 1e-6 * rng.random((n, m - 1))),
    "strong": lambda rng, n, m: (100 * rng.normal(size=(n, m)), rng.random((n, m - 1))),
    "localised": lambda rng, n, m: (rng.normal(size=(n, m)), 1e-8 * rng.random((n, m - 1))),
    "two values": lambda rng, n, m: (rng.integers(0, 2, (n, m)) * 1.0, rng.integers(1, 3, (n, m - 1)) * 1.0),
    "six decades": lambda rng, n, m: (10 ** rng.uniform(-3, 3, (n, m)), 10 ** rng.uniform(-3, 3, (n, m - 1))),
    "far from zero": lambda rng, n, m: (1e6 + rng.normal(size=(n, m)), rng.random((n, m - 1))),
}


def solved(onsite, bonds, dtype=np.float64):
    chains, sites = onsite.shape
    energies, states = np.empty((chains, sites)), np.empty((chains, sites, sites), dtype)
    certified = np.zeros(chains, bool)
    solve(onsite, bonds, energies, states, certified)
    return energies, states, certified


def full(onsite, bonds):
    h, i = np.zeros((*onsite.shape, onsite.shape[1])), np.arange(onsite.shape[1])
    h[:, i, i] = onsite
    h[:, i[1:], i[:-1]] = h[:, i[:-1], i[1:]] = bonds
    return h


@pytest.mark.parametrize("sites", [2, 3, 8, 17, 64, 130])
@pytest.mark.parametrize("kind", HARD)
def test_hard_chains(rng, kind, sites):
    """Nearly all are certified, and what is certified solves H psi = E psi, is orthonormal and ascends.

    Over six decades most long chains have more small levels next to each other than are told apart.
    """
    onsite, bonds = HARD[kind](rng, 70, sites)
    energies, states, certified = solved(onsite, bonds)
    assert certified.mean() > {"localised": 0.9, "two values": 0.9, "six decades": -1}.get(kind, 0.98)
    if not certified.any():
        return
    h = full(onsite, bonds)[certified]
    scale = np.abs(h).max(axis=(1, 2))[:, None, None]
    energies, states = energies[certified], states[certified]
    assert np.abs((states @ h - energies[..., None] * states) / scale).max() < 1e-10
    assert np.abs(states @ np.swapaxes(states, 1, 2) - np.eye(sites)).max() < 1e-10
    assert (np.diff(energies) >= 0).all()
    np.testing.assert_allclose(energies / scale[..., 0], np.linalg.eigvalsh(h) / scale[..., 0], atol=1e-13)


def test_float32_output_is_that_of_float64(rng):
    onsite, bonds = HARD["random"](rng, 65, 20)
    energies, states, _ = solved(onsite, bonds)
    same, small, _ = solved(onsite, bonds, np.float32)
    np.testing.assert_array_equal(energies, same)
    np.testing.assert_array_equal(states.astype(np.float32), small)


def test_a_chain_does_not_depend_on_its_neighbours(rng):
    onsite, bonds = HARD["random"](rng, 130, 12)
    _, states, _ = solved(onsite, bonds)
    _, alone, _ = solved(onsite[77:78].copy(), bonds[77:78].copy())
    np.testing.assert_array_equal(states[77], alone[0])


def test_first_components_are_positive(rng):
    onsite, bonds = HARD["random"](rng, 10, 12)
    assert (solved(onsite, bonds)[1][:, :, 0] > 0).all()


def test_equal_halves_are_not_certified():
    """Two equal halves joined by a bond of 1e-200: pairs of equal levels, which go to LAPACK and the rule for them."""
    onsite = np.array([[0.3, -0.2, 0.1, 0.1, -0.2, 0.3]])
    v, w = np.array([[1.0, 1e-200, 0.5]]), np.array([[0.5, 1.0]])
    bonds = np.array([[1.0, 0.5, 1e-200, 0.5, 1.0]])
    assert not solved(onsite, bonds)[2][0]
    v, w = bonds[:, 0::2], bonds[:, 1::2]
    energies, states = eigenstates(v, w, onsite=onsite, solver="kernels")
    h = hamiltonian(v, w, onsite=onsite)
    assert np.abs(states @ h - energies[..., None] * states).max() < 1e-14
    # Gram-Schmidt of the projected sites: each level of a pair lives on one half, the left one first
    np.testing.assert_allclose((states[0, 0::2, :3] ** 2).sum(-1), 1, atol=1e-12)
    np.testing.assert_allclose((states[0, 1::2, 3:] ** 2).sum(-1), 1, atol=1e-12)
