import dataclasses
import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import torch
from torch import nn

from sshml.analysis import entropy_recorder
from sshml.classifier import MLP, Stream, TrainingSpec, fit, resume
from sshml.errors import SSHMLError
from sshml.hdf5 import seal

NETWORKS = {
    "batched": lambda: MLP((64, 16, 2)),
    "vmap": lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.LayerNorm(8), nn.Linear(8, 2)),
    "one by one": lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.BatchNorm1d(8), nn.Linear(8, 2)),
    "dropout": lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.Dropout(0.3), nn.Linear(8, 2)),
}
TRAINING = TrainingSpec(epochs=5, batch_size=24, weight_decay=1e-3, flip_signs=True)


class Stop(Exception):
    pass


@pytest.fixture(autouse=True)
def every_epoch(monkeypatch):
    monkeypatch.setattr(resume, "SECONDS", 0)


@pytest.fixture
def data(rng):
    labels = np.arange(70) % 2
    inputs = rng.normal(size=(70, 8, 8)) * 0.5
    inputs[:, 0, 0] += labels
    return SimpleNamespace(inputs=inputs, labels=labels)


def stopping_at(number):
    """Return a callback that raises in its `number`-th epoch of all."""
    seen = []

    def on_epoch(epoch, model):
        seen.append(epoch)
        if len(seen) == number:
            raise Stop

    return on_epoch


def tree_of(path):
    """Return {name: bytes} of all arrays and texts in a checkpoint."""
    found = {}
    with h5py.File(path) as file:
        found |= {f"@{name}": str(value) for name, value in file.attrs.items()}
        file.visititems(lambda name, x: found.update({name: x[()].tobytes()} if isinstance(x, h5py.Dataset) else {}))
    return found


def same(one, other):
    assert one.weights.keys() == other.weights.keys()
    assert all(torch.equal(one.weights[name], other.weights[name]) for name in one.weights)
    assert all(torch.equal(one.initial[name], other.initial[name]) for name in one.initial)
    for name in one.history:
        np.testing.assert_array_equal(one.history[name], other.history[name])
    np.testing.assert_array_equal(one.epoch, other.epoch)


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
@pytest.mark.parametrize("stops", [[1], [4], [2, 1, 2]])
def test_a_stopped_training_ends_as_an_undisturbed_one(data, tmp_path, network, stops, device):
    expected = fit(network, data, data, TRAINING, 2, device, checkpoint=tmp_path / "calm.h5")
    same(expected, fit(network, data, data, TRAINING, 2, device))
    for number in stops:
        with pytest.raises(Stop):
            fit(network, data, data, TRAINING, 2, device, None, stopping_at(number), checkpoint=tmp_path / "a.h5")
    same(expected, fit(network, data, data, TRAINING, 2, device, checkpoint=tmp_path / "a.h5"))
    assert tree_of(tmp_path / "a.h5") == tree_of(tmp_path / "calm.h5")


def test_every_moment_and_generator_is_kept(data, tmp_path):
    """The state itself, after epoch 4, is that of an undisturbed training, byte for byte."""
    for name, stops in (("calm", [5]), ("stopped", [2, 4])):
        for number in stops:
            with pytest.raises(Stop):
                fit(
                    NETWORKS["batched"],
                    data,
                    data,
                    TRAINING,
                    3,
                    "cpu",
                    None,
                    stopping_at(number),
                    checkpoint=tmp_path / name,
                )
    calm, stopped = tree_of(tmp_path / "calm"), tree_of(tmp_path / "stopped")
    assert {"state/now/steps/moments/0/exp_avg_sq", "state/now/generators/2", "state/now/best"} <= set(calm)
    assert calm == stopped


def test_a_finished_training_is_read_and_not_repeated(data, tmp_path):
    first = fit(NETWORKS["batched"], data, data, TRAINING, 2, checkpoint=tmp_path / "a.h5")
    epochs = []
    again = fit(
        NETWORKS["batched"],
        data,
        data,
        TRAINING,
        2,
        on_epoch=lambda e, m: epochs.append(e),
        checkpoint=tmp_path / "a.h5",
    )
    same(first, again)
    assert epochs == []


def test_callbacks_with_a_state_go_on_too(data, tmp_path):
    shapes = {"1": ((4, 4), (8, 8))}
    calm, stopped = entropy_recorder(shapes), entropy_recorder(shapes)
    fit(NETWORKS["batched"], data, data, TRAINING, 2, on_epoch=calm)

    class Stopping(type(stopped)):
        def __call__(self, epoch, model):
            super().__call__(epoch, model)
            if epoch == 3:
                raise Stop

    with pytest.raises(Stop):
        fit(NETWORKS["batched"], data, data, TRAINING, 2, on_epoch=Stopping(shapes, 1), checkpoint=tmp_path / "a.h5")
    fit(NETWORKS["batched"], data, data, TRAINING, 2, on_epoch=stopped, checkpoint=tmp_path / "a.h5")
    assert stopped.epochs == calm.epochs == [1, 2, 3, 4, 5]
    np.testing.assert_array_equal(stopped.entropies["1"], calm.entropies["1"])


