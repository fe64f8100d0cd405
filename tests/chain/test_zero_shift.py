import mpmath
import numpy as np
import pytest

from sshml.chain import block, eigenstates, hamiltonian, zero_shift


def solved(v, w):
    cells = v.shape[1]
    energies, states = np.empty((len(v), 2 * cells)), np.empty((len(v), 2 * cells, 2 * cells))
    done = np.zeros(len(v), bool)
    zero_shift.solve(v, w, energies, states, done)
    assert done.all()
    return energies, states


def spread(rng, chains, cells, decades):
    return 10.0 ** rng.uniform(-decades, decades, (chains, cells)), 10.0 ** rng.uniform(
        -decades, decades, (chains, cells - 1)
    )


@pytest.mark.parametrize(("cells", "decades"), [(1, 3), (2, 40), (7, 12), (9, 100)])
def test_against_80_digits(rng, cells, decades):
    v, w = spread(rng, 6, cells, decades)
    energies, _ = solved(v, w)
    with mpmath.workdps(600):
        for chain in range(len(v)):
            exact = mpmath.svd_r(mpmath.matrix(block(v[chain], w[chain]).tolist()), compute_uv=False)
            for found, value in zip(energies[chain, cells:][::-1], exact, strict=True):
                if value > 1e-290:
                    assert abs(found / value - 1) < 1e-12


@pytest.mark.parametrize(
    ("chains", "cells", "decades"), [(300, 8, 12), (40, 64, 12), (70, 128, 12), (200, 16, 60), (30, 64, 100)]
)
@pytest.mark.parametrize("solver", ["auto", "kernels"])
def test_hoppings_over_many_decades(rng, chains, cells, decades, solver):
    """States orthonormal, H psi = E psi, and each level right to its own size: the product of all is that of v."""
    v, w = spread(rng, chains, cells, decades)
    check(*eigenstates(v, w, solver=solver), v, w)


@pytest.mark.slow
def test_long_chains_over_many_decades(rng):
    for cells, chains in ((256, 12), (512, 6)):
        v, w = spread(rng, chains, cells, 12)
        check(*eigenstates(v, w), v, w)


def check(energies, states, v, w):
    cells, scale = v.shape[1], np.maximum(v.max(1), w.max(1))
    assert (np.diff(energies, axis=1) >= 0).all()
    gram = states @ np.swapaxes(states, 1, 2)  # b level [site], b [site] level
    np.testing.assert_allclose(gram, np.broadcast_to(np.eye(2 * cells), gram.shape), atol=1e-11)
    residual = np.abs(states @ hamiltonian(v, w) - energies[..., None] * states).max(axis=(1, 2))
    assert (residual <= 1e-11 * scale).all()
    positive = energies[:, cells:]
    normal = (positive > 1e-290).all(axis=1)  # no level lost to the range of floats
    np.testing.assert_allclose(np.log(positive[normal]).sum(1), np.log(v[normal]).sum(1), atol=1e-9)
    assert normal.mean() > 0.3 or v.max() > 1e70


def test_levels_of_the_kernels_are_these(rng):
    """Also where the smallest level is far under the squares that a float holds."""
    for cells, decades in ((16, 12), (32, 8), (64, 2)):
        v, w = spread(rng, 128, cells, decades)
        energies = eigenstates(v, w, solver="kernels")[0]
        np.testing.assert_allclose(energies[:, cells:], solved(v, w)[0][:, cells:], rtol=1e-9)


def test_what_does_not_converge_is_left_to_lapack(rng, monkeypatch):
    def give_up(v, w, energies, states, done):
        done[:] = False

    give_up.signatures = ("compiled",)
    v, w = spread(rng, 5, 8, 8)
    expected = eigenstates(v, w)[0]
    monkeypatch.setattr(zero_shift, "solve", give_up)
    monkeypatch.setattr("sshml.chain.bidiagonal.solve", give_up)
    energies, states = eigenstates(v, w)
    np.testing.assert_allclose(energies, expected, atol=1e-12 * np.abs(expected).max())
    gram = states @ np.swapaxes(states, 1, 2)
    np.testing.assert_allclose(gram, np.broadcast_to(np.eye(16), gram.shape), atol=1e-11)


@pytest.mark.parametrize("cells", [2, 5, 64, 200])
@pytest.mark.parametrize("ratio", [0.3, 0.98, 1.02, 1.1, 1.5, 4.0])
def test_clean_chains_are_those_of_the_closed_form(cells, ratio):
    """The edge level too, ten to a hundred decades below the others."""
    v, w = np.full((1, cells), 0.7), np.full((1, cells - 1), 0.7 * ratio)
    positive = solved(v, w)[0][:, cells:]
    found = eigenstates(v, w, solver="kernels")[0][:, cells:]
    normal = positive > 1e-290
    np.testing.assert_allclose(found[normal], positive[normal], rtol=1e-10)
