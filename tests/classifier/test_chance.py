import random

import numpy as np
import torch

from sshml.classifier.chance import Chance


def draw():
    return torch.rand(3).tolist(), np.random.random(3).tolist(), random.random(), np.random.standard_normal()  # noqa: NPY002


def test_it_goes_on_where_it_was_and_leaves_the_rest():
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    random.seed(1)
    expected = [draw(), draw()]
    torch.manual_seed(2)
    outside = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    chance = Chance(1)
    found = []
    for _ in range(2):
        with chance:
            found.append(draw())
    assert found == expected
    assert torch.equal(torch.get_rng_state(), outside[0])
    assert (np.random.get_state()[1] == outside[1]).all()  # noqa: NPY002
    assert random.getstate() == outside[2]


def test_the_state_is_arrays():
    chance, other = Chance(3), Chance(4)
    with chance:
        draw()
        random.gauss(0, 1)
    other.own = {name: np.asarray(value) for name, value in chance.own.items()}
    with chance:
        expected = draw(), random.gauss(0, 1)
    with other:
        assert (draw(), random.gauss(0, 1)) == expected


def test_an_error_gives_the_generators_back():
    before = torch.get_rng_state()
    try:
        with Chance(5):
            torch.rand(2)
            raise ValueError
    except ValueError:
        pass
    assert torch.equal(torch.get_rng_state(), before)
