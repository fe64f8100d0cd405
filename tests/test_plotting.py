import dataclasses

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.axes import Axes

from sshml import plotting
from sshml.analysis import evaluate
from sshml.dataset import DatasetSpec, diagram, generate, open_dataset, preview


@pytest.fixture
def ax():
    return plotting.new_figure()[1][0, 0]


def test_functions_take_and_return_axes_and_leave_the_state_alone(ax, rng):
    before = dict(mpl.rcParams)
    x = np.linspace(0.1, 1, 5)
    for made in (
        plotting.plot_band(ax, x, x, 0.1 * x, "label"),
        plotting.set_accuracy_axis(ax),
        plotting.plot_vector(ax, rng.normal(size=(4, 4))),
        plotting.plot_shares(ax, rng.random((3, 4))),
        plotting.plot_score(ax, x, x, np.array([0, 1, 0, 1, 1])),
        plotting.plot_groups(ax, ["a", "b"], [[1, 2, np.nan], [3.0]]),
    ):
        assert isinstance(made, Axes)
        assert made.get_xlabel() or made.lines
    ax.figure.canvas.draw()
    assert dict(mpl.rcParams) == before


def test_band_spans_one_standard_deviation(ax):
    plotting.plot_band(ax, [0, 1], np.array([0.5, 0.6]), np.array([0.1, 0.2]))
    corners = ax.collections[0].get_paths()[0].vertices
    np.testing.assert_allclose((corners[:, 1].min(), corners[:, 1].max()), (0.4, 0.8))


def test_groups_show_mean_and_spread_of_what_exists(ax):
    plotting.plot_groups(ax, ["a", "b"], [[1.0, 3.0, np.nan], [np.nan]], color="k")
    container = ax.containers[0]
    assert container[0].get_ydata() == [2.0]
    low, high = container[2][0].get_segments()[0][:, 1]
    assert (high - low) / 2 == pytest.approx(np.std([1, 3], ddof=1))


def test_vector_map_has_a_symmetric_scale(ax):
    plotting.plot_vector(ax, np.array([[0.1, -0.5], [0.2, 0.3]]))
    assert ax.images[0].get_clim() == (-0.5, 0.5)


def test_cuts_show_groups_band_and_ceiling(ax):
    groups = {"a": np.array([[1.0, 2.0], [3.0, 2.0]]), "b": np.array([[0.5, 0.5]])}
    plotting.plot_cuts(ax, ["1", "2"], groups, np.array([2.5, 2.6]), np.array([0.1, 0.1]), np.array([3.0, 4.0]))
    assert [list(group[0].get_ydata()) for group in ax.containers] == [[2.0, 2.0], [0.5, 0.5]]
    assert {text.get_text() for text in ax.legend().get_texts()} == {"a", "b", "Gaussian matrix", "ceiling"}
    assert ax.get_ylim()[1] > 4


def test_points_show_mean_and_spread(ax):
    plotting.plot_points(ax, [1, 2], [np.array([1.0, 3.0]), np.array([4.0, 4.0])])
    assert list(ax.containers[0][0].get_ydata()) == [2.0, 4.0]
    low, high = ax.containers[0][2][0].get_segments()[0][:, 1]
    assert (high - low) / 2 == pytest.approx(np.std([1, 3], ddof=1))


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
    assert len(plotting.front_figure(found, "output_error").axes[0].lines) == 1
    with pytest.raises(SSHMLError, match="no accuracy"):
        plotting.front_figure(front(model, shares=(0.4,)))
    figure = plotting.spectra_figure(report(model, compress(model, 0, "svd", rank=3)))
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["(a) 0: rank 3", "(b) 2: not cut"]
    with pytest.raises(SSHMLError, match="no matrices"):
        plotting.spectra_figure(report(nn.ReLU(), nn.ReLU()))


def test_learning_curves_show_every_split_and_what_was_kept(run):
    figure = plotting.learning_curves(run)
    losses, accuracies = figure.axes
    assert [line.get_label() for line in losses.lines] == ["training", "validation"]
    np.testing.assert_allclose(losses.lines[1].get_ydata(), run.history["valid_loss"].mean(0))
    np.testing.assert_array_equal(accuracies.lines[-1].get_xdata(), run.epoch)
    np.testing.assert_allclose(accuracies.lines[-1].get_ydata(), run.history["valid_accuracy"].max(1))


def test_learning_curves_of_networks_that_stopped(run):
    history = {name: values.copy() for name, values in run.history.items()}
    history |= {"test_accuracy": history["valid_accuracy"], "test_loss": history["valid_loss"]}
    for values in history.values():
        values[0, 4:] = np.nan
    epoch = np.array([values[:4].argmax() + 1 for values in history["valid_accuracy"]])
    figure = plotting.learning_curves(dataclasses.replace(run, history=history, epoch=epoch))
    line = figure.axes[0].lines[0]
    np.testing.assert_allclose(line.get_ydata()[5], history["train_loss"][1:, 5].mean())
    assert "test" in [line.get_label() for line in figure.axes[1].lines]


