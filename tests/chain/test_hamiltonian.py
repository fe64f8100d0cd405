import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sshml.chain import bloch_hamiltonian, block, dispersion, hamiltonian
from sshml.errors import SSHMLError

BOUNDARIES = ["open", "periodic"]


def draw(rng, cells, boundary, batch=()):
    return rng.normal(size=(*batch, cells)), rng.normal(size=(*batch, cells - (boundary == "open")))


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("cells", [2, 3, 8])
def test_symmetries(rng, boundary, cells):
    h = hamiltonian(*draw(rng, cells, boundary, (5,)), boundary)
    gamma = np.diag([1.0, -1.0] * cells)
    np.testing.assert_array_equal(h, np.swapaxes(h, -1, -2))
    np.testing.assert_array_equal(gamma @ h @ gamma, -h)


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_entries_by_definition(rng, boundary):
    v, w = draw(rng, 5, boundary)
    expected = np.zeros((10, 10))
    for m in range(5):
        expected[2 * m, 2 * m + 1] = expected[2 * m + 1, 2 * m] = v[m]
    for m in range(len(w)):
        a, b = (2 * m + 2) % 10, 2 * m + 1
        expected[a, b] = expected[b, a] = w[m]
    np.testing.assert_array_equal(hamiltonian(v, w, boundary), expected)


def test_block_is_the_upper_right_corner(rng):
    v, w = draw(rng, 4, "open")
    np.testing.assert_array_equal(block(v, w), hamiltonian(v, w)[0::2, 1::2])


def test_product_of_singular_values_is_the_product_of_v(rng):
    v, w = draw(rng, 9, "open", (4,))
    np.testing.assert_allclose(np.linalg.svd(block(v, w))[1].prod(-1), np.abs(v.prod(-1)), rtol=1e-10)


@pytest.mark.parametrize("cells", [2, 3, 6, 7])
def test_determinant_of_the_ring(rng, cells):
    v, w = draw(rng, cells, "periodic")
    expected = v.prod() - (-1) ** cells * w.prod()
    np.testing.assert_allclose(np.linalg.det(block(v, w, "periodic")), expected, rtol=1e-10)


@given(st.floats(-np.pi, np.pi), st.floats(-3, 3), st.floats(-3, 3))
def test_dispersion_is_the_spectrum_of_the_bloch_hamiltonian(k, v, w):
    np.testing.assert_allclose(np.linalg.eigvalsh(bloch_hamiltonian(k, v, w)), dispersion(k, v, w), atol=1e-12)


def test_ring_levels_lie_on_the_bands():
    cells, v, w = 7, 0.7, 1.3
    k = 2 * np.pi * np.arange(cells) / cells
    levels = np.linalg.eigvalsh(hamiltonian(np.full(cells, v), np.full(cells, w), "periodic"))
    np.testing.assert_allclose(levels, np.sort(dispersion(k, v, w).ravel()), atol=1e-12)


@pytest.mark.parametrize(
    ("v", "w", "boundary", "words"),
    [
        ([1.0, 2.0], [1.0, 2.0, 3.0], "open", "needs 1, or 2 to end in half a cell"),
        ([1.0, 2.0], [1.0], "periodic", "needs 2"),
        ([1.0, np.nan], [1.0], "open", "NaN"),
        ([1.0, 2.0], [np.inf], "open", "infinite"),
        ([], [], "open", "M >= 1"),
        (1.0, [1.0], "open", "M >= 1"),
        ([1.0, 2.0], [1.0], "moebius", "choose one of open, periodic"),
        (np.ones((3, 4)), np.ones((2, 3)), "open", "leading shapes"),
    ],
)
def test_bad_input(v, w, boundary, words):
    with pytest.raises(SSHMLError, match=words):
        hamiltonian(v, w, boundary)


@pytest.mark.parametrize("boundary", ["open", "periodic"])
def test_longer_range(rng, boundary):
    """j3 joins A_m and B_{m+1}, j4 joins B_m and A_{m+2}; chiral symmetry stays; levels of a clean ring."""
    cells, gap = 6, boundary == "open"
    v, w, j3, j4 = (rng.random(cells - gap * missing) for missing in (0, 1, 1, 2))
    full = hamiltonian(v, w, boundary, j3, j4)
    np.testing.assert_array_equal(full, full.T)
    assert full[2 * 1, 2 * 2 + 1] == j3[1]
    assert full[2 * 1 + 1, 2 * 3] == j4[1]
    assert not full[0::2, 0::2].any()
    assert (full != 0).sum() == 2 * sum(map(len, (v, w, j3, j4)))
    if boundary == "periodic":
        assert full[2 * 5, 1] == j3[5]
        assert full[2 * 5 + 1, 2] == j4[5]
        clean = hamiltonian(*(np.full(6, x) for x in (0.3, 0.7)), boundary, 0.4, -0.2)
        k = 2 * np.pi * np.arange(6) / 6
        np.testing.assert_allclose(
            np.linalg.eigvalsh(clean), np.sort(dispersion(k, 0.3, 0.7, 0.4, -0.2).ravel()), atol=1e-12
        )


@pytest.mark.parametrize("j3", [[1.0, 2.0], np.nan, [[1.0] * 3] * 7])
def test_bad_longer_range(j3):
    with pytest.raises(SSHMLError, match=r"j3 (has|holds|\()"):
        hamiltonian(np.ones((2, 4)), np.ones((2, 3)), j3=j3)
