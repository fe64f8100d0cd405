import pytest

from sshml import plotting
from sshml.dataset import DatasetSpec, generate, open_dataset, preview


def test_chains_are_shown_with_their_levels(dataset):
    found = preview(dataset.test, count=10, states=2)
    figure = plotting.chains_figure(found)
    levels, states, cells, shown = figure.axes
    assert sum(len(line.get_ydata()) for line in levels.lines if line.get_label().startswith("$")) == 10 * 8
    curves = [line for line in states.lines if line.get_label().startswith("w/v")]
    assert len(curves) == 2
    for curve in curves:
        assert curve.get_ydata().sum() == pytest.approx(1, rel=1e-5)
    assert [len(line.get_ydata()) for line in cells.lines] == [4, 4]
    assert sum(len(line.get_ydata()) for line in shown.lines) == 3 * len(found.marked_winding)
    assert len(plotting.chains_figure(preview(dataset.test, count=12, states=12)).axes[1].lines) == 12


@pytest.mark.parametrize("options", [{"half_cell": True}, {"j3": "0:1"}, {"disorder_v": "0:1"}], ids=str)
def test_other_chains_are_shown(tmp_path, options):
    generate(DatasetSpec(cells=3, train=4, valid=2, test=40, **options), tmp_path / "a.h5")
    found = preview(open_dataset(tmp_path / "a.h5").test, 5, 2)
    figure = plotting.chains_figure(found)
    assert len(figure.axes) == (6 if "disorder_v" in options else 4)  # with a colour bar
    shown = figure.axes[4 if "disorder_v" in options else 3]
    text = [label.get_text() for label in shown.get_legend().get_texts()]
    assert any("dipole" in word for word in text) == ("half_cell" not in options)
    assert shown.get_xlabel() == ("chain" if "j3" in options else "w / v")
