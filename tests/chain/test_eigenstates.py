import numpy as np
import pytest

from sshml.chain import block, dispersion, eigenstates, fix_gauge, hamiltonian
from sshml.errors import SSHMLError

HARD = {
    "random": lambda rng, m, b: (rng.random((20, m)), rng.random((20, b))),
    "near critical": lambda rng, m, b: (np.ones((20, m)), 1 + 1e-6 * rng.random((20, b))),
    "strong dimers": lambda rng, m, b: (1e-3 * rng.random((20, m)), 1 + rng.random((20, b))),
    "signed, strong disorder": lambda rng, m, b: (1 + 10 * (rng.random((20, m)) - 0.5), rng.normal(size=(20, b))),
    "many scales": lambda rng, m, b: (10 ** rng.uniform(-12, 12, (20, m)), 10 ** rng.uniform(-12, 12, (20, b))),
    "v = 0": lambda rng, m, b: (np.zeros((1, m)), np.ones((1, b))),
    "w = 0": lambda rng, m, b: (np.ones((1, m)), np.zeros((1, b))),
    "all zero": lambda rng, m, b: (np.zeros((1, m)), np.zeros((1, b))),
    "some zeros": lambda rng, m, b: (rng.integers(0, 3, (20, m)) * 1.0, rng.integers(0, 2, (20, b)) * 1.0),
    "clean": lambda rng, m, b: (np.full((1, m), 0.6), np.full((1, b), 1.0)),
}


@pytest.mark.parametrize("boundary", ["open", "periodic"])
@pytest.mark.parametrize("cells", [1, 2, 5, 16])
@pytest.mark.parametrize("kind", HARD)
def test_states_solve_the_eigenvalue_problem(rng, kind, cells, boundary):
    v, w = HARD[kind](rng, cells, cells - (boundary == "open"))
    energies, states = eigenstates(v, w, boundary)
    h = hamiltonian(v, w, boundary)
    scale = np.abs(energies).max(-1)[:, None, None] + 1e-300
    residual = states @ h - energies[..., None] * states
    assert np.abs(residual / scale).max() < 1e-10
    np.testing.assert_allclose(states @ np.swapaxes(states, -1, -2), np.eye(2 * cells)[None] + 0 * h, atol=1e-10)
    assert (np.diff(energies) >= 0).all()
    np.testing.assert_array_equal(energies, -energies[:, ::-1])  # chiral symmetry


def test_agrees_with_eigh_of_the_full_hamiltonian(rng):
    v, w = rng.random((50, 8)), rng.random((50, 7))
    energies, states = eigenstates(v, w)
    expected, columns = np.linalg.eigh(hamiltonian(v, w))
    np.testing.assert_allclose(energies, expected, atol=1e-12)
    gap = np.minimum(np.diff(expected, prepend=-np.inf), np.diff(expected, append=np.inf))
    overlap = np.abs(np.einsum("bls,bsl->bl", states, columns))
    assert (gap > 1e-3).mean() > 0.9
    np.testing.assert_allclose(overlap[gap > 1e-3], 1, atol=1e-9)


def test_mid_gap_pair_shares_both_ends():
    """eigh leaves an arbitrary mixture here; the chiral partners have half their weight on each end."""
    for ratio in (0.02, 1e-8, 0.0):
        _, states = eigenstates(np.full(25, ratio), np.ones(24))
        for level in (24, 25):
            assert (states[level, :25] ** 2).sum() == pytest.approx(0.5, abs=1e-10)
            assert states[level, 0] ** 2 == pytest.approx((1 - ratio**2) / 2, abs=1e-10)


def test_edge_energy_and_decay():
    """sigma_min = w (1 - r^2) r^M (1 + O(M r^2M)), amplitudes (-r)^n on A."""
    cells, r = 10, 0.3
    energies, states = eigenstates(np.full(cells, r), np.ones(cells - 1))
    assert energies[cells] == pytest.approx((1 - r**2) * r**cells, rel=1e-6)
    edge = states[cells, 0::2]
    np.testing.assert_allclose(edge[1:5] / edge[:4], -r, rtol=1e-4)


