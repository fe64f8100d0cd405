from types import SimpleNamespace

import numpy as np
import pytest
import torch

from sshml.classifier import pick_device, resident
from sshml.errors import SSHMLError


def test_splits_become_tensors(dataset):
    inputs, labels = resident(dataset.train, "density")
    np.testing.assert_array_equal(inputs.numpy(), dataset.train.inputs("density"))
    np.testing.assert_array_equal(labels.numpy(), dataset.train.labels)
    assert inputs.dtype == torch.float32
    assert labels.dtype == torch.int64


def test_any_object_with_inputs_and_labels():
    inputs, labels = resident(SimpleNamespace(inputs=np.ones((3, 2)), labels=[0, 1, 1]))
    assert inputs.shape == (3, 2)
    assert labels.tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    ("inputs", "labels", "words"),
    [
        (np.ones((0, 2)), [], "do not match"),
        (np.ones((3, 2)), [0, 1], "do not match"),
        (np.full((2, 2), np.nan), [0, 1], "NaN"),
        (np.ones((2, 2)), [0.5, 1], "class numbers"),
        (np.ones((2, 2)), [-1, 1], "class numbers"),
    ],
)
def test_unusable_splits(inputs, labels, words):
    with pytest.raises(SSHMLError, match=words):
        resident(SimpleNamespace(inputs=inputs, labels=np.array(labels)))


def test_devices():
    assert pick_device("cpu").type == "cpu"
    assert pick_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(SSHMLError, match="unknown"):
        pick_device("abacus")
    if not torch.cuda.is_available():
        with pytest.raises(SSHMLError, match="no CUDA device"):
            pick_device("cuda")
