import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from sshml.analysis import (
    cut_entropies,
    effective_rank,
    entanglement,
    entanglement_entropy,
    entropy_recorder,
    ordering_entropies,
    schmidt_values,
    vector_entropies,
)
from sshml.classifier import TrainingSpec, fit
from sshml.compression import LowRankLinear, MPOLinear, MPOShape
from sshml.compression.orders import shuffled
from sshml.errors import SSHMLError

SHAPE = MPOShape((2, 3, 2), (4, 1, 3))


@pytest.fixture
def weight():
    torch.manual_seed(3)
    return torch.randn(12, 12, dtype=torch.float64)


def naive(weight, sites):
    """Schmidt values by explicit index bookkeeping: one matrix element at a time."""
    others = [k for k in range(3) if k not in sites]
    dims = SHAPE.site_dims
    matrix = np.zeros((math.prod(dims[k] for k in sites), math.prod(dims[k] for k in others)))
    for row in range(12):
        for column in range(12):
            o, i = np.unravel_index(row, SHAPE.out_dims), np.unravel_index(column, SHAPE.in_dims)
            legs = [o[k] * SHAPE.in_dims[k] + i[k] for k in range(3)]
            a = np.ravel_multi_index([legs[k] for k in sites], [dims[k] for k in sites])
            b = np.ravel_multi_index([legs[k] for k in others], [dims[k] for k in others])
            matrix[a, b] = weight[row, column]
    return np.linalg.svd(matrix, compute_uv=False)


@pytest.mark.parametrize(("cut", "sites"), [(1, [0]), (2, [0, 1]), ([1], [1]), ((0, 2), [0, 2]), ({2}, [2])])
def test_schmidt_values_of_any_cut(weight, cut, sites):
    np.testing.assert_allclose(schmidt_values(weight, SHAPE, cut), naive(weight, sites), atol=1e-12)
    np.testing.assert_allclose(schmidt_values(weight.numpy(), SHAPE, cut), naive(weight, sites), atol=1e-12)


def test_order_permutes_the_neurons_first(weight):
    order = (shuffled(12, 0), shuffled(12, 1))
    moved = weight[order[0]][:, order[1]]
    np.testing.assert_allclose(schmidt_values(weight, SHAPE, 1, order), schmidt_values(moved, SHAPE, 1))
    np.testing.assert_allclose(cut_entropies(weight, SHAPE, order), cut_entropies(moved, SHAPE))


def test_between_outputs_and_inputs_they_are_the_singular_values(weight):
    np.testing.assert_allclose(schmidt_values(weight), np.linalg.svd(weight, compute_uv=False))


def test_an_mpo_gives_the_values_of_its_dense_weight(weight):
    layer = nn.Linear(12, 12, dtype=torch.float64)
    layer.weight.data = weight
    for bond in (2, 5, None):
        mpo = MPOLinear.from_dense(layer, SHAPE, bond, order=(shuffled(12, 0), None), allow_growth=True)
        for cut in (1, 2):
            dense = schmidt_values(mpo.to_weight(), SHAPE, cut, mpo.order)
            found = schmidt_values(mpo, cut=cut)
            assert found.shape == (mpo.bonds[cut - 1],)
            np.testing.assert_allclose(found, dense[: len(found)], atol=1e-12)
        np.testing.assert_allclose(cut_entropies(mpo), cut_entropies(mpo.to_weight(), SHAPE, mpo.order), atol=1e-9)
    np.testing.assert_allclose(schmidt_values(mpo, cut=[1]), schmidt_values(weight, SHAPE, [1], mpo.order), atol=1e-9)


@given(st.integers(1, 40), st.floats(0, 4))
def test_equal_values_have_the_entropy_ln_d(count, alpha):
    values = np.full(count, 0.3)
    assert entanglement_entropy(values, alpha=alpha) == pytest.approx(math.log(count), abs=1e-9)
    assert effective_rank(values) == pytest.approx(count)


