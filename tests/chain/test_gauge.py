import numpy as np
import pytest

from sshml.chain import eigenstates, fix_gauge, random_gauge
from sshml.chain.gauge import GAUGE_STREAM
from sshml.chain.streams import uniforms
from sshml.errors import SSHMLError


@pytest.fixture
def states(rng):
    return eigenstates(rng.random((200, 4)), rng.random((200, 3)))[1]


def test_fixed_gauge_undoes_any_signs(states, rng):
    signs = rng.choice([-1, 1], size=states.shape[:2])
    np.testing.assert_array_equal(fix_gauge(states * signs[..., None]), fix_gauge(states))


def test_fixed_gauge_is_idempotent_and_changes_signs_only(states):
    fixed = fix_gauge(states)
    np.testing.assert_array_equal(fix_gauge(fixed), fixed)
    np.testing.assert_array_equal(np.abs(fixed), np.abs(states))
    assert fixed.dtype == states.dtype


def test_fixed_gauge_looks_at_the_first_of_tied_maxima():
    psi = np.array([[0.1, -0.7, 0.7 * (1 + 1e-12)]])
    assert fix_gauge(psi)[0, 1] > 0
    assert fix_gauge(psi * [[1, 0.9, 1]])[0, 1] < 0  # 10 % apart is no tie


def test_random_signs_are_fair_and_independent_of_the_batch(states):
    signs = np.sign(random_gauge(np.ones_like(states), 11)[..., 0])
    assert abs(signs.mean()) < 4 / np.sqrt(signs.size)
    correlation = signs.T @ signs / len(signs) - np.eye(signs.shape[1])
    assert np.abs(correlation).max() < 5 / np.sqrt(len(signs))
    np.testing.assert_array_equal(random_gauge(states, 11)[50:60], random_gauge(states[50:60], 11, first=50))
    assert (random_gauge(states, 11) != random_gauge(states, 12)).any()


def test_random_signs_ignore_what_they_multiply(states):
    np.testing.assert_array_equal(random_gauge(-states, 5), -random_gauge(states, 5))


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_seed_out_of_range(states, seed):
    with pytest.raises(SSHMLError, match=r"from 0 to 2\^64 - 1|at least 0"):
        random_gauge(states, seed)


def test_signs_have_random_numbers_of_their_own():
    """Numbers shared with the hoppings of a sample (streams 0, 1, ...) would tie signs to the label."""
    signs = random_gauge(np.ones((60, 14, 2)), 3)[..., 0] > 0
    for stream in range(8):
        for width in range(13, 30):
            numbers = uniforms(3, 0, 60, width, stream)
            for start in range(width - 12):
                part = numbers[:, start : start + 13]
                assert not (signs[:, :13] == (part >= 0.5)).all()
    blocks = [set(uniforms(3, 0, 60, 16, stream).ravel()) for stream in (0, 1, GAUGE_STREAM)]
    assert not blocks[0] & blocks[1]
    assert not blocks[2] & (blocks[0] | blocks[1])


def test_numbers_without_signs_are_refused():
    with pytest.raises(SSHMLError, match="no signs"):
        random_gauge(np.ones((2, 3, 3), dtype=np.uint8), 0)
