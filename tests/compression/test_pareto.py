import itertools

import numpy as np
import pytest

from sshml.compression.pareto import ParetoFront


@pytest.fixture
def options(rng):
    sites = []
    for count in (5, 7, 4):
        n_bytes = np.r_[400, rng.integers(10, 400, count)]
        sites.append((n_bytes, np.r_[0.0, rng.uniform(0, 1, count)]))
    return sites


def test_it_is_that_of_all_combinations(options):
    front = ParetoFront(options, base=100)
    every = []
    for choice in itertools.product(*(range(len(n_bytes)) for n_bytes, _ in options)):
        total = 100 + sum(int(n_bytes[c]) for (n_bytes, _), c in zip(options, choice, strict=True))
        every.append((total, sum(loss[c] for (_, loss), c in zip(options, choice, strict=True))))
    for budget in range(130, 1400, 7):
        within = [loss for total, loss in every if total <= budget]
        number = front.within(budget)
        if not within:
            assert number is None
            continue
        assert front.bytes[number] <= budget
        # points nearer than a thousandth in bytes stand for each other
        best = min(loss for total, loss in every if total <= budget / 1.001)
        assert min(within) - 1e-12 <= front.loss[number] <= best + 1e-12


def test_points_are_their_combinations(options):
    front = ParetoFront(options, base=100)
    assert (np.diff(front.bytes) > 0).all()
    assert (np.diff(front.loss) < 0).all()
    for number in range(len(front)):
        chosen = front.combination(number)
        assert 100 + sum(b[c] for (b, _), c in zip(options, chosen, strict=True)) == front.bytes[number]
        assert sum(loss[c] for (_, loss), c in zip(options, chosen, strict=True)) == pytest.approx(front.loss[number])


def test_nothing_to_choose():
    front = ParetoFront([], base=12)
    assert (front.within(11), front.within(12), front.combination(0)) == (None, 0, [])
