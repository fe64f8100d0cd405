import numpy as np
import pytest

from sshml.errors import SSHMLError
from sshml.tables import Tables, columns, pivot, read_csv, write_csv


def test_csv_round_trip(tmp_path):
    rows = [{"a": 1, "b": "x, y"}, {"a": 2.5, "b": ""}]
    write_csv(tmp_path / "t.csv", rows)
    assert read_csv(tmp_path / "t.csv") == [{"a": "1", "b": "x, y"}, {"a": "2.5", "b": ""}]


def test_columns_of_the_rows_that_match(tmp_path):
    write_csv(tmp_path / "a.csv", [{"name": n, "value": v} for n, v in (("x", 1), ("y", 2.5), ("x", 3))])
    found = columns(read_csv(tmp_path / "a.csv"), "a", name="x")
    assert found["value"].tolist() == [1, 3]
    assert found["name"].tolist() == ["x", "x"]
    with pytest.raises(SSHMLError, match="no row with name = z"):
        columns(read_csv(tmp_path / "a.csv"), "a", name="z")


def test_numbers_are_chosen_by_value_and_texts_by_letter(tmp_path):
    write_csv(tmp_path / "a.csv", [{"share": "0.30", "bond": 4, "name": "4"}, {"share": 1, "bond": "", "name": "x"}])
    assert columns(read_csv(tmp_path / "a.csv"), "a", share=0.3)["bond"].tolist() == [4]
    assert columns(read_csv(tmp_path / "a.csv"), "a", bond=4.0, name="4")["share"].tolist() == [0.3]
    with pytest.raises(SSHMLError, match="no row with share"):
        columns(read_csv(tmp_path / "a.csv"), "a", share="0.3")


def test_rows_that_lack_a_key(tmp_path):
    write_csv(tmp_path / "a.csv", [{"a": 1}, {"a": 2, "b": 3}])
    assert read_csv(tmp_path / "a.csv") == [{"a": "1", "b": ""}, {"a": "2", "b": "3"}]


def test_cells_that_are_missing_are_no_numbers(tmp_path):
    write_csv(tmp_path / "a.csv", [{"x": 1, "y": "", "z": True}, {"x": None, "y": "", "z": False}])
    found = columns(read_csv(tmp_path / "a.csv"), "a")
    assert found["x"][0] == 1
    assert np.isnan(found["x"][1])
    assert found["y"].tolist() == ["", ""]
    assert len(columns(read_csv(tmp_path / "a.csv"), "a", z=True)["x"]) == 1


def test_a_folder_of_tables(tmp_path):
    write_csv(tmp_path / "a.csv", [{"x": 1}, {"x": 2}])
    tables = Tables(tmp_path)
    assert "a" in tables
    assert "b" not in tables
    assert tables.columns("a")["x"].tolist() == [1, 2]
    assert tables.used == {"a"}
    with pytest.raises(SSHMLError, match=r"b\.csv does not exist"):
        tables.columns("b")


def test_a_pivot_is_the_table_as_an_array(rng):
    values = rng.normal(size=(3, 4))
    rows, columns = np.meshgrid([5, 7, 9], [1, 2, 4, 8], indexing="ij")
    order = rng.permutation(12)
    found = pivot({"r": rows.ravel()[order], "c": columns.ravel()[order], "v": values.ravel()[order]}, "r", "c", "v")
    np.testing.assert_array_equal(found[0], [5, 7, 9])
    np.testing.assert_array_equal(found[1], [1, 2, 4, 8])
    np.testing.assert_array_equal(found[2], values)
    with pytest.raises(SSHMLError, match="once for every"):
        pivot({"r": np.array([1, 1, 2, 2]), "c": np.array([1, 1, 1, 2]), "v": np.zeros(4)}, "r", "c", "v")


def test_rows_may_be_made_one_by_one(tmp_path):
    write_csv(tmp_path / "a.csv", ({"a": i} for i in range(3)))
    assert [row["a"] for row in read_csv(tmp_path / "a.csv")] == ["0", "1", "2"]
