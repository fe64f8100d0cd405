import numpy as np

from sshml.experiments.ranks.claims import is_right, reads_susceptible


def test_the_formula_is_right_by_none_or_one_more():
    class Table:
        def columns(self, name, **where):
            return {"rank": np.array([8, 9, 10, np.nan, 7]), "predicted": np.array([8, 8, 8, 8, 8])}

    assert is_right(Table(), "any").tolist() == [1, 1, 0, 0, 0]


def test_the_most_susceptible_level_is_the_first_of_the_bulk():
    """Levels 6 and 9 of 16: not the edge states 7 and 8, which move less at w = v."""

    class Table:
        def columns(self, name, **where):
            norms = np.ones((4, 16))
            norms[0, 6] = norms[1, 9] = norms[2, 7] = norms[3, 5] = 2
            seed, group = np.indices(norms.shape)
            return {"seed": seed.ravel(), "group": group.ravel(), "f": norms.ravel()}

    assert reads_susceptible(Table(), "any").tolist() == [1, 1, 0, 0]
