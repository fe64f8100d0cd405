import itertools
import random
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from sshml.classifier import MLP, Stream, TrainingSpec, fit, resident
from sshml.classifier.chance import Chance
from sshml.classifier.loading import input_type
from sshml.errors import SSHMLError
from tests.classifier.kinds import KINDS, ONE_BY_ONE, Words


def factory():
    return MLP((64, 16, 2))


def toy(rng, samples=64, classes=2):
    """Two well separated blobs, as level x site inputs."""
    labels = np.arange(samples) % classes
    inputs = rng.normal(size=(samples, 8, 8)) * 0.1
    inputs[:, 0, 0] += labels
    return SimpleNamespace(inputs=inputs, labels=labels)


def test_overfits_eight_samples(rng, device):
    few = SimpleNamespace(inputs=rng.normal(size=(8, 8, 8)), labels=np.arange(8) % 2)
    run = fit(factory, few, few, TrainingSpec(epochs=80, batch_size=4), seeds=2, device=device)
    assert (run.accuracy(few) == 1).all()
    assert (run.history["train_loss"][:, -1] < run.history["train_loss"][:, 0] / 10).all()


def test_learns_the_phase_and_not_shuffled_labels(dataset, rng):
    training = TrainingSpec(epochs=40, view="density")
    assert fit(factory, dataset.train, dataset.valid, training, seeds=2).accuracy(dataset.test).min() > 0.95
    shuffled = [
        SimpleNamespace(inputs=split.inputs("density"), labels=rng.permutation(split.labels))
        for split in (dataset.train, dataset.valid, dataset.test)
    ]
    accuracy = fit(factory, *shuffled[:2], TrainingSpec(epochs=10), seeds=3).accuracy(shuffled[2])
    assert abs(accuracy.mean() - 0.5) < 0.1


NETWORKS = {
    "batched": factory,
    "vmap": lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.LayerNorm(8), nn.Linear(8, 2)),
    "one by one": lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.BatchNorm1d(8), nn.Linear(8, 2)),
    "dropout": lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.Dropout(0.3), nn.Linear(8, 2)),
}


@pytest.mark.parametrize("flip_signs", [False, True])
@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_a_member_is_the_same_seed_alone(rng, network, flip_signs):
    data = toy(rng)
    training = TrainingSpec(epochs=2, batch_size=24, flip_signs=flip_signs)
    together = fit(network, data, data, training, seeds=[4, 9])
    alone = fit(network, data, data, training, seeds=[9])
    for name in together.weights:
        assert torch.equal(together.initial[name][1], alone.initial[name][0])
        torch.testing.assert_close(together.weights[name][1], alone.weights[name][0], rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(together.history["train_loss"][1], alone.history["train_loss"][0], rtol=1e-4)


@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
def test_a_member_is_plain_training_with_the_same_batches(rng, weight_decay):
    """The textbook loop over one network, as a naive twin: weights, losses with a short last batch (64 = 3 20 + 4)."""
    data = toy(rng)
    training = TrainingSpec(epochs=2, batch_size=20, weight_decay=weight_decay)
    run = fit(factory, data, data, training, seeds=[5, 6])
    torch.manual_seed(6)
    model = factory()
    inputs, labels = resident(data)
    generator = torch.Generator().manual_seed(6)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=weight_decay)
    for epoch in range(training.epochs):
        losses = []
        for batch in torch.randperm(len(inputs), generator=generator).split(20):
            optimizer.zero_grad()
            each = nn.functional.cross_entropy(model(inputs[batch]), labels[batch], reduction="none")
            each.mean().backward()
            optimizer.step()
            losses += each.tolist()
        assert run.history["train_loss"][1, epoch] == pytest.approx(np.mean(losses), rel=1e-5)
        kept = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        if epoch + 1 == run.epoch[1]:
            for name, tensor in kept.items():
                torch.testing.assert_close(run.weights[name][1], tensor, rtol=1e-4, atol=1e-6)


