import numpy as np
import pytest

from sshml.chain import eigenstates
from sshml.dataset import DatasetSpec, generate, markers, one_number_baselines, open_dataset
from sshml.dataset.baselines import _best_threshold
from sshml.errors import SSHMLError


@pytest.mark.parametrize("flip", [False, True])
def test_the_best_threshold(rng, flip):
    values, labels = rng.integers(0, 12, 200) / 4, rng.random(200) < 0.5
    labels[values > 2] = not flip
    threshold, above = _best_threshold(values, labels)
    found = ((values > threshold) == (labels if above else ~labels)).mean()
    each = [((values > t) == truth).mean() for t in [-1, *np.arange(-0.125, 4, 0.25)] for truth in (labels, ~labels)]
    assert found == max(each)


def test_equal_values_are_not_told_apart():
    threshold, above = _best_threshold(np.ones(5), np.array([True, True, True, False, False]))
    assert (np.ones(5) > threshold).all() == above


def test_markers_of_dimers():
    energies, states = eigenstates([[0.0] * 4, [1.0] * 4], [[1.0] * 3, [0.0] * 3])
    found = markers(states, energies)
    np.testing.assert_allclose(found["half gap"], [0, 1], atol=1e-12)
    np.testing.assert_allclose(found["edge dipole"], [3, 0], atol=1e-9)
    np.testing.assert_allclose(found["real-space winding"], [1, 0], atol=1e-12)
    np.testing.assert_allclose(found["weight on site 1"][0], 0.5, atol=1e-12)
    np.testing.assert_allclose(found["inverse participation ratio"], 0.5, atol=1e-12)
    with pytest.raises(SSHMLError, match="do not match"):
        markers(states, energies[:1])


def test_markers_of_the_edge_state():
    """IPR of the hybridised pair is half of (1 - r^2)/(1 + r^2); its weight on site 1 is (1 - r^2)/2."""
    r, cells = 0.4, 25
    energies, states = eigenstates(np.full((1, cells), r), np.ones((1, cells - 1)))
    found = {name: value[0] for name, value in markers(states, energies).items()}
    assert found["weight on site 1"] == pytest.approx((1 - r**2) / 2)
    assert found["inverse participation ratio"] == pytest.approx((1 - r**2) / (1 + r**2) / 2)
    assert found["half gap"] == pytest.approx((1 - r**2) * r**cells, abs=1e-14)
    assert found["edge dipole"] == pytest.approx(cells - 1 - 2 * r**2 / (1 - r**2))


def test_half_a_cell_has_no_dipole():
    energies, states = eigenstates([[0.5] * 4], [[1.0] * 4])
    found = markers(states, energies)
    assert "edge dipole" not in found
    assert found["half gap"][0] == pytest.approx(
        energies[0, 5]
    )  # from the zero mode to the next level: half of both gaps


def test_published_accuracies(tmp_path):
    """Dipole, gap and the rest at W_v = 1, W_w = 1/2, M = 25, as another program measured them (within 3 errors)."""
    spec = DatasetSpec(
        cells=25, v="0:2", w=1, disorder_v=1, disorder_w=0.5, train=3000, valid=1, test=3000, gauge="fixed"
    )
    generate(spec, tmp_path / "a.h5", recipe=True)
    found = one_number_baselines(open_dataset(tmp_path / "a.h5"))
    for name, expected in {
        "weight on site 1": 0.921,
        "inverse participation ratio": 0.872,
        "half gap": 0.988,
        "edge dipole": 0.987,
    }.items():
        accuracy, error = found[name]
        assert abs(accuracy - expected) < 3 * max(error, 0.004), name


def test_chains_with_four_labels(tmp_path):
    generate(DatasetSpec(cells=3, j3="0:1", train=5, valid=2, test=2), tmp_path / "a.h5")
    with pytest.raises(SSHMLError, match="four"):
        one_number_baselines(open_dataset(tmp_path / "a.h5"))
    with pytest.raises(SSHMLError, match="expected a Dataset"):
        one_number_baselines(tmp_path / "a.h5")
