import numpy as np
import pytest
import torch
from torch import nn

from sshml.analysis import compress_run, load_weights
from sshml.classifier import save_run
from sshml.errors import SSHMLError


def test_weights_of_a_run(run, tmp_path):
    save_run(run, tmp_path / "run.h5")
    name, weights, initial = load_weights(tmp_path / "run.h5", 1)
    assert name == "3"
    assert torch.equal(torch.stack(weights), run.weights["3.weight"])
    assert torch.equal(torch.stack(initial), run.initial["3.weight"])


def test_weights_of_a_compressed_run(run, tmp_path):
    small = compress_run(run, 0, "mpo", max_bond=2, shape=((3, 4), (8, 8)))
    save_run(small, tmp_path / "small.h5")
    name, weights, initial = load_weights(tmp_path / "small.h5", 0)
    assert (name, initial) == ("1", [])
    assert torch.allclose(weights[2], small.model(2)[1].to_weight())


def test_weights_of_a_network_of_ones_own(tmp_path):
    model = nn.ModuleDict({"a": nn.Linear(3, 4), "b": nn.Sequential(nn.ReLU(), nn.Linear(4, 2).half())})
    torch.save(model.state_dict(), tmp_path / "m.pt")
    for layer in (1, -1, "b.1"):
        name, (weight,), initial = load_weights(tmp_path / "m.pt", layer)
        assert (name, initial, weight.dtype) == ("b.1", [], torch.float32)
    with pytest.raises(SSHMLError, match=r"it has 0 \(a\), 1 \(b.1\)"):
        load_weights(tmp_path / "m.pt", 2)
    torch.save(model, tmp_path / "pickled.pt")
    with pytest.raises(SSHMLError, match="no state_dict of tensors"):
        load_weights(tmp_path / "pickled.pt")


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        (torch.eye(4).to_sparse(), "expected a dense tensor"),
        (torch.empty(3, 4, device="meta"), "expected a dense tensor"),
        (torch.zeros(1).expand(10**5, 10**5), "declares"),
        (torch.ones(3, 4, dtype=torch.complex64), "no matrix"),
        (torch.ones(3, 4, 5), "no matrix"),
    ],
)
def test_tensors_that_are_no_weights(tmp_path, tensor, words):
    torch.save({"a.weight": tensor}, tmp_path / "a.pt")
    with pytest.raises(SSHMLError, match=words):
        load_weights(tmp_path / "a.pt")


def test_flipped_bits_of_a_state_dict(tmp_path):
    torch.save({"a.weight": torch.ones(30, 40)}, tmp_path / "a.pt")
    data = bytearray((tmp_path / "a.pt").read_bytes())
    data[data.index(torch.ones(9).numpy().tobytes()) + 3] ^= 64
    (tmp_path / "a.pt").write_bytes(data)
    with pytest.raises(SSHMLError, match="differs from its checksum"):
        load_weights(tmp_path / "a.pt")


def test_true_is_no_number_of_a_layer(tmp_path):
    torch.save(torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Linear(3, 2)).state_dict(), tmp_path / "a.pt")
    assert load_weights(tmp_path / "a.pt", np.int64(1))[0] == "1"
    with pytest.raises(SSHMLError, match="no matrix"):
        load_weights(tmp_path / "a.pt", True)
