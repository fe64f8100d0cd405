import copy
import os
import zipfile

import numpy as np
import pytest
import torch
from torch import nn

from sshml.compression import compress, n_bytes, read_module, save_model
from sshml.compression.sites import survey
from sshml.errors import SSHMLError


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.wide = nn.Conv2d(2, 6, 3, padding=1, stride=2, groups=2), nn.Linear(6 * 16, 24)
        self.head, self.along = nn.Linear(24, 3, bias=False), nn.Conv1d(6, 6, 3, dilation=2)

    def forward(self, x):
        x = torch.relu(self.conv(x)).flatten(2)
        x = x + nn.functional.pad(self.along(x), (2, 2))
        return self.head(torch.relu(self.wide(x.flatten(1))))


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Net().eval()


@pytest.fixture
def program(net, tmp_path):
    free = ({0: torch.export.Dim("samples")},)
    torch.export.save(torch.export.export(net, (torch.randn(2, 2, 8, 8),), dynamic_shapes=free), tmp_path / "net.pt2")
    return tmp_path / "net.pt2"


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_program_becomes_modules_that_can_be_compressed(net, program):
    found, x = read_module(program), torch.randn(5, 2, 8, 8)
    torch.testing.assert_close(found(x), net(x))
    assert {site.kind for site in survey(found)[0].values()} == {"Linear", "Conv1d", "Conv2d"}
    small = compress(found, share=0.5, data=x)
    assert n_bytes(small) <= 0.5 * n_bytes(net)
    assert small(x).shape == (5, 3)
    again = compress(net, share=0.5, data=x)
    torch.testing.assert_close(small(x), again(x))


@pytest.mark.parametrize("ending", ["pt", "safetensors", "h5"])
def test_numbers_and_a_factory(net, ending, tmp_path):
    path, x = tmp_path / f"net.{ending}", torch.randn(5, 2, 8, 8)
    if ending == "pt":
        torch.save({"state_dict": net.state_dict()}, path)
    elif ending == "safetensors":
        from safetensors.torch import save_file

        save_file(net.state_dict(), path)
    else:
        save_model(net, path)
    assert torch.equal(read_module(path, Net)(x), net(x))
    with pytest.raises(SSHMLError, match="give the function"):
        read_module(path)
    with pytest.raises(SSHMLError, match=r"does not fit|is not"):
        read_module(path, lambda: nn.Linear(3, 3))


@pytest.mark.parametrize("name", ["x.pt2", "x.pt", "x.safetensors", "x.h5"])
@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04" + bytes(100)])
def test_foreign_files(name, content, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SSHMLError, match=name):
        read_module(tmp_path / name, Net)


def test_nothing_is_unpickled(tmp_path):
    torch.save(Net(), tmp_path / "whole.pt")
    with pytest.raises(SSHMLError, match="read safely"):
        read_module(tmp_path / "whole.pt", Net)
    torch.save({"state_dict": 3}, tmp_path / "number.pt")
    with pytest.raises(SSHMLError, match="expected a state dict"):
        read_module(tmp_path / "number.pt", Net)
    with pytest.raises(SSHMLError, match="does not exist"):
        read_module(tmp_path / "none.pt", Net)


class Command:
    def __reduce__(self):
        return os.mkdir, ("executed",)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_program_with_commands_is_not_executed(program, tmp_path, monkeypatch, legacy):
    """PyTorch's own reader unpickles an entry that is refused as numbers."""
    monkeypatch.chdir(tmp_path)
    torch.save(Command(), tmp_path / "command.pt", _use_new_zipfile_serialization=not legacy)
    forged = tmp_path / "forged.pt2"
    with zipfile.ZipFile(program) as source, zipfile.ZipFile(forged, "w", zipfile.ZIP_STORED) as target:
        names = source.namelist()
        assert any("sample_inputs" in name for name in names)
        for name in names:
            target.writestr(
                name, (tmp_path / "command.pt").read_bytes() if "sample_inputs" in name else source.read(name)
            )
    with pytest.raises(SSHMLError, match="no program"):
        read_module(forged)
    assert not (tmp_path / "executed").exists()
    assert "TORCH_FORCE_WEIGHTS_ONLY_LOAD" not in os.environ


@pytest.mark.parametrize("kind", ["program", "state"])
def test_flipped_bits_of_an_archive(program, net, tmp_path, kind):
    """PyTorch's reader does not compare the checksums of its archives."""
    if kind == "state":
        torch.save(net.state_dict(), tmp_path / "net.pt")
    file = program if kind == "program" else tmp_path / "net.pt"
    data, rng, x, noticed = file.read_bytes(), np.random.default_rng(0), torch.ones(2, 2, 8, 8), 0

    def outputs():
        with torch.no_grad():
            return read_module(file, lambda: copy.deepcopy(net))(x)

    expected = outputs()
    for position in rng.integers(0, len(data), 25):
        file.write_bytes(data[:position] + bytes([data[position] ^ (1 << int(rng.integers(8)))]) + data[position + 1 :])
        try:
            assert torch.equal(outputs(), expected)
        except SSHMLError:
            noticed += 1
    assert noticed > 0


@pytest.mark.parametrize("dtype", [torch.complex64, "meta"])
def test_numbers_a_network_cannot_hold(net, tmp_path, dtype):
    """Not half of them, without a word."""
    state = net.state_dict()
    state["wide.weight"] = state["wide.weight"].to(dtype)
    torch.save(state, tmp_path / "a.pt")
    with pytest.raises(SSHMLError, match="expected real ones"):
        read_module(tmp_path / "a.pt", lambda: net)
