import os
import subprocess
import sys

import numpy as np
import pytest

from sshml import lanes
from sshml.chain import eigenstates, fix_gauge
from sshml.chain.gauge import apply_gauge
from sshml.lanes import LANES


@pytest.fixture
def chains(rng):
    v, w = rng.random((5 * LANES + 7, 6)), rng.random((5 * LANES + 7, 5))
    v[::3], w[::3] = v[::3, :1], w[::3, :1]  # every third one is clean
    return v, w


def test_any_number_of_threads_gives_the_same_bytes(chains, monkeypatch):
    found = []
    for number in (1, 2, 3):
        monkeypatch.setattr(lanes, "THREADS", number)
        found.append(eigenstates(*chains, solver="kernels"))
    for other in found[1:]:
        assert all(a.tobytes() == b.tobytes() for a, b in zip(found[0], other, strict=True))


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


KILLED = """
import faulthandler, os, signal
import numba
import numpy as np
from sshml import lanes
from sshml.chain import eigenstates

def solve():
    eigenstates(np.ones((300, 4)), np.linspace(0.1, 2, 900).reshape(300, 3), solver="kernels")

lanes.THREADS = 2
numba.get_num_threads()
solve()
child = os.fork()
if child == 0:
    numba.np.ufunc.parallel._backend_init_process_lock.acquire()  # where a kill may find a call to numba's threads
    os.kill(os.getpid(), signal.SIGKILL)
os.waitpid(child, 0)
faulthandler.dump_traceback_later(60, exit=True)
solve()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_killed_process_does_not_stop_its_relatives():
    """The lock that forked processes share in numba stays taken; the kernels never ask for it."""
    found = subprocess.run([sys.executable, "-c", KILLED], capture_output=True, text=True, timeout=200)
    assert found.returncode == 0, found.stderr


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_fixed_gauge_in_place_is_the_same(rng, dtype):
    states = rng.normal(size=(200, 6, 8)).astype(dtype)
    states[0, 0] = 0
    expected = fix_gauge(states)
    apply_gauge(states, "fixed", (0, 0))
    np.testing.assert_array_equal(states, expected)
