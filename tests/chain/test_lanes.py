import os

import numba
import numpy as np
import pytest

from sshml.chain import eigenstates, fix_gauge
from sshml.chain.gauge import apply_gauge
from sshml.chain.lanes import LANES


@pytest.fixture
def chains(rng):
    v, w = rng.random((5 * LANES + 7, 6)), rng.random((5 * LANES + 7, 5))
    v[::3], w[::3] = v[::3, :1], w[::3, :1]  # every third one is clean
    return v, w


def test_any_number_of_threads_gives_the_same_bytes(chains):
    threads = numba.get_num_threads()
    try:
        found = []
        for number in (1, threads):
            numba.set_num_threads(number)
            found.append(eigenstates(*chains, solver="kernels"))
    finally:
        numba.set_num_threads(threads)
    assert all(a.tobytes() == b.tobytes() for a, b in zip(*found, strict=True))


def test_a_chain_does_not_depend_on_its_neighbours(chains):
    energies, states = eigenstates(*chains, solver="kernels")
    for part in (slice(1), slice(3, 4), slice(60, 200), slice(300, None)):
        found = eigenstates(*(x[part] for x in chains), solver="kernels")
        assert found[0].tobytes() == energies[part].tobytes()
        assert found[1].tobytes() == states[part].tobytes()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_kernels_run_in_a_forked_process(chains):
    expected = eigenstates(*chains, solver="kernels")[1]
    child = os.fork()
    if child == 0:
        same = eigenstates(*chains, solver="kernels")[1].tobytes() == expected.tobytes()
        os._exit(0 if same else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_fixed_gauge_in_place_is_the_same(rng, dtype):
    states = rng.normal(size=(200, 6, 8)).astype(dtype)
    states[0, 0] = 0
    expected = fix_gauge(states)
    apply_gauge(states, "fixed", (0, 0))
    np.testing.assert_array_equal(states, expected)
