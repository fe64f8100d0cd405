import pytest
import torch

from sshml.compression import compress, n_bytes
from sshml.errors import SSHMLError
from sshml.experiments.sizes import plan_of_ranks, ranks_of, ranks_within


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_the_largest_ranks_within_a_share_of_the_bytes(dtype):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(40, 30), torch.nn.Linear(30, 30), torch.nn.Linear(30, 5)).to(dtype)

    def ranks(setting):
        return {"0": max(1, round(setting * 30)), "1": 2}

    found = ranks_within(model, ranks, 0.5)
    chosen = plan_of_ranks(model, found)
    assert set(chosen.choices) == {"0", "1"}
    small, more = (n_bytes(compress(model, plan_of_ranks(model, found | {"0": found["0"] + k}))) for k in (0, 1))
    assert small <= 0.5 * n_bytes(model) < more
    assert set(plan_of_ranks(model, {"0": 30, "1": 2}).choices) == {"1"}
    with pytest.raises(SSHMLError, match=r"store more than 10\.0% of the bytes"):
        ranks_within(model, ranks, 0.1)


def test_ranks_of_layers_that_were_cut():
    model = torch.nn.Sequential(torch.nn.Linear(9, 8), torch.nn.ReLU(), torch.nn.Linear(8, 7), torch.nn.Linear(7, 2))
    assert ranks_of(compress(model, [0, 1], "svd", rank=2)) == ["2", "2", "-"]
