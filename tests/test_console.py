import json

from sshml.console import job_bar, print_table, progress_bars, waiting


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


def test_a_table_as_json(capsys):
    print_table("title", ("a", "b"), [("one", "[two]"), ("|v1|²", "0.125")], as_json=True)
    assert json.loads(capsys.readouterr().out) == [{"a": "one", "b": "[two]"}, {"a": "|v1|²", "b": "0.125"}]


def test_the_bar_over_jobs(capsys):
    with job_bar() as report:
        report(0, 0, 0.0, 0.0)
        report(0, 4, 0.0, 100.0)
        report(3, 4, 75.0, 100.0)
    assert "3/4 jobs" in capsys.readouterr().err


def test_bars_that_were_not_begun_leave_no_line(capsys):
    with progress_bars() as bar:
        bar("chains")
    with job_bar():
        pass
    assert capsys.readouterr() == ("", "")