@pytest.mark.parametrize(("w", "bulk"), [(1.12, 8), (1.13, 7)])
def test_bound_pair_appears_at_one_plus_one_over_cells(w, bulk):
    energies, _ = eigenstates(np.ones(8), np.full(7, w))
    lowest_bulk = abs(dispersion(np.pi, 1.0, w)[1])  # band edge |w - v|
    assert (energies[8:] > lowest_bulk).sum() == bulk


@pytest.mark.parametrize("signs", [(1, 1), (-1, 1), (1, -1), (-1, -1)])
def test_order_of_the_mid_gap_pair_is_that_of_a_long_calculation(signs):
    """The partner above zero follows from exact arithmetic also where LAPACK's sigma is rounding noise."""
    ratios = np.array([0.4, 0.01, 1e-4])  # sigma_min from 1e-4 to 1e-33 at M = 8
    v, w = signs[0] * np.repeat(ratios[:, None], 8, 1), signs[1] * np.ones((3, 7))
    _, states = eigenstates(v, w)
    upper = states[:, 8]
    relative = np.sign(upper[:, 0] * upper[:, -1])  # left end on A against right end on B
    np.testing.assert_array_equal(relative, relative[0])


@pytest.mark.parametrize("boundary", ["open", "periodic"])
def test_a_lost_sign_does_not_reach_the_result(monkeypatch, boundary):
    """Where sigma is rounding noise LAPACK may return y with either sign: the states stay the same."""
    v, w = np.full(8, 1e-4), np.ones(8 - (boundary == "open"))
    w[-1] *= 1e-20 if boundary == "periodic" else 1  # a ring that is nearly cut has a lost sigma too
    expected = fix_gauge(eigenstates(v, w, boundary)[1])
    svd = np.linalg.svd

    def flipped(h):
        x, s, y = svd(h)
        y[:, -1] *= -1
        return x, s, y

    monkeypatch.setattr(np.linalg, "svd", flipped)
    np.testing.assert_allclose(fix_gauge(eigenstates(v, w, boundary)[1])[7:9], expected[7:9], atol=1e-12)


def test_clean_levels_lie_in_closed_form():
    """E = |v + w e^{ik}| with v sin((M+1)k) + w sin(Mk) = 0."""
    cells, v, w = 6, 1.0, 0.8
    energies, _ = eigenstates(np.full(cells, v), np.full(cells - 1, w))
    cosine = (energies[cells:] ** 2 - v**2 - w**2) / (2 * v * w)
    k = np.arccos(cosine)
    np.testing.assert_allclose(v * np.sin((cells + 1) * k) + w * np.sin(cells * k), 0, atol=1e-10)


class TestDegenerateLevels:
    def test_dimers_from_left_to_right(self):
        _, states = eigenstates(np.zeros(4), np.ones(3))
        np.testing.assert_allclose(np.abs(fix_gauge(states))[0, [2, 1]], np.sqrt(0.5))
        _, states = eigenstates(np.ones(4), np.zeros(3))
        for cell in range(4):
            np.testing.assert_allclose(np.abs(states[cell, 2 * cell : 2 * cell + 2]), np.sqrt(0.5))

    def test_standing_waves_on_a_ring_have_an_antinode_on_the_first_site(self):
        cells = 6
        energies, states = eigenstates(np.full(cells, 0.5), np.ones(cells), "periodic")
        cosine = np.cos(2 * np.pi / cells * np.arange(cells)) / np.sqrt(cells)
        pair = np.flatnonzero(np.isclose(energies, -abs(0.5 + np.exp(2j * np.pi / cells))))
        assert len(pair) == 2
        np.testing.assert_allclose(states[pair[0], 0::2] * np.sign(states[pair[0], 0]), cosine, atol=1e-12)
        assert abs(states[pair[1], 0]) < 1e-12

    def test_does_not_depend_on_the_solver_s_basis(self, monkeypatch, rng):
        """Rotating LAPACK's vectors within the degenerate levels leaves the states as they are."""
        v, w = np.full(6, 0.5), np.ones(6)
        expected = eigenstates(v, w, "periodic")[1]
        svd = np.linalg.svd

        def rotated(h):
            x, s, y = svd(h)
            for first, second in ((1, 2), (3, 4)):
                c, d = np.cos(1.1), np.sin(1.1)
                turn = np.array([[c, -d], [d, c]])
                x[:, :, [first, second]] = x[:, :, [first, second]] @ turn
                y[:, [first, second]] = turn.T @ y[:, [first, second]]
            return x, s, y

        monkeypatch.setattr(np.linalg, "svd", rotated)
        found = eigenstates(v, w, "periodic")[1]
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_batches_and_single_chains_agree(rng):
    v, w = rng.random((2, 3, 5)), rng.random((2, 3, 4))
    energies, states = eigenstates(v, w)
    assert energies.shape == (2, 3, 10)
    assert states.shape == (2, 3, 10, 10)
    np.testing.assert_array_equal(states[1, 2], eigenstates(v[1, 2], w[1, 2])[1])


