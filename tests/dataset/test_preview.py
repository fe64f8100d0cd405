import numpy as np
import pytest

from sshml.dataset import DatasetSpec, generate, open_dataset, preview
from sshml.errors import SSHMLError

SIZES = {"train": 30, "valid": 2, "test": 400}


@pytest.mark.parametrize(
    "options",
    [{}, {"half_cell": True}, {"onsite": 0.1}, {"disorder_v": "0:1"}, {"j3": "0:1"}, {"boundary": "periodic"}],
    ids=str,
)
def test_what_is_shown(tmp_path, options):
    generate(DatasetSpec(cells=4, **SIZES, **options), tmp_path / "a.h5")
    split = open_dataset(tmp_path / "a.h5").test
    found = preview(split, 10, 3)
    sites = split.spec.sites
    assert found.energies.shape == (10, sites)
    assert found.density.shape == (3, sites)
    np.testing.assert_allclose(found.density.sum(1), 1, atol=1e-5)
    states = split.read("states", slice(10))[:, sites // 2]
    np.testing.assert_allclose(found.edge, 1 - (states[:, 2:-2] ** 2).sum(1), atol=1e-5)
    assert found.marker.shape == (3, 4)
    assert len(found.markers["inverse participation ratio"]) == len(found.marked_winding) == 300
    assert (found.diagram is not None) == ("disorder_v" in options)
    if "j3" in options:
        assert found.ratio is None
    else:
        ratio = split.ratio
        np.testing.assert_array_equal(found.ratio, ratio[:10])
        assert found.ratio[found.chosen[0]] == found.ratio.min()
        assert found.ratio[found.chosen[-1]] == found.ratio.max()
    assert len(preview(split, 1, 5).chosen) == 1


def test_bad_input(tmp_path):
    with pytest.raises(SSHMLError, match="split"):
        preview(3)
