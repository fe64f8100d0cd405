import numpy as np
import pytest

from sshml.dataset import Range
from sshml.dataset.ranges import grid_points
from sshml.errors import SSHMLError


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.5, Range(0.5)),
        ("0:1", Range(0, 1)),
        ("0:2:21", Range(0, 2, 21)),
        ((0, 1), Range(0, 1)),
        ([0, 2, 21.0], Range(0, 2, 21)),
        ((0.5, None, None), Range(0.5)),
        ({"low": 0, "high": 2, "points": 21}, Range(0, 2, 21)),
        ({"low": 0.5}, Range(0.5)),
        (Range(1, 2), Range(1, 2)),
    ],
)
def test_parsing(value, expected):
    assert Range.parse(value) == expected
    assert Range.parse(str(expected)) == expected


@pytest.mark.parametrize(
    "value",
    ["x", "0:1:2.5", "1:0", "nan", "0:0:5", None, (), {"high": 1}, {"low": 0, "x": 1}, {"low": 0, "points": 5}],
)
def test_what_is_no_hopping(value):
    with pytest.raises(SSHMLError):
        Range.parse(value)


def test_points_of_a_grid():
    clean = {"v": Range(0, 1, 3), "w": Range(0, 1, 3)}
    points = grid_points(clean, True, seed=0)
    assert sorted(map(tuple, points.tolist())) == [(0, 0.5), (0, 1), (0.5, 0), (0.5, 1), (1, 0), (1, 0.5)]  # |v| != |w|
    assert len(grid_points(clean, False, seed=0)) == 9
    assert sorted(map(tuple, points)) == sorted(map(tuple, grid_points(clean, True, seed=1)))
    assert (grid_points(clean, True, seed=1) != points).any()
    one = grid_points({"v": Range(0.25), "w": Range(0, 1, 5)}, False, seed=0)
    np.testing.assert_array_equal(one[:, 0], 0.25)
