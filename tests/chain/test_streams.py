import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sshml.chain.streams import uniforms


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**40), st.integers(1, 20), st.integers(1, 9), st.integers(0, 5))
def test_any_range_is_a_slice_of_the_whole(seed, first, count, width, skip):
    whole = uniforms((seed, 1), first, count + skip, width)
    np.testing.assert_array_equal(uniforms((seed, 1), first + skip, count, width), whole[skip:])


def test_keys_and_streams_differ():
    draws = [uniforms(key, 0, 4, 5, stream) for key in ((0, 0), (0, 1), (1, 0)) for stream in (0, 1)]
    assert len(np.unique(np.concatenate(draws))) == 6 * 20


def test_law_is_uniform():
    draws = uniforms(3, 0, 20000, 5)
    assert draws.min() >= 0
    assert draws.max() < 1
    np.testing.assert_allclose(draws.mean(0), 0.5, atol=0.01)
    np.testing.assert_allclose(draws.var(0), 1 / 12, atol=0.005)


def test_frozen_values():
    """Philox is a published algorithm: these numbers may never change, or old seeds would make other data."""
    np.testing.assert_array_equal(uniforms((7, 2), 5, 1, 2), [[0.5117282008006275, 0.8651763428066257]])