def test_global_random_state_is_untouched(rng):
    torch.manual_seed(123)
    np.random.seed(123)  # noqa: NPY002
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    fit(NETWORKS["dropout"], toy(rng), toy(rng), TrainingSpec(epochs=1), seeds=2).model()
    assert torch.equal(torch.random.get_rng_state(), before[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002


def test_the_best_epoch_is_kept(dataset):
    seen = {}

    def remember(epoch, model):
        seen[epoch] = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    run = fit(factory, dataset.train, dataset.valid, TrainingSpec(epochs=5), seeds=3, on_epoch=remember)
    np.testing.assert_array_equal(run.epoch, run.history["valid_accuracy"].argmax(1) + 1)
    for member, epoch in enumerate(run.epoch):
        assert torch.equal(run.weights["1.weight"][member], seen[epoch]["1.weight"][member])
    best = run.history["valid_accuracy"].max(1)
    np.testing.assert_allclose(run.accuracy(dataset.valid), best)


def test_fresh_signs_make_the_network_blind_to_the_gauge(dataset):
    """The training data has one fixed gauge; only with flipped signs does the network survive others."""
    states, labels = dataset.test.inputs(), dataset.test.labels
    signs = np.random.default_rng(0).choice([-1, 1], size=(*states.shape[:2], 1))
    other = SimpleNamespace(inputs=states * signs, labels=labels)
    scores = {
        flip: fit(
            lambda: MLP((64, 64, 32, 2)),
            dataset.train,
            dataset.valid,
            TrainingSpec(epochs=40, flip_signs=flip),
            seeds=2,
        ).accuracy(other)
        for flip in (False, True)
    }
    assert scores[True].mean() > scores[False].mean() + 0.1


def test_flipped_levels_keep_their_size(rng):
    data, seen = toy(rng), []

    def loss(inputs, logits, labels):
        seen.append(inputs.clone())
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view_as(
            labels
        )

    fit(factory, data, data, TrainingSpec(epochs=1, batch_size=64, flip_signs=True), seeds=2, loss=loss)
    known = {tuple(np.abs(x.ravel()).astype(np.float32).round(5)) for x in data.inputs}
    assert {tuple(x) for x in seen[0].abs().flatten(2).flatten(0, 1).numpy().round(5)} == known
    signs = torch.sign(seen[0] / seen[0].abs().clamp_min(1e-12))
    assert 0.4 < float((signs > 0).double().mean()) < 0.6


def test_progress_counts_epochs(rng):
    calls = []
    for network, expected in ((factory, 3), (NETWORKS["dropout"], 6)):
        calls.clear()
        fit(network, toy(rng), toy(rng), TrainingSpec(epochs=3), seeds=2, progress=lambda *c: calls.append(c))
        assert calls == [(i, expected) for i in range(1, expected + 1)]


def test_many_classes(rng):
    data = toy(rng, classes=5)
    run = fit(lambda: MLP((64, 32, 5)), data, data, TrainingSpec(epochs=60, learning_rate=1e-2), seeds=2)
    assert run.accuracy(data).min() > 0.9


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"epochs": 0}, "epochs"),
        ({"batch_size": 2.5}, "batch_size"),
        ({"learning_rate": 0}, "learning_rate"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"weight_decay": -1}, "weight_decay"),
        ({"flip_signs": True, "view": "abs"}, "no meaning for the view 'abs'"),
    ],
)
def test_bad_settings(change, words):
    with pytest.raises(SSHMLError, match=words):
        TrainingSpec(**change)


def test_bad_fits(rng):
    data = toy(rng)
    with pytest.raises(SSHMLError, match="at least 1"):
        fit(factory, data, data, seeds=0)
    for seeds in (2.5, [-1], ["a"]):
        with pytest.raises(SSHMLError, match=r"integer of at least [01]"):
            fit(factory, data, data, seeds=seeds)
    with pytest.raises(SSHMLError, match="must agree"):
        fit(factory, data, SimpleNamespace(inputs=np.ones((2, 4, 16)), labels=[0, 1]), seeds=1)
    with pytest.raises(SSHMLError, match="not finite"):
        fit(factory, data, data, TrainingSpec(learning_rate=1e30, epochs=3), seeds=1)
    flat = SimpleNamespace(inputs=np.ones((4, 64)), labels=[0, 1, 0, 1])
    with pytest.raises(SSHMLError, match="level, site"):
        fit(factory, flat, flat, TrainingSpec(flip_signs=True))
    with pytest.raises(SSHMLError, match=r"label 4 but the network has 2 classes"):
        fit(factory, toy(rng, classes=5), data, seeds=1)
    with pytest.raises(SSHMLError, match=r"does not take inputs of shape \(8, 8\)"):
        fit(lambda: MLP((63, 2)), data, data, seeds=1)


