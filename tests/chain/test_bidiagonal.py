import numpy as np
import pytest

from sshml.chain import eigenstates, fix_gauge, hamiltonian
from sshml.chain.bidiagonal import COMPLETE, probe, solve
from sshml.errors import SSHMLError

HARD = {
    "random": lambda rng, n, m: (rng.random((n, m)), rng.random((n, m - 1))),
    "near critical": lambda rng, n, m: (np.ones((n, m)), 1 + 1e-6 * rng.random((n, m - 1))),
    "near critical, wider": lambda rng, n, m: (1 + 0.01 * rng.random((n, m)), 1 + 0.01 * rng.random((n, m - 1))),
    "topological dimers": lambda rng, n, m: (1e-3 * rng.random((n, m)), 1 + rng.random((n, m - 1))),
    "trivial dimers": lambda rng, n, m: (1 + rng.random((n, m)), 1e-3 * rng.random((n, m - 1))),
    "W = 10": lambda rng, n, m: (1 + 10 * (rng.random((n, m)) - 0.5), 1 + 10 * (rng.random((n, m - 1)) - 0.5)),
    "24 decades": lambda rng, n, m: (10 ** rng.uniform(-12, 12, (n, m)), 10 ** rng.uniform(-12, 12, (n, m - 1))),
    "zeros": lambda rng, n, m: (rng.integers(0, 3, (n, m)) * 1.0, rng.integers(0, 3, (n, m - 1)) * 1.0),
    "two values": lambda rng, n, m: (rng.integers(1, 3, (n, m)) * 1.0, rng.integers(1, 3, (n, m - 1)) * 1.0),
    "clean": lambda rng, n, m: (np.full((n, m), 0.6), np.ones((n, m - 1))),
}


def assert_solved(v, w, energies, states, tolerance=1e-10):
    h = hamiltonian(v, w)
    scale = np.abs(h).max(axis=(1, 2), keepdims=True) + 1e-300
    assert np.abs((states @ h - energies[..., None] * states) / scale).max() < tolerance
    assert np.abs(states @ np.swapaxes(states, 1, 2) - np.eye(h.shape[-1])).max() < tolerance
    assert (np.diff(energies) >= 0).all()
    np.testing.assert_array_equal(energies, -energies[:, ::-1])


@pytest.mark.parametrize("cells", [1, 2, 3, 8, 9, 32, 100])
@pytest.mark.parametrize("kind", HARD)
def test_hard_chains(rng, kind, cells):
    """By `eigenstates`, so with its fallback: residual and orthogonality hold whatever the chain."""
    v, w = HARD[kind](rng, 20, cells)
    assert_solved(v, w, *eigenstates(v, w, solver="kernels"))


@pytest.mark.parametrize("kind", sorted(set(HARD) - {"zeros"}))
def test_long_chains(rng, kind):
    v, w = HARD[kind](rng, 2, 512)
    assert_solved(v, w, *eigenstates(v, w, solver="kernels"))


def certified(v, w):
    cells = v.shape[1]
    energies, states = np.empty((len(v), 2 * cells)), np.empty((len(v), 2 * cells, 2 * cells))
    found = np.zeros(len(v), bool)
    solve(np.abs(v), np.abs(w), energies, states, found)
    return found


@pytest.mark.parametrize("kind", sorted(set(HARD) - {"zeros", "24 decades"}))
def test_the_kernel_itself_certifies_nearly_all(rng, kind):
    assert certified(*HARD[kind](rng, 100, 32)).mean() > 0.97


def test_what_cannot_be_certified_is_not():
    """Two identical halves joined by a bond of 1e-200: pairs of equal levels."""
    v, w = np.full((1, 6), 0.7), np.array([[1.0, 0.4, 1e-200, 1.0, 0.4]])
    assert not certified(v, w)[0]
    assert_solved(v, w, *eigenstates(v, w, solver="kernels"))


def test_agrees_with_lapack(rng):
    v, w = HARD["W = 10"](rng, 100, 12)
    (e1, s1), (e2, s2) = (eigenstates(v, w, solver=solver) for solver in ("kernels", "svd"))
    np.testing.assert_allclose(e1, e2, atol=1e-13)
    gap = np.minimum(np.diff(e1, prepend=-np.inf), np.diff(e1, append=np.inf))
    overlap = np.abs(np.einsum("bls,bls->bl", s1, s2))
    np.testing.assert_allclose(overlap[gap > 1e-6], 1, atol=1e-9)
    np.testing.assert_allclose(fix_gauge(s1)[gap > 1e-3], fix_gauge(s2)[gap > 1e-3], atol=1e-9)


