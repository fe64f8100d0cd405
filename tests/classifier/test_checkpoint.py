import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from torch import nn

from sshml.analysis import compress_run
from sshml.classifier import MLP, TrainingSpec, fit, load_run, save_run
from sshml.compression import LAYERS
from sshml.errors import SSHMLError
from sshml.hdf5 import seal


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_round_trip(run, dataset, tmp_path):
    save_run(run, tmp_path / "run.h5")
    back = load_run(tmp_path / "run.h5")
    assert same(back.weights, run.weights)
    assert same(back.initial, run.initial)
    assert back.training == run.training
    assert back.data == dataset.spec.to_json()
    np.testing.assert_array_equal(back.seeds, run.seeds)
    np.testing.assert_array_equal(back.epoch, run.epoch)
    for name, array in run.history.items():
        np.testing.assert_array_equal(back.history[name], array)
    np.testing.assert_array_equal(back.accuracy(dataset.test), run.accuracy(dataset.test))


MPO = {"max_bond": 3, "shape": ((3, 4), (8, 8)), "order": (None, list(range(63, -1, -1)))}


@pytest.mark.parametrize(("method", "size"), [("svd", {"rank": 3}), ("prune", {"keep": 40}), ("mpo", MPO)])
def test_compressed_runs(run, dataset, tmp_path, method, size):
    small = compress_run(run, 0, method, **size)
    save_run(small, tmp_path / "small.h5")
    back = load_run(tmp_path / "small.h5", layers=LAYERS)
    assert same(back.weights, small.weights)
    np.testing.assert_array_equal(back.accuracy(dataset.test), small.accuracy(dataset.test))
    with pytest.raises(SSHMLError, match=r"layers=sshml\.compression\.LAYERS"):
        load_run(tmp_path / "small.h5")


def own_network():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def test_networks_of_the_user(dataset, tmp_path):
    run = fit(own_network, dataset.train, dataset.valid, TrainingSpec(epochs=1), seeds=2)
    save_run(run, tmp_path / "own.h5")
    with pytest.raises(SSHMLError, match="pass factory="):
        load_run(tmp_path / "own.h5")
    back = load_run(tmp_path / "own.h5", factory=own_network)
    np.testing.assert_array_equal(back.accuracy(dataset.test), run.accuracy(dataset.test))
    with pytest.raises(SSHMLError, match="do not fit"):
        load_run(tmp_path / "own.h5", factory=lambda: nn.Linear(3, 2))


def test_no_overwriting(run, tmp_path):
    save_run(run, tmp_path / "run.h5")
    with pytest.raises(SSHMLError, match="exists"):
        save_run(run, tmp_path / "run.h5")
    save_run(run, tmp_path / "run.h5", force=True)


