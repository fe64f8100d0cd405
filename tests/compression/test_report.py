import json

import pytest
import torch
from torch import nn

from sshml.compression import compress, report
from sshml.errors import SSHMLError


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(10, 30), nn.ReLU(), nn.Linear(30, 4), nn.PReLU()).eval()


@pytest.fixture
def data():
    torch.manual_seed(1)
    return torch.randn(200, 10), torch.randint(4, (200,))


def test_errors_are_those_of_weights_and_outputs(model, data):
    x, y = data
    small = compress(model, 0, "svd", rank=4)
    found = report(model, small, (x, y))
    row = found.rows[0]
    change = model[0].weight - small[0].to_weight()
    with torch.no_grad():
        assert row["weight_error"] == pytest.approx(float(change.norm() / model[0].weight.norm()), rel=1e-5)
        lost = (x @ change.T).norm() / (x @ model[0].weight.T).norm()
        assert row["output_error"] == pytest.approx(float(lost), rel=1e-5)
        whole = (small(x) - model(x)).norm() / model(x).norm()
        assert found.totals["output_error"] == pytest.approx(float(whole), rel=1e-5)
        for name, module in (("accuracy_before", model), ("accuracy", small)):
            assert found.totals[name] == pytest.approx(float((module(x).argmax(1) == y).double().mean()))
    assert (row["method"], row["size"], row["numbers"]) == ("svd", "rank 4", 160)
    assert (row["flops_before"], row["flops"]) == (600, 320)
    assert found.spectra["0"][1] == 4
    values = torch.linalg.svdvals(
        model[0].weight.detach().double() @ torch.linalg.cholesky((x.T @ x).double() / len(x))
    )
    assert found.spectra["0"][0] == pytest.approx(values.tolist(), rel=1e-4)
    assert found.rows[1]["method"] == "dense"
    assert found.rows[2]["reason"] == "PReLU has no compressed form"
    assert json.loads(found.to_json())["rows"] == found.rows


def test_data_the_network_knows_by_heart_are_suspect(model, data):
    x = data[0]
    with torch.no_grad():
        known = model(x).argmax(1)
    assert any("training data" in note for note in report(model, model, (x, known)).notes)
    assert not any("training data" in note for note in report(model, model, data).notes)


def test_a_changed_bias_counts(model, data):
    small = compress(model, share=0.6, methods="svd", layers="0", absorb_bias=True, data=data[0])
    found = report(model, small, data[0])
    with torch.no_grad():
        exact, near = model[0](data[0]), small[0](data[0])
        assert found.rows[0]["output_error"] == pytest.approx(float((exact - near).norm() / exact.norm()), rel=1e-4)
    assert "with bias" in found.rows[0]["size"]


def test_regressors_have_no_classes(data):
    model = nn.Sequential(nn.Linear(10, 8), nn.Tanh(), nn.Linear(8, 1))
    found = report(model, compress(model, share=0.9), data[0])
    assert found.totals["agreement"] is None
    assert found.totals["accuracy"] is None
    assert found.totals["output_error"] > 0


def test_two_that_do_not_belong_together(model):
    with pytest.raises(SSHMLError, match="has no module"):
        report(model, nn.Sequential(nn.Linear(10, 30)))
    with pytest.raises(SSHMLError, match="stands where a Linear was"):
        report(model, nn.Sequential(nn.Tanh(), nn.ReLU(), nn.Linear(30, 4)))
    with pytest.raises(SSHMLError, match="small is"):
        report(model, "small")


def test_spectra_are_singular_values():
    layer = nn.Linear(4, 4, bias=False)
    layer.weight.data = 3 * torch.eye(4)
    found = report(layer, compress(layer, 0, "svd", rank=2))
    ((values, rank),) = found.spectra.values()
    assert values == pytest.approx([3.0] * 4)
    assert rank == 2


def test_outputs_that_are_no_numbers_are_refused():
    model = nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 2))
    small = compress(model, 0, "svd", rank=2)
    small[1].bias.data[0] = torch.nan
    with pytest.raises(SSHMLError, match="of the small model hold NaN"):
        report(model, small, (torch.randn(8, 6), torch.zeros(8, dtype=torch.long)))
