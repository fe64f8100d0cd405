"""The sign of a wavefunction: explicit conventions that never look at the label.

A real eigenstate is defined up to its sign. Signs as LAPACK returns them correlate with the phase of the chain,
so a network can read the label from them; see `sshml.dataset.sign_leakage`.
"""

import numpy as np

from sshml.arguments import as_array, choice, instance, number_type
from sshml.chain.streams import uniforms
from sshml.errors import SSHMLError

GAUGES = ("fixed", "random")

NEAR_MAXIMUM = 0.99
"""A site counts as a maximum of |psi| from this fraction of the largest on: mirror-related maxima tie."""


def fix_gauge(states):
    """Return the states with the first site whose |psi| is within 1 % of the maximum made positive.

    Args:
        states: real states, shape (..., level, site).

    Returns:
        New array, same shape and dtype.

    >>> fix_gauge(np.array([[-0.6, 0.8], [-0.8, -0.6]]))
    array([[-0.6,  0.8],
           [ 0.8,  0.6]])
    """
    states = _levels(states)
    return states * fixed_signs(states)[..., None]


def _levels(states, axes=None):
    """Return states (..., level, site) as an array."""
    states = as_array(states, "states", axes=axes, finite=True)
    if states.ndim < 2 or not states.shape[-1]:
        raise SSHMLError(f"states have shape {states.shape}; expected (..., level, site).")
    return states


def fixed_signs(states):
    """Return the signs, shape (..., level), that `fix_gauge` multiplies the states with."""
    states = _levels(states)
    size = np.abs(states)
    site = (size >= NEAR_MAXIMUM * size.max(axis=-1, keepdims=True)).argmax(axis=-1)
    chosen = np.take_along_axis(states, site[..., None], axis=-1)[..., 0]
    return np.where(chosen < 0, -1, 1).astype(states.dtype)


def random_gauge(states, seed, first=0):
    """Return the states with independent fair signs that depend only on (seed, sample, level).

    Args:
        states: real states, shape (sample, level, site).
        seed: integer from 0 to 2^64 - 1, or a pair of them (seed, split).
        first: index of the first sample, for a part of a larger batch.

    Returns:
        New array, same shape and dtype.

    Raises:
        SSHMLError: the seed is out of range, or the states have a type without signs.

    >>> states = np.ones((3, 2, 2))
    >>> bool((random_gauge(states, 0)[2:] == random_gauge(states[2:], 0, first=2)).all())
    True
    """
    states = _levels(states, "sample, level, site")
    if states.dtype.kind == "u":
        raise SSHMLError(f"states are {states.dtype}, which has no signs; give real numbers.")
    return states * _random_signs(states, seed, first).astype(states.dtype)[..., None]


def apply_gauge(states, gauge, seed, first=0):
    """Give states (sample, level, site), float32 or float64, a gauge in place, "fixed" or "random", by kernels."""
    from sshml.chain.signs import first_maximum_signs, multiply_levels  # numba is slow to import
    from sshml.lanes import run

    instance(states, "states", np.ndarray, "an array of floats, to be changed in place")
    number_type(states.dtype)
    as_array(states, "states", axes="sample, level, site")
    choice(gauge, "gauge", GAUGES)
    uniforms(seed, first, 0, 0)  # refuses what is no seed, for either gauge
    if gauge == "fixed":
        signs = np.empty(states.shape[:2], np.int8)
        run(first_maximum_signs, states, signs, shared=(states.dtype.type(NEAR_MAXIMUM),))
    else:
        signs = _random_signs(states, seed, first)
    run(multiply_levels, states, signs)


def _random_signs(states, seed, first):
    draws = uniforms(seed, first, *states.shape[:2], stream=GAUGE_STREAM)
    return np.where(draws < 0.5, np.int8(-1), np.int8(1))


GAUGE_STREAM = 2**32
"""Stream of the sign draws, far from the hopping draws (streams 0, 1, ... count the attempts)."""
