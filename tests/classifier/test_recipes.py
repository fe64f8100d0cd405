import dataclasses

import pytest

from sshml.classifier import RECIPES, TrainingSpec


@pytest.mark.parametrize("name", RECIPES)
def test_what_is_stated_are_fields(name):
    recipe = RECIPES[name]
    assert set(recipe.stated) <= {field.name for field in dataclasses.fields(TrainingSpec)}
    assert recipe.source
    assert recipe.open


def test_rates_of_gao_et_al():
    """.8 x .99^epoch, and a factor of 10^-.5 every 50 epochs: a tenth after 100."""
    fc2, cifar = (RECIPES[name].training for name in ("gao-fc2", "gao-cifar10"))
    assert fc2.rate(0.5) == 0.8
    assert fc2.rate(100.0) == pytest.approx(0.8 * 0.99**100)
    assert [round(cifar.rate(epoch), 6) for epoch in (49.9, 50.0, 100.0)] == [0.1, round(0.1 * 10**-0.5, 6), 0.01]
