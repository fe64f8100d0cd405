import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sshml.compression import MPOShape
from sshml.compression.shape import as_shape, balanced, groupings
from sshml.errors import SSHMLError

FC2 = MPOShape((4, 4, 4, 4), (4, 7, 7, 4))


def test_counts_of_the_literature():
    """Gao et al. 2020: rho of FC2 at D = 2 ... 22, layer 2 as M^{1,1,10,1}_{4,4,4,4}(4)."""
    second = MPOShape((1, 1, 10, 1), (4, 4, 4, 4)).n_parameters(4)
    dense = 256 * 784 + 2560
    for bond, rho in ((2, 0.005), (4, 0.0087), (8, 0.0225), (16, 0.0767), (22, 0.103)):
        assert (FC2.n_parameters(bond) + second) / dense == pytest.approx(rho, rel=0.08)


def test_full_bonds_are_the_exact_ranks():
    dims = FC2.site_dims
    for cut, bond in enumerate(FC2.bonds(), 1):
        assert bond == min(math.prod(dims[:cut]), math.prod(dims[cut:]))
    assert FC2.bonds(22) == (16, 22, 16)
    assert FC2.bonds((3, None, 200)) == (3, 84, 16)


@given(st.integers(1, 3000), st.integers(1, 6))
def test_balanced_factors(number, parts):
    factors = balanced(number, parts)
    assert math.prod(factors) == number
    assert len(factors) == parts
    peak = factors.index(max(factors))
    assert list(factors[: peak + 1]) == sorted(factors[: peak + 1])
    assert list(factors[peak:]) == sorted(factors[peak:], reverse=True)


@given(st.integers(1, 2000), st.integers(1, 2000), st.booleans())
def test_automatic_shapes_fit(out_features, in_features, pad):
    shape = MPOShape.automatic(out_features, in_features, pad=pad)
    shape.check(out_features, in_features)
    assert shape.out_features <= out_features * 9 / 8
    assert pad or (shape.out_features, shape.in_features) == (out_features, in_features)
    assert max(shape.bonds()) > 1 or min(out_features, in_features) == 1


def test_primes_are_padded_to_even_factors():
    assert MPOShape.automatic(256, 787).in_dims == (1, 1, 787, 1)
    padded = MPOShape.automatic(256, 787, pad=True)
    assert padded.pad
    assert max(padded.in_dims) < 10
    assert not MPOShape.automatic(256, 784, pad=True).pad


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        (((2, 4, 4), (3, 3, 4)), r"out_dims \(2, 4, 4\) multiply to 32 but the layer has 30 outputs.*e.g. \(2, 5, 3\)"),
        (((2, 5, 3), (6, 6, 1)), r"in_dims \(6, 6, 1\) multiply to 36 but the layer has 37 inputs.*with pad=True"),
        (((2, 5, 3), (37, 1)), "have 3 and 2 sites"),
        (((30,), (37,)), "two or more integers"),
        (((2, 15.0), (37, 1)), "two or more integers"),
        (((0, 30), (37, 1)), "two or more integers"),
        ("4,4:4,4", "not understood"),
    ],
)
def test_bad_shapes(shape, words):
    with pytest.raises(SSHMLError, match=words):
        as_shape(shape, 30, 37)


@pytest.mark.parametrize("bond", [0, -1, 2.5, True, "4", (1, 2), (1, 2, 3, 4), (4, 0, 4)])
def test_bad_bonds(bond):
    with pytest.raises(SSHMLError, match="choose 1 to 448, or 3 integers"):
        FC2.bonds(bond)


def test_groupings_are_all_ways_to_cut_a_row():
    found = list(groupings(5))
    assert len(set(found)) == 2**4
    assert all([k for a, b in runs for k in range(a, b)] == list(range(5)) for runs in found)