def stream_mlp():
    return MLP((64, 12, 6, 2))


def test_a_stream_trains_like_resident_data(dataset):
    """From the file in chunks: as good as resident data, the same for a member alone or in company."""
    training = TrainingSpec(epochs=6, batch_size=32, view="abs")
    resident_run = fit(stream_mlp, dataset.train, dataset.valid, training, seeds=3, device="cpu")
    runs = [
        fit(stream_mlp, Stream(dataset.train, "abs", 32), dataset.valid, TrainingSpec(epochs=6), seeds, device="cpu")
        for seeds in (3, [1])
    ]
    assert runs[0].training == training
    assert runs[0].data == resident_run.data
    np.testing.assert_allclose(runs[0].history["train_loss"][1], runs[1].history["train_loss"][0], rtol=1e-4)
    assert runs[0].accuracy(dataset.test).mean() == pytest.approx(resident_run.accuracy(dataset.test).mean(), abs=0.05)


def test_networks_are_trained_further(run, dataset):
    """Fine-tuning starts from each network, leaves it as it is, and goes on from its accuracy."""
    models = run.models()
    before = [{name: tensor.clone() for name, tensor in model.state_dict().items()} for model in models]
    further = fit(models, dataset.train, dataset.valid, TrainingSpec(epochs=1), seeds=3, device="cpu")
    for model, state, initial in zip(models, before, range(3), strict=True):
        for name, tensor in model.state_dict().items():
            assert torch.equal(tensor, state[name])
            assert torch.equal(further.initial[name][initial], state[name])
    assert (further.weights["1.weight"] != further.initial["1.weight"]).any()
    with pytest.raises(SSHMLError, match="one seed per network"):
        fit(models, dataset.train, dataset.valid, TrainingSpec(epochs=1), seeds=2)


def test_every_step_is_told(rng):
    data, seen = toy(rng), []

    def on_step(step, model):
        seen.append((step, next(iter(model.parameters())).detach().clone()))

    run = fit(factory, data, data, TrainingSpec(epochs=2, batch_size=24), seeds=2, on_step=on_step)
    assert [step for step, _ in seen] == [1, 2, 3, 4, 5, 6]  # 64 samples are three steps an epoch
    assert all((before != after).any() for (_, before), (_, after) in itertools.pairwise(seen))
    last = seen[2 if (run.epoch == 1).all() else 5][1]
    if len(set(run.epoch.tolist())) == 1:
        torch.testing.assert_close(run.weights["1.weight"], last)


def test_a_callback_may_project_the_weights(rng):
    """What `on_step` does to the parameters is what is trained on, as for training under projection."""
    data = toy(rng)

    def clip(step, model):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.clamp_(-0.05, 0.05)

    run = fit(factory, data, data, TrainingSpec(epochs=2), seeds=2, on_step=clip)
    assert max(tensor.abs().max() for tensor in run.weights.values()) <= 0.05
    assert run.initial["1.weight"].abs().max() > 0.05


def test_a_checkpoint_knows_no_loss_of_ones_own(rng, tmp_path):
    data = toy(rng)
    with pytest.raises(SSHMLError, match="one loss from another"):
        fit(factory, data, data, seeds=1, loss=lambda x, logits, labels: logits[..., 0], checkpoint=tmp_path / "c.h5")
    assert not list(tmp_path.iterdir())


def few(rng, network):
    data = toy(rng, 40)
    if network == "words":
        data.inputs = rng.integers(0, 5, data.inputs.shape)
    return data


