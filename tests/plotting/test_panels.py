import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.axes import Axes

from sshml import plotting
from sshml.dataset import DatasetSpec, diagram, generate, open_dataset
from sshml.errors import SSHMLError


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


def test_few_seeds_are_dots(ax):
    plotting.plot_points(ax, [1, 2], [np.arange(10.0), np.arange(11.0)])
    dots = [line for line in ax.lines if line.get_marker() == "."]
    assert [len(line.get_xdata()) for line in dots] == [10]


def test_points_of_a_logarithmic_axis_are_median_and_range(ax):
    plotting.plot_points(ax, [1, 2], [np.array([1.0, 2.0, 9.0, np.nan]), np.array([np.nan])], ranges=True)
    assert ax.containers[0][0].get_ydata()[0] == 2
    assert ax.containers[0][2][0].get_segments()[0][:, 1].tolist() == [1, 9]


@pytest.mark.parametrize(("share", "ends"), [(1.0, (0, 8)), (0.5, (2, 6))])
def test_the_middle_with_a_band_of_a_share_of_the_seeds(ax, share, ends):
    plotting.plot_middle(ax, [1, 2], np.stack([np.arange(9.0)] * 2, 1), "label", share=share)
    assert ax.lines[0].get_ydata().tolist() == [4, 4]
    corners = ax.collections[0].get_paths()[0].vertices
    assert (corners[:, 1].min(), corners[:, 1].max()) == ends
    with pytest.raises(SSHMLError, match="give a column for each x"):
        plotting.plot_middle(ax, [1], np.ones((3, 2)))


def test_a_level_with_its_band(ax):
    plotting.plot_level(ax, [0.8, 0.9], "dense", tested=100)
    assert ax.lines[0].get_ydata()[0] == pytest.approx(0.85)
    expected = (0.005 + 0.85 * 0.15 / 100) ** 0.5
    assert ax.patches[0].get_height() == pytest.approx(2 * expected)


@pytest.mark.parametrize(("levels", "marked"), [(8, (2.5, 4.5)), (7, (2.5, 3.5))])
def test_mid_gap_levels_are_marked(ax, levels, marked):
    """Levels count from 0, in the map of a vector too."""
    plotting.plot_shares(ax, np.full((2, levels), 1 / levels))
    box = ax.patches[0].get_extents().transformed(ax.transData.inverted())
    np.testing.assert_allclose((box.x0, box.x1), marked)
    other = plotting.plot_vector(plotting.new_figure()[1][0, 0], np.eye(levels))
    assert tuple(line.get_ydata()[0] for line in other.lines) == marked
    assert other.get_yticklabels()[0].get_text() == "0"
