import numpy as np
import pytest
from sshml.experiments.poster_mpo import BONDS, CUTS, SHAPE, gaussian

from sshml.analysis import entanglement_entropy, gaussian_entropy, schmidt_values
from sshml.classifier import load_run
from sshml.tables import read_columns


def test_entropies_follow_from_the_saved_runs(small_poster):
    run = load_run(small_poster[0] / "runs" / "density.h5")
    for cut, name in ((1, "1"), (2, "2"), (None, "out | in")):
        table = read_columns(small_poster[0] / "fig5_entropies.csv", view="density", when="trained", cut=name)
        for entropy, weight in zip(table["entropy"], run.weights["1.weight"], strict=True):
            assert entropy == pytest.approx(float(entanglement_entropy(schmidt_values(weight, SHAPE, cut))), abs=1e-4)


def test_fresh_weights_are_random_matrices(small_poster):
    mean, std = gaussian()
    for cut, name in enumerate(CUTS):
        table = read_columns(small_poster[0] / "fig5_entropies.csv", view="random", when="initial", cut=name)
        assert abs(table["entropy"] - mean[cut]).max() < 6 * std[cut] + 0.01
    assert mean[3] == gaussian_entropy(128, 256)


def test_accuracy_is_given_at_every_bond(small_poster):
    table = read_columns(small_poster[0] / "fig5_accuracy.csv", view="abs")
    assert tuple(table["bond"]) == BONDS
    assert table["numbers"].tolist() == [SHAPE.n_parameters(bond) for bond in BONDS]


def test_disorder_is_measured_beside_the_clean_chains(small_poster):
    table = read_columns(small_poster[0] / "fig5_disorder.csv", cut="2")
    assert sorted(set(table["W"])) == [0, 0.5, 1]
    run = load_run(small_poster[0] / "runs" / "random-W1.h5")
    found = table["entropy"][table["W"] == 1]
    expected = [float(entanglement_entropy(schmidt_values(w, SHAPE, 2))) for w in run.weights["1.weight"]]
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_claims_are_measurements(small_poster):
    rows = [row for row in small_poster[1] if row["id"] in ("MPO", "entropy")]
    assert len(rows) == 6 + 2 * 5
    assert {row["verdict"] for row in rows} == {"measured"}
