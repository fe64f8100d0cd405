import dataclasses
import json
import math

import numpy as np
import pytest
import torch

from sshml.classifier import TrainingSpec
from sshml.errors import SSHMLError


def test_defaults():
    assert (TrainingSpec().epochs, TrainingSpec().batch_size, TrainingSpec().view) == (20, 64, None)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"epochs": 0}, "epochs is 0"),
        ({"epochs": 2.5}, "epochs is 2.5"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"learning_rate": 0}, "expected a number above 0"),
        ({"learning_rate": float("nan")}, "expected a number above 0"),
        ({"weight_decay": -1}, "at least 0"),
        ({"view": "abs", "flip_signs": True}, "no meaning for the view 'abs'"),
        ({"epochs": True}, "epochs is True"),
        ({"learning_rate": "1e-3"}, "expected a number above 0"),
        ({"optimizer": "lion"}, "choose one of adam, adamw, sgd"),
        ({"schedule": "linear"}, "choose one of constant"),
        ({"precision": "fp16"}, "choose one of float32, bf16"),
        ({"momentum": 0.9}, "of sgd, not of adam"),
        ({"optimizer": "sgd", "nesterov": True}, "needs a momentum"),
        ({"optimizer": "sgd", "momentum": 1.0}, "below 1"),
        ({"schedule": "steps"}, "need a decay"),
        ({"decay": 0.5}, "need a decay"),
        ({"schedule": "exponential", "decay": 0.9, "decay_every": 2}, "of the schedule steps"),
        ({"augment": ("crop", "blur")}, "choose among crop, flip"),
        ({"augment": None}, "choose among crop, flip"),
        ({"augment": [["crop"]]}, "choose among crop, flip"),
        ({"label_smoothing": 1.0}, "below 1"),
        ({"average": 1}, "below 1"),
        ({"patience": -1}, "at least 0"),
        ({"clip": float("inf")}, "finite number"),
    ],
)
def test_bad_values(change, words):
    with pytest.raises(SSHMLError, match=words):
        TrainingSpec(**change)


def test_a_spec_goes_through_json():
    spec = TrainingSpec(optimizer="sgd", momentum=0.9, augment=("crop", "flip"), schedule="steps", decay=0.1)
    assert TrainingSpec(**json.loads(json.dumps(dataclasses.asdict(spec)))) == spec
    assert TrainingSpec(augment="flip").augment == ("flip",)
    assert isinstance(TrainingSpec(epochs=np.int64(3)).epochs, int)


SCHEDULES = {
    "constant": ({}, lambda optimizer: torch.optim.lr_scheduler.ConstantLR(optimizer, 1.0)),
    "exponential": ({"decay": 0.9}, lambda optimizer: torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)),
    "steps": ({"decay": 0.5, "decay_every": 3}, lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, 3, 0.5)),
    "cosine": ({}, lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_rates_are_those_of_pytorch(name):
    fields, make = SCHEDULES[name]
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
    scheduler = make(optimizer)
    spec = TrainingSpec(epochs=10, learning_rate=0.3, schedule=name, **fields)
    for epoch in range(10):
        assert spec.rate(float(epoch)) == pytest.approx(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()


def test_the_warm_up_rises_to_the_rate():
    spec = TrainingSpec(learning_rate=1.0, warmup=2.0)
    steps = [spec.rate(step / 5, 1 / 5) for step in range(12)]
    np.testing.assert_allclose(steps, [*np.arange(1, 11) / 10, 1, 1])
    assert math.isclose(TrainingSpec(learning_rate=1.0).rate(0.0, 0.2), 1.0)
