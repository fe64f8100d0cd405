import numpy as np
import pytest

from sshml.chain import eigenstates, hoppings_of_state, hoppings_of_states, log_margin, state_condition
from sshml.errors import SSHMLError


def chains(rng, count, cells, strength, half_cell=False):
    """Return hoppings of disordered chains."""
    v = rng.random((count, 1)) + strength * (rng.random((count, cells)) - 0.5)
    return v, rng.random((count, 1)) + strength * (rng.random((count, cells - 1 + half_cell)) - 0.5)


@pytest.mark.parametrize("half_cell", [False, True])
@pytest.mark.parametrize("cells", [2, 3, 8])
def test_every_level_gives_the_hoppings_with_their_signs(rng, cells, half_cell):
    v, w = chains(rng, 50, cells, 1.0, half_cell)
    energies, states = eigenstates(v, w)
    for level in range(states.shape[1]):
        if half_cell and level == cells:
            continue  # the zero mode
        found = hoppings_of_state(states[:, level])
        for hopping, expected in zip(found, (v, w), strict=True):
            np.testing.assert_allclose(energies[:, level, None] * hopping, expected, rtol=1e-4, atol=1e-9)


def test_a_density_gives_their_absolute_values_whatever_the_sign_and_the_norm(rng):
    v, w = chains(rng, 200, 6, 2.0)
    energies, states = eigenstates(v, w)
    density = 3 * states[:, 7] ** 2
    for hopping, expected in zip(hoppings_of_state(np.sqrt(density)), (v, w), strict=True):
        np.testing.assert_allclose(abs(energies[:, 7, None] * hopping), abs(expected), rtol=1e-6)


@pytest.mark.parametrize("strength", [0, 1, 3])
@pytest.mark.parametrize("cells", [4, 16])
def test_the_label_follows_from_one_density_in_single_precision(rng, cells, strength):
    v, w = chains(rng, 1000, cells, strength)
    _, states = eigenstates(v, w)
    density = states[:, cells].astype(np.float32) ** 2
    there = (density > 1e-37).all(1)  # none of it has underflowed
    assert there.mean() > 0.9
    margin = log_margin(v, w)[there]
    found = log_margin(*hoppings_of_state(np.sqrt(density[there].astype(float))))
    assert ((found > 0) != (margin > 0)).sum() <= 1
    assert (abs(found - margin) <= 4 * np.finfo(np.float32).eps * state_condition(states[there, cells])).all()


def test_the_condition_tells_which_level_serves(rng):
    """The weight of a level near the edge of the spectrum is small on most sites of a disordered chain."""
    v, w = chains(rng, 300, 16, 3.0)
    margin, (_, states) = log_margin(v, w), eigenstates(v, w)
    rounded = states * (1 + 1e-6 * rng.standard_normal(states.shape))
    errors, conditions = [], []
    for level in (16, 24, 31):
        errors.append(abs(log_margin(*hoppings_of_state(rounded[:, level])) - margin))
        conditions.append(state_condition(states[:, level]))
    assert all((e <= 1e-5 * c).mean() > 0.99 for e, c in zip(errors, conditions, strict=True))
    assert np.isinf(state_condition([1.0, 0, 0, 0]))


@pytest.mark.parametrize("cells", [2, 8, 32])
def test_all_levels_together_give_the_hoppings_from_single_precision(rng, cells):
    v, w = chains(rng, 100, cells, 1.0)
    energies, states = eigenstates(v, w)
    scale = np.linalg.norm(energies[:, cells:], axis=1)[:, None]
    for precision, tolerance in ((np.float64, 1e-9), (np.float32, 2e-4)):
        found = hoppings_of_states(states.astype(precision))
        for hopping, expected in zip(found, (v, w), strict=True):
            np.testing.assert_allclose(scale * hopping, expected, atol=tolerance)


@pytest.mark.parametrize("w", [(0.0, 0.0), (1.0, 0.0)])
def test_the_parts_of_a_cut_chain_have_no_common_scale(w):
    _, states = eigenstates(np.array([[1.0, 2.0, 3.0]]), np.array([w]))
    assert np.isnan(hoppings_of_states(states)[0]).all()


def test_the_condition_counts_the_weight_that_is_summed():
    """By hand: |psi|^2 = .3 .25 | .001 .25 | .1 .099, all sums from the right, where less weight lies."""
    density = np.array([0.3, 0.25, 0.001, 0.25, 0.1, 0.099])
    w = np.array([0.001 - 0.25 + 0.1 - 0.099, 0.1 - 0.099])
    v = np.array([0.25 - w[0], 0.25 - w[1], 0.099])
    expected = np.mean([0.45, 0.199] / abs(w)) + np.mean([0.45 + 0.25, 0.199 + 0.25, 0.099] / abs(v)) + 2
    assert state_condition(np.sqrt(density)) == pytest.approx(expected, rel=1e-9)


def test_an_axis_of_chains_is_no_must(rng):
    v, w = chains(rng, 3, 4, 1.0)
    _, states = eigenstates(v, w)
    for one, many in zip(hoppings_of_states(states[1]), hoppings_of_states(states), strict=True):
        np.testing.assert_allclose(one, many[1])
    for one, many in zip(hoppings_of_state(states[1]), hoppings_of_state(states), strict=True):
        np.testing.assert_allclose(one, many[1])


def test_a_site_without_weight_determines_nothing():
    v, w = hoppings_of_state([0.0, 0.0, 1.0, 1.0])
    assert not np.isfinite(v[0])
    assert v[1] == pytest.approx(1)
    assert not np.isfinite(w[0])


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: hoppings_of_state([1.0, 0.0]), "3 sites"),
        (lambda: hoppings_of_state(np.zeros(4)), "0 on all sites"),
        (lambda: hoppings_of_state([1.0, np.nan, 0, 0]), "NaN"),
        (lambda: state_condition(1.0), "3 sites"),
        (lambda: hoppings_of_states(np.ones((4, 6))), "all levels"),
        (lambda: hoppings_of_states(np.eye(2)), "2 or more"),
        (lambda: hoppings_of_states(np.eye(5)), "whole cells"),
    ],
)
def test_what_is_no_state(call, word):
    with pytest.raises(SSHMLError, match=word):
        call()
