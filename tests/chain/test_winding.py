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