def test_evaluations_of_one_and_of_several_data(run, dataset):
    found = evaluate(run, dataset.test)
    figure = plotting.evaluation_figure(found)
    assert len([ax for ax in figure.axes if ax.get_xlabel()]) == 3
    other = dataclasses.replace(found, disorder={"v": 0.5, "w": 0})
    figure = plotting.evaluation_figure({"a.h5": found, "b.h5": other})
    names = [ax.get_xlabel() for ax in figure.axes]
    assert "largest disorder strength $W$" in names
    assert len(figure.axes[0].containers) == 2
    bare = dataclasses.replace(found, edges=None, by_ratio=None, chains=None, disorder=None)
    assert len(plotting.evaluation_figure(bare).axes) == 2


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


@pytest.mark.parametrize(
    ("v", "names", "labels"),
    [
        ("0:1", ("clean_v", "disorder_v"), ("clean $v$ (unit of the hoppings)", "$W_v$ (unit of the hoppings)")),
        (1, ("disorder_v", None), ("$W_v$ (unit of the hoppings)", "accuracy")),
    ],
)
def test_diagrams(tmp_path, v, names, labels):
    generate(DatasetSpec(cells=3, v=v, w=1, train=4, valid=2, test=200, disorder_v="0:2"), tmp_path / "a.h5")
    found = diagram(open_dataset(tmp_path / "a.h5").test, 4)
    assert found.names == names
    values = np.stack([found.topological, found.topological + 0.1])
    ax = plotting.plot_diagram(plotting.new_figure()[1][0, 0], found, values, "accuracy")
    assert (ax.get_xlabel(), ax.get_ylabel()) == labels
    if names[1]:
        shown = ax.collections[0].get_array()
        np.testing.assert_allclose(np.ma.filled(shown, np.nan).ravel(), (found.topological + 0.05).ravel())
    else:
        np.testing.assert_allclose(ax.lines[0].get_ydata(), found.topological[0] + 0.05)


def test_an_evaluation_over_a_diagram_has_maps(dataset, run, tmp_path):
    spec = DatasetSpec(cells=4, train=4, valid=2, test=60, disorder_v="0:2")
    generate(spec, tmp_path / "a.h5")
    found = evaluate(run, open_dataset(tmp_path / "a.h5").test)
    figure = plotting.evaluation_figure(found)
    names = [ax.get_ylabel() for ax in figure.axes]
    assert names.count("$W_v$ (unit of the hoppings)") == 2
    rows = {name: (values, count) for name, values, count in found.rows() if name.startswith("accuracy, disorder_v")}
    assert sum(count for _, count in rows.values()) == 60
    hits = sum(values * count for values, count in rows.values())
    np.testing.assert_allclose(np.nan_to_num(hits) / 60, found.accuracy, atol=1e-12)


def test_a_figure_is_as_wide_as_a_page_at_most():
    figure, axes = plotting.new_figure(2, 3, width=4.0, height=3.0)
    width, height = figure.get_size_inches()
    assert width == pytest.approx(plotting.PAGE)
    assert height == pytest.approx(2 * 3.0 * 0.75)
    assert [ax.get_title(loc="left") for ax in axes.flat] == ["(a)", "(b)", "(c)", "(d)", "(e)", "(f)"]
    plotting.name_panel(axes[0, 1], "second")
    assert axes[0, 1].get_title(loc="left") == "(b) second"
    figure, axes = plotting.new_figure(width=3.0)
    assert figure.get_size_inches()[0] == pytest.approx(3.0)
    assert plotting.name_panel(axes[0, 0], "alone").get_title(loc="left") == "alone"


def test_few_seeds_are_dots(ax):
    plotting.plot_points(ax, [1, 2], [np.arange(9.0), np.arange(10.0)])
    dots = [line for line in ax.lines if line.get_marker() == "."]
    assert [len(line.get_xdata()) for line in dots] == [9]


def test_a_level_with_its_band(ax):
    plotting.plot_level(ax, [0.8, 0.9], "dense", tested=100)
    assert ax.lines[0].get_ydata()[0] == pytest.approx(0.85)
    expected = (0.005 + 0.85 * 0.15 / 100) ** 0.5
    assert ax.patches[0].get_height() == pytest.approx(2 * expected)


def test_axes_of_errors_and_numbers(ax):
    plotting.set_number_axis(plotting.set_error_axis(ax, 1000), 128, "kept")
    assert ax.get_yscale() == ax.get_xscale() == "log"
    assert ax.get_ylim()[0] < 1e-3
    assert [text.get_text() for text in ax.get_xticklabels()] == ["1", "2", "4", "8", "16", "32", "64", "128"]
