import dataclasses
import json

import pytest

from sshml.errors import SSHMLError
from sshml.experiments import Claim, Experiment
from sshml.experiments.results import conclude, refuse_other, save_figure
from sshml.plotting import new_figure
from sshml.tables import write_csv


@dataclasses.dataclass(frozen=True)
class Settings:
    size: int = 3
    words: tuple = ("a", "b")


def test_figures_are_the_same_bytes_on_every_day(tmp_path):
    for folder in ("a", "b"):
        assert save_figure(tmp_path / folder, "f", new_figure()[0]) == ["f.png", "f.pdf"]
    for name in ("f.png", "f.pdf"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_whose_a_folder_is(tmp_path):
    refuse_other(tmp_path / "new", Settings(), force=False)
    (tmp_path / "empty").mkdir()
    refuse_other(tmp_path / "empty", Settings(), force=False)
    (tmp_path / "file").write_text("")
    with pytest.raises(SSHMLError, match="is a file"):
        refuse_other(tmp_path / "file", Settings(), force=False)
    settings = tmp_path / "empty" / "settings.json"
    settings.write_text(json.dumps({"experiment": "x", "settings": {"size": 3, "words": ["a", "b"]}, "files": []}))
    refuse_other(tmp_path / "empty", Settings(), force=False)
    with pytest.raises(SSHMLError, match="other settings"):
        refuse_other(tmp_path / "empty", Settings(size=4), force=False)
    refuse_other(tmp_path / "empty", Settings(size=4), force=True)
    settings.write_text("{")
    with pytest.raises(SSHMLError, match="is damaged"):
        refuse_other(tmp_path / "empty", Settings(), force=False)


def test_claims_after_a_wrong_statement_are_lost_but_said(tmp_path):
    """A claim made late is an error of its own; one that stops the generator takes those behind it."""
    write_csv(tmp_path / "jobs.csv", [{"job": "a-1", "tables": "t", "code": "older"}])
    write_csv(tmp_path / "t.csv", [{"x": 1}])

    def claims(tables, settings):
        yield Claim("A", "first", lambda: tables.columns("t")["x"])
        yield Claim("B", "second", [1.0, 2.0])
        raise KeyError("no such thing")

    rows, failures, files = conclude(tmp_path, Experiment(Settings, None, claims), Settings(), ["t.csv"])
    assert [row["id"] for row in rows] == ["A", "B"]
    assert [row["older"] for row in rows] == ["a-1", ""]
    assert len(failures) == 1
    assert failures[0].startswith("the claims stop: KeyError")
    assert files == ["t.csv", "claims.csv"]


@pytest.mark.parametrize(
    ("claims", "count", "words"),
    [
        (lambda tables, settings: None, 0, []),
        (lambda tables, settings: 1 / 0, 0, ["the claims stop: ZeroDivisionError"]),
        (lambda tables, settings: [None, Claim("A", "a", [1.0]), "B"], 1, ["claim 1: ", "claim 3: "]),
    ],
)
def test_claims_of_every_kind(tmp_path, claims, count, words):
    write_csv(tmp_path / "jobs.csv", [{"job": "a-1", "tables": "t", "code": "same"}])
    rows, failures, _ = conclude(tmp_path, Experiment(Settings, None, claims), Settings(), [])
    assert len(rows) == count
    assert len(failures) == len(words)
    assert all(line.startswith(word) for line, word in zip(failures, words, strict=True))


def test_unfinished_results_are_not_shown(tmp_path):
    from sshml.experiments import results_of

    (tmp_path / "own").mkdir()
    known = {"experiment": "own", "settings": {}, "files": [], "complete": False}
    (tmp_path / "own" / "settings.json").write_text(json.dumps(known))
    with pytest.raises(SSHMLError, match="unfinished"):
        results_of(tmp_path / "own")


def test_an_experiment_of_ones_own_is_not_drawn_by_one_of_sshml(tmp_path):
    """A file phases.py of somebody: its picture stands, not that of sshml's phases."""
    from sshml.experiments import results_of

    (tmp_path / "phases").mkdir()
    known = {"experiment": "phases", "settings": {}, "files": ["phases.png"], "own": True}
    (tmp_path / "phases" / "settings.json").write_text(json.dumps(known))
    (tmp_path / "phases" / "phases.png").write_bytes(b"theirs")
    assert results_of(tmp_path / "phases").figures == {"phases": b"theirs"}
