import numpy as np
import pytest
import torch

from sshml.compression import MPOLinear, n_parameters
from sshml.dataset import images
from sshml.errors import SSHMLError
from sshml.experiments import Result, Where
from sshml.experiments.image_nets import (
    FC2_DENSE,
    FC2_OUT,
    FC2_SHAPE,
    LOW_RANK,
    TWO_SITES,
    Training,
    accuracy_rows,
    best_tests,
    bond_for,
    fc2_factory,
    fc2_share,
    train,
    trained,
)


@pytest.mark.parametrize("shape", [FC2_SHAPE, TWO_SITES, LOW_RANK])
def test_networks_store_the_share_they_are_said_to(shape):
    model = fc2_factory(shape, 4)()
    biases = 256 + 10
    assert (n_parameters(model) - biases) / FC2_DENSE == pytest.approx(fc2_share(shape, 4))
    assert sum(isinstance(module, MPOLinear) for module in model) == 2


@pytest.mark.parametrize("shape", [FC2_SHAPE, TWO_SITES, LOW_RANK, FC2_OUT])
@pytest.mark.parametrize("numbers", [1, 1000, 20000, 10**7])
def test_the_bond_for_a_number_of_parameters(shape, numbers):
    bond = bond_for(shape, numbers)
    assert bond == 1 or shape.n_parameters(bond) <= numbers
    assert bond == max(shape.bonds()) or shape.n_parameters(bond + 1) > numbers


def test_error_bars_need_two_seeds():
    with pytest.raises(SSHMLError, match="at least 2"):
        Training(seeds=1)


def test_a_job_of_training_leaves_its_run_and_no_checkpoint(small_images, tmp_path):
    data, factory = images("mnist", valid=100), fc2_factory(FC2_SHAPE, 2)
    run = train(Where("cpu", folder=tmp_path), factory, data, {"epochs": 1, "batch_size": 100}, 2)
    assert [path.name for path in tmp_path.iterdir()] == ["run.h5"]
    again = trained(Result({}, tmp_path), factory)
    assert all(torch.equal(again.weights[name], tensor) for name, tensor in run.weights.items())
    test = run.accuracy(data.test)
    rows = list(accuracy_rows({"data": "mnist"}, run, test, 0.5))
    assert [float(row["test"]) for row in rows] == pytest.approx(test.tolist(), abs=1e-5)
    assert [row["seed"] for row in rows] == [0, 1]
    assert np.isclose(float(rows[0]["valid"]), run.history["valid_accuracy"][0].max(), atol=1e-4)


def test_the_best_test_epoch_stands_beside_the_one_chosen_on_validation(small_images, reproduced):
    found = reproduced("lenet5", seeds=2, epochs=3, batch_size=50, valid=100)
    table = found.tables.columns("accuracy", family="dense")
    assert (best_tests(table) >= table["test"]).all()
    assert np.isnan(best_tests({"test": np.ones(3)})).all()
