import pytest

from sshml.classifier import save_run
from sshml.cli.opening import dataset_for, load
from sshml.dataset import DatasetSpec, generate
from sshml.errors import SSHMLError


def test_a_run_and_chains_of_its_size(run, dataset, tmp_path):
    save_run(run, tmp_path / "run.h5")
    again = load(tmp_path / "run.h5")
    assert len(again) == len(run)
    assert dataset_for(again, dataset.path).spec == dataset.spec
    generate(DatasetSpec(cells=3, train=4, valid=2, test=4), tmp_path / "short.h5")
    with pytest.raises(SSHMLError, match="has chains of 6 sites; the run was trained on 8 sites"):
        dataset_for(again, tmp_path / "short.h5")
    generate(DatasetSpec(cells=4, train=4, valid=2, test=4, j3="0:1"), tmp_path / "longer.h5")
    with pytest.raises(SSHMLError, match="has the winding numbers"):
        dataset_for(again, tmp_path / "longer.h5")
