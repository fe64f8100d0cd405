import pytest

from sshml import plotting


def test_fronts_and_spectra_of_a_compressed_model():
    import torch
    from torch import nn

    from sshml import compress, front, report
    from sshml.errors import SSHMLError

    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Linear(30, 4)), torch.randn(50, 20)
    found = front(model, (x, model(x).argmax(1)), shares=(0.2, 0.4))
    ax = plotting.front_figure({"joint": found, "again": found}).axes[0]
    assert [len(line.get_xdata()) for line in ax.lines if line.get_linestyle() == "-"] == [2, 2]
    assert ax.get_xlabel() == "bytes of the whole model"
    many = plotting.front_figure({str(number): found for number in range(9)}).axes[0]
    assert len(many.get_legend().get_texts()) == 9
    assert len(plotting.front_figure(found, "output_error").axes[0].lines) == 1
    with pytest.raises(SSHMLError, match="no accuracy"):
        plotting.front_figure(front(model, shares=(0.4,)))
    figure = plotting.spectra_figure(report(model, compress(model, 0, "svd", rank=3)))
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["(a) 0: rank 3", "(b) 2: not cut"]
    with pytest.raises(SSHMLError, match="no matrices"):
        plotting.spectra_figure(report(nn.ReLU(), nn.ReLU()))
