"""Chains with on-site energies and with half a cell at the end, by `eigenstates` and `hamiltonian`."""

import numpy as np
import pytest

from sshml.chain import dispersion, eigenstates, fix_gauge, hamiltonian, winding_number
from sshml.errors import SSHMLError

SOLVERS = ("kernels", "svd", "auto")


def assert_solved(v, w, energies, states, boundary="open", tolerance=1e-10, **options):
    h = hamiltonian(v, w, boundary, **options)
    scale = np.abs(h).max(axis=(-2, -1), keepdims=True) + 1e-300
    assert np.abs((states @ h - energies[..., None] * states) / scale).max() < tolerance
    assert np.abs(states @ np.swapaxes(states, -1, -2) - np.eye(h.shape[-1])).max() < tolerance
    assert (np.diff(energies) >= 0).all()


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("cells", [1, 2, 3, 8, 33])
@pytest.mark.parametrize("kind", ["random", "signs", "zeros", "clean", "decades"])
def test_half_a_cell(rng, kind, cells, solver):
    """2 M + 1 levels, one of them exactly 0 on the A sites, x_{m+1} = -x_m v_m/w_m."""
    shape = (70, cells)
    make = {
        "random": lambda: rng.random(shape),
        "signs": lambda: rng.uniform(-1, 1, shape),
        "zeros": lambda: rng.integers(0, 3, shape) * 1.0,
        "clean": lambda: np.full(shape, rng.random()),
        "decades": lambda: 10 ** rng.uniform(-12, 12, shape),
    }[kind]
    v, w = make(), make()
    energies, states = eigenstates(v, w, solver=solver)
    assert energies.shape == (70, 2 * cells + 1)
    assert_solved(v, w, energies, states)
    np.testing.assert_array_equal(energies, -energies[:, ::-1])
    np.testing.assert_array_equal(states[:, cells, 1::2], 0)
    if kind in ("random", "signs"):
        x = states[:, cells, 0::2]
        np.testing.assert_allclose(x[:, 1:] * w, -x[:, :-1] * v, atol=1e-13)


def test_clean_half_cell_in_closed_form():
    """E = -+|v + w e^{ik}|, k = j pi/(M + 1), y_m = sin(mk)."""
    cells, v, w = 9, 0.7, 1.1
    energies, states = eigenstates(np.full((64, cells), v), np.full((64, cells), w))
    k = np.pi * np.arange(cells, 0, -1) / (cells + 1)
    levels = np.sqrt(v * v + w * w + 2 * v * w * np.cos(k))
    np.testing.assert_allclose(energies[0, cells + 1 :], levels, atol=1e-14)
    y = np.sin(np.outer(k, np.arange(1, cells + 1)))
    y *= np.sqrt(0.5) / np.linalg.norm(y, axis=1, keepdims=True)
    found = states[0, cells + 1 :, 1::2]
    np.testing.assert_allclose(np.abs((found * y).sum(1)), 0.5, atol=1e-12)


def test_the_zero_mode_of_a_long_chain_underflows_softly():
    v, w = np.full((1, 500), 1e-3), np.ones((1, 500))
    for solver in SOLVERS:
        energies, states = eigenstates(v, w, solver=solver)
        assert energies[0, 500] == 0
        assert np.isfinite(states).all()
        assert abs(states[0, 500, 0]) == pytest.approx(1, abs=1e-5)


def test_winding_with_half_a_cell_is_that_of_its_hoppings():
    assert winding_number([0.5, 0.5], [1.0, 1.0]) == 1
    assert winding_number([2.0, 0.5], [1.5, 0.5]) == 0
    assert winding_number([0.5, 0.5], [1.0, 1.0], j3=0.1) == winding_number([0.5] * 2, [1.0] * 2, "periodic", j3=0.1)


def test_half_cell_with_longer_range(rng):
    v, w, j3, j4 = rng.random((5, 6)), rng.random((5, 6)), rng.random((5, 5)), rng.random((5, 5))
    energies, states = eigenstates(v, w, j3=j3, j4=j4)
    assert_solved(v, w, energies, states, j3=j3, j4=j4)
    h = hamiltonian(v, w, j3=j3, j4=j4)[0]
    assert h[2 * 5, 2 * 5 + 1] == v[0, 5]
    assert h[12, 2 * 4 + 1] == j4[0, 4]  # B_5 - A_7


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(("boundary", "half"), [("open", 0), ("open", 1), ("periodic", 1)])
@pytest.mark.parametrize("cells", [1, 2, 7, 32])
def test_on_site_disorder(rng, cells, boundary, half, solver):
    v, w = rng.uniform(-1, 1, (70, cells)), rng.uniform(-1, 1, (70, cells - 1 + half))
    sites = 2 * cells + (half and boundary == "open")
    for onsite in (rng.normal(size=(70, sites)), rng.integers(0, 2, (70, sites)) * 1.0):
        energies, states = eigenstates(v, w, boundary, onsite=onsite, solver=solver)
        assert_solved(v, w, energies, states, boundary, onsite=onsite)