def test_streams_go_on_with_the_epoch_that_is_due(dataset, tmp_path):
    def train(on_epoch=None, checkpoint=None):
        stream = Stream(dataset.train, batch_size=32)
        return fit(
            NETWORKS["batched"], stream, dataset.valid, TrainingSpec(4), 2, on_epoch=on_epoch, checkpoint=checkpoint
        )

    expected = train()
    with pytest.raises(Stop):
        train(stopping_at(3), tmp_path / "a.h5")
    same(expected, train(checkpoint=tmp_path / "a.h5"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"training": dataclasses.replace(TRAINING, epochs=6)}, r"\(epochs differ"),
        ({"seeds": [0, 2]}, "initial weights, seeds differ"),
        ({"factory": lambda: MLP((64, 8, 2))}, "initial weights, network differ"),
    ],
)
def test_a_checkpoint_of_another_training_is_refused(data, tmp_path, change, words):
    arguments = {"factory": NETWORKS["batched"], "training": TRAINING, "seeds": [0, 1]}
    fit(train=data, valid=data, **arguments, checkpoint=tmp_path / "a.h5")
    with pytest.raises(SSHMLError, match=words):
        fit(train=data, valid=data, **arguments | change, checkpoint=tmp_path / "a.h5")


def test_a_checkpoint_of_other_data_or_another_network_is_refused(data, tmp_path):
    arguments = {"factory": NETWORKS["batched"], "training": TRAINING, "seeds": 2, "checkpoint": tmp_path / "a.h5"}
    fit(train=data, valid=data, **arguments)
    other = SimpleNamespace(inputs=data.inputs.copy(), labels=data.labels)
    other.inputs[-1] += 1
    flipped = SimpleNamespace(inputs=data.inputs, labels=1 - data.labels)
    for train, valid, words in (
        (other, data, "training data"),
        (flipped, data, "training data"),
        (data, other, "validation data"),
        (data, flipped, "validation data"),
    ):
        with pytest.raises(SSHMLError, match=rf"\({words} differ"):
            fit(train=train, valid=valid, **arguments)
    with pytest.raises(SSHMLError, match=r"\(network differ"):
        fit(train=data, valid=data, **arguments | {"factory": lambda: MLP((64, 16, 2), "tanh")})


def test_streams_in_another_order_are_other_data(dataset, tmp_path):
    arguments = {"valid": dataset.valid, "training": TrainingSpec(1), "seeds": 1, "checkpoint": tmp_path / "a.h5"}
    fit(NETWORKS["batched"], Stream(dataset.train), **arguments)
    with pytest.raises(SSHMLError, match="training data differ"):
        fit(NETWORKS["batched"], Stream(dataset.train, seed=1), **arguments)


def test_buffers_outside_of_the_state_are_kept_too(data, tmp_path):
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(64, 2)
            self.register_buffer("steps", torch.zeros(()), persistent=False)

        def forward(self, x):
            if self.training:
                self.steps += 1
            return self.linear(x.flatten(1)) * (1 + self.steps / 100 if self.training else 1)

    expected = fit(Counting, data, data, TRAINING, 1)
    with pytest.raises(Stop):
        fit(Counting, data, data, TRAINING, 1, on_epoch=stopping_at(3), checkpoint=tmp_path / "a.h5")
    same(expected, fit(Counting, data, data, TRAINING, 1, checkpoint=tmp_path / "a.h5"))


def test_a_damaged_checkpoint_is_refused(data, tmp_path):
    path = tmp_path / "a.h5"
    fit(NETWORKS["batched"], data, data, TRAINING, 2, checkpoint=path)
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    for damaged, words in ((bytes(flipped), "differ from their checksum"), (whole[:1000], "truncated"), (b"x", "HDF5")):
        path.write_bytes(damaged)
        with pytest.raises(SSHMLError, match=words):
            fit(NETWORKS["batched"], data, data, TRAINING, 2, checkpoint=path)


KILLED = """
import os, signal, sys, time
from pathlib import Path
import numpy as np
from sshml.classifier import MLP, TrainingSpec, fit, resume, save_run
from types import SimpleNamespace
resume.SECONDS = 0
rng, path, out = np.random.default_rng(0), Path(sys.argv[1]), sys.argv[2]
data = SimpleNamespace(inputs=rng.normal(size=(200, 8, 8)), labels=rng.integers(0, 2, 200))
def train(checkpoint=None, on_epoch=None):
    return fit(lambda: MLP((64, 16, 2)), data, data, TrainingSpec(12), 3, "cpu", None, on_epoch, checkpoint=checkpoint)
if len(sys.argv) > 3:
    die = int(sys.argv[3])
    train(path, lambda epoch, model: os.kill(os.getpid(), signal.SIGKILL) if epoch == die else None)
else:
    save_run(train(path), out + "resumed.h5"); save_run(train(), out + "calm.h5")
"""


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_it_survives_kill_9(tmp_path):
    arguments = [sys.executable, "-c", KILLED, str(tmp_path / "state.h5"), str(tmp_path) + "/"]
    for epoch in (4, 5, 9):
        assert subprocess.run([*arguments, str(epoch)], check=False).returncode == -signal.SIGKILL
    assert subprocess.run(arguments, check=False).returncode == 0
    assert tree_of(tmp_path / "resumed.h5") == tree_of(tmp_path / "calm.h5")


def test_a_checkpoint_that_leads_elsewhere_is_refused(data, tmp_path):
    path = tmp_path / "state.h5"

    with pytest.raises(Stop):
        fit(NETWORKS["batched"], data, data, TRAINING, 1, "cpu", checkpoint=path, on_epoch=stopping_at(3))
    path.write_bytes(path.read_bytes()[:-14])
    with h5py.File(path, "r+") as file:
        file["state/elsewhere"] = h5py.ExternalLink("other.h5", "/x")
    seal(path)
    with pytest.raises(SSHMLError, match="link"):
        fit(NETWORKS["batched"], data, data, TRAINING, 1, "cpu", checkpoint=path)
