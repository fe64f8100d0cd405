import numpy as np
import pytest

from sshml.experiments.claims import Claim, conclude, measured, save_figures, summary
from sshml.tables import read_csv


def claim(values, holds=True):
    return Claim("P1", "words", "source", "8", np.array(values), "criterion", holds)


def test_mean_and_std_over_the_seeds_that_exist():
    row = claim([7.0, 8.0, 9.0, np.nan]).row()
    assert (row["mean"], row["std"], row["seeds"]) == ("8", "1", 3)
    assert measured(row) == "8 ± 1 (3)"


def test_single_and_missing_measurements():
    assert measured(claim([0.5]).row()) == "0.5 (1)"
    assert claim([np.nan]).row()["seeds"] == 0


@pytest.mark.parametrize(("holds", "word"), [(True, "holds"), (False, "does not hold"), (None, "measured")])
def test_verdicts(holds, word):
    assert claim([1.0], holds).row()["verdict"] == word


def test_summary_of_the_seeds():
    assert summary(np.array([1.0, 3.0])) == {"mean": "2", "std": "1.414", "seeds": 2}
    assert summary(np.array([1.0]))["std"] == "0"


def test_figures_are_the_same_bytes_on_every_day(tmp_path):
    from sshml.plotting import new_figure

    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        save_figures(tmp_path / folder, {"f": new_figure()[0]})
    for name in ("f.png", "f.pdf"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_an_experiment_ends_with_its_claims_and_figures(tmp_path):
    drawn = []
    rows = conclude(tmp_path, iter([claim([7.0, 9.0])]), drawn.append)
    assert drawn == [tmp_path]
    assert read_csv(tmp_path / "claims.csv") == [{key: str(value) for key, value in row.items()} for row in rows]
