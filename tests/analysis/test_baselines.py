import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sshml.analysis import baselines
from sshml.analysis.baselines import best_threshold, observables
from sshml.chain import eigenstates
from sshml.dataset import DatasetSpec, generate, open_dataset


@given(st.lists(st.tuples(st.integers(-5, 5), st.booleans()), min_size=1, max_size=30))
def test_no_threshold_does_better(pairs):
    values, labels = np.array([p[0] for p in pairs], float), np.array([p[1] for p in pairs], int)
    threshold, sign = best_threshold(values, labels)
    best = ((sign * values > sign * threshold) == labels).mean()
    if len(np.unique(values)) < len(values):
        return  # a threshold inside a tie is no threshold
    for other in [*np.unique(values) - 0.5, 9]:
        for direction in (1, -1):
            assert best >= ((direction * values > direction * other) == labels).mean()


def test_observables_of_the_edge_state():
    """IPR of the hybridised pair is half of (1 - r^2)/(1 + r^2); its weight on site 1 is (1 - r^2)/2."""
    r, cells = 0.4, 25
    energies, states = eigenstates(np.full((1, cells), r), np.ones((1, cells - 1)))
    found = {name: value[0] for name, value in observables(states, energies).items()}
    assert found["weight on site 1"] == pytest.approx((1 - r**2) / 2)
    assert found["inverse participation ratio"] == pytest.approx((1 - r**2) / (1 + r**2) / 2)
    assert found["half gap"] == pytest.approx((1 - r**2) * r**cells, abs=1e-14)
    assert found["edge dipole"] == pytest.approx(cells - 1 - 2 * r**2 / (1 - r**2))


def test_published_values(tmp_path):
    """Clean and disordered chains of 25 cells: physics notes, to the statistics of 2000 test chains."""
    expected = {
        0: {"weight on site 1": 0.998, "inverse participation ratio": 0.998, "half gap": 0.998, "edge dipole": 0.998},
        1: {"weight on site 1": 0.921, "inverse participation ratio": 0.872, "half gap": 0.988, "edge dipole": 0.987},
    }
    for strength, values in expected.items():
        spec = DatasetSpec(25, "0:2", 1, strength, strength / 2, train=3000, valid=1, test=2000)
        generate(spec, tmp_path / f"{strength}.h5")
        found = baselines(open_dataset(tmp_path / f"{strength}.h5"))
        for name, value in values.items():
            assert found[name] == pytest.approx(value, abs=0.03)
