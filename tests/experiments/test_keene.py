from types import SimpleNamespace

import numpy as np
import torch

from sshml.analysis import RankLoss
from sshml.classifier import load_run, resident
from sshml.dataset import images
from sshml.experiments import keene


def test_trainings_times_and_ranks(small_images, reproduced, monkeypatch):
    monkeypatch.setitem(keene.NAMES, "large", (784, 24, 20, 10))
    settings = {"seeds": 2, "epochs": 1, "batch_size": 50, "valid": 100, "ranks": (2, 10), "revealed": 1}
    found = reproduced("keene", **settings, repeats=2, epsilons=(0.3,), learning_rate=0.1)
    assert found.failures == []
    assert {path.name for path in found.folder.glob("*.png")} == {"ranks.png", "times.png"}
    trained = found.tables.columns("trained", network="small")
    assert set(trained["method"]) == {"stock", "svd", "randomized", "subspace"}
    assert len(found.tables.columns("trained", network="small", method="svd", rank=10, every="batch")["seed"]) == 2
    times = found.tables.columns("times", network="small")
    assert (times["ratio"] > 0).all()
    assert (found.tables.columns("times", network="small", method="stock", every="batch")["ratio"] == 1).all()
    small = found.tables.columns("revealed", network="small")
    assert (small["least"] <= small["numbers"]).all()
    assert (small["loss"] <= 1.3 * small["dense_loss"]).all()
    ids = {row["id"] for row in found.claims}
    assert ids == {"K1", "K2", "K3"}
    for row in found.claims:
        assert (row["verdict"] == "measured") == (row["criterion"] == "") or row["verdict"] == "not measurable"
    kept = [load_run(path) for path in found.store.glob("train-*/done/run.h5")]
    ranks = [torch.linalg.matrix_rank(run.weights["1.weight"].double(), rtol=1e-4).tolist() for run in kept]
    assert [2, 2] in ranks
    assert [10, 10] in ranks
    assert [15, 15] in ranks


def test_smaller_sets_are_all_of_them_with_their_losses(small_images):
    torch.manual_seed(0)
    model = keene.MLP((784, 5, 4, 10))
    data = resident(images("mnist", None, 100).valid)
    cuts = RankLoss(model, data)
    numbers = cuts.numbers({"1": 2, "3": None, "5": 1})
    found = {ranks: loss for loss, ranks in keene._smaller(model, cuts, numbers, data)}
    names = list(cuts.sites)
    every = [
        (a, b, c)
        for a in cuts.choices("1")
        for b in cuts.choices("3")
        for c in cuts.choices("5")
        if cuts.numbers(dict(zip(names, (a, b, c), strict=True))) < numbers
    ]
    assert set(found) == set(every)
    for ranks, loss in found.items():
        np.testing.assert_allclose(loss, cuts(dict(zip(names, ranks, strict=True))), rtol=1e-4)


def test_what_is_timed(small_images, monkeypatch):
    """Each method after every step, and after every epoch."""
    made = []

    class Recorded(keene.LowRank):
        def __init__(self, model, **options):
            made.append((options["method"], options["every"]))
            super().__init__(model, **options)

    monkeypatch.setattr(keene, "LowRank", Recorded)
    where = SimpleNamespace(root=None, device="cpu", progress=lambda *_: None)
    rows = keene.times(where, "small", rank=5, repeats=1, batch_size=50, learning_rate=0.1, valid=100)["times"]
    steps = -(-len(images("mnist", None, 100).train.labels) // 50)
    methods = ("svd", "randomized", "subspace")
    assert made == [(method, every) for method in methods for every in (1, steps)]
    assert {row["every"] for row in rows} == {"batch", "epoch"}