def test_entropy_in_bits_renyi_and_limits():
    values = np.sqrt([0.5, 0.25, 0.25])
    assert entanglement_entropy(values, base=2) == pytest.approx(1.5)
    assert entanglement_entropy(values, alpha=2) == pytest.approx(-math.log(0.375))
    assert entanglement_entropy(values, alpha=math.inf) == pytest.approx(math.log(2))
    assert entanglement_entropy(values, alpha=0) == pytest.approx(math.log(3))
    assert entanglement_entropy(values, alpha=1 + 1e-7) == pytest.approx(entanglement_entropy(values), abs=1e-6)
    assert entanglement_entropy(values * 1e-200) == pytest.approx(entanglement_entropy(values))
    assert entanglement_entropy([3.0, 0.0]) == 0
    assert entanglement_entropy([0.0, 0.0]) == 0
    np.testing.assert_allclose(entanglement_entropy(np.eye(3) + 0.0), np.zeros(3))
    for bad in ({"base": 1}, {"base": 0.5}, {"base": -2}, {"base": math.inf}, {"alpha": -1}):
        with pytest.raises(SSHMLError, match="expected a"):
            entanglement_entropy(values, **bad)
    with pytest.raises(SSHMLError, match="real numbers"):
        entanglement_entropy(values + 1j)


@pytest.mark.parametrize("alpha", [0, 0.5, 1 - 1e-12, 1, 1 + 1e-12, 2, 2000, math.inf])
def test_every_order_is_right_for_the_simplest_values(alpha):
    assert entanglement_entropy([1.0, 1.0], alpha=alpha) == pytest.approx(math.log(2), abs=1e-8)
    assert entanglement_entropy([0.0, 0.0], alpha=alpha) == 0
    assert entanglement_entropy([5.0], alpha=alpha) == 0
    assert np.isnan(entanglement_entropy([1.0, np.nan], alpha=alpha))
    assert entanglement_entropy(np.ones((2, 0)), alpha=alpha).tolist() == [0, 0]


def test_a_product_has_no_entropy_and_local_rotations_change_none(weight):
    parts = [torch.randn(o, i, dtype=torch.float64) for o, i in zip(SHAPE.out_dims, SHAPE.in_dims, strict=True)]
    product = torch.kron(torch.kron(parts[0], parts[1]), parts[2])
    np.testing.assert_allclose(cut_entropies(product, SHAPE), 0, atol=1e-10)
    rotation = torch.linalg.qr(torch.randn(2, 2, dtype=torch.float64)).Q.contiguous()
    turned = torch.kron(rotation, torch.eye(6, dtype=torch.float64)) @ weight
    np.testing.assert_allclose(cut_entropies(turned, SHAPE), cut_entropies(weight, SHAPE), atol=1e-10)


def test_padding_is_no_part_of_the_weight():
    """A padded MPO can hold anything beyond the layer; every way to ask gives the values of what the layer does."""
    torch.manual_seed(0)
    layer = MPOLinear(35, 23, MPOShape((2, 3, 4), (3, 4, 3), pad=True), max_bond=4).double()
    padded = torch.zeros(24, 36, dtype=torch.float64)
    padded[:23, :35] = layer.to_weight().detach()
    expected = schmidt_values(padded, MPOShape((2, 3, 4), (3, 4, 3)), 1)
    for cut in (1, [0], np.int64(1)):
        np.testing.assert_allclose(schmidt_values(layer, cut=cut), expected, atol=1e-12)
    assert cut_entropies(layer)[0] == pytest.approx(float(entanglement_entropy(expected)))
    with pytest.raises(SSHMLError, match="padded shape"):
        vector_entropies(layer, None)


