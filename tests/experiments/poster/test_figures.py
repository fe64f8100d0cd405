import shutil

from sshml.experiments import redraw
from sshml.experiments.poster import Settings
from sshml.experiments.poster.figures import FIGURES, TITLES
from sshml.experiments.poster.measurements import VIEWS
from sshml.plotting import PAGE


def test_drawing_needs_the_tables_only(small_poster, tmp_path):
    shutil.copytree(small_poster.folder, tmp_path / "poster")
    for path in (tmp_path / "poster").glob("*.p*"):
        path.unlink()
    found = redraw("poster", tmp_path)
    assert found.failures == []
    assert found.claims == small_poster.claims
    for path in small_poster.folder.glob("*.png"):
        assert (tmp_path / "poster" / path.name).read_bytes() == path.read_bytes()


def test_every_view_has_a_title():
    assert TITLES.keys() == VIEWS.keys()


def test_axes_are_labelled_and_all_views_shown(small_poster):
    settings = Settings(seeds=3)
    figures = {name: draw(small_poster.tables, settings) for name, draw in FIGURES.items()}
    for name in ("fig1", "fig2", "fig4", "fig5", "fig6"):
        for ax in figures[name].axes:
            assert ax.get_ylabel() or name == "fig1"  # whose panels share it
            assert ax.get_xlabel() or ax.get_xticklabels()
    assert len(figures["fig3"].axes) == len(VIEWS)
    assert len(figures["fig3_levels"].axes) == 2 * len(VIEWS)
    assert all(figure.get_size_inches()[0] <= PAGE for figure in figures.values())
    assert len(figures["fig2"].axes[0].lines) == 6 + 1  # curves of ranks but the first, threshold


def test_figures_are_there_in_both_formats(small_poster):
    for name in FIGURES:
        for suffix in ("png", "pdf"):
            assert (small_poster.folder / f"{name}.{suffix}").stat().st_size > 5000
