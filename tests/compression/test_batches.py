import numpy as np
import pytest
import torch
from torch import nn

from sshml.compression.batches import Batches, is_correct, output
from sshml.errors import SSHMLError

MODEL = nn.Linear(3, 2).double()
X, Y = np.arange(30.0).reshape(10, 3), np.arange(10) % 2


class Split:
    inputs, labels = X, Y


class Method:
    labels = Y

    def inputs(self):
        return X


@pytest.mark.parametrize(
    "data",
    [
        X,
        X.tolist(),
        torch.from_numpy(X).float(),
        (X, Y),
        Split(),
        Method(),
        [X[:4], X[4:]],
        [(X[:4], Y[:4]), (X[4:], Y[4:])],
        torch.utils.data.DataLoader(list(zip(X, Y, strict=True)), batch_size=4),
        list(torch.utils.data.DataLoader(list(zip(X, Y, strict=True)), batch_size=4)),
        torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.from_numpy(X)), batch_size=4),
    ],
    ids=lambda data: type(data).__name__,
)
def test_data_of_every_kind(data):
    batches = Batches(data, MODEL)
    for _ in range(2):
        found = torch.cat([inputs for inputs, _ in batches])
        assert torch.equal(found, torch.from_numpy(X))
    first = torch.cat([inputs for inputs, _ in batches.first(5)])
    assert torch.equal(first, torch.from_numpy(X[:5]))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (np.zeros((0, 3)), "empty"),
        ([], "empty"),
        (np.full((2, 3), np.nan), "NaN"),
        ((X, Y[:3]), "a label for each"),
        ("x.npy", "expected an array"),
        (7, "expected an array"),
        ({"x": X}, "expected an array"),
        (iter([X]), "only once"),
        ([{1, 2}], "expected an array, "),
        (np.array(["a"]), "no array of numbers|real numbers"),
        ((X, None), "no array of numbers|real numbers"),
        (torch.tensor(3.0), "single number"),
    ],
)
def test_data_that_are_none(data, words):
    with pytest.raises(SSHMLError, match=words):
        list(Batches(data, MODEL))


def test_outputs_are_found():
    x = torch.ones(2, 3)

    class Logits:
        logits = x

    for found in (x, (x, 1), [x], {"logits": x, "loss": 1}, {"out": x}, Logits(), ((x,),)):
        assert output(lambda _, found=found: found, x) is x
    assert output(lambda a, b: a + b, {"a": x, "b": x}).sum() == 12
    with pytest.raises(SSHMLError, match="returns a str"):
        output(lambda _: "text", x)
    with pytest.raises(SSHMLError, match="does not take the data"):
        output(nn.Linear(4, 2), x)


@pytest.mark.parametrize("limit", [1, 256, 257, 512, 700, 1000])
def test_the_first_samples_and_no_empty_batch(limit):
    batches = list(Batches(np.arange(700.0)[:, None], nn.Linear(1, 1)).first(limit))
    assert all(len(inputs) for inputs, _ in batches)
    seen = torch.cat([inputs for inputs, _ in batches])[:, 0].tolist()
    assert seen == list(range(min(limit, 700)))


def test_outputs_that_are_no_numbers_are_not_right():
    outputs = torch.tensor([[np.nan, 0.0], [1.0, 0.0], [0.0, 1.0]])
    assert is_correct(outputs, torch.tensor([0, 0, 0])).tolist() == [False, True, False]
    assert is_correct(torch.tensor([np.nan, 1.0]), torch.tensor([0, 1])).tolist() == [False, True]
