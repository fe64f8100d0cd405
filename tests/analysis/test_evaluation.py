from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from sshml.analysis import evaluate
from sshml.classifier import MLP, TrainingSpec, fit
from sshml.errors import SSHMLError


def test_rows_are_counts_of_single_predictions(run, dataset):
    """Every number from the predictions, one by one."""
    found = evaluate(run, dataset.test)
    seen, labels, ratio = run.predict(dataset.test), dataset.test.labels, dataset.test.ratio
    for member in range(len(run)):
        assert found.accuracy[member] == pytest.approx((seen[member] == labels).mean())
        for a in range(2):
            assert found.by_label[member, a] == pytest.approx((seen[member] == labels)[labels == a].mean())
            for b in range(2):
                assert found.confusion[member, a, b] == ((labels == a) & (seen[member] == b)).sum()
        for bin_ in range(len(found.chains)):
            mine = (ratio >= found.edges[bin_]) & (ratio < found.edges[bin_ + 1])
            assert found.chains[bin_] == mine.sum()
            if mine.any():
                assert found.by_ratio[member, bin_] == pytest.approx((seen[member] == labels)[mine].mean())
    assert found.chains.sum() == len(labels)
    assert found.labels == (0, 1)
    assert found.disorder == {"v": 0, "w": 0}
    names = [name for name, _, _ in found.rows()]
    assert "label 1 taken for 0" in names
    assert len(names) == len(set(names))


def test_probabilities_and_calibration(run, dataset):
    found = evaluate(run, dataset.test, bins=4)
    sure = run.probabilities(dataset.test)
    np.testing.assert_allclose(sure.sum(-1), 1)
    np.testing.assert_array_equal(sure.argmax(-1), run.predict(dataset.test))
    error = 0.0
    for low in (0.5, 0.625, 0.75, 0.875):
        top = sure[0].max(-1)
        mine = (top >= low) & ((top < low + 0.125) | (low == 0.875))
        if mine.any():
            right = (run.predict(dataset.test)[0] == dataset.test.labels)[mine].mean()
            error += mine.mean() * abs(right - top[mine].mean())
            bin_ = round((low - 0.5) * 8)
            assert found.right[0, bin_] == pytest.approx(right)
            assert found.confidence[0, bin_] == pytest.approx(top[mine].mean())
    assert found.error[0] == pytest.approx(error, abs=1e-9)


class Always(nn.Module):
    """Says class 0 with a probability of 0.7, whatever it sees."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 2)

    def forward(self, x):
        return 0 * self.layer(x) + torch.tensor([0.7, 0.3]).log()


def test_calibrated_and_blind_networks_on_other_data():
    data = SimpleNamespace(inputs=np.ones((10, 4)), labels=np.array([0] * 7 + [1] * 3))
    found = evaluate(fit(Always, data, data, TrainingSpec(epochs=1), 2), data)
    assert found.edges is None
    assert found.disorder is None
    assert found.by_label.tolist() == [[1, 0], [1, 0]]
    np.testing.assert_allclose(found.error, 0, atol=1e-7)


class Says(nn.Module):
    """Says class 0 with a probability that stands in its first input."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(1, 2)

    def forward(self, x):
        return 0 * self.layer(x) + torch.cat([x, 1 - x], 1).log()


def test_bins_of_the_largest_probability_are_even():
    sure = np.array([0.51, 0.59, 0.62, 0.74, 0.76, 0.86, 0.88, 0.99, 0.03])  # the last one is .97 for class 1
    data = SimpleNamespace(inputs=sure[:, None], labels=np.zeros(9, dtype=int))
    found = evaluate(fit(Says, data, data, TrainingSpec(epochs=1), 1), data, bins=4)
    assert found.said.tolist() == [[3, 1, 2, 3]]
    np.testing.assert_allclose(found.right, [[1, 1, 1, 2 / 3]])
    np.testing.assert_allclose(found.confidence[0, 1:], [0.74, 0.81, (0.88 + 0.99 + 0.97) / 3], atol=1e-6)


def test_bad_calls(run, dataset):
    for bins in (0, 2.5, True):
        with pytest.raises(SSHMLError, match="bins"):
            evaluate(run, dataset.test, bins=bins)
    other = SimpleNamespace(inputs=dataset.test.inputs(), labels=np.full(len(dataset.test), 5))
    view = fit(lambda: MLP((64, 2)), dataset.train, dataset.valid, TrainingSpec(epochs=1), 1)
    with pytest.raises(SSHMLError, match="label 5"):
        evaluate(view, other)
