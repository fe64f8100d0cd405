import numpy as np
import torch

from sshml.experiments import entanglement
from sshml.tables import read_columns

SETTINGS = entanglement.Settings(
    seeds=2, epochs=1, batch_size=100, bonds=(2, 4), swaps=2, square_bond=2, square_epochs=1
)


def test_numbers_figures_and_claims(small_images, tmp_path):
    claims = entanglement.reproduce(tmp_path / "e", SETTINGS, "cpu")
    folder = tmp_path / "e"
    assert {p.stem for p in folder.glob("*.png")} == {"bonds", "training", "orders", "square"}
    assert {row["id"] for row in claims} == {"G6", "H3", "H4"}

    bonds = read_columns(folder / "bonds.csv", data="mnist")
    ceiling = np.log(np.minimum(bonds["bond"], 16))
    assert (bonds["entropy"] <= ceiling + 1e-9).all()
    training = read_columns(folder / "training.csv", data="mnist", cut="2")
    assert sorted(set(training["epoch"])) == [0, 1]
    orders = read_columns(folder / "orders.csv", kind="truncated")
    by_order = {order: orders["error"][orders["order"] == order] for order in set(orders["order"])}
    assert (by_order["searched"] <= by_order["row-major"] + 1e-9).all()
    square = read_columns(folder / "square.csv", family="dense", when="initial", cut="2")
    assert abs(square["entropy"] - 5.514).max() < 0.01


def test_blocks_are_a_permutation_of_the_pixels():
    assert torch.equal(entanglement.BLOCKS.sort().values, torch.arange(784))
    assert entanglement.BLOCKS[:2].tolist() == [0, 1]  # the last site pairs neighbours