def test_solvers_agree(rng):
    v, w, onsite = rng.random((100, 10)), rng.random((100, 9)), rng.normal(size=(100, 20))
    (e1, s1), (e2, s2) = (eigenstates(v, w, onsite=onsite, solver=solver) for solver in ("kernels", "svd"))
    np.testing.assert_allclose(e1, e2, atol=1e-13)
    gap = np.minimum(np.diff(e1, prepend=-np.inf), np.diff(e1, append=np.inf))
    np.testing.assert_allclose(fix_gauge(s1)[gap > 1e-3], fix_gauge(s2)[gap > 1e-3], atol=1e-9)


@pytest.mark.parametrize("mass", [0.3, -0.3, 1e-12, 5.0])
@pytest.mark.parametrize("half", [0, 1])
def test_rice_mele(rng, mass, half):
    """E = -+(sigma^2 + m^2)^(1/2) of the chain without mass; the zero mode goes to +m."""
    v, w = rng.random((70, 12)), rng.random((70, 11 + half))
    onsite = np.where(np.arange(24 + half) % 2, -mass, mass)
    energies, states = eigenstates(v, w, onsite=onsite)
    chiral = eigenstates(v, w)[0]
    expected = np.sign(chiral) * np.hypot(chiral, mass)
    expected[:, 12 : 12 + half] = mass
    np.testing.assert_allclose(energies, expected, atol=1e-13)
    assert_solved(v, w, energies, states, onsite=onsite)


def test_rice_mele_bands_of_a_ring():
    cells, v, w, mass = 7, 0.7, 1.3, 0.4
    onsite = np.where(np.arange(14) % 2, -mass, mass)
    energies, _ = eigenstates(np.full(cells, v), np.full(cells, w), "periodic", onsite=onsite)
    k = 2 * np.pi * np.arange(cells) / cells
    np.testing.assert_allclose(energies, np.sort(dispersion(k, v, w, mass=mass).ravel()), atol=1e-12)


def test_edge_states_stay_apart_under_a_tiny_mass():
    """A splitting of 1e-60 would be lost to any solver of H; a mass of 1e-30 pins each state to its own end."""
    v, w = np.full((1, 30), 1e-2), np.ones((1, 29))
    onsite = np.where(np.arange(60) % 2, -1e-30, 1e-30)
    energies, states = eigenstates(v, w, onsite=onsite)
    np.testing.assert_allclose(energies[0, [29, 30]], [-1e-30, 1e-30], rtol=1e-12)
    np.testing.assert_allclose(states[0, [29, 30]][:, [-1, 0]] ** 2, np.eye(2), atol=1e-3)


def test_a_constant_only_shifts(rng):
    v, w = rng.random((5, 4)), rng.random((5, 3))
    energies, states = eigenstates(v, w)
    moved, same = eigenstates(v, w, onsite=2.5)
    np.testing.assert_allclose(moved, energies + 2.5, atol=1e-14)
    np.testing.assert_allclose(np.abs((states * same).sum(-1)), 1, atol=1e-12)


def test_mixed_batches_are_solved_chain_by_chain(rng):
    """Staggered and disordered chains in one batch give what each gives alone."""
    v, w, onsite = rng.random((6, 5)), rng.random((6, 4)), rng.normal(size=(6, 10))
    onsite[::2] = np.where(np.arange(10) % 2, -0.3, 0.3)
    energies, states = eigenstates(v, w, onsite=onsite, solver="kernels")
    for i in range(6):
        alone = eigenstates(v[i], w[i], onsite=onsite[i], solver="kernels")
        np.testing.assert_allclose(energies[i], alone[0], atol=1e-14)
        np.testing.assert_allclose(states[i], alone[1], atol=1e-12)


def test_degenerate_levels_follow_the_rule():
    """No hopping at all, equal energies: the basis is the sites in order."""
    onsite = np.array([[1.0, 2.0, 2.0, 2.0, 1.0, 2.0]])
    energies, states = eigenstates(np.zeros((1, 3)), np.zeros((1, 2)), onsite=onsite)
    np.testing.assert_array_equal(energies, [[1, 1, 2, 2, 2, 2]])
    np.testing.assert_allclose(np.abs(states[0]), np.eye(6)[[0, 4, 1, 2, 3, 5]], atol=1e-14)


@pytest.mark.parametrize(
    ("onsite", "words"),
    [(np.ones(5), "5 energies"), (np.ones((3, 6)), "different numbers"), (np.nan, "NaN"), ("a", "real numbers")],
)
def test_bad_onsite(onsite, words):
    with pytest.raises(SSHMLError, match=words):
        eigenstates(np.ones((2, 3)), np.ones((2, 2)), onsite=onsite)