def test_no_chains_have_no_states():
    energies, states = eigenstates(np.ones((0, 3)), np.ones((0, 2)))
    assert energies.shape == (0, 6)
    assert states.shape == (0, 6, 6)


@pytest.mark.parametrize("hoppings", [["a", "b"], [1j, 1.0], [[1, 2], [1]], None])
def test_hoppings_are_real_numbers(hoppings):
    with pytest.raises(SSHMLError, match=r"real numbers|M >= 1"):
        eigenstates(hoppings, [1.0])


def test_bad_input():
    with pytest.raises(SSHMLError, match="NaN"):
        eigenstates([1.0, np.nan], [1.0])


@pytest.mark.parametrize("cells", [2, 3, 4, 5])
@pytest.mark.parametrize("signs", [(1, 1), (-1, 1), (1, -1), (-1, -1)])
def test_order_of_the_mid_gap_pair_on_a_ring_where_w_wins(cells, signs):
    """One weak w among strong ones, v weaker still: det h is that of the w's, sigma is lost but x^T h y > 0."""
    v, w = np.full(cells, 1e-14), np.ones(cells)
    v[0], w[0], w[-1] = signs[0] * 1e-14, 1e-13, signs[1] * w[-1]
    energies, states = eigenstates(v, w, "periodic")
    x, y = states[cells, 0::2], states[cells, 1::2]
    assert 0 < energies[cells] < 1e-11
    assert x @ block(v, w, "periodic") @ y > 1e-15


def exact_smallest(v, w):
    """The smallest singular value of the bidiagonal h, by Sturm counts in arithmetic of 80 digits."""
    import mpmath

    with mpmath.workdps(80):
        v, w = ([mpmath.mpf(float(x)) for x in side] for side in (v, w))
        diagonal = [v[0] ** 2] + [v[m] ** 2 + w[m - 1] ** 2 for m in range(1, len(v))]
        off = [(v[m] * w[m]) ** 2 for m in range(len(w))]

        def below(x):
            count, pivot = 0, diagonal[0] - x
            for m in range(len(v)):
                count += pivot < 0
                if m < len(w):
                    pivot = diagonal[m + 1] - x - off[m] / (pivot or mpmath.mpf(10) ** -200)
            return count

        low, high = mpmath.mpf(10) ** -150, mpmath.mpf(10)
        for _ in range(160):  # in the logarithm first
            middle = mpmath.sqrt(low * high)
            low, high = (low, middle) if below(middle) else (middle, high)
        return float(mpmath.sqrt(low))


@pytest.mark.parametrize("disorder", [0.0, 0.3])
@pytest.mark.parametrize("cells", [16, 40, 100])
def test_one_chain_is_as_exact_as_many(rng, cells, disorder):
    """Splittings down to 1e-31, against 80 digits, alone, in a few and among 64."""
    v = 0.5 * (1 + disorder * rng.uniform(-1, 1, (70, cells)))
    w = 1 + disorder * rng.uniform(-1, 1, (70, cells - 1))
    expected = [exact_smallest(v[chain], w[chain]) for chain in (0, 1, 69)]
    for count in (1, 3, 70):
        for chain, exact in zip((0, 1, 69), expected, strict=True):
            chosen = slice(chain, chain + 1) if count == 1 else slice(max(0, chain - count + 1), chain + count)
            place = chain - chosen.start
            energies, states = eigenstates(v[chosen], w[chosen])
            assert energies[place, cells] == pytest.approx(exact, rel=1e-12, abs=0)
            assert energies[place, cells - 1] == -energies[place, cells]
            gram = states[place] @ states[place].T
            assert np.abs(gram - np.eye(2 * cells)).max() < 1e-10
