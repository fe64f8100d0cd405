import functools
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from sshml.classifier import MLP, TrainingSpec, fit
from sshml.compression import LowRank, LowRankLinear, n_bytes, truncated_svd
from sshml.errors import SSHMLError


def network():
    torch.manual_seed(0)
    return MLP((40, 30, 20, 5))


def nearest(weight, rank):
    left, right = truncated_svd(weight.detach(), rank)
    return left @ right


def data(samples=96, shape=(5, 8)):
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(samples) % 5
    inputs = 0.3 * torch.randn(samples, *shape, generator=generator)
    inputs.flatten(1)[torch.arange(samples), labels] += 1
    return SimpleNamespace(inputs=inputs.numpy(), labels=labels.numpy())


def train(model, project=None, steps=30, optimizer=None):
    x, y = torch.from_numpy(data().inputs), torch.from_numpy(data().labels)
    optimizer = optimizer or torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
        if project is not None:
            project.step()
    return model


@pytest.mark.parametrize("method", ["svd", "randomized", "subspace"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_first_projection_is_the_nearest_matrix(method, dtype):
    model = network().to(dtype)
    expected = {name: nearest(p, 4) for name, p in model.named_parameters() if p.ndim == 2}
    LowRank(model, rank=4, every=1, method=method, power=8, oversampling=20).step()
    tolerance = 1e-5 if dtype == torch.float32 else 1e-9
    for name, parameter in model.named_parameters():
        if parameter.ndim == 2:
            torch.testing.assert_close(parameter.detach(), expected[name], rtol=1e-3, atol=tolerance * 10)
            assert torch.linalg.matrix_rank(parameter.double(), rtol=1e-5) == 4


@pytest.mark.parametrize("method", ["svd", "randomized", "subspace"])
def test_training_stays_at_low_rank_and_near_the_exact_projection(method):
    model, exact = network(), network()
    train(model, LowRank(model, rank=3, every=1, method=method, power=3))
    train(exact, LowRank(exact, rank=3, every=1))
    for (name, mine), theirs in zip(model.named_parameters(), exact.parameters(), strict=True):
        if mine.ndim == 2:
            assert torch.linalg.matrix_rank(mine.double(), rtol=1e-4) == 3, name
        torch.testing.assert_close(mine, theirs, rtol=0.05, atol=0.02)


def test_a_subspace_step_is_nearly_the_nearest_matrix():
    """After every step of training its error is at most a hundredth above that of the SVD."""
    model, errors = network(), []
    project = LowRank(model, rank=3, every=1, method="subspace")
    inner, step = project.project, {}

    def watched():
        step["before"] = {n: p.detach().clone() for n, p in model.named_parameters() if p.ndim == 2}
        inner()
        for name, before in step["before"].items():
            error = (before - model.get_parameter(name).detach()).norm()
            errors.append(float(error / max((before - nearest(before, 3)).norm(), 1e-6)))

    project.project = watched
    train(model, project, 40)
    assert np.mean(errors) < 1.01
    assert np.max(errors) < 1.1


@pytest.mark.parametrize("rows", [30, 100])
def test_small_and_large_matrices_are_iterated_alike(rows):
    """The compiled step of small matrices is the power iteration of the others."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(120, rows))
    project = LowRank(model, rank=4, every=1, method="subspace")
    project.step()
    kept = project.state_dict()["bases"]["0"]
    with torch.no_grad():
        model[0].weight.add_(0.01 * torch.randn(rows, 120))
    before = model[0].weight.detach().clone()
    project.step()
    q = torch.linalg.qr(before @ kept.mT)[0]
    torch.testing.assert_close(model[0].weight.detach(), q @ (q.mT @ before), rtol=1e-3, atol=1e-5)


def test_it_is_time_every_so_many_steps_or_every_epoch():
    for every, batches in ((3, None), ("epoch", 3)):
        model = network()
        project, ranks = LowRank(model, rank=2, every=every, steps_per_epoch=batches), []
        for _ in range(7):
            with torch.no_grad():
                model[1].weight.add_(torch.randn(30, 40))
            project.step()
            ranks.append(int(torch.linalg.matrix_rank(model[1].weight.double(), rtol=1e-5)))
        assert [rank == 2 for rank in ranks] == [False, False, True, False, False, True, False]
    with pytest.raises(SSHMLError, match="steps_per_epoch"):
        LowRank(network(), rank=2).step()


def test_layers_by_name_and_number_the_rest_dense():
    model = network()
    project = LowRank(model, rank={"1": 2, 1: 3}, every=1)
    before = model[5].weight.detach().clone()
    project.step()
    assert project.ranks == {"1": [2], "3": [3]}
    assert torch.equal(model[5].weight, before)
    assert LowRank(network(), rank=5, every=1).ranks == {"1": [5], "3": [5]}  # the head has rank 5 anyway


def test_a_tolerance_takes_the_least_ranks_and_logs_them():
    for method in ("svd", "randomized"):
        model = network()
        before = {name: p.detach().clone() for name, p in model.named_parameters() if p.ndim == 2}
        project = LowRank(model, tolerance=0.5, every=1, method=method, power=4)
        project.step()
        for name, weight in before.items():
            s = torch.linalg.svdvals(weight)
            (rank,) = project.ranks[name.removesuffix(".weight")]
            tails = [float(s[k:].norm() / s.norm()) for k in range(len(s))]
            least = next(k for k, tail in enumerate(tails) if tail <= 0.5)
            assert least <= rank <= least + (method == "randomized")
        assert project.log == [{"step": 1, "ranks": project.ranks}]
        train(model, project, 30)
        assert project.log[-1]["ranks"] == project.ranks
    with pytest.raises(SSHMLError, match="needs all singular values"):
        LowRank(network(), tolerance=0.1, method="subspace")


def test_convolutions_are_matrices_of_output_channels():
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(8 * 9, 4))
    expected = nearest(model[0].weight.flatten(1), 2).view(8, 3, 3, 3)
    for layout in (torch.contiguous_format, torch.channels_last):
        again = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(8 * 9, 4))
        again.load_state_dict(model.state_dict())
        again[0].to(memory_format=layout)
        LowRank(again, rank=2, every=1).step()
        torch.testing.assert_close(again[0].weight.detach(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["sgd", "adam"])
def test_what_happens_to_the_moments(kind):
    def prepared(moments):
        model = network()
        make = {"sgd": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9), "adam": lambda p: torch.optim.Adam(p, 1e-2)}
        optimizer = make[kind](model.parameters())
        train(model, None, 3, optimizer)
        project = LowRank(model, rank=3, every=1, moments=moments, optimizer=optimizer)
        state = optimizer.state[model[1].weight]
        moment = state["momentum_buffer" if kind == "sgd" else "exp_avg"]
        before = moment.clone()
        project.step()
        return model[1].weight.detach(), before, moment

    weight, before, after = prepared("keep")
    assert torch.equal(before, after)
    weight, before, after = prepared("reset")
    assert after.abs().max() == 0 < before.abs().max()
    if kind == "adam":  # where nothing has a gradient, Adam would divide by nothing
        with pytest.raises(SSHMLError, match="momentum of SGD"):
            prepared("project")
        return
    weight, before, after = prepared("project")
    u, _, vh = torch.linalg.svd(weight)
    outside = u[:, 3:] @ (u[:, 3:].mT @ before @ vh[3:].mT) @ vh[3:]  # what would leave the matrices of rank 3
    torch.testing.assert_close(after, before - outside, rtol=1e-3, atol=1e-6)
    with pytest.raises(SSHMLError, match="needs optimizer"):
        LowRank(network(), rank=3, every=1, moments="reset")


def test_factors_are_stored_at_the_end():
    model = network()
    project = LowRank(model, rank={0: 4, 1: 4}, every=1)
    train(model, project)
    small = project.factorize()
    x = torch.rand(7, 5, 8)
    torch.testing.assert_close(small(x), model(x), rtol=1e-4, atol=1e-5)
    assert [type(layer) for layer in small if not isinstance(layer, (nn.Flatten, nn.ReLU))] == [
        LowRankLinear,
        LowRankLinear,
        nn.Linear,
    ]
    assert n_bytes(small) < n_bytes(model)
    assert type(LowRank(network(), rank=25).factorize()[1]) is nn.Linear  # rank 25 of 30 x 40 would be larger


def test_a_projection_goes_on_from_its_state():
    model, other = network(), network()
    one = LowRank(model, rank=3, every=2, method="subspace")
    train(model, one, 5)
    two = LowRank(other, rank=3, every=2, method="subspace")
    other.load_state_dict(model.state_dict())
    two.load_state_dict(one.state_dict())
    train(model, one, 4)
    train(other, two, 4)
    for mine, theirs in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs)


KINDS = {
    "plain": lambda: MLP((40, 30, 20, 5)),
    "vmap": lambda: nn.Sequential(nn.Flatten(), nn.Linear(40, 30), nn.LayerNorm(30), nn.Linear(30, 5)),
    "dropout": lambda: nn.Sequential(nn.Flatten(), nn.Linear(40, 30), nn.Dropout(0.1), nn.Linear(30, 5)),
}


@pytest.mark.parametrize("every", [1, "epoch"])
@pytest.mark.parametrize("method", ["svd", "subspace"])
@pytest.mark.parametrize("kind", KINDS)
def test_ensembles_are_projected_member_by_member(kind, method, every, device):
    split = data()
    training = TrainingSpec(epochs=3, batch_size=32, optimizer="sgd", learning_rate=0.1, momentum=0.9)
    project = functools.partial(LowRank, rank=3, every=every, method=method, moments="project")
    runs = [fit(KINDS[kind], split, split, training, s, device, project=project) for s in ([4, 9], [9])]
    for name, tensor in runs[0].weights.items():
        torch.testing.assert_close(tensor[1], runs[1].weights[name][0], rtol=2e-3, atol=1e-4)
        if tensor.ndim == 3 and min(tensor.shape[1:]) > 3:
            assert torch.linalg.matrix_rank(tensor.double(), rtol=1e-4).tolist() == [3, 3]
    small = runs[0].with_models([LowRank(m, rank=3).factorize() for m in runs[0].models()])
    np.testing.assert_allclose(small.accuracy(split), runs[0].accuracy(split), atol=0.02)


def test_an_ensemble_has_ranks_of_its_own_under_a_tolerance():
    made = []

    def project(model, **given):
        made.append(LowRank(model, tolerance=0.3, every="epoch", **given))
        return made[0]

    split = data()
    run = fit(lambda: MLP((40, 30, 20, 5)), split, split, TrainingSpec(epochs=2), 3, "cpu", project=project)
    for name, ranks in made[0].ranks.items():
        weights = run.weights[f"{name}.weight"].double()
        found = [int(torch.linalg.matrix_rank(weight, rtol=1e-4)) for weight in weights]
        assert found == ranks or (run.epoch < 2).any()
    with pytest.raises(SSHMLError, match="those of fit"):
        made[0].factorize()


def test_what_does_not_go_together_is_refused(tmp_path):
    split, project = data(), functools.partial(LowRank, rank=3)
    with pytest.raises(SSHMLError, match="not projected"):
        fit(network, split, split, TrainingSpec(average=0.9), 1, project=project)
    with pytest.raises(SSHMLError, match="one project from another"):
        fit(network, split, split, seeds=1, project=project, checkpoint=tmp_path / "c.h5")


class Doubled(nn.Linear):
    def forward(self, x):
        return 2 * super().forward(x)


@pytest.mark.parametrize(
    ("make", "arguments", "words"),
    [
        (network, {}, "either rank or tolerance"),
        (network, {"rank": 2, "tolerance": 0.1}, "either rank or tolerance"),
        (network, {"rank": 0}, "rank is 0"),
        (network, {"rank": 2.5}, "rank is 2.5"),
        (network, {"rank": True}, "rank is True"),
        (network, {"rank": {"7": 2}}, "layer '7' cannot be projected"),
        (network, {"rank": 2, "method": "qr"}, "choose one of svd"),
        (network, {"rank": 2, "moments": "forget"}, "choose one of keep"),
        (network, {"rank": 2, "every": 0}, "every is 0"),
        (network, {"tolerance": 1.5}, "tolerance is 1.5"),
        (network, {"tolerance": 1e-6, "method": "randomized"}, "at least 1e-05"),
        (lambda: nn.Sequential(Doubled(4, 4)), {"rank": 2}, "forward pass of its own"),
        (lambda: nn.Sequential(nn.ReLU()), {"rank": 2}, "no matrices"),
        (lambda: nn.MultiheadAttention(8, 2), {"rank": {"q": 2}}, "one tensor"),
        (lambda: "network", {"rank": 2}, "expected a torch"),
    ],
)
def test_bad_calls(make, arguments, words):
    with pytest.raises(SSHMLError, match=words):
        LowRank(make(), **({"every": 1} | arguments))


def test_weights_that_are_no_numbers_are_named():
    model = network()
    with torch.no_grad():
        project = LowRank(model, rank=2, every=1)
        model[3].weight[0, 0] = float("nan")
    with pytest.raises(SSHMLError, match="'3' holds NaN"):
        project.step()
    with pytest.raises(SSHMLError, match="'3' cannot be projected: its weight holds NaN"):
        LowRank(model, rank=2, every=1)


def test_the_end_of_an_epoch_is_projected_in_fit():
    split, training = data(), TrainingSpec(epochs=2, batch_size=20)
    run = fit(network, split, split, training, 2, "cpu", project=functools.partial(LowRank, rank=2, every=7))
    assert torch.linalg.matrix_rank(run.weights["1.weight"].double(), rtol=1e-4).tolist() == [2, 2]


@pytest.mark.parametrize("how", [{"rank": 3}, {"tolerance": 0.5}])
def test_members_draw_alike_alone_and_in_company(how):
    split, training = data(), TrainingSpec(epochs=2, batch_size=32, optimizer="sgd", learning_rate=0.1)
    project = functools.partial(LowRank, every=1, method="randomized", oversampling=1, power=0, **how)
    runs = [fit(network, split, split, training, s, "cpu", project=project) for s in ([4, 9], [9])]
    torch.testing.assert_close(runs[0].weights["1.weight"][1], runs[1].weights["1.weight"][0], rtol=1e-3, atol=1e-5)


def test_factorising_changes_nothing():
    for how, steps in (({"tolerance": 0.4}, 0), ({"tolerance": 0.4}, 3), ({"rank": 4}, 0), ({"rank": 4}, 3)):
        model = network()
        project = LowRank(model, every=1, **how)
        train(model, project, steps)
        before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        small = [project.factorize() for _ in range(2)]
        assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
        x = torch.rand(7, 5, 8)
        assert torch.equal(small[0](x), small[1](x))
        if steps:
            torch.testing.assert_close(small[0](x), model(x), rtol=1e-3, atol=1e-4)


def test_a_randomised_projection_goes_on_with_its_draws():
    one, other = network(), network()
    first = LowRank(one, rank=3, every=1, method="randomized", power=0, oversampling=1)
    train(one, first, 4)
    other.load_state_dict(one.state_dict())
    second = LowRank(other, rank=3, every=1, method="randomized", power=0, oversampling=1)
    second.load_state_dict(first.state_dict())
    train(one, first, 2)
    train(other, second, 2)
    assert torch.equal(one[1].weight, other[1].weight)


def test_parameters_may_be_put_in_the_place_of_others():
    for change in (lambda m: m.load_state_dict(network().state_dict(), assign=True), lambda m: m.double()):
        model = network()
        project = LowRank(model, rank=3, every=1, method="subspace")
        project.step()
        change(model)
        with torch.no_grad():
            model[1].weight.add_(0.01 * torch.randn(model[1].weight.shape))
        project.step()
        assert torch.linalg.matrix_rank(model[1].weight.double(), rtol=1e-4) == 3


def test_moments_of_what_is_not_trained_here_are_refused():
    model = network()
    optimizer = torch.optim.LBFGS(model.parameters())
    with pytest.raises(SSHMLError, match="LBFGS keeps"):
        LowRank(model, rank=3, every=1, moments="reset", optimizer=optimizer).step()
    with pytest.raises(SSHMLError, match="none of the optimizer's parameters"):
        LowRank(model, rank=3, every=1, moments="reset", optimizer=torch.optim.SGD(network().parameters(), 0.1)).step()


def test_a_zero_matrix_has_rank_one_and_float64_is_exact():
    model = nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 5)).double()
    with torch.no_grad():
        model[0].weight.zero_()
        model[1].weight.copy_(torch.diag(10.0 ** (-3 * torch.arange(5.0, dtype=torch.float64))))
    project = LowRank(model, tolerance=1e-5, every=1)
    project.step()
    assert project.ranks == {"0": [1], "1": [2]}
    model[1].weight.data.copy_(torch.diag(10.0 ** (-3 * torch.arange(5.0, dtype=torch.float64))))
    expected = nearest(model[1].weight, 3)
    LowRank(model, rank={"1": 3}, every=1).step()
    torch.testing.assert_close(model[1].weight.detach(), expected, rtol=0, atol=1e-15)