@pytest.mark.parametrize("name", KINDS)
def test_a_member_of_any_kind_is_the_same_seed_alone(rng, name, caplog):
    data = few(rng, name)
    training = TrainingSpec(epochs=3, batch_size=12)
    together, alone = (fit(KINDS[name], data, data, training, seeds, "cpu") for seeds in ([4, 9], [9]))
    for key, tensor in together.weights.items():
        assert torch.equal(together.initial[key][1], alone.initial[key][0])
        torch.testing.assert_close(tensor[1], alone.weights[key][0], rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(together.history["train_loss"][1], alone.history["train_loss"][0], rtol=1e-4)
    assert ("one after another" in caplog.text) == (name in ONE_BY_ONE)
    assert len(caplog.records) <= 1
    for run in (together, alone):  # what was validated is what is kept, in evaluation mode
        best = run.history["valid_accuracy"].max(1)
        np.testing.assert_allclose(run.accuracy(data), best)
        dtype = input_type(run.model())
        inputs, labels = resident(data, dtype=dtype)
        for member in range(len(run)):
            with torch.no_grad(), Chance(0):
                logits = run.model(member)(inputs)
            assert (logits.argmax(1) == labels).double().mean().item() == pytest.approx(best[member])


@pytest.mark.parametrize("name", ["functional dropout", "noise of numpy", "chance of python", "lstm", "batch norm"])
def test_a_member_is_the_plain_loop_of_its_kind(rng, name):
    """A textbook loop with the global generators seeded once: the same network."""
    data = few(rng, name)
    run = fit(KINDS[name], data, data, TrainingSpec(epochs=2, batch_size=16), [3, 5], "cpu")
    inputs, labels = resident(data)
    with Chance(5):
        model = KINDS[name]().train()
    generator = torch.Generator().manual_seed(5)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    states = []
    with Chance(5):
        for _ in range(2):
            model.train()
            for batch in torch.randperm(len(inputs), generator=generator).split(16):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(inputs[batch]), labels[batch]).backward()
                optimizer.step()
            states.append({key: tensor.clone() for key, tensor in model.state_dict().items()})
    for key, tensor in states[run.epoch[1] - 1].items():
        torch.testing.assert_close(run.weights[key][1], tensor, rtol=1e-4, atol=1e-6)


def test_whole_numbers_go_to_an_embedding(rng):
    data = few(rng, "words")
    data.inputs[:, 0, 0] = 4 * data.labels
    data.inputs[:, 0, 1:] = 4 * data.labels[:, None]
    run = fit(Words, data, data, TrainingSpec(epochs=60, learning_rate=3e-2), 2, "cpu")
    assert run.accuracy(data).min() > 0.9