def test_layers_and_arrays_of_any_kind(weight):
    layer = nn.Linear(12, 12, dtype=torch.float64)
    layer.weight.data = weight
    low = LowRankLinear.from_dense(layer, 12, allow_growth=True)
    expected = cut_entropies(weight, SHAPE)
    for same in (layer, low, weight.numpy()[::-1][::-1], weight.numpy().astype(">f8")):
        np.testing.assert_allclose(cut_entropies(same, SHAPE), expected, atol=1e-9)
    for bad in (np.ones((2, 2), complex), np.array([["a"]]), np.array([[None]])):
        with pytest.raises(SSHMLError, match="expected real numbers"):
            schmidt_values(bad)
    for measure in (cut_entropies, vector_entropies):
        with pytest.raises(SSHMLError, match="a shape is needed"):
            measure(weight, None)
    with pytest.raises(SSHMLError, match="expected a number above 1"):
        cut_entropies(weight, SHAPE, base=1)
    with pytest.raises(SSHMLError, match="at least 1"):
        entropy_recorder({"0": None}, every=0)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-6), (torch.float64, 1e-12)])
def test_the_fast_entropies_are_those_of_the_schmidt_values(weight, dtype, tolerance):
    expected = [entanglement_entropy(schmidt_values(weight, SHAPE, cut)) for cut in (1, 2)]
    np.testing.assert_allclose(cut_entropies(weight.to(dtype), SHAPE), expected, rtol=tolerance)
    np.testing.assert_allclose(
        cut_entropies(weight.to(dtype), SHAPE, base=2), np.array(expected) / math.log(2), rtol=tolerance
    )


def test_orderings_of_the_sites(weight, monkeypatch):
    calls, real = [], entanglement._matrix_entropy
    monkeypatch.setattr(entanglement, "_matrix_entropy", lambda matrix: calls.append(1) or real(matrix))
    orderings = [(0, 1, 2), (2, 1, 0), (1, 0, 2), (1, 2, 0)]
    found = ordering_entropies(weight, SHAPE, orderings)
    assert len(calls) == 3
    for row, ordering in zip(found, orderings, strict=True):
        for cut in (1, 2):
            expected = entanglement_entropy(schmidt_values(weight, SHAPE, list(ordering[:cut])))
            assert row[cut - 1] == pytest.approx(expected, abs=1e-12)
    for same in ((o for o in orderings), np.array(orderings), torch.tensor(orderings)):
        np.testing.assert_array_equal(ordering_entropies(weight, SHAPE, same), found)
    assert ordering_entropies(weight, SHAPE, []).shape == (0, 2)
    with pytest.raises(SSHMLError, match="no ordering of the sites 0 to 2"):
        ordering_entropies(weight, SHAPE, [(0, 1, 1)])


def test_threads_change_nothing(monkeypatch):
    torch.manual_seed(0)
    shape = MPOShape((2, 2, 2, 2), (2, 2, 2, 2))  # its middle cut is computed first
    weight = torch.randn(16, 16, dtype=torch.float64) * torch.arange(1, 17)
    alone = cut_entropies(weight, shape)
    assert len(set(alone.round(6))) == 3
    before = torch.get_num_threads()
    monkeypatch.setattr(entanglement, "PARALLEL", 0)

    def seen_by_a_new_thread():
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(torch.get_num_threads).result()

    try:
        torch.set_num_threads(3)
        np.testing.assert_allclose(cut_entropies(weight, shape), alone, rtol=1e-12)
        assert torch.get_num_threads() == seen_by_a_new_thread() == 3
        monkeypatch.setattr(entanglement, "_matrix_entropy", lambda matrix: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            cut_entropies(weight, shape)
        assert torch.get_num_threads() == seen_by_a_new_thread() == 3
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_entropies_do_not_depend_on_the_scale(weight, scale):
    """The squares of these entries leave float32."""
    weight = weight.float()
    np.testing.assert_allclose(cut_entropies(weight * scale, SHAPE), cut_entropies(weight, SHAPE), rtol=1e-5)


def test_entropies_of_singular_vectors(weight):
    values, left, right = vector_entropies(weight, SHAPE, count=4)
    u, s, vh = np.linalg.svd(weight.numpy())
    np.testing.assert_allclose(values, s[:4])
    assert left.shape == right.shape == (4, 2)
    for k in range(4):
        expected = entanglement_entropy(np.linalg.svd(u[:, k].reshape(2, 6), compute_uv=False))
        assert left[k, 0] == pytest.approx(expected)
        expected = entanglement_entropy(np.linalg.svd(vh[k].reshape(4, 3), compute_uv=False))
        assert right[k, 1] == pytest.approx(expected)


def test_recording_through_training(dataset):
    record = entropy_recorder({"1": ((3, 4), (8, 8)), "3": None}, every=2)

    def factory():
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 12), nn.ReLU(), nn.Linear(12, 2))

    training = TrainingSpec(epochs=4, batch_size=64)
    for seeds in (2, 1):
        record = entropy_recorder({"1": ((3, 4), (8, 8)), "3": None}, every=2)
        fit(factory, dataset.train, dataset.valid, training, seeds, "cpu", on_epoch=record)
        assert record.epochs == [2, 4]
        assert [e.shape for e in record.entropies["1"]] == [(seeds, 1)] * 2
    record = entropy_recorder({"1": ((3, 4), (8, 8))})
    run = fit(factory, dataset.train, dataset.valid, training, 2, "cpu", on_epoch=record)
    for member, epoch in enumerate(run.epoch):  # the epoch whose weights are kept
        expected = cut_entropies(run.weights["1.weight"][member], ((3, 4), (8, 8)))
        np.testing.assert_allclose(record.entropies["1"][epoch - 1][member], expected, rtol=1e-5)
    with pytest.raises(SSHMLError, match="name a dense linear layer"):
        fit(factory, dataset.train, dataset.valid, training, 1, "cpu", on_epoch=entropy_recorder({"2": None}))


