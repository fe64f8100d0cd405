import pytest

from sshml.errors import SSHMLError
from sshml.experiments.poster.claims import SOURCE
from sshml.experiments.ranks import FULL, Settings
from sshml.experiments.ranks.claims import FORMULA, OUTSIDE
from sshml.experiments.ranks.measurements import SETTINGS
from sshml.tables import read_csv

SMALL = {"datasets": 2, "seeds": 2, "epochs": 3, "train": 2000, "valid": 300, "test": 600}


def test_tables_figures_and_claims(reproduced):
    names = ("the poster's", "level 9 alone", "2 signs", "|v - w| > 0.1")
    found = reproduced("ranks", **SMALL, settings=names)
    assert found.failures == []
    assert {path.stem for path in found.folder.glob("*.png")} == {"formula", "mechanism"}
    rows = read_csv(found.folder / "ranks.csv")
    assert len(rows) == 4 * 2 * 2
    alone = found.tables.columns("ranks", setting="level 9 alone")
    assert alone["of_level"].max() > 0.8
    norms = found.tables.columns("norms", setting="2 signs")
    assert set(norms["group"]) == {0, 1}
    by_setting = {row["claim"]: row for row in found.claims}
    decided = [row["id"] for row in found.claims if row["source"] == FORMULA]
    assert sorted(decided) == ["F1"] * 3 + ["F4"] + ["F5"] * 3  # not for the gap
    own = by_setting["rank of layer 1 that keeps 95 %, means of 2 datasets"]
    assert (own["seeds"], own["source"]) == (2, SOURCE)


def test_settings_that_cannot_be():
    with pytest.raises(SSHMLError, match="choose among the poster's"):
        Settings(settings=("N = 1",))
    with pytest.raises(SSHMLError, match="error bars"):
        Settings(datasets=1)
    assert set(OUTSIDE) < set(SETTINGS)
    assert set(Settings().settings) < set(FULL["settings"])
