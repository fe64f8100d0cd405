import numpy as np
import pytest

from sshml.chain import fixed_signs
from sshml.dataset import DatasetSpec, View, generate, open_dataset
from sshml.errors import SSHMLError

SPEC = DatasetSpec(cells=4, train=60, valid=2, test=2, seed=3)


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    path = tmp_path_factory.mktemp("views") / "chains.h5"
    generate(SPEC, path)
    return open_dataset(path).train


@pytest.mark.parametrize(
    ("text", "view"),
    [
        ("states", View()),
        ("abs/levels=3", View("abs", levels=(3,))),
        ("states/levels=6,1/signs=pairs", View("states", levels=(6, 1), signs="pairs")),
        ("projector/sites=2-5", View("projector", sites=(2, 3, 4, 5))),
        ("states/levels=0-2,5/sites=7/signs=4", View("states", (0, 1, 2, 5), (7,), 4)),
        ("density/sites=1,2", View("density", sites=[1, 2])),
    ],
)
def test_texts(text, view):
    assert View.parse(text) == view
    assert View.parse(view) is view
    assert View.parse(str(view)) == view


@pytest.mark.parametrize(
    ("view", "words"),
    [
        ("colour", "states, abs, density, projector"),
        ("states/", "not understood"),
        ("states/levels", "not understood"),
        ("states/levels=", "not understood"),
        ("states/levels=1,x", "not understood at 'x'"),
        ("states/levels=1,1", "different numbers"),
        ("states/levels=5-2", "write 2-5"),
        ("states/levels=3,9-6", "write 6-9"),
        ("states/levels=1/levels=2", "not understood"),
        ("states/colour=1", "not understood"),
        ("projector/levels=1", "sums over levels"),
        ("abs/signs=pairs", "no signs"),
        ("states/signs=some", "none, chain, pairs"),
        ("states/signs=0", "signs"),
        (7, "view"),
        (b"states", "view"),
    ],
)
def test_bad_views(view, words):
    with pytest.raises(SSHMLError, match=words):
        View.parse(view)


@pytest.mark.parametrize("view", ["states/levels=8", "states/sites=2,8", "states/signs=9"])
def test_views_of_larger_chains(split, view):
    with pytest.raises(SSHMLError, match=r"the chains have 8|8 levels"):
        split.inputs(view)


def test_parts(split):
    states = split.read("states")
    np.testing.assert_array_equal(split.inputs("states/levels=6,1/sites=0,7"), states[:, [6, 1]][..., [0, 7]])
    np.testing.assert_array_equal(split.inputs("abs/levels=2"), np.abs(states[:, [2]]))
    np.testing.assert_array_equal(split.inputs("density/sites=3"), states[..., [3]] ** 2)
    projector = split.inputs("projector")
    np.testing.assert_allclose(split.inputs("projector/sites=2-5"), projector[:, 2:6, 2:6], atol=1e-7)
    for text in ("states", "states/levels=6,1/sites=0,7", "projector/sites=2-5", "density/levels=0-3"):
        assert split.inputs(text).shape[1:] == View.parse(text).shape(SPEC)
        np.testing.assert_array_equal(split.inputs(text, [7, 3]), split.inputs(text)[[7, 3]])
        np.testing.assert_array_equal(split.inputs(text, 7), split.inputs(text)[7])


@pytest.mark.parametrize(
    ("signs", "groups"),
    [("none", [0] * 8), ("chain", [0] * 8), ("pairs", [0, 1, 2, 3, 3, 2, 1, 0]), (2, [0] * 4 + [1] * 4), (8, range(8))],
)
def test_shared_signs(split, signs, groups):
    """Levels of a group share a fair sign on top of the gauge "fixed"; those of other groups are independent of it."""
    states = split.read("states")
    fixed = states * fixed_signs(states)[..., None]
    seen = split.inputs(View("states", signs=signs))
    np.testing.assert_array_equal(np.abs(seen), np.abs(states))
    sign = np.sign((seen * fixed).sum(-1)).astype(int)
    groups = list(groups)
    for a in range(8):
        for b in range(a):
            equal = (sign[:, a] == sign[:, b]).mean()
            assert equal == 1 if groups[a] == groups[b] else 0.2 < equal < 0.8
    share = (sign == 1).mean(0)
    assert (share == 1).all() if signs == "none" else ((share > 0.2) & (share < 0.8)).all()
    np.testing.assert_array_equal(split.inputs(View("states", signs=signs), [50, 4, 4]), seen[[50, 4, 4]])
    assert View("states", levels=(7, 0), signs=signs).groups(8).tolist() == [groups[7], groups[0]]


def test_signs_differ_between_splits_and_seeds(split):
    states = split.read("states")
    a, b = (View("states", signs="chain").of(states, SPEC, number, np.arange(60)) for number in (0, 1))
    assert 0.2 < (a[:, 0, 0] == b[:, 0, 0]).mean() < 0.8


def test_half_a_cell_leaves_the_middle_level_empty(tmp_path):
    generate(DatasetSpec(cells=3, half_cell=True, train=4, valid=1, test=1), tmp_path / "a.h5")
    found = open_dataset(tmp_path / "a.h5").train.inputs("projector").astype(float)
    np.testing.assert_allclose(np.trace(found, axis1=1, axis2=2), 3, atol=1e-5)
