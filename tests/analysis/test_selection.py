import dataclasses

import numpy as np
import pytest
import torch

from sshml.analysis import compress_run, select
from sshml.classifier import TrainingSpec
from sshml.dataset import from_hoppings, open_dataset
from sshml.errors import SSHMLError


def test_vectors_scores_and_shares(run, dataset):
    found = select(run, dataset)
    weight = run.weights["1.weight"].double().numpy()
    for member in range(len(run)):
        vectors = found.vectors[member].reshape(4, -1)
        np.testing.assert_allclose(vectors @ vectors.T, np.eye(4), atol=1e-10)
        image = weight[member] @ vectors.T
        np.testing.assert_allclose(np.linalg.norm(image, axis=0), found.values[member])
    x = dataset.test.inputs().reshape(300, -1)
    np.testing.assert_allclose(found.score[1], x @ found.vectors[1, 0].ravel(), atol=1e-10)
    np.testing.assert_allclose(found.row_share.sum(-1), 1)
    assert found.mid_gap_share.shape == (3, 4)


def test_planted_vector_is_found(run, dataset):
    """A weight of rank one whose vector lives on the two mid-gap levels and the end sites."""
    planted = np.zeros((8, 8))
    planted[3, 0] = planted[4, 7] = np.sqrt(0.5)
    weight = torch.tensor(np.outer(np.arange(1, 13), planted.ravel())).float() + 1e-6 * torch.randn(12, 64)
    fake = dataclasses.replace(run, weights=run.weights | {"1.weight": weight.expand(3, -1, -1)})
    found = select(fake, dataset, vectors=1)
    np.testing.assert_allclose(np.abs(found.vectors[:, 0]), np.broadcast_to(planted, (3, 8, 8)), atol=1e-4)
    np.testing.assert_allclose(found.mid_gap_share, 1, atol=1e-4)
    np.testing.assert_allclose(found.edge_share, 1, atol=1e-4)


def test_planted_principal_component_is_found(run, dataset):
    train = dataset.train.inputs().reshape(400, -1)
    component = np.linalg.svd(train - train.mean(0))[2][0]
    weight = torch.tensor(np.outer(np.ones(12), component)).float().expand(3, -1, -1)
    found = select(dataclasses.replace(run, weights=run.weights | {"1.weight": weight}), dataset, vectors=1)
    np.testing.assert_allclose(found.overlap[:, 0], 1, atol=1e-5)
    np.testing.assert_allclose(found.subspace, 1, atol=1e-5)


def test_the_score_grows_with_the_margin(run, dataset):
    margin = dataset.test.read("log_margin").clip(-5, 5)
    for score in select(run, dataset).score:
        assert np.corrcoef(score, margin)[0, 1] >= 0


def test_bad_input(run, dataset):
    with pytest.raises(SSHMLError, match="choose layer 0"):
        select(run, dataset, layer=1)
    with pytest.raises(SSHMLError, match="uncompressed"):
        select(compress_run(run, 0, "svd", rank=2), dataset)
    with pytest.raises(SSHMLError, match="from 1 to 12"):
        select(run, dataset, vectors=13)
    projected = dataclasses.replace(run, training=TrainingSpec(view="projector"))
    with pytest.raises(SSHMLError, match="no level axis"):
        select(projected, dataset).mid_gap_share


def test_a_chain_with_a_hopping_of_zero_changes_little(run, tmp_path):
    rng = np.random.default_rng(0)
    v, w = rng.uniform(0.1, 1, (120, 4)), rng.uniform(0.1, 1, (120, 3))
    v[-2:, 1] = 0
    from_hoppings(v, w, tmp_path / "own.h5", train=60, valid=20, test=40)
    own = open_dataset(tmp_path / "own.h5")
    found = select(run, own)
    assert np.isfinite(found.vectors).all()
    assert np.isfinite(found.score).all()
    margin = own.test.read("log_margin")
    assert np.isinf(margin).any()
    assert (np.corrcoef(found.score[0], np.clip(margin, -5, 5))[0, 1]) > 0
