import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from sshml.compression import compress, export_model, n_bytes, tensorize, to_torch
from sshml.compression.batches import output
from sshml.errors import SSHMLError


def run(path, x):
    """Run a program in a process that has no sshml."""
    code = f"""
import sys
sys.modules["sshml"] = None
import numpy as np, torch
x = np.load({str(path.with_suffix(".npy"))!r})
if {str(path)!r}.endswith("onnx"):
    import onnxruntime
    session = onnxruntime.InferenceSession({str(path)!r}, providers=["CPUExecutionProvider"])
    y = session.run(None, {{session.get_inputs()[0].name: x}})[0]
else:
    y = torch.export.load({str(path)!r}).module()(torch.from_numpy(x)).detach().numpy()
np.save({str(path.with_suffix(".npy"))!r}, y)
"""
    np.save(path.with_suffix(".npy"), x.numpy())
    subprocess.run([sys.executable, "-c", code], check=True, stderr=subprocess.DEVNULL)
    return torch.from_numpy(np.load(path.with_suffix(".npy")))


@pytest.mark.parametrize("ending", ["pt2", "onnx"])
@pytest.mark.parametrize("name", ["perceptron", "convolutions", "encoder"])
def test_it_runs_without_sshml_on_any_number_of_samples(make, name, ending, tmp_path):
    model, x = make(name)
    small, path = compress(model, share=0.8, methods=("svd", "mpo")), tmp_path / f"small.{ending}"
    export_model(small, path, x[:1])
    with torch.no_grad():
        torch.testing.assert_close(run(path, x), output(small, x), rtol=1e-3, atol=1e-4)
    assert {p.suffix for p in tmp_path.iterdir()} == {f".{ending}", ".npy"}


@pytest.mark.parametrize("ending", ["pt2", "onnx"])
@pytest.mark.parametrize("method", ["svd", "mpo", "prune"])
def test_the_file_holds_what_is_stored_not_the_dense_matrix(ending, method, tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))
    size = {"svd": {"rank": 8}, "mpo": {"max_bond": 4}, "prune": {"keep": 5000}}[method]
    small, path = compress(model, 0, method, **size), tmp_path / f"small.{ending}"
    export_model(small, path, torch.randn(1, 512))
    assert path.stat().st_size <= 1.15 * n_bytes(small) + 50_000 < n_bytes(model) / 5


def test_what_would_compute_something_else_gets_no_name(tmp_path):
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.calls = nn.Linear(3, 3), 0

        def forward(self, x):
            self.calls += 1
            return self.layer(x) + self.calls

    with pytest.raises(SSHMLError, match="other outputs"):
        export_model(Counting(), tmp_path / "x.pt2", torch.ones(1, 3))
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_exported(tmp_path):
    class Branching(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(SSHMLError, match="cannot be exported"):
        export_model(Branching(), tmp_path / "x.pt2", torch.ones(1, 3))
    with pytest.raises(SSHMLError, match="known ending"):
        export_model(nn.Linear(3, 3), tmp_path / "x.txt", torch.ones(1, 3))
    with pytest.raises(SSHMLError, match="example is empty"):
        export_model(nn.Linear(3, 3), tmp_path / "x.pt2", torch.ones(0, 3))
    with pytest.raises(SSHMLError, match="does not take"):
        export_model(nn.Linear(3, 3), tmp_path / "x.pt2", torch.ones(1, 4))
    assert not list(tmp_path.iterdir())


def test_plain_modules_are_unpickled_without_sshml(make, tmp_path):
    model, x = make("perceptron")
    plain = to_torch(compress(model, share=0.7, methods="svd"))
    torch.save((plain, x, plain(x).detach()), tmp_path / "plain.pt")
    code = f"""
import sys
sys.modules["sshml"] = None
import torch
model, x, y = torch.load({str(tmp_path / "plain.pt")!r}, weights_only=False)
assert torch.equal(model(x), y)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_forms_that_pytorch_has_no_module_for_are_named(make):
    model, _ = make("perceptron")
    small = tensorize(model, {0: ((4, 5), (4, 6))}, 2)
    with pytest.raises(SSHMLError, match="0 is a MPOLinear"):
        to_torch(small)
    assert type(to_torch(small, dense=True)[0]) is nn.Linear
