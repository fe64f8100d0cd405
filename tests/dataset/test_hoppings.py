import numpy as np
import pytest

from sshml.dataset import Hopping
from sshml.dataset.hoppings import grid_points
from sshml.errors import SSHMLError


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.5, Hopping(0.5)),
        ("0:1", Hopping(0, 1)),
        ("0:2:21", Hopping(0, 2, 21)),
        ((0, 1), Hopping(0, 1)),
        ([0, 2, 21.0], Hopping(0, 2, 21)),
        ((0.5, None, None), Hopping(0.5)),
        ({"low": 0, "high": 2, "points": 21}, Hopping(0, 2, 21)),
        ({"low": 0.5}, Hopping(0.5)),
        (Hopping(1, 2), Hopping(1, 2)),
    ],
)
def test_parsing(value, expected):
    assert Hopping.parse(value) == expected
    assert Hopping.parse(str(expected)) == expected


@pytest.mark.parametrize("value", ["x", "0:1:2.5", "1:0", "nan", "0:0:5", None, (), {"high": 1}, {"low": 0, "x": 1}])
def test_what_is_no_hopping(value):
    with pytest.raises(SSHMLError):
        Hopping.parse(value)


def test_points_of_a_grid():
    clean = {"v": Hopping(0, 1, 3), "w": Hopping(0, 1, 3)}
    points = grid_points(clean, True, seed=0)
    assert sorted(map(tuple, points.tolist())) == [(0, 0.5), (0, 1), (0.5, 0), (0.5, 1), (1, 0), (1, 0.5)]  # |v| != |w|
    assert len(grid_points(clean, False, seed=0)) == 9
    assert sorted(map(tuple, points)) == sorted(map(tuple, grid_points(clean, True, seed=1)))
    assert (grid_points(clean, True, seed=1) != points).any()
    one = grid_points({"v": Hopping(0.25), "w": Hopping(0, 1, 5)}, False, seed=0)
    np.testing.assert_array_equal(one[:, 0], 0.25)
