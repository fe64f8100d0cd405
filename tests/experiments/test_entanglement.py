import numpy as np
import torch

from sshml.experiments import entanglement

SETTINGS = {
    "seeds": 2,
    "epochs": 1,
    "batch_size": 100,
    "valid": 100,
    "bonds": (2, 4),
    "swaps": 2,
    "square_bond": 2,
    "square_epochs": 1,
}


def test_numbers_figures_and_claims(small_images, reproduced):
    found = reproduced("entanglement", **SETTINGS)
    assert found.failures == []
    assert {p.stem for p in found.folder.glob("*.png")} == {"bonds", "training", "orders", "square"}
    assert {row["id"] for row in found.claims} == {"G6", "H3", "H4"}
    for row in found.claims:
        assert (row["verdict"] == "measured") == (row["criterion"] == "")

    bonds = found.tables.columns("bonds", data="mnist")
    assert (bonds["entropy"] <= np.log(np.minimum(bonds["bond"], 16)) + 1e-9).all()
    training = found.tables.columns("training", data="mnist", cut=2)
    assert sorted(set(training["epoch"])) == [0, 1]
    orders = found.tables.columns("orders")
    by_order = {order: orders["error"][orders["order"] == order] for order in set(orders["order"])}
    assert (by_order["searched"] <= by_order["row-major"] + 1e-9).all()
    assert set(found.tables.columns("trained", bond=4)["order"]) == set(entanglement.ORDERS["trained"])
    square = found.tables.columns("square", family="dense", when="initial", cut="2")
    assert abs(square["entropy"] - 5.514).max() < 0.01


def test_blocks_are_a_permutation_of_the_pixels():
    assert torch.equal(entanglement.BLOCKS.sort().values, torch.arange(784))
    assert entanglement.BLOCKS[:2].tolist() == [0, 1]  # the last site pairs neighbours


def test_row_major_networks_of_the_trained_bond_are_made_once():
    """The orders' row-major network is that of the bonds: one job, one key."""
    jobs = list(entanglement.jobs(entanglement.Settings(bonds=(2, 4))))
    assert len({job.key for job in jobs}) == len(jobs)
    others = list(entanglement.jobs(entanglement.Settings(bonds=(2,))))
    assert len(others) == len(jobs)  # trained on its own where the bonds lack it