DAMAGE = {
    "missing weights": (lambda f: f.__delitem__("weights"), "damaged"),
    "missing weight": (lambda f: f["weights"].__delitem__("1.weight"), "do not fit"),
    "no network": (lambda f: f.attrs.__delitem__("network"), "damaged"),
    "bad json": (lambda f: f.attrs.__setitem__("training", "{"), "damaged"),
    "more seeds": (lambda f: (f.pop("seeds"), f.__setitem__("seeds", np.arange(5))), "damaged"),
    "no seeds": (lambda f: (f.pop("seeds"), f.__setitem__("seeds", np.arange(0))), "damaged"),
    "array for a group": (lambda f: (f.pop("history"), f.__setitem__("history", 5)), "damaged"),
    "network as number": (lambda f: f.attrs.__setitem__("network", "5"), "damaged"),
    "network arguments": (
        lambda f: f.attrs.__setitem__("network", '{"class": "MLP", "arguments": {"widths": 5}}'),
        "do not fit",
    ),
    "unknown network": (lambda f: f.attrs.__setitem__("network", '{"class": "Transformer"}'), "pass factory="),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_files(run, tmp_path, damage):
    change, words = DAMAGE[damage]
    save_run(run, tmp_path / "run.h5")
    with h5py.File(tmp_path / "run.h5", "r+") as file:
        change(file)
    seal(tmp_path / "run.h5")
    with pytest.raises(SSHMLError, match=words) as caught:
        load_run(tmp_path / "run.h5")
    assert "\n" not in str(caught.value)


def test_a_dataset_is_no_run(dataset):
    with pytest.raises(SSHMLError, match="is a sshml-dataset file; expected a sshml-run file"):
        load_run(dataset.path)


def test_frozen_format_1():
    """Files of every released format stay readable; this one was written by sshml 0.1.0."""
    run = load_run(Path(__file__).parents[2] / "data" / "run-1.h5")
    assert len(run) == 2
    assert run.model(1)(torch.zeros(1, 6, 6)).shape == (1, 2)
    assert run.history["train_loss"].shape == (2, run.training.epochs)


def test_changed_networks_of_known_classes_need_their_factory(tmp_path, dataset):
    def changed():
        model = MLP((64, 8, 2))
        model[2] = torch.nn.Tanh()
        return model

    for name, network in (("tanh", changed), ("double", lambda: MLP((64, 8, 2)).double())):
        run = fit(network, dataset.train, dataset.valid, TrainingSpec(epochs=1), 2, "cpu")
        save_run(run, tmp_path / f"{name}.h5")
        with pytest.raises(SSHMLError, match="pass factory"):
            load_run(tmp_path / f"{name}.h5")
        again = load_run(tmp_path / f"{name}.h5", network)
        np.testing.assert_array_equal(again.accuracy(dataset.test), run.accuracy(dataset.test))


def test_every_flipped_byte_is_noticed(run, tmp_path, rng):
    path = tmp_path / "run.h5"
    save_run(run, path)
    whole = path.read_bytes()
    for place in (*rng.integers(0, len(whole), 60), 0, len(whole) - 1, len(whole) - 6):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        with pytest.raises(SSHMLError, match=r"damaged|not an HDF5"):
            load_run(path)
    for size in (0, 10, len(whole) // 2, len(whole) - 3):
        path.write_bytes(whole[:size])
        with pytest.raises(SSHMLError, match=r"damaged|truncated|HDF5|cannot be read"):
            load_run(path)


def replace(name, value):
    def change(file):
        del file[name]
        file[name] = value

    return change


def describe_as(network):
    return lambda file: file.attrs.__setitem__("network", network if isinstance(network, str) else json.dumps(network))


PERCEPTRON = {"class": "MLP", "arguments": {"widths": [64, 12, 6, 2]}}
LOW = {"in_features": 64, "out_features": 12, "rank": 2}
FORGED = {
    "a list": describe_as([]),
    "half a JSON": describe_as('{"class":'),
    "class in a list": describe_as({"class": ["MLP"]}),
    "arguments a number": describe_as({"class": "MLP", "arguments": 3}),
    "widths a text": describe_as({"class": "MLP", "arguments": {"widths": "abc"}}),
    "endless widths": describe_as({"class": "MLP", "arguments": {"widths": [64, 10**15, 2]}}),
    "NaN": describe_as({"class": "MLP", "arguments": {"widths": [64, float("nan")]}}),
    "layers in a list": describe_as(PERCEPTRON | {"layers": [1]}),
    "layer a number": describe_as(PERCEPTRON | {"layers": {"1": 3}}),
    "layer without a class": describe_as(PERCEPTRON | {"layers": {"1": {"class": [], "arguments": {}}}}),
    "layer elsewhere": describe_as(PERCEPTRON | {"layers": {"no": {"class": "LowRankLinear", "arguments": LOW}}}),
    "a device": describe_as(
        PERCEPTRON | {"layers": {"1": {"class": "LowRankLinear", "arguments": LOW | {"device": "cuda"}}}}
    ),
    "another network": describe_as({"class": "LeNet5", "arguments": {}}),
    "network of numbers": lambda file: file.attrs.__setitem__("network", np.arange(3)),
    "training of numbers": lambda file: file.attrs.__setitem__("training", np.arange(3)),
    "endless training": lambda file: file.attrs.__setitem__("training", '{"epochs": 1e400}'),
    "data of numbers": lambda file: file.attrs.__setitem__("data", np.arange(3)),
    "versions": lambda file: file.attrs.__setitem__("format_version", np.arange(2)),
    "half a version": lambda file: file.attrs.__setitem__("format_version", 1.5),
    "version in words": lambda file: file.attrs.__setitem__("format_version", "2"),
    "seeds in words": replace("seeds", np.array([b"a", b"b", b"c"])),
    "half seeds": replace("seeds", np.array([0.5, 1.5, 2.5])),
    "epoch in words": replace("epoch", np.array([b"a", b"b", b"c"])),
    "epoch beyond": replace("epoch", np.array([1, 99, 1])),
    "epoch 0": replace("epoch", np.array([1, 0, 1])),
    "history in words": replace("history/train_loss", np.full((3, 6), b"a")),
    "history a number": replace("history", 3),
    "weights in words": replace("weights/1.weight", np.full((3, 12, 64), b"a")),
    "weights of another shape": replace("weights/1.weight", np.ones((3, 12, 63), np.float32)),
    "weights of other members": replace("weights/1.weight", np.ones((2, 12, 64), np.float32)),
    "no weights": replace("weights", 3),
}


@pytest.mark.parametrize("case", FORGED)
def test_forged_files_with_a_right_checksum(run, tmp_path, case):
    path = tmp_path / "run.h5"
    save_run(run, path)
    path.write_bytes(path.read_bytes()[:-14])
    with h5py.File(path, "r+") as file:
        FORGED[case](file)
    seal(path)
    with pytest.raises(SSHMLError) as error:
        load_run(path, layers=LAYERS)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)


def test_what_weights_do_not_tell_needs_a_factory(dataset, tmp_path):
    def turned():
        network = MLP((64, 8, 2))
        network[1].register_forward_hook(lambda module, inputs, outputs: -outputs)
        return network

    def replaced():
        network = MLP((64, 8, 2))
        network[1].forward = torch.zeros_like
        return network

    run = fit(lambda: MLP((64, 8, 2)), dataset.train, dataset.valid, TrainingSpec(epochs=1), 1, "cpu")
    for number, factory in enumerate((turned, replaced)):
        save_run(run.with_models([factory()]), tmp_path / f"{number}.h5")
        with pytest.raises(SSHMLError, match="pass factory="):
            load_run(tmp_path / f"{number}.h5")


def test_a_replaced_layer_excuses_no_other_whose_number_begins_alike(dataset, tmp_path):
    def deep():
        return MLP((64, *(6,) * 9, 2))

    run = fit(deep, dataset.train, dataset.valid, TrainingSpec(epochs=1), 1, "cpu")
    model = compress_run(run, 0, "svd", rank=2).model()
    model[12] = nn.Tanh()
    save_run(run.with_models([model]), tmp_path / "run.h5")
    with pytest.raises(SSHMLError, match="pass factory="):
        load_run(tmp_path / "run.h5", layers=LAYERS)


def test_frozen_parameters_stay_frozen(run, tmp_path):
    models = run.models()
    for model in models:
        model[1].weight.requires_grad_(False)
    save_run(run.with_models(models), tmp_path / "run.h5")
    back = load_run(tmp_path / "run.h5").model()
    assert {name for name, parameter in back.named_parameters() if not parameter.requires_grad} == {"1.weight"}
