"""Counter-based random numbers: those of sample i never depend on how many samples were drawn before it."""

import numpy as np

from sshml.arguments import integer, integers, shown
from sshml.errors import SSHMLError

MOST = 2**48
"""Numbers asked for at once, at most."""


def uniforms(key, first, count, width, stream=0):
    """Return `width` uniform numbers in [0, 1) for each of the samples first, ..., first + count - 1.

    Philox 4x64 (Salmon et al., SC 2011) with the counter set to the sample's own block, so that any range of
    samples can be drawn on its own: `uniforms(key, 5, 1, n)` is row 5 of `uniforms(key, 0, 10, n)`.

    Args:
        key: two non-negative integers under 2^64, or one (then the second is 0).
        first: index of the first sample.
        count: number of samples.
        width: numbers per sample.
        stream: independent stream of the same key (for another purpose, or for another attempt).

    Returns:
        float64 array, shape (count, width).

    Raises:
        SSHMLError: something that is no such integer.

    >>> bool((uniforms(7, 5, 1, 3) == uniforms(7, 0, 10, 3)[5:6]).all())
    True
    """
    key = integers(key, "seed", 0, 2**64 - 1) if np.iterable(key) else [integer(key, "seed", 0, 2**64 - 1), 0]
    if len(key) != 2:
        raise SSHMLError(f"seed is {shown(key)}; expected an integer or two.")
    count, width = integer(count, "count", 0, MOST), integer(width, "width", 0, MOST)
    blocks = -(-width // 4)  # Philox makes four 64-bit words per counter
    first = integer(first, "first", 0, (2**64 - 1) // max(1, blocks) - count)
    stream = integer(stream, "stream", 0, 2**64 - 1)
    generator = np.random.Philox(key=np.array(key, dtype=np.uint64), counter=[first * blocks, 0, stream, 0])
    words = generator.random_raw(count * blocks * 4).reshape(count, blocks * 4)[:, :width]
    return (words >> np.uint64(11)) * 2.0**-53
