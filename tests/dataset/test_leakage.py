import numpy as np
import pytest

from sshml.chain import eigenstates, fix_gauge, hamiltonian, random_gauge, winding_number
from sshml.dataset import DatasetSpec, generate, open_dataset, samples, sign_leakage, split_distance
from sshml.errors import SSHMLError


@pytest.fixture(scope="module")
def chains():
    rng = np.random.default_rng(0)
    v, w = rng.random((2, 4000, 1)) * np.ones(8)
    return v, w[:, :7], winding_number(v, w[:, :7])


def test_lapack_signs_leak_and_ours_do_not(chains):
    v, w, winding = chains
    lapack = np.swapaxes(np.linalg.eigh(hamiltonian(v, w))[1], 1, 2)
    states = eigenstates(v, w)[1]
    assert sign_leakage(lapack, winding)[0] > 0.97
    for ours in (random_gauge(states, 3), fix_gauge(states)):
        mean, error = sign_leakage(ours, winding)
        assert abs(mean - 0.5) <= max(4 * error, 1e-12)


def test_a_parity_of_bits_is_found(chains):
    """No single sign tells the label here, only the product of two."""
    v, w, winding = chains
    states = fix_gauge(eigenstates(v, w)[1])
    signs = np.ones(states.shape[:2])
    signs[:, 0] = np.random.default_rng(1).choice([-1, 1], len(signs))
    signs[:, 1] = signs[:, 0] * np.where(winding > 0, 1, -1)
    assert sign_leakage(states * signs[..., None], winding)[0] > 0.99


def test_unbalanced_labels_stay_at_chance(chains):
    v, w, winding = chains
    keep = (winding == 1) | (np.arange(len(winding)) % 10 == 0)
    states = random_gauge(eigenstates(v[keep], w[keep])[1], 0)
    mean, error = sign_leakage(states, winding[keep])
    assert abs(mean - 0.5) < 4 * error + 0.01


def test_bad_input(chains):
    v, w, winding = chains
    states = eigenstates(v[:20], w[:20])[1]
    with pytest.raises(SSHMLError, match="do not match"):
        sign_leakage(states, winding[:19])
    with pytest.raises(SSHMLError, match="odd"):
        sign_leakage(states, winding, neighbours=4)
    few = np.r_[np.flatnonzero(winding == 0)[:5], np.flatnonzero(winding == 1)[:5]]
    mean, _ = sign_leakage(eigenstates(v[few], w[few])[1], winding[few], folds=2)
    assert 0 <= mean <= 1  # as many votes as training samples
    with pytest.raises(SSHMLError, match="needs 5 of each"):
        sign_leakage(states, np.ones(20))


def test_split_distance_by_brute_force(tmp_path):
    generate(DatasetSpec(cells=3, disorder_v=0.5, train=30, valid=2, test=9), tmp_path / "a.h5")
    dataset = open_dataset(tmp_path / "a.h5")
    train, test = (np.concatenate([s.read("v"), s.read("w")], 1) for s in (dataset.train, dataset.test))
    nearest = np.sqrt(((test[:, None] - train[None]) ** 2).mean(-1)).min(1)
    np.testing.assert_allclose(split_distance(dataset), (nearest.min(), np.median(nearest)))


def test_the_distance_of_states_is_up_to_their_signs(tmp_path, monkeypatch):
    generate(DatasetSpec(cells=3, disorder_v=0.5, train=30, valid=2, test=9), tmp_path / "a.h5")
    dataset = open_dataset(tmp_path / "a.h5")
    train, test = dataset.train.read("states"), dataset.test.read("states")
    squares = [((test[:, None] + sign * train[None]) ** 2).sum(-1) for sign in (-1, 1)]
    nearest = np.sqrt(np.minimum(*squares).mean(-1)).min(1)
    for together in (4096, 7):
        monkeypatch.setattr("sshml.dataset.leakage.TOGETHER", together)
        found = split_distance(dataset, of="states")
        np.testing.assert_allclose(found, (nearest.min(), np.median(nearest)), rtol=1e-5)


def test_clean_chains_are_near_in_their_states_not_in_their_hoppings(tmp_path):
    """Two numbers make the hoppings of a clean chain, one, w/v, its states."""
    generate(DatasetSpec(cells=3, train=3000, valid=2, test=200), tmp_path / "a.h5")
    dataset = open_dataset(tmp_path / "a.h5")
    low, middle = split_distance(dataset, of="states")
    assert 1e-8 < low < middle < 0.2 * split_distance(dataset)[1]  # beyond the rounding of an overlap near 1


@pytest.mark.parametrize("cells", [6, 7, 8, 9])
def test_random_signs_of_a_dataset_tell_nothing(cells):
    """Also for odd numbers of cells, where signs drawn from the hoppings' own numbers would."""
    drawn = samples(DatasetSpec(cells=cells), "train", 0, 4000)
    mean, error = sign_leakage(drawn["states"], drawn["winding"])
    assert abs(mean - 0.5) < 3 * error


def test_the_standard_error_is_the_spread_over_fair_signs(chains):
    v, w, winding = (x[:1000] for x in chains)
    states = eigenstates(v, w)[1]
    found = np.array([sign_leakage(random_gauge(states, seed), winding) for seed in range(20)])
    assert found[:, 1].mean() == pytest.approx(found[:, 0].std(ddof=1), rel=0.35)


@pytest.mark.parametrize("labels", [[0, 1, 2], [0.0, 1.0, np.nan], [-1, 0, 1]])
def test_other_labels_are_refused(chains, labels):
    states = eigenstates(*(x[:60] for x in chains[:2]))[1]
    with pytest.raises(SSHMLError, match="labels 0 and 1"):
        sign_leakage(states, np.resize(labels, len(states)))
