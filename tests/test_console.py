import numpy as np
import pytest

from sshml.console import print_table, progress_bars, spread, waiting


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([1.0, 2.0, 3.0], "2 ± 1 (3)"),
        ([0.5], "0.5 (1)"),
        ([1.0, np.nan, 3.0], "2 ± 1.4 (2 of 3)"),
        ([np.nan, np.nan], "none of 2"),
    ],
)
def test_spread(values, text):
    assert spread(values) == text


def test_table_shows_every_cell(capsys):
    print_table("title", ("a", "b"), [("one", "[two]"), ("|v1|²", "0.125")])
    out = capsys.readouterr().out
    for text in ("title", "a", "b", "one", "[two]", "|v1|²", "0.125"):
        assert text in out


def test_progress_goes_to_stderr(capsys):
    with progress_bars() as bar:
        update = bar("work")
        bar("never begun")
        update(3, 3)
    with waiting("spinner"):
        pass
    out, err = capsys.readouterr()
    assert out == ""
    assert "work" in err
    assert "3/3" in err
    assert "never begun" not in err