def test_small_levels_have_relative_accuracy():
    """The product of all sigma is that of all v, down to 1e-200 and beyond what its square can hold."""
    rng = np.random.default_rng(1)
    for decade in (-5, -40, -100, -280):
        v, w = rng.uniform(0.5, 1, (3, 10)), rng.uniform(1, 2, (3, 9))
        v[:, 4] *= 10.0**decade
        energies, _ = eigenstates(v, w, solver="kernels")
        np.testing.assert_allclose(np.log(energies[:, 10:]).sum(1), np.log(v).sum(1), rtol=0, atol=1e-12)


def test_several_lost_levels_are_told_apart_in_small_batches_too():
    """Two topological ends with levels of 1e-14 and 1e-16: LAPACK alone sees one degenerate zero level."""
    v, w = np.array([[1e-7, 1e-7, 0.7, 0.8, 1e-8, 1e-8]]), np.array([[1.0, 1e-9, 1e-9, 1e-9, 1.3]])
    (e1, s1), (e2, s2) = (eigenstates(v, w, solver=solver) for solver in ("kernels", "auto"))
    np.testing.assert_allclose(e1, e2, rtol=1e-9)
    np.testing.assert_allclose(fix_gauge(s1), fix_gauge(s2), atol=1e-9)
    assert 0 < e1[0, 6] < e1[0, 7] < 1e-12


@pytest.mark.parametrize("count", [1, 70])
def test_what_is_not_certified_comes_from_lapack(count):
    """Four equal dimers and two faint levels: no kernel may leave its own attempt behind.

    The dimers are told apart by the rule of degenerate levels, as by a dense SVD; the faint levels by their size.
    """
    v, w = np.tile([1e-7, 1e-7, 1.0, 1.0, 1e-8, 1e-8], (count, 1)), np.tile([1.0, 1e-9, 1e-9, 1e-9, 1.0], (count, 1))
    assert not certified(v, w).any()
    expected = eigenstates(v, w, solver="svd")
    for solver in ("auto", "kernels"):
        energies, states = eigenstates(v, w, solver=solver)
        np.testing.assert_allclose(energies[:, 6:8], np.tile([1e-16, 1e-14], (count, 1)), rtol=1e-12)
        np.testing.assert_allclose(energies, expected[0], atol=1e-14)
        np.testing.assert_allclose(np.abs(states), np.abs(expected[1]), atol=1e-7)


def test_float32_output(rng):
    v, w = rng.random((70, 16)), rng.random((70, 15))
    (e1, s1), (_, s2) = (eigenstates(v, w, dtype=dtype, solver="kernels") for dtype in (np.float32, np.float64))
    assert s1.dtype == np.float32
    assert e1.dtype == np.float64
    np.testing.assert_array_equal(s1, s2.astype(np.float32))


@pytest.mark.parametrize("option", [{"solver": "magic"}, {"dtype": np.float16}])
def test_bad_options(option):
    with pytest.raises(SSHMLError, match=r"choose (one of|float32 or float64)"):
        eigenstates([1.0, 2.0], [1.0], **option)


@pytest.mark.parametrize(("cells", "decades", "chains"), [(128, 12, 256), (128, 10, 128), (256, 12, 64), (64, 100, 64)])
def test_states_of_hoppings_over_many_decades_are_orthogonal(cells, decades, chains):
    """What the kernel certifies is orthogonal among all levels, far ones too; the rest goes to LAPACK."""
    rng = np.random.default_rng(5)
    v = 10.0 ** rng.uniform(-decades, decades, (chains, cells))
    w = 10.0 ** rng.uniform(-decades, decades, (chains, cells - 1))
    states = eigenstates(v, w)[1]
    gram = np.abs(states @ np.swapaxes(states, 1, 2) - np.eye(2 * cells)).max(axis=(1, 2))
    assert gram.max() < 1e-9


def test_a_level_that_is_there_twice_is_no_certificate():
    """The probe r tells a basis from one in which a state on one cell stands for two."""
    r = np.array([probe(i) for i in range(600)])
    assert 0.3 < (r > 0).mean() < 0.7
    squares = np.sort(r**2)
    assert np.diff(squares).min() > 1e-6
    missing = abs(squares[:, None] - squares).max() / (r**2).sum()
    assert missing > COMPLETE
    assert np.diff(squares).min() / (r**2).sum() > 1e3 * COMPLETE
