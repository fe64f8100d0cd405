import numpy as np
import pytest

from sshml.analysis import entanglement_entropy, schmidt_values
from sshml.classifier import load_run
from sshml.dataset import open_dataset
from sshml.experiments.poster.claims import gaussian
from sshml.experiments.poster.measurements import BONDS, RATIO_EDGES, cuts_of, shape_of

SHAPE = shape_of(128, 256)


def test_every_table_is_there(small_poster):
    written = {path.stem for path in small_poster.folder.glob("*.csv")}
    figures = "fig1 fig2 fig3_vectors fig3_shares fig3_summary fig3_scores fig4_ratio fig4_signs fig5_accuracy"
    more = "fig5_entropies fig5_training fig5_vectors fig5_disorder splits accuracy baselines outliers jobs claims"
    assert written == {*figures.split(), *more.split()}


def test_the_transition_is_an_edge():
    assert np.isclose(RATIO_EDGES, 1).any()
    assert (np.diff(RATIO_EDGES) > 0).all()


def test_accuracy_by_ratio_follows_from_the_run(small_poster):
    run = load_run(small_poster.file('view "name":"density"', "run.h5"))
    test = open_dataset(small_poster.file('chains "gauge":"fixed"', "chains.h5")).test
    ratio, correct = test.read("w")[:, 0] / test.read("v")[:, 0], run.correct(test)
    found = small_poster.tables.columns("fig4_ratio", view="density")
    assert found["chains"][found["seed"] == 0].sum() == len(test)
    for low, high, seed, accuracy in zip(*(found[c] for c in ("low", "high", "seed", "accuracy")), strict=True):
        inside = (low <= ratio) & (ratio < high)
        assert accuracy == pytest.approx(correct[int(seed), inside].mean(), abs=0.03)  # an edge is rounded


def test_shares_sum_to_one(small_poster):
    for seed in range(3):
        total = small_poster.tables.columns("fig3_shares", view="abs", seed=seed)["share"].sum()
        assert total == pytest.approx(1, abs=0.01)


def test_entropies_follow_from_the_saved_runs(small_poster):
    run = load_run(small_poster.file('view "name":"density"', "run.h5"))
    for cut, name in ((1, "1"), (2, "2"), (None, "out | in")):
        table = small_poster.tables.columns("fig5_entropies", view="density", when="trained", cut=name)
        for entropy, weight in zip(table["entropy"], run.weights["1.weight"], strict=True):
            assert entropy == pytest.approx(float(entanglement_entropy(schmidt_values(weight, SHAPE, cut))), abs=1e-4)


def test_fresh_weights_are_random_matrices(small_poster):
    mean, std = gaussian(SHAPE)
    for cut, name in enumerate(cuts_of(SHAPE)):
        table = small_poster.tables.columns("fig5_entropies", view="random", when="initial", cut=name)
        assert abs(table["entropy"] - mean[cut]).max() < 6 * std[cut] + 0.01


def test_accuracy_is_given_at_every_bond(small_poster):
    table = small_poster.tables.columns("fig5_accuracy", view="abs", seed=0)
    assert tuple(table["bond"]) == BONDS
    assert table["numbers"].tolist() == [SHAPE.n_parameters(bond) for bond in BONDS]


def test_disorder_is_measured_beside_the_clean_chains(small_poster):
    table = small_poster.tables.columns("fig5_disorder", cut="2")
    assert sorted(set(table["W"])) == [0, 0.5, 1]
    run = load_run(small_poster.file('disorder "strength":1', "run.h5"))
    found = table["entropy"][table["W"] == 1]
    expected = [float(entanglement_entropy(schmidt_values(w, SHAPE, 2))) for w in run.weights["1.weight"]]
    np.testing.assert_allclose(found, expected, atol=1e-4)
    clean = small_poster.tables.columns("fig5_entropies", view="random", when="trained", cut="2")["entropy"]
    np.testing.assert_array_equal(table["entropy"][table["W"] == 0], clean)


@pytest.mark.parametrize(("outputs", "inputs"), [(128, 256), (256, 1024), (20, 324), (7, 64)])
def test_shapes_fit_any_first_layer(outputs, inputs):
    shape = shape_of(outputs, inputs)
    shape.check(outputs, inputs)
    assert max(shape.bonds()) > 1
    assert len(cuts_of(shape)) == shape.sites
