import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from sshml.analysis import Sweep, bond_sweep, compress_run, prune_sweep, rank_sweep
from sshml.analysis.sweep import smallest_size
from sshml.classifier import MLP, resident
from sshml.compression import MaskedLinear, MPOShape, compress, linear_layers, plan, truncated_svd
from sshml.errors import SSHMLError


def accuracy(model, split):
    inputs, labels = resident(split)
    with torch.no_grad():
        return (model(inputs).argmax(-1) == labels).double().mean().item()


def naive_ranks(model, split, name, ranks):
    found = []
    for rank in ranks:
        twin = copy.deepcopy(model)
        left, right = truncated_svd(model.get_submodule(name), rank)
        twin.get_submodule(name).weight.data = left @ right
        found.append(accuracy(twin, split))
    return found


def naive_keeps(model, split, name, keeps):
    found = []
    for keep in keeps:
        twin = copy.deepcopy(model)
        layer = twin.get_submodule(name)
        layer.weight.data = MaskedLinear.from_dense(layer, keep, allow_growth=True).to_weight().detach()
        found.append(accuracy(twin, split))
    return found


@pytest.mark.parametrize(("layer", "name", "full"), [(0, "1", 12), (1, "3", 6), ("5", "5", 2)])
def test_all_ranks_as_the_naive_loop(run, dataset, layer, name, full, device):
    found = rank_sweep(run, dataset.test, layer, device=device)
    assert found.sizes.tolist() == list(range(1, full + 1))
    for member, model in enumerate(run.models()):
        expected = naive_ranks(model, dataset.test, name, found.sizes.tolist())
        np.testing.assert_allclose(found.accuracy[member], expected, atol=1.5 / 300)  # one tie may fall either way
    np.testing.assert_allclose(found.accuracy[:, -1], run.accuracy(dataset.test), atol=1.5 / 300)


@pytest.mark.parametrize(("layer", "name"), [(0, "1"), (2, "5")])
def test_all_keeps_as_the_naive_loop(run, dataset, layer, name, device):
    found = prune_sweep(run, dataset.test, layer, keeps=[1, 5, 12], device=device)
    for member, model in enumerate(run.models()):
        expected = naive_keeps(model, dataset.test, name, [1, 5, 12])
        np.testing.assert_allclose(found.accuracy[member], expected, atol=1.5 / 300)


def test_default_keeps_end_at_the_dense_layer(run, dataset):
    found = prune_sweep(run, dataset.test)
    assert found.sizes[-1] == 64 * 12
    np.testing.assert_allclose(found.accuracy[:, -1], run.accuracy(dataset.test), atol=1.5 / 300)


def test_some_ranks_are_those_of_all(run, dataset):
    everything, some = rank_sweep(run, dataset.test), rank_sweep(run, dataset.test, ranks=[2, 7])
    np.testing.assert_array_equal(some.accuracy, everything.accuracy[:, [1, 6]])


