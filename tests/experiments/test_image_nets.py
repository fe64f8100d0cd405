import pytest

from sshml.compression import MPOLinear, n_parameters
from sshml.errors import SSHMLError
from sshml.experiments.image_nets import (
    FC2_DENSE,
    FC2_OUT,
    FC2_SHAPE,
    LOW_RANK,
    TWO_SITES,
    Training,
    bond_for,
    fc2_factory,
    fc2_share,
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
