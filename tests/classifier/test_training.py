import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from sshml.classifier import MLP, Stream, TrainingSpec, fit, resident
from sshml.errors import SSHMLError


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
    with pytest.raises(SSHMLError, match="seeds is empty"):
        fit(factory, data, data, seeds=0)
    for seeds in (2.5, [-1], ["a"]):
        with pytest.raises(SSHMLError, match="integers of at least 0"):
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
