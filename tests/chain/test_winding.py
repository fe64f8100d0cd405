import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sshml.chain import bloch_hamiltonian, block, log_margin, winding_number
from sshml.errors import GapClosedError, SSHMLError

hopping = st.floats(0.01, 5) | st.floats(-5, -0.01)


@given(hopping, hopping)
def test_clean_label_is_the_winding_of_the_bloch_phase(v, w):
    if abs(abs(v) - abs(w)) < 1e-3:
        return
    k = np.linspace(-np.pi, np.pi, 20001)
    phase = np.unwrap(np.angle(bloch_hamiltonian(k, v, w)[:, 1, 0]))
    assert winding_number(v, w) == round(abs(phase[-1] - phase[0]) / (2 * np.pi))


def twisted_index(v, w):
    """Return the winding of det h under a flux through the ring."""
    theta = np.linspace(0, 2 * np.pi, 4001)
    h = np.repeat(block(v, w, "periodic")[None].astype(complex), len(theta), 0)
    h[:, 0, -1] *= np.exp(1j * theta)
    phase = np.unwrap(np.angle(np.linalg.det(h)))
    return round((phase[-1] - phase[0]) / (2 * np.pi))


def test_disordered_label_is_the_winding_under_a_twisted_boundary(rng):
    for _ in range(60):
        v, w = 1 + 3 * (rng.random(7) - 0.5), 1 + 3 * (rng.random(7) - 0.5)
        if abs(log_margin(v, w, "periodic")) < 0.02:
            continue
        assert winding_number(v, w, "periodic") == twisted_index(v, w)


def test_open_chain_compares_means_over_its_own_bonds():
    v, w = np.full(3, 1.1), np.full(2, 1.2)
    assert winding_number(v, w) == 1  # the sums 3 ln 1.1 > 2 ln 1.2 would say 0


def test_scale_and_signs_do_not_matter(rng):
    v, w = rng.random((30, 5)), rng.random((30, 4))
    signs = rng.choice([-1, 1], 5)
    np.testing.assert_array_equal(winding_number(v, w), winding_number(7 * v * signs, 7 * w * signs[:4]))


def test_zeros():
    assert winding_number(0.0, 1.0) == 1
    assert winding_number(1.0, 0.0) == 0
    assert log_margin(0.0, 1.0) == np.inf


def test_mixed_numbers_and_arrays():
    np.testing.assert_array_equal(winding_number(1.0, np.array([[2.0, 2.0], [0.5, 0.5]])), [1, 0])
    np.testing.assert_array_equal(winding_number(np.array([0.5, 0.5]), 1.0, "periodic"), 1)


@pytest.mark.parametrize("pair", [(1.0, 1.0), (0.3, -0.3), (0.0, 0.0)])
def test_closed_gap_is_an_error(pair):
    with pytest.raises(GapClosedError, match="gap is closed"):
        winding_number(*pair)
    with pytest.raises(GapClosedError, match="1 of 2 chains"):
        winding_number(np.array([[0.5] * 4, [pair[0]] * 4]), np.array([[1.0] * 3, [pair[1]] * 3]))


def test_bad_input():
    with pytest.raises(SSHMLError, match="2 cells or more"):
        winding_number(np.array([1.0]), np.array([]))
    with pytest.raises(SSHMLError, match="NaN"):
        winding_number(np.nan, 1.0)


class TestLongerRange:
    def test_clean_chains_have_the_winding_of_h_of_k(self, rng):
        """The zeros of the polynomial and the phase of h(k) round the Brillouin zone, on 900 random chains."""
        v, w, j3, j4 = rng.normal(size=(4, 900))
        k = 2 * np.pi * np.arange(4097) / 4096
        h = bloch_hamiltonian(-k, v[:, None], w[:, None], j3[:, None], j4[:, None])[..., 0, 1]
        turns = np.rint(np.angle(h[:, 1:] / h[:, :-1]).sum(1) / (2 * np.pi))
        one = np.ones(5)
        found = winding_number(
            v[:, None] * one, w[:, None] * one, "periodic", j3=j3[:, None] * one, j4=j4[:, None] * one
        )
        np.testing.assert_array_equal(found, turns)
        assert set(found) == {-1, 0, 1, 2}
        singles = [int(winding_number(*row[:2], j3=row[2], j4=row[3])) for row in zip(v, w, j3, j4, strict=True)]
        np.testing.assert_array_equal(found, singles)

    def test_without_longer_bonds_it_is_the_usual_number(self, rng):
        v, w = rng.random((2, 50))
        for label, a, b in zip(winding_number(v[:, None], w[:, None], "periodic"), v, w, strict=True):
            assert winding_number(a, b, j3=0.0, j4=0.0) == label

    def test_disordered_rings(self, rng):
        """The real-space number against the exact one of nearest-neighbour rings, and against clean limits."""
        v, w = 1 + rng.random((100, 32)) - 0.5, rng.uniform(0.5, 1.5, (100, 1)) + 0.5 * (rng.random((100, 32)) - 0.5)
        found = winding_number(v, w, "periodic", j3=np.zeros(32))
        assert (found == winding_number(v, w, "periodic")).mean() > 0.95
        v, w, j3, j4 = rng.normal(size=(4, 100, 1)) + 1e-6 * rng.random((4, 100, 40))
        clean = [int(winding_number(*(x[i, 0] for x in (v, w)), j3=j3[i, 0], j4=j4[i, 0])) for i in range(100)]
        assert (winding_number(v, w, "periodic", j3=j3, j4=j4) == clean).mean() > 0.97

    def test_closed_gaps_and_chains_without_label(self, rng):
        with pytest.raises(GapClosedError, match="unit circle"):
            winding_number(-1.0, 0.0, j3=0.5, j4=0.5)  # j3 + v z + j4 z^3 = 0 for z = 1
        with pytest.raises(GapClosedError):
            winding_number(0.0, 0.0, j3=0.0)
        with pytest.raises(SSHMLError, match="boundary='periodic'"):
            winding_number(rng.random((2, 5)), rng.random((2, 4)), j3=rng.random((2, 4)))


@pytest.mark.parametrize("sign", [1, -1])
def test_double_zeros_on_the_circle_close_the_gap(sign, rng):
    """(z - s)^2 (z - a): |p(s)| = 0, though its zeros are known to 1e-8 only."""
    for other in rng.uniform(-3, 3, 50):
        j3, v, w, j4 = np.polynomial.polynomial.polyfromroots([sign, sign, other])
        with pytest.raises(GapClosedError):
            winding_number(v, w, j3=j3, j4=j4)
