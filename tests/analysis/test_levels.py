import numpy as np
import pytest

from sshml.analysis import direction_norms, level_directions, rank_of_directions
from sshml.chain import eigenstates, fixed_signs
from sshml.errors import SSHMLError

CELLS = 8


def states(ratio):
    """Return the states with fixed signs of clean chains of v = 1 and w = ratio."""
    v, w = np.ones((len(ratio), CELLS)), np.repeat(ratio[:, None], CELLS - 1, 1)
    found = eigenstates(v, w)[1]
    return found * fixed_signs(found)[..., None]


def test_two_directions_hold_the_states_and_their_parts_tell_the_label(rng):
    ratio = np.exp(rng.uniform(-2, 2, 400))
    found = states(ratio)
    f, g = level_directions(found, states(np.ones(1))[0])
    assert f.shape == g.shape == (16, 16, 16)
    np.testing.assert_allclose((f**2).sum((1, 2)), 1)
    np.testing.assert_allclose((f * g).sum((1, 2)), 0, atol=1e-12)
    for level in range(16):
        own = found[:, level]
        odd, even = own @ f[level, level], own @ g[level, level]
        assert (odd**2 + even**2).mean() > 0.97
        assert abs(even).min() > 0.3  # never 0
        right = (odd * even > 0) == (ratio > 1)
        assert right.all() or not right.any()  # exactly the label, whatever the sign of the state
        np.testing.assert_allclose(states(np.ones(1))[0, level] @ f[level, level], 0, atol=1e-6)  # F(1) = 0


def test_levels_of_one_sign_have_their_directions_together(rng):
    found, even = states(np.exp(rng.uniform(-2, 2, 100))), states(np.ones(1))[0]
    f, g = level_directions(found, even, [0] * 8 + [1] * 8)
    assert f.shape == (2, 16, 16)
    assert not f[0, 8:].any()
    assert not g[1, :8].any()
    np.testing.assert_allclose(g[0, :8], even[:8] / np.linalg.norm(even[:8]))


def test_norms_are_those_of_the_layer_on_the_direction(rng):
    weights, directions = rng.normal(size=(3, 5, 6)), rng.normal(size=(2, 3, 2))
    found = direction_norms(weights, directions)
    assert found.shape == (3, 2)
    assert found[1, 0] == pytest.approx(np.linalg.norm(weights[1] @ directions[0].ravel()))
    np.testing.assert_allclose(direction_norms(weights[0], directions), found[0])


def test_the_rank_counts_what_comes_before_the_first_g():
    of_f, of_g = np.array([[8.0, 8, 4, 1], [1, 1, 1, 1]]), np.array([[2.0, 2, 2, 1], [3, 1, 1, 1]])
    assert rank_of_directions(of_f, of_g).tolist() == [4, 1]
    assert rank_of_directions(of_f[0], of_g[0]) == 4


@pytest.mark.parametrize(
    "call",
    [
        lambda: level_directions(np.ones((3, 2, 4)), np.ones((2, 5))),
        lambda: level_directions(np.ones((0, 2, 4)), np.ones((2, 4))),
        lambda: level_directions(np.ones((3, 2, 4)), np.ones((2, 4)), [0]),
        lambda: direction_norms(np.ones((5, 7)), np.ones((2, 3, 2))),
        lambda: direction_norms(np.ones(6), np.ones((2, 3, 2))),
        lambda: rank_of_directions(np.ones(3), np.ones(2)),
    ],
)
def test_shapes_that_do_not_go_together(call):
    with pytest.raises(SSHMLError, match=r"go together|match"):
        call()


def test_norms_that_are_no_numbers():
    with pytest.raises(SSHMLError, match="NaN"):
        rank_of_directions(np.array([1.0, np.nan]), np.array([0.0, 0.0]))