@pytest.mark.parametrize(
    ("shape", "cut", "words"),
    [
        (SHAPE, 0, "from 1 to 2"),
        (SHAPE, 3, "from 1 to 2"),
        (SHAPE, [], "no part of the sites"),
        (SHAPE, [0, 1, 2], "no part of the sites"),
        (SHAPE, [5], "no part of the sites"),
        (SHAPE, ["a", 1], "no part of the sites"),
        (SHAPE, True, "no part of the sites"),
        (None, 1, "needs a shape"),
        (((2, 2), (6, 2)), 1, "multiply to 4 but the layer has 12 outputs"),
    ],
)
def test_bad_cuts(weight, shape, cut, words):
    with pytest.raises(SSHMLError, match=words):
        schmidt_values(weight, shape, cut)


@pytest.mark.parametrize(
    ("bad", "words"),
    [(np.full((12, 12), np.nan), "NaN"), (np.ones(12), "expected"), (np.ones((2, 3, 4)), "one matrix")],
)
def test_bad_weights(bad, words):
    with pytest.raises(SSHMLError, match=words):
        schmidt_values(bad)
    with pytest.raises(SSHMLError, match="convert it"):
        schmidt_values(torch.ones(4, 4, dtype=torch.float16))


@pytest.mark.parametrize("alpha", [0.5, 1, 2, 3, np.inf])
def test_values_that_are_zero_add_nothing(alpha):
    for values, expected in (([1.0, 0.0], 0.0), ([1.0, 1.0, 0.0], np.log(2)), ([0.0, 0.0], 0.0)):
        assert entanglement_entropy(values, alpha=alpha) == pytest.approx(expected, abs=1e-12)


def test_singular_vectors_are_seen_in_the_order_of_an_mpo(rng):
    shape, order = MPOShape((2, 3), (3, 2)), (shuffled(6, 1), shuffled(6, 2))
    weight = torch.from_numpy(rng.normal(size=(6, 6)))
    layer = nn.Linear(6, 6, dtype=torch.float64)
    layer.weight.data = weight
    mpo = MPOLinear.from_dense(layer, shape, order=order, allow_growth=True)
    rows, columns = order
    for found, expected in zip(
        vector_entropies(mpo, shape), vector_entropies(weight[rows][:, columns], shape), strict=True
    ):
        np.testing.assert_allclose(found, expected, atol=1e-9)
    assert not np.allclose(vector_entropies(mpo, None)[1], vector_entropies(weight, shape)[1])
