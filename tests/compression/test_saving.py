import subprocess
import sys

import pytest
import torch
from torch import nn

from sshml.compression import compress, load_model, n_bytes, save_model
from sshml.errors import SSHMLError


def network():
    return nn.Sequential(nn.Linear(12, 30), nn.BatchNorm1d(30), nn.ReLU(), nn.Linear(30, 5))


@pytest.fixture
def small():
    torch.manual_seed(0)
    return compress(network().eval(), share=0.6)


@pytest.fixture(params=["h5", "safetensors"])
def path(request, tmp_path):
    return tmp_path / f"small.{request.param}"


def test_a_fresh_process_reads_it(small, path, tmp_path):
    save_model(small, path)
    x = torch.randn(4, 12)
    torch.save((x, small(x).detach()), tmp_path / "x.pt")
    code = f"""
import torch
from torch import nn
import sshml
x, y = torch.load({str(tmp_path / "x.pt")!r})
make = lambda: nn.Sequential(nn.Linear(12, 30), nn.BatchNorm1d(30), nn.ReLU(), nn.Linear(30, 5))
model = sshml.load_model({str(path)!r}, make)
assert torch.equal(model(x), y) and not model.training
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_file_is_about_as_large_as_the_model(path):
    model = compress(nn.Sequential(nn.Linear(300, 300), nn.Linear(300, 10)), share=0.3)
    save_model(model, path)
    assert n_bytes(model) <= path.stat().st_size <= 1.02 * n_bytes(model) + 16000


def test_frozen_and_shared_layers_come_back(path):
    shared = nn.Linear(16, 16)
    model = nn.Sequential(shared, nn.ReLU(), shared, nn.Linear(16, 3))
    model[3].weight.requires_grad_(False)
    small = compress(model, share=0.8)
    save_model(small, path)

    def factory():
        again = nn.Linear(16, 16)
        return nn.Sequential(again, nn.ReLU(), again, nn.Linear(16, 3))

    found = load_model(path, factory)
    assert found[0] is found[2]
    assert [p.requires_grad for p in found.parameters()] == [p.requires_grad for p in small.parameters()]


def test_nothing_is_overwritten_unasked(small, path):
    save_model(small, path)
    before = path.read_bytes()
    with pytest.raises(SSHMLError, match="exists"):
        save_model(small, path)
    assert path.read_bytes() == before
    save_model(small, path, force=True)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_every_changed_byte_is_noticed(small, path, rng):
    save_model(small, path)
    data = bytearray(path.read_bytes())
    expected = small.state_dict()
    for place in rng.integers(0, len(data), 60):
        changed = data.copy()
        changed[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(changed)
        try:
            found = load_model(path, network)
        except SSHMLError:
            continue
        # what nobody reads, as the name of the maker
        assert all(torch.equal(found.state_dict()[name], tensor) for name, tensor in expected.items())
    for end in (0, 1, 8, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:end])
        with pytest.raises(SSHMLError):
            load_model(path, network)


@pytest.mark.parametrize(
    ("factory", "words"),
    [
        (lambda: nn.Sequential(nn.Linear(12, 30)), "is not"),
        (lambda: nn.Sequential(nn.Linear(12, 31), nn.BatchNorm1d(31), nn.ReLU(), nn.Linear(31, 5)), "is not"),
        (lambda: "text", "returns a str"),
        ("Net", "factory is a str"),
        (None, "factory is a NoneType"),
    ],
)
def test_another_architecture(small, path, factory, words):
    save_model(small, path)
    with pytest.raises(SSHMLError, match=words):
        load_model(path, factory)


def test_what_cannot_be_saved_or_read(small, tmp_path):
    with pytest.raises(SSHMLError, match="known ending"):
        save_model(small, tmp_path / "small.pt")
    with pytest.raises(SSHMLError, match=r"expected a torch\.nn"):
        save_model("model", tmp_path / "small.h5")
    with pytest.raises(SSHMLError, match="no dense tensor"):
        save_model(nn.Linear(3, 3, device="meta"), tmp_path / "small.h5")
    for ending in ("h5", "safetensors"):
        with pytest.raises(SSHMLError, match="does not exist"):
            load_model(tmp_path / f"none.{ending}", network)
    assert not list(tmp_path.iterdir())


def test_foreign_safetensors(tmp_path):
    from safetensors.torch import save_file

    save_file({"weight": torch.ones(2)}, tmp_path / "x.safetensors")
    with pytest.raises(SSHMLError, match="no sshml-model file"):
        load_model(tmp_path / "x.safetensors", network)