def test_a_stack_that_fails_later_is_trained_one_by_one(rng, caplog):
    """The last batch of an epoch, a single sample, takes a way that vmap does not know."""

    class Late(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(64, 2)

        def forward(self, x):
            x = self.layer(x.flatten(1))
            return x * float(x.sum() > -1e9) if len(x) == 1 else x

    data = toy(rng, 41)
    together, alone = (fit(Late, data, data, TrainingSpec(epochs=2, batch_size=20), s, "cpu") for s in ([1, 2], [2]))
    assert "starting again one by one" in caplog.text
    torch.testing.assert_close(together.weights["layer.weight"][1], alone.weights["layer.weight"][0])


def test_fits_in_threads_do_not_disturb_each_other(rng):
    data, training = toy(rng), TrainingSpec(epochs=2, batch_size=16)
    expected = {name: fit(KINDS[name], data, data, training, [3, 4], "cpu") for name in ("noise", "plain")}
    with ThreadPoolExecutor(4) as threads:
        found = [(n, threads.submit(fit, KINDS[n], data, data, training, [3, 4], "cpu")) for n in [*expected] * 4]
    for name, future in found:
        for group in ("initial", "weights"):
            for key, tensor in getattr(expected[name], group).items():
                assert torch.equal(getattr(future.result(), group)[key], tensor)


def plain_tensor():
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    noise = torch.rand(2)
    model[1].register_forward_hook(lambda module, inputs, output: output + noise)
    return model


class ListOfLayers(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers, self.head = [nn.Linear(64, 8)], nn.Linear(8, 2)

    def forward(self, x):
        return self.head(self.layers[0](x.flatten(1)))


def unseeded():
    model = MLP((64, 2))
    with torch.no_grad():
        model[1].weight.copy_(torch.from_numpy(np.random.default_rng().normal(size=(2, 64))))
    return model


def other_depth():
    return MLP((64, *[4] * int(torch.randint(1, 4, ())), 2))


def all_frozen():
    return MLP((64, 2)).requires_grad_(False)


REFUSED = {
    "holds something outside of its state_dict": [plain_tensor, ListOfLayers],
    "two networks from one seed": [unseeded],
    "differ in what they store": [other_depth],
    "no parameters to train": [all_frozen, lambda: nn.Sequential(nn.Flatten(), nn.Softmax(1))],
    "expected logits": [nn.Flatten(0).__class__, lambda: nn.LSTM(8, 2, batch_first=True), lambda: nn.Linear(8, 2)],
    "train in float32 or float64": [lambda: MLP((64, 2)).half(), lambda: MLP((64, 2)).bfloat16()],
    "expected an nn.Module": [lambda: "a network", lambda: MLP],
    "lazy layers": [lambda: nn.Sequential(nn.Flatten(), nn.LazyLinear(2))],
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_a_run_cannot_keep_or_train_is_refused(rng, words):
    for network in REFUSED[words]:
        if network is nn.Flatten:
            continue
        with pytest.raises(SSHMLError, match=words):
            fit(network, toy(rng), toy(rng), TrainingSpec(epochs=1), [0, 1, 2, 3], "cpu")


def test_what_cannot_be_kept_is_refused_before_it_is_trained(rng):
    begun = []
    with pytest.raises(SSHMLError, match="outside of its state_dict"):
        fit(plain_tensor, toy(rng), toy(rng), TrainingSpec(epochs=1), 2, "cpu", on_epoch=lambda *_: begun.append(1))
    assert not begun


def test_an_error_of_the_network_is_one_line(rng):
    """Batch norm cannot train on the single sample that is left over."""
    data = toy(rng, 41)
    with pytest.raises(SSHMLError, match="failed in training: ValueError: Expected more than 1 value"):
        fit(KINDS["batch norm"], data, data, TrainingSpec(epochs=1, batch_size=20), 1, "cpu")


def test_modules_with_hooks_on_gradients_are_not_copied(rng):
    with pytest.raises(SSHMLError, match="hooks on its gradients"):
        fit([KINDS["hook on a gradient"]()], toy(rng), toy(rng), seeds=1)


def twin(model, data, training, seed, update):
    """Train by a plain loop; return the weights after every epoch."""
    inputs, labels = resident(data)
    generator, found = torch.Generator().manual_seed(seed), []
    for epoch in range(training.epochs):
        for number, batch in enumerate(torch.randperm(len(inputs), generator=generator).split(training.batch_size)):
            update(model, inputs[batch], labels[batch], epoch, number)
        found.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
    return found


OPTIMIZERS = {
    "adamw": ({"optimizer": "adamw", "weight_decay": 0.1}, lambda p: torch.optim.AdamW(p, 1e-2, weight_decay=0.1)),
    "sgd": ({"optimizer": "sgd", "weight_decay": 0.1}, lambda p: torch.optim.SGD(p, 1e-2, weight_decay=0.1)),
    "momentum": ({"optimizer": "sgd", "momentum": 0.9}, lambda p: torch.optim.SGD(p, 1e-2, momentum=0.9)),
    "nesterov": (
        {"optimizer": "sgd", "momentum": 0.9, "nesterov": True},
        lambda p: torch.optim.SGD(p, 1e-2, momentum=0.9, nesterov=True),
    ),
    "clipped": ({"optimizer": "sgd", "clip": 0.05}, lambda p: torch.optim.SGD(p, 1e-2)),
    "smoothed": ({"label_smoothing": 0.2}, lambda p: torch.optim.Adam(p, 1e-2)),
    "cosine": ({"schedule": "cosine", "warmup": 1.0}, lambda p: torch.optim.Adam(p, 1e-2)),
}


@pytest.mark.parametrize("kind", ["plain", "lstm"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_recipes_are_those_of_a_plain_loop(rng, name, kind):
    data, (fields, make) = toy(rng), OPTIMIZERS[name]
    training = TrainingSpec(epochs=3, batch_size=24, learning_rate=1e-2, **fields)
    run = fit(KINDS[kind], data, data, training, [4, 8], "cpu")
    with Chance(8):
        model = KINDS[kind]()
    optimizer = make(model.parameters())

    def update(model, x, y, epoch, number):
        optimizer.param_groups[0]["lr"] = training.rate(epoch + number / 3, 1 / 3)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y, label_smoothing=training.label_smoothing).backward()
        if training.clip:
            nn.utils.clip_grad_norm_(model.parameters(), training.clip)
        optimizer.step()

    states = twin(model, data, training, 8, update)
    for key, tensor in states[run.epoch[1] - 1].items():
        torch.testing.assert_close(run.weights[key][1], tensor, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", ["plain", "batch norm", "lstm"])
def test_the_average_is_that_of_a_plain_loop(rng, kind):
    data = toy(rng)
    training = TrainingSpec(epochs=3, batch_size=24, learning_rate=1e-2, average=0.6)
    run = fit(KINDS[kind], data, data, training, [8, 2], "cpu")
    with Chance(8):
        model = KINDS[kind]().train()
    optimizer, steps = torch.optim.Adam(model.parameters(), 1e-2), itertools.count()
    mean, means = {key: tensor.clone() for key, tensor in model.state_dict().items()}, []

    def update(model, x, y, epoch, number):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
        t = next(steps)
        decay = min(0.6, (1 + t) / (10 + t))
        for key, tensor in model.state_dict().items():
            mean[key] = decay * mean[key] + (1 - decay) * tensor if tensor.is_floating_point() else tensor.clone()
        if number == 2:
            means.append(dict(mean))

    twin(model, data, training, 8, update)
    for key, tensor in means[run.epoch[0] - 1].items():
        torch.testing.assert_close(run.weights[key][0], tensor, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(run.accuracy(data), run.history["valid_accuracy"].max(1))


def test_early_stopping_is_that_of_each_member_alone(rng):
    data, other = toy(rng), toy(rng)
    other.inputs[:, 0, 0] = other.labels + rng.normal(size=64)
    training = TrainingSpec(epochs=40, batch_size=32, patience=3)
    run = fit(factory, data, other, training, [0, 1, 2, 3], "cpu")
    ends = np.isfinite(run.history["valid_accuracy"]).sum(1)
    assert len(set(ends)) > 1
    np.testing.assert_array_equal(ends, np.minimum(run.epoch + 3, 40))
    for member, seed in enumerate(run.seeds):
        alone = fit(factory, data, other, training, [seed], "cpu")
        assert alone.epoch[0] == run.epoch[member]
        assert np.isfinite(alone.history["valid_accuracy"]).sum() == ends[member]
        torch.testing.assert_close(alone.weights["1.weight"][0], run.weights["1.weight"][member])


def test_watched_splits_are_measured_and_choose_nothing(rng):
    data, other = toy(rng), toy(rng)
    seen = []
    run = fit(factory, data, data, TrainingSpec(epochs=4), 2, "cpu", watch={"test": other})
    same = fit(factory, data, data, TrainingSpec(epochs=4), 2, "cpu")
    assert torch.equal(run.weights["1.weight"], same.weights["1.weight"])
    for epochs in range(1, 5):
        seen.append(fit(factory, data, data, TrainingSpec(epochs=epochs), 2, "cpu", watch={"test": other}))
    for member in range(2):
        assert run.history["test_accuracy"][member, run.epoch[member] - 1] == pytest.approx(run.accuracy(other)[member])
    assert set(seen[0].history) == {"train_loss", "valid_loss", "valid_accuracy", "test_loss", "test_accuracy"}
    for name in ("valid", "train", "a/b", 3):
        with pytest.raises(SSHMLError, match="cannot name splits"):
            fit(factory, data, data, seeds=1, watch={name: other})
    with pytest.raises(SSHMLError, match="watch is a list"):
        fit(factory, data, data, seeds=1, watch=[other])


def test_bf16_trains_in_autocast(rng, device):
    data = toy(rng)
    for network in (factory, KINDS["functional dropout"]):
        training = TrainingSpec(epochs=30, learning_rate=1e-2, precision="bf16")
        run = fit(network, data, data, training, 2, device)
        assert run.accuracy(data).min() > 0.9
        assert {tensor.dtype for tensor in run.weights.values()} == {torch.float32}
        np.testing.assert_allclose(run.accuracy(data), run.history["valid_accuracy"].max(1))


def test_augmentation_is_fresh_and_each_members_own(rng):
    data = toy(rng)
    training = TrainingSpec(epochs=2, batch_size=24, augment=("crop", "flip"))
    runs = [fit(factory, data, data, training, seeds, "cpu") for seeds in ([4, 9], [9])]
    torch.testing.assert_close(runs[0].weights["1.weight"][1], runs[1].weights["1.weight"][0])
    plain_run = fit(factory, data, data, TrainingSpec(epochs=2, batch_size=24), [9], "cpu")
    assert (plain_run.weights["1.weight"] - runs[1].weights["1.weight"]).abs().max() > 1e-4
    flat = SimpleNamespace(inputs=np.ones((4, 64)), labels=[0, 1, 0, 1])
    with pytest.raises(SSHMLError, match="needs images"):
        fit(factory, flat, flat, training)


class Counting(nn.Module):
    """Something that training changes outside of the state_dict, in three ways."""

    def __init__(self, how):
        super().__init__()
        self.layer, self.how, self.mean = nn.Linear(64, 2), how, torch.zeros(64)
        if how == "buffer":
            del self.mean
            self.register_buffer("mean", torch.zeros(64), persistent=False)

    def forward(self, x):
        x = x.flatten(1)
        if self.training:
            self.mean = 0.5 * self.mean.detach() + 0.5 * x.detach().mean(0) + 1
        return self.layer(x - self.mean)


@pytest.mark.parametrize("seeds", [1, 2])
@pytest.mark.parametrize("how", ["buffer", "attribute"])
def test_what_training_changes_outside_of_the_state_dict_is_refused(rng, how, seeds):
    with pytest.raises(SSHMLError, match="outside of its state_dict"):
        fit(lambda: Counting(how), toy(rng), toy(rng), TrainingSpec(epochs=2, batch_size=16), seeds, "cpu")


class InPlace(nn.Module):
    def __init__(self, dropout=0.0):
        super().__init__()
        self.layer, self.drop = nn.Linear(64, 2), nn.Dropout(dropout)

    def forward(self, x):
        x -= 1
        return self.layer(self.drop(x.flatten(1)))


@pytest.mark.parametrize("seeds", [1, 2])
@pytest.mark.parametrize("network", [InPlace, lambda: nn.Sequential(nn.ReLU(inplace=True), *KINDS["dropout"]())])
def test_networks_that_change_their_inputs_change_no_data(rng, network, seeds):
    data = toy(rng)
    data.inputs = data.inputs.astype(np.float32)
    before = data.inputs.copy()
    run = fit(network, data, data, TrainingSpec(epochs=3), seeds, "cpu")
    np.testing.assert_allclose(run.accuracy(data), run.history["valid_accuracy"].max(1))
    np.testing.assert_array_equal(data.inputs, before)


def test_networks_that_share_a_backbone_get_one_each(rng):
    data, back = toy(rng), nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.Dropout(0.1))
    before = back[1].weight.detach().clone()

    def shared_back():
        return nn.Sequential(back, nn.Linear(8, 2))

    together, alone = (fit(shared_back, data, data, TrainingSpec(epochs=2), seeds, "cpu") for seeds in ([1, 2], [2]))
    torch.testing.assert_close(together.weights["0.1.weight"][1], alone.weights["0.1.weight"][0])
    assert torch.equal(back[1].weight, before)
    np.testing.assert_allclose(together.accuracy(data), together.history["valid_accuracy"].max(1))
    one, other = together.models()
    assert not torch.equal(one[0][1].weight, other[0][1].weight)


def test_start_networks_must_be_of_one_kind(rng):
    nets = [
        nn.Sequential(nn.Flatten(), nn.Linear(64, 8), act(), nn.Linear(8, 2)) for act in (nn.ReLU, nn.Tanh, nn.ReLU)
    ]
    with pytest.raises(SSHMLError, match="outside of its state_dict"):
        fit(nets, toy(rng), toy(rng), TrainingSpec(epochs=1), 3, "cpu")
    for wrong in (nets[0], None, 3):
        with pytest.raises(SSHMLError, match=r"for the factory|do not match"):
            fit(wrong, toy(rng), toy(rng), seeds=1)


class Strided(nn.Module):
    """A weight that is neither dense in memory nor a transpose."""

    def __init__(self):
        super().__init__()
        self.weight, self.head = nn.Parameter(0.1 * torch.randn(8, 128)[:, ::2]), nn.Linear(8, 2)
        self.drop = nn.Dropout(0.0)

    def forward(self, x):
        return self.head(self.drop(torch.tanh(x.flatten(1) @ self.weight.mT)))


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_weights_that_are_spread_in_memory_are_trained_right(rng, optimizer):
    data, training = toy(rng), TrainingSpec(epochs=2, batch_size=16, learning_rate=1e-2, optimizer=optimizer)
    run = fit(Strided, data, data, training, [3], "cpu")
    with Chance(3):
        model = Strided()
    make = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[optimizer](model.parameters(), lr=1e-2)

    def update(model, x, y, epoch, number):
        make.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        make.step()

    states = twin(model, data, training, 3, update)
    torch.testing.assert_close(run.weights["weight"][0], states[run.epoch[0] - 1]["weight"], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["noise of numpy", "chance of python", "noise", "batch norm"])
def test_the_global_states_of_everybody_are_left_alone(rng, name):
    data = toy(rng)
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    run = fit(KINDS[name], data, data, TrainingSpec(epochs=1), 3, "cpu")
    run.accuracy(data)
    assert torch.equal(torch.get_rng_state(), before[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    assert random.getstate() == before[2]


def test_noise_that_begins_later_is_noticed(rng, caplog):
    class Later(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.calls = nn.Linear(64, 2), 0

        def forward(self, x):
            self.calls += self.training
            noise = np.random.standard_normal() if self.training and self.calls > 5 else 0.0  # noqa: NPY002
            return self.layer(x.flatten(1)) * (1 + noise)

    data = toy(rng)
    runs = [fit(Later, data, data, TrainingSpec(epochs=2, batch_size=8), seeds, "cpu") for seeds in ([1, 2], [2])]
    assert "starting again one by one" in caplog.text
    torch.testing.assert_close(runs[0].weights["layer.weight"][1], runs[1].weights["layer.weight"][0])


def test_networks_without_numbers_are_no_result(rng):
    data = toy(rng)
    training = TrainingSpec(epochs=1, batch_size=64, learning_rate=1e30, optimizer="sgd")
    with pytest.raises(SSHMLError, match="validation loss is not finite"):
        fit(factory, data, data, training, 2, "cpu")
    run = fit(factory, data, data, TrainingSpec(epochs=1), 1, "cpu")
    run.weights["1.weight"][0, 0, 0] = float("nan")
    with pytest.raises(SSHMLError, match="NaN or infinite"):
        run.predict(data)
    with pytest.raises(SSHMLError, match="do not take inputs of shape"):
        fit(factory, data, data, TrainingSpec(epochs=1), 1, "cpu").accuracy(
            SimpleNamespace(inputs=np.ones((3, 5)), labels=[0] * 3)
        )


def test_numbers_put_in_the_place_of_weights_are_trained_on(rng):
    """A callback that replaces `data` instead of writing into it."""
    data = toy(rng)

    def halve(change):
        def on_step(step, model):
            for parameter in model.parameters():
                change(parameter)

        return fit(factory, data, data, TrainingSpec(epochs=2, batch_size=16), 2, "cpu", on_step=on_step)

    def replace(parameter):
        parameter.data = 0.9 * parameter.data

    runs = [halve(replace), halve(lambda parameter: parameter.data.mul_(0.9))]
    np.testing.assert_allclose(runs[0].history["train_loss"], runs[1].history["train_loss"], rtol=1e-5)
    torch.testing.assert_close(runs[0].weights["1.weight"], runs[1].weights["1.weight"])


def test_options_without_effect_and_odd_inputs_are_refused(rng):
    data = toy(rng)
    with pytest.raises(SSHMLError, match="label_smoothing is of the cross-entropy"):
        fit(factory, data, data, TrainingSpec(label_smoothing=0.1), 1, loss=lambda x, y, z: y[..., 0])
    with pytest.raises(SSHMLError, match="no view 'abs'"):
        fit(factory, data, data, TrainingSpec(view="abs"), 1)
    for inputs, words in ((data.inputs + 1j, "real numbers"), (np.ma.masked_less(data.inputs, 0), "masked array")):
        with pytest.raises(SSHMLError, match=words):
            fit(factory, SimpleNamespace(inputs=inputs, labels=data.labels), data, seeds=1)
    with pytest.raises(SSHMLError, match="is empty"):
        fit(factory, SimpleNamespace(inputs=np.ones((0, 8, 8)), labels=np.ones(0, int)), data, seeds=1)


class OwnTensor(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(64, 2))
        self.register_buffer("scale", torch.ones(3))


def test_a_sequential_with_tensors_of_its_own(rng):
    run = fit(OwnTensor, toy(rng), toy(rng), TrainingSpec(epochs=1), 2, "cpu")
    assert set(run.weights) == {"1.weight", "1.bias", "scale"}
