import pytest

from sshml import plotting


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


def test_axes_of_errors_and_numbers(ax):
    plotting.set_number_axis(plotting.set_error_axis(ax, 1000), 128, "kept")
    assert ax.get_yscale() == ax.get_xscale() == "log"
    assert ax.get_ylim()[0] < 1e-3
    assert [text.get_text() for text in ax.get_xticklabels()] == ["1", "2", "4", "8", "16", "32", "64", "128"]


def test_thirty_panels_have_no_letters():
    _, axes = plotting.new_figure(10, 3)
    assert {ax.get_title(loc="left") for ax in axes.flat} == {""}


def test_a_logarithmic_axis_has_ticks_within_its_limits(ax):
    plotting.set_log_axis(ax, 0.014, 0.3)
    assert [text.get_text() for text in ax.get_yticklabels()] == [
        "0.015", "0.02", "0.03", "0.05", "0.1", "0.15", "0.2", "0.3",
    ]  # fmt: skip
    assert ax.get_ylim() == (0.014, 0.3)
    assert plotting.set_log_axis(ax, 0, 0.5).get_ylim() == pytest.approx((5e-5, 0.5))
