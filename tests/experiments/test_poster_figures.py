import shutil

from sshml.experiments import poster_figures
from sshml.experiments.poster import VIEWS


def test_drawing_needs_the_numbers_only(small_poster, tmp_path):
    for path in small_poster[0].glob("*.csv"):
        shutil.copy(path, tmp_path)
    poster_figures.draw(tmp_path)
    assert sorted(p.name for p in tmp_path.glob("*.png")) == [f"fig{n}.png" for n in range(1, 6)]


def test_every_view_has_a_title():
    assert poster_figures.TITLES.keys() == VIEWS.keys()


def test_axes_are_labelled_and_all_views_shown(small_poster):
    folder = small_poster[0]
    figures = [
        f(folder) for f in (poster_figures._fig1, poster_figures._fig2, poster_figures._fig4, poster_figures._fig5)
    ]
    for figure in figures:
        for ax in figure.axes:
            assert ax.get_ylabel()
            assert ax.get_xlabel() or ax.get_xticklabels()
    assert len(poster_figures._fig3(folder).axes) == 3 * len(VIEWS)
    assert len(figures[1].axes[0].lines) == 7 + 1  # one curve per rank, and the threshold