class InPlace(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(64, 9), nn.Linear(9, 2)

    def forward(self, x):
        return self.second(torch.relu_(self.first(x.flatten(1))))


@pytest.mark.parametrize(
    "model", [InPlace(), nn.Sequential(nn.Flatten(), nn.Linear(64, 9), nn.ReLU(inplace=True), nn.Linear(9, 2))]
)
def test_activations_in_place(dataset, model):
    name = "first" if isinstance(model, InPlace) else "1"
    found = rank_sweep(model, dataset.test, 0)
    np.testing.assert_allclose(
        found.accuracy[0], naive_ranks(model, dataset.test, name, found.sizes.tolist()), atol=1.5 / 300
    )


class Residual(nn.Module):
    """A network that is no Sequential, with a layer that sees a sequence."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(8, 5)
        self.norm = nn.BatchNorm1d(8)
        self.mix = nn.Linear(5, 5, bias=False)
        self.head = nn.Linear(5, 2)

    def forward(self, x):
        h = self.embed(self.norm(x)).relu()
        return self.head((h + self.mix(h).tanh()).mean(1))


@pytest.mark.parametrize("layer", ["embed", "mix", "head"])
def test_any_module(dataset, layer):
    torch.manual_seed(3)
    model = Residual().eval()
    before = copy.deepcopy(model.state_dict())
    found = rank_sweep(model, dataset.test, layer)
    np.testing.assert_allclose(
        found.accuracy[0], naive_ranks(model, dataset.test, layer, found.sizes.tolist()), atol=1.5 / 300
    )
    kept = prune_sweep([model, model], dataset.test, layer, keeps=[3, 10])
    np.testing.assert_allclose(kept.accuracy[1], naive_keeps(model, dataset.test, layer, [3, 10]), atol=1.5 / 300)
    assert all(torch.equal(model.state_dict()[name], before[name]) for name in before)
    assert torch.equal(model(torch.ones(1, 8, 8)), model(torch.ones(1, 8, 8)))


def test_double_precision(dataset):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 5), nn.ReLU(), nn.Linear(5, 2)).double()
    single = copy.deepcopy(model).float()
    np.testing.assert_allclose(
        rank_sweep(model, dataset.test).accuracy, rank_sweep(single, dataset.test).accuracy, atol=1.5 / 300
    )


def test_what_a_size_stores(run, dataset):
    ranks, keeps = rank_sweep(run, dataset.test), prune_sweep(run, dataset.test, keeps=[10])
    assert ranks.numbers[2] == 3 * (64 + 12)
    assert ranks.stored[2] == 4 * 3 * (64 + 12)
    assert keeps.numbers[0] == 20
    assert keeps.stored[0] == 10 * (4 + 2)
    small = compress(run.model(), 0, "prune", keep=10)
    assert keeps.stored[0] == small[1].n_bytes - 12 * 4
    assert ranks.removed[0] == 1 - 1 / 12


def test_smallest_size_that_keeps_a_threshold_and_stays_there():
    accuracy = np.array([
        [0.5, 0.96, 0.9, 0.97, 0.98],
        [0.96, 0.96, 0.97, 0.97, 0.98],
        [0.5, 0.5, 0.5, 0.5, 0.5],
        [0.5, 0.5, 0.5, 0.5, 0.95],
    ])  # fmt: skip
    sizes = np.array([1, 2, 4, 8, 16])
    found = Sweep("svd", "1", sizes, accuracy, sizes, sizes, sizes)
    np.testing.assert_array_equal(found.smallest(0.95), [8, 1, np.nan, 16])
    np.testing.assert_array_equal(found.smallest([0.99, 0.97, 0.4, 0.4]), [np.nan, 4, 1, 1])


@pytest.mark.parametrize("ranks", [[], [0, 1], [2, 1], [1, 1], [13]])
def test_bad_ranks(run, dataset, ranks):
    with pytest.raises(SSHMLError, match="within 1 to 12"):
        rank_sweep(run, dataset.test, ranks=ranks)


def test_bad_input(run, dataset):
    with pytest.raises(SSHMLError, match="not a linear layer"):
        rank_sweep(run, dataset.test, layer=9)
    with pytest.raises(SSHMLError, match="starts from a dense layer"):
        rank_sweep(compress(run.model(), 0, "svd", rank=2), dataset.test)
    layer = nn.Linear(64, 64)
    with pytest.raises(SSHMLError, match="runs 2 times"):
        rank_sweep(nn.Sequential(nn.Flatten(), layer, nn.ReLU(), layer), dataset.test)
    broken = run.model()
    broken[1].weight.data[0, 0] = torch.nan
    with pytest.raises(SSHMLError, match="NaN"):
        rank_sweep([run.model(), broken], dataset.test)
    with pytest.raises(SSHMLError, match="is empty"):
        rank_sweep(run, SimpleNamespace(inputs=np.ones((0, 8, 8)), labels=np.ones(0, int)))


def test_bonds_of_a_run(run, dataset):
    """Every bond is the accuracy of the compressed run; at full bonds it is that of the dense one."""
    shape = MPOShape((3, 4), (8, 8))
    found = bond_sweep(run, dataset.test, shape)
    assert found.sizes.tolist() == [1, 2, 4, 8, 16, 24]
    assert found.numbers.tolist() == [shape.n_parameters(bond) for bond in found.sizes]
    np.testing.assert_allclose(found.accuracy[:, -1], run.accuracy(dataset.test), atol=0.004)
    small = compress_run(run, 0, "mpo", max_bond=4, shape=shape)
    np.testing.assert_array_equal(found.accuracy[:, 2], small.accuracy(dataset.test))
    assert bond_sweep(run, dataset.test, bonds=[2], layer=1).sizes.tolist() == [2]
    with pytest.raises(SSHMLError, match="must ascend within 1 to 24"):
        bond_sweep(run, dataset.test, shape, bonds=[25])


@pytest.mark.parametrize("sweep", [rank_sweep, prune_sweep, bond_sweep])
def test_progress_and_names(run, dataset, sweep):
    calls = []
    found = sweep(run, dataset.test, layer=1, device="cpu", progress=lambda *call: calls.append(call))
    done, totals = zip(*calls, strict=True)
    assert list(done) == sorted(done)
    assert set(totals) == {done[-1]}
    assert (found.number, found.layer) == (1, "3")
    assert {(row["layer"], row["module"]) for row in found.rows()} == {(1, "3")}


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_in_the_metric_of_data_it_is_the_cut_of_compress(run, dataset, layer):
    ranks = [1, 2] if layer == 2 else [1, 2, 3, 5]
    found = rank_sweep(run, dataset.test, layer=layer, ranks=ranks, metric=dataset.valid)
    seen = resident(dataset.valid, run.training.view)
    for member, model in enumerate(run.models()):
        name = list(linear_layers(model))[layer]
        menu = plan(model, share=0.999, data=seen, methods="svd", layers=[name])
        for column, rank in enumerate(ranks):
            small = compress(model, menu.with_choice(name, "svd", rank=rank), allow_growth=True)
            accuracy = run[member].with_models([small]).accuracy(dataset.test)[0]
            assert found.accuracy[member, column] == pytest.approx(accuracy, abs=0.004)
    assert (
        rank_sweep(run, dataset.test, layer=layer, metric=dataset.valid).accuracy[:, -1] == run.accuracy(dataset.test)
    ).all()


class Tokens(nn.Module):
    """A layer that sees several rows of a sample, wider than what comes in."""

    def __init__(self, outputs=6):
        super().__init__()
        self.a, self.b = nn.Linear(6, outputs), nn.Linear(outputs, 2)

    def forward(self, x):
        return self.b(self.a(x).relu().mean(1))


@pytest.mark.parametrize("outputs", [4, 6, 9])
def test_the_metric_of_rows_and_of_inputs_that_never_were(outputs):
    """Also where a sample has several rows, and inputs of the test data were 0 in those of the metric."""
    torch.manual_seed(0)
    model, x = Tokens(outputs), torch.randn(300, 5, 6)
    labels = model(x).argmax(1)
    seen = x * torch.tensor([1.0, 1, 1, 1, 0, 1])
    test = SimpleNamespace(inputs=lambda view=None: x.numpy(), labels=labels.numpy())
    metric = SimpleNamespace(inputs=lambda view=None: seen.numpy(), labels=labels.numpy())
    found = rank_sweep(model, test, layer="a", metric=metric, device="cpu").accuracy[0]
    menu = plan(model, share=0.999, data=seen, methods="svd", layers=["a"])
    for rank in range(1, min(outputs, 6) + 1):
        small = compress(model, menu.with_choice("a", "svd", rank=rank), allow_growth=True)
        with torch.no_grad():
            assert found[rank - 1] == pytest.approx(float((small(x).argmax(1) == labels).float().mean()), abs=0.011)
    assert found[-1] == 1


def test_in_the_metric_of_data_members_do_not_change_each_other():
    """One member's dead neurons show fewer directions than another's; test data wake them."""
    torch.manual_seed(0)
    dead, alive = MLP((12, 10, 8, 3)), MLP((12, 10, 8, 3))
    dead[1].bias.data[:7] = -100
    rng = np.random.default_rng(0)
    seen, x = rng.normal(size=(200, 12)), 60 * rng.normal(size=(400, 12))
    metric, test = (
        SimpleNamespace(inputs=lambda view=None, x=x: x.astype(np.float32), labels=np.arange(len(x)) % 3)
        for x in (seen, x)
    )
    both = rank_sweep([dead, alive], test, layer=1, metric=metric, device="cpu").accuracy
    for together, model in zip(both, (dead, alive), strict=True):
        alone = rank_sweep(model, test, layer=1, metric=metric, device="cpu").accuracy[0]
        np.testing.assert_array_equal(together, alone)


def test_sizes_that_do_not_ascend_are_refused():
    with pytest.raises(SSHMLError, match="do not ascend"):
        smallest_size(np.array([4, 2, 1]), np.array([[0.9, 0.9, 0.9]]), 0.5)
