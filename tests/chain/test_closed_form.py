import numpy as np
import pytest

from sshml.chain import eigenstates, fix_gauge, hamiltonian
from sshml.chain.closed_form import solve

RATIOS = {
    "random": lambda rng, n, m: 3 * rng.random(n) + 1e-3,
    "merger": lambda rng, n, m: (1 + 1 / m) * (1 + 10 ** rng.uniform(-16, 0, n) * rng.choice([-1, 1], n)),
    "critical": lambda rng, n, m: 1 + 10 ** rng.uniform(-16, 0, n) * rng.choice([-1, 1], n),
    "24 decades": lambda rng, n, m: 10 ** rng.uniform(-12, 12, n),
    "deep": lambda rng, n, m: 10 ** (rng.uniform(40, 300, n) / m),
}


def clean(ratio, cells, v=1.0):
    return np.full((len(ratio), cells), v), v * np.repeat(ratio[:, None], cells - 1, 1)


@pytest.mark.parametrize("cells", [2, 3, 4, 8, 31, 32, 128])
@pytest.mark.parametrize("kind", RATIOS)
def test_all_levels_are_certified_and_right(rng, kind, cells):
    ratio = np.maximum(RATIOS[kind](rng, 200 if cells < 100 else 20, cells), 1e-12)
    v, w = clean(ratio, cells, 0.7)
    energies, states = np.empty((len(v), 2 * cells)), np.empty((len(v), 2 * cells, 2 * cells))
    certified = np.zeros(len(v), bool)
    solve(v[:, 0].copy(), w[:, 0].copy(), energies, states, certified)
    assert certified.all()
    h = hamiltonian(v, w)
    scale = np.abs(h).max(axis=(1, 2), keepdims=True)
    assert np.abs((states @ h - energies[..., None] * states) / scale).max() < 1e-12
    assert np.abs(states @ np.swapaxes(states, 1, 2) - np.eye(2 * cells)).max() < 1e-12
    assert (np.diff(energies) >= 0).all()


def test_agrees_with_the_other_solvers(rng):
    ratio = np.concatenate([rng.uniform(0.1, 3, 64), 1 + 1 / 9 + np.linspace(-1e-3, 1e-3, 21)])
    v, w = clean(ratio, 9)
    e1, s1 = eigenstates(v, w, solver="kernels")
    e2, s2 = eigenstates(v, w, solver="svd")
    e3, s3 = eigenstates(v * (1 + 1e-15 * np.arange(9)), w, solver="kernels")  # no longer clean to the last bit
    for energies, states in ((e2, s2), (e3, s3)):
        np.testing.assert_allclose(e1, energies, atol=1e-13)
        np.testing.assert_allclose(fix_gauge(s1), fix_gauge(states), atol=1e-11)


@pytest.mark.parametrize("signs", [(1, 1), (-1, 1), (1, -1), (-1, -1)])
def test_negative_hoppings(rng, signs):
    v, w = clean(rng.uniform(0.2, 3, 70), 6)
    energies, states = eigenstates(signs[0] * v, signs[1] * w, solver="kernels")
    expected, other = eigenstates(signs[0] * v, signs[1] * w, solver="svd")
    np.testing.assert_allclose(energies, expected, atol=1e-13)
    np.testing.assert_allclose(fix_gauge(states), fix_gauge(other), atol=1e-10)


@pytest.mark.parametrize("decade", [-3, -17, -100, -300])
def test_the_bound_pair_far_below_rounding(decade):
    """sigma = w (1 - r^2) r^M to relative accuracy where LAPACK returns 1e-17 of noise."""
    cells = 24
    r = 10.0 ** (decade / cells)
    energies, states = eigenstates(*clean(np.array([1 / r]), cells, r), solver="kernels")
    assert energies[0, cells] == pytest.approx((1 - r**2) * r**cells, rel=1e-11 if decade < -3 else 1e-4)
    edge = states[0, cells, 0::2]
    np.testing.assert_allclose(edge[1:5] / edge[:4], -r, rtol=1e-10 if decade < -3 else 0.1)
    assert states[0, cells, 0] ** 2 == pytest.approx((1 - r**2) / 2, rel=1e-2)


def test_number_of_bulk_levels():
    """M real k for w/v <= 1 + 1/M, else M - 1 and a level inside the gap."""
    for cells in (8, 50):
        for offset, inside in ((-1e-9, 0), (1e-9, 1)):
            ratio = 1 + 1 / cells + offset
            energies, _ = eigenstates(*clean(np.array([ratio]), cells), solver="kernels")
            band_edge = ratio - 1
            assert (energies[0, cells:] < band_edge).sum() == inside
