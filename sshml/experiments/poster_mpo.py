"""Figure 5 of the poster: layer 1 of the SSH classifier as an MPO, and how entangled its weight is."""

import dataclasses

import numpy as np

from sshml.analysis import (
    bond_sweep,
    cut_entropies,
    entanglement_entropy,
    entropy_recorder,
    gaussian_cuts,
    gaussian_entropy,
    schmidt_values,
    vector_entropies,
)
from sshml.compression import MPOShape
from sshml.experiments.claims import Claim, summary

SHAPE = MPOShape((4, 4, 4, 2), (4, 4, 4, 4))
"""Layer 1, 256 -> 128, natural bit order: the input sites hold two pairs of level qubits, then two of site qubits."""
BONDS = (1, 2, 4, 6, 8, 12, 16, 24, 32, 64)
CUTS = ("1", "2", "3", "out | in")
LAYER = "1"
SHOWN = ("random", "fixed", "density")
"""Views whose singular vectors are shown."""


@dataclasses.dataclass(frozen=True)
class Entangled:
    """What is measured of layer 1: `bonds` a `Sweep`; entropies in nats.

    `entropies` {"trained" or "initial": (seed, cut in CUTS)}; `epochs` (epoch), `history` (epoch, seed, cut between
    sites); `values` and `vectors` (seed, vector): singular values, and the entropy of the right singular vectors
    between level and site.
    """

    bonds: object
    entropies: dict
    epochs: list
    history: np.ndarray
    values: np.ndarray
    vectors: np.ndarray


def recorder():
    """Return the callback for `fit` that `measure` reads the history from."""
    return entropy_recorder({LAYER: SHAPE})


def measure(run, test, record, device="cpu"):
    """Return the `Entangled` of a run of the poster's network.

    Args:
        run: the `Run`.
        test: split that gives the accuracy.
        record: from `recorder`, after the training.
        device: "auto", "cpu" or "cuda".
    """
    entropies = {"initial": layer_entropies(run.initial), "trained": layer_entropies(run.weights)}
    spectra = [vector_entropies(weight, SHAPE) for weight in run.weights[f"{LAYER}.weight"]]
    return Entangled(
        bond_sweep(run, test, SHAPE, BONDS, device=device),
        entropies,
        record.epochs,
        np.stack(record.entropies[LAYER]),
        np.stack([values for values, _, _ in spectra]),
        np.stack([right[:, 1] for _, _, right in spectra]),
    )


def layer_entropies(weights):
    """Return the entropies of layer 1 at every cut in CUTS, shape (seed, cut), of the weights of a `Run`."""
    return np.stack([
        np.append(cut_entropies(weight, SHAPE), entanglement_entropy(schmidt_values(weight)))
        for weight in weights[f"{LAYER}.weight"]
    ])  # fmt: skip


def gaussian():
    """Return (mean, standard deviation) of the entropies of a Gaussian layer 1, each of shape (cut in CUTS)."""
    mean, std = gaussian_cuts(SHAPE)
    return np.append(mean, gaussian_entropy(128, 256)), np.append(std, std[1])


def accuracy_rows(measured):
    """Yield the accuracy at every bond."""
    for view, m in measured.items():
        sweep = m.entangled.bonds
        for i, bond in enumerate(sweep.sizes):
            yield {"view": view, "bond": bond, "numbers": sweep.numbers[i]} | summary(sweep.accuracy[:, i])


def entropy_rows(measured):
    """Yield the entropies at every cut, of the trained and of the initial weight, and of a Gaussian one."""
    for view, m in measured.items():
        for when, values in m.entangled.entropies.items():
            for (seed, cut), entropy in np.ndenumerate(values):
                yield {"view": view, "when": when, "seed": seed, "cut": CUTS[cut], "entropy": f"{entropy:.6g}"}
    mean, std = gaussian()
    for cut, entropy, error in zip(CUTS, mean, std, strict=True):
        for sign in (-1, 1):
            row = {"view": "Gaussian", "when": "mean - std" if sign < 0 else "mean + std", "seed": "", "cut": cut}
            yield row | {"entropy": f"{entropy + sign * error:.6g}"}


def training_rows(measured):
    """Yield the entropies after every epoch."""
    for view, m in measured.items():
        for epoch, values in zip(m.entangled.epochs, m.entangled.history, strict=True):
            for cut, name in enumerate(CUTS[:-1]):
                yield {"view": view, "epoch": epoch, "cut": name} | summary(values[:, cut])


def vector_rows(measured):
    """Yield singular value and entropy of the right singular vectors."""
    for view in SHOWN:
        e = measured[view].entangled
        for (seed, vector), value in np.ndenumerate(e.values):
            row = {"view": view, "seed": seed, "vector": vector + 1, "value": f"{value:.5g}"}
            yield row | {"entropy": f"{e.vectors[seed, vector]:.5g}"}


def disorder_rows(found):
    """Yield rows of (strength, entropies (seed, cut), accuracy (seed))."""
    for strength, entropies, accuracy in found:
        for (seed, cut), entropy in np.ndenumerate(entropies):
            row = {"W": strength, "seed": seed, "cut": CUTS[cut], "entropy": f"{entropy:.6g}"}
            yield row | {"accuracy": f"{accuracy[seed]:.5g}"}


TABLES = {
    "fig5_accuracy": accuracy_rows,
    "fig5_entropies": entropy_rows,
    "fig5_training": training_rows,
    "fig5_vectors": vector_rows,
}


def claims(measured):
    """Yield what the MPO does for the SSH classifier: sshml's own numbers."""
    for view in ("random", "density"):
        m = measured[view]
        for bond in (4, 8, 16):
            numbers = SHAPE.n_parameters(bond)
            ranks = np.maximum(1, np.round(numbers / 384)).astype(int)
            gain = m.entangled.bonds.accuracy[:, BONDS.index(bond)] - m.ranks.accuracy[:, ranks - 1]
            yield Claim(
                "MPO", f"accuracy of MPO D = {bond} less SVD rank {ranks}, layer 1 truncated ({view})", "sshml", "",
                gain, "", None,
            )  # fmt: skip
    mean, _ = gaussian()
    for cut in (1, 3):
        for view, m in measured.items():
            yield Claim(
                "entropy", f"entropy of layer 1, cut {CUTS[cut]} (Gaussian {mean[cut]:.2f} nats) ({view})", "sshml", "",
                m.entangled.entropies["trained"][:, cut], "", None,
            )  # fmt: skip
