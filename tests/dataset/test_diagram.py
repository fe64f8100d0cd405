import numpy as np
import pytest

from sshml.dataset import DatasetSpec, diagram, generate, open_dataset
from sshml.errors import SSHMLError

SIZES = {"train": 400, "valid": 2, "test": 2}


def made(tmp_path, **options):
    generate(DatasetSpec(cells=3, **SIZES, **options), tmp_path / "a.h5", True, recipe=True)
    return open_dataset(tmp_path / "a.h5").train


def test_one_strength_has_none(tmp_path):
    assert diagram(made(tmp_path, disorder_v=1)) is None


def test_map_of_a_range_and_a_grid(tmp_path):
    split = made(tmp_path, v="0:2", w=1, disorder_v="0.5:2.5:5", disorder_w="0:1")
    found = diagram(split, 4)
    assert found.names == ("clean_v", "disorder_v")
    np.testing.assert_allclose(found.edges[0], [0, 0.5, 1, 1.5, 2])
    np.testing.assert_allclose(found.edges[1], [0.25, 0.75, 1.25, 1.75, 2.25, 2.75])
    v, strength, winding = split.read(("clean_v", "disorder_v", "winding"))
    inside = (v >= 0.5) & (v < 1) & (np.abs(strength - 2) < 1e-9)
    assert found.chains.shape == (5, 4)
    assert found.chains.sum() == 400
    assert found.chains[3, 1] == inside.sum()
    assert found.topological[3, 1] == pytest.approx(winding[inside].mean())
    np.testing.assert_allclose(found.mean(winding), found.topological)
    np.testing.assert_allclose(found.mean(np.stack([winding, 1 - winding]))[1], 1 - found.topological)


def test_along_the_strength(tmp_path):
    split = made(tmp_path, v="0:2", w=1, disorder_v="0.5:2.5:5")
    found = diagram(split)
    name, edges, share, chains = found.along(found.topological)
    strength, winding = split.read(("disorder_v", "winding"))
    assert name == "disorder_v"
    assert len(edges) == 6
    np.testing.assert_array_equal(chains, 80)
    for k, value in enumerate(np.linspace(0.5, 2.5, 5)):
        assert share[k] == pytest.approx(winding[np.abs(strength - value) < 1e-9].mean())


def test_one_axis_alone(tmp_path):
    found = diagram(made(tmp_path, v=1, w=1, disorder_v="0:2"), 5)
    assert found.names == ("disorder_v", None)
    assert found.chains.shape == (1, 5)
    name, _, share, chains = found.along(found.topological)
    assert name == "disorder_v"
    np.testing.assert_allclose(share, found.topological[0])
    np.testing.assert_array_equal(chains, found.chains[0])


def test_two_parameters_where_no_hopping_varies(tmp_path):
    found = diagram(made(tmp_path, v=1, w=1, disorder_v="0:2", disorder_onsite="0:1"), 3)
    assert found.names == ("disorder_v", "disorder_onsite")
    found = diagram(made(tmp_path, v=1, w=1, disorder_v=1, onsite="0:1"), 3)
    assert found.names == ("clean_onsite", None)


def test_fine_grids_are_binned(tmp_path):
    found = diagram(made(tmp_path, v="0:1", disorder_v="0.01:1:200"))
    assert found.chains.shape == (12, 12)


def test_bad_input(tmp_path):
    split = made(tmp_path, disorder_v="0:1")
    with pytest.raises(SSHMLError, match="bins"):
        diagram(split, 0)
    with pytest.raises(SSHMLError, match="one per chain"):
        diagram(split).mean(np.ones(3))
    with pytest.raises(SSHMLError, match="split"):
        diagram(object())


def test_bins_without_a_mean_are_left_out_of_a_line(tmp_path):
    found = diagram(made(tmp_path, v="0:2", w=1, disorder_v="0:2"), 2)
    means = np.array([[1.0, np.nan], [1.0, 3.0]])
    _, _, line, chains = found.along(means)
    weights = found.chains[1] / found.chains[1].sum()
    np.testing.assert_allclose(line, [1.0, weights @ [1.0, 3.0]])
    assert chains.tolist() == found.chains.sum(1).tolist()
    assert np.isnan(found.along(np.full((2, 2), np.nan))[2]).all()
