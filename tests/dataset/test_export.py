import dataclasses
import sys

import numpy as np
import pytest

from sshml.dataset import DatasetSpec, export, generate, open_dataset
from sshml.errors import SSHMLError
from sshml.tables import read_csv

SPEC = DatasetSpec(cells=3, disorder_v=0.5, train=40, valid=7, test=11, seed=5)
LONGER = dataclasses.replace(SPEC, disorder_v=0, j3="-1:1")


@pytest.mark.parametrize("spec", [SPEC, LONGER], ids=["nearest", "longer"])
@pytest.mark.parametrize("recipe", [False, True])
def test_the_table_holds_every_label_and_hopping_exactly(tmp_path, monkeypatch, spec, recipe):
    monkeypatch.setattr(sys.modules["sshml.dataset.export"], "ROWS", 16)
    generate(spec, tmp_path / "a.h5", recipe=recipe)
    calls = []
    assert export(tmp_path / "a.h5", tmp_path / "a.csv", progress=lambda *call: calls.append(call)) == 58
    assert calls[-1] == (58, 58)
    rows = read_csv(tmp_path / "a.csv")
    for name, split in open_dataset(tmp_path / "a.h5").splits.items():
        own = [row for row in rows if row["split"] == name]
        assert [int(row["sample"]) for row in own] == list(range(len(split)))
        assert [int(row["winding"]) for row in own] == split.read("winding").tolist()
        for hopping in spec.clean:
            columns = [[float(row[f"{hopping}_{m + 1}"]) for m in range(spec.bonds(hopping))] for row in own]
            np.testing.assert_array_equal(columns, split.read(hopping))
        if not spec.is_longer:
            assert [float(row["log_margin"]) for row in own] == split.read("log_margin").tolist()
    assert ("log_margin" in rows[0]) == (not spec.is_longer)
    with pytest.raises(SSHMLError, match="exists"):
        export(tmp_path / "a.h5", tmp_path / "a.csv")
