import pytest

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
        ({"learning_rate": 0}, "must be positive"),
        ({"learning_rate": float("nan")}, "must be positive"),
        ({"weight_decay": -1}, "at least 0"),
        ({"view": "abs", "flip_signs": True}, "no meaning for the view 'abs'"),
    ],
)
def test_bad_values(change, words):
    with pytest.raises(SSHMLError, match=words):
        TrainingSpec(**change)
