"""What is computed for the poster: chains, networks in every view, and all that is measured of them."""

import functools
import itertools

import numpy as np

from sshml import analysis
from sshml.chain import hamiltonian
from sshml.classifier import MLP, TrainingSpec, fit, save_run
from sshml.compression import MPOShape
from sshml.dataset import DatasetSpec, generate, one_number_baselines, open_dataset, sign_leakage, split_distance

VIEWS = {
    "random": ("random", "states"),
    "fixed": ("fixed", "states"),
    "abs": ("fixed", "abs"),
    "density": ("fixed", "density"),
    "projector": ("fixed", "projector"),
}
"""Name in figures and tables: (gauge of the dataset, view of the network)."""
RANKS_1 = (1, 2, 4, 6, 8, 9)
"""Ranks left in layer 1, beside all, while those of layer 2 are swept."""
BONDS = (1, 2, 4, 6, 8, 12, 16, 24, 32, 64)
SHOWN = ("random", "fixed", "density")
"""Views whose singular vectors are shown."""
RATIO_EDGES = np.concatenate([[0], np.geomspace(1 / 2, 2, 29), [np.inf]])
"""Bins of w/v for the accuracy; the transition at w/v = 1 is an edge."""
SCATTERED = 500
"""Test chains in the scatter of scores."""
FILE = "chains.h5"


def shape_of(outputs, inputs):
    """Return the `MPOShape` of layer 1: sites of four in natural bit order, the odd factor of the outputs last.

    >>> shape_of(128, 256)
    MPOShape(out_dims=(4, 4, 4, 2), in_dims=(4, 4, 4, 4), pad=False)
    """
    balanced = MPOShape.automatic(outputs, inputs)
    return MPOShape(balanced.out_dims[::-1], balanced.in_dims)


def cuts_of(shape):
    """Return the names of the cuts of a weight: between the sites, and between outputs and inputs."""
    return [*(str(cut) for cut in range(1, shape.sites)), "out | in"]


def chains(where, spec):
    """Generate the chains of a `DatasetSpec`."""
    generate(DatasetSpec(**spec), where.folder / FILE, force=True, progress=where.progress)
    return {}


def signs(where, random, fixed):
    """Measure how well the signs alone tell the label, and how far apart the splits are."""
    data = {"random": open_dataset(random.folder / FILE), "fixed": open_dataset(fixed.folder / FILE)}
    train = data["random"].train
    winding = train.read("winding")
    # the warning example: columns of eigh as LAPACK leaves them
    lapack = np.swapaxes(np.linalg.eigh(hamiltonian(*train.read(("v", "w"))))[1], 1, 2)
    found = {"eigh (LAPACK)": sign_leakage(lapack, winding)}
    for gauge, dataset in data.items():
        found[gauge] = sign_leakage(dataset.train.read("states"), winding)
    distances = {of: split_distance(data["random"], of=of) for of in ("hoppings", "states")}
    return {
        "fig4_signs": [{"gauge": gauge, "accuracy": mean, "error": error} for gauge, (mean, error) in found.items()],
        "splits": [
            {"of": of, "smallest_distance": low, "median_distance": middle} for of, (low, middle) in distances.items()
        ],
    }


def baselines(where, random):
    """Measure one-number classifiers on the same chains."""
    found = one_number_baselines(open_dataset(random.folder / FILE))
    rows = ({"observable": name, "accuracy": mean, "error": error} for name, (mean, error) in found.items())
    return {"baselines": list(rows)}


def _trained(where, chains, training, hidden, activation, seeds, record=None):
    """Train the networks of a job; return (run, dataset), the run saved in the job's folder."""
    data = open_dataset(chains.folder / FILE)
    network = functools.partial(MLP, (data.spec.sites**2, *hidden, len(data.spec.windings)), activation)
    training = TrainingSpec(**training)
    run = fit(network, data.train, data.valid, training, seeds, where.device, where.progress, record)
    save_run(run, where.folder / "run.h5", force=True)
    return run, data


def _layer_entropies(weights, shape):
    """Return the entropies of layer 1 at every cut, shape (seed, cut), of the weights of a `Run`."""
    return np.stack([
        np.append(
            analysis.cut_entropies(weight, shape), analysis.entanglement_entropy(analysis.schmidt_values(weight))
        )
        for weight in weights["1.weight"]
    ])  # fmt: skip


def disorder(where, chains, strength, training, hidden, activation, seeds):
    """Train on disordered chains with random signs; measure accuracy and entropies."""
    run, data = _trained(where, chains, training, hidden, activation, seeds)
    shape = shape_of(hidden[0], data.spec.sites**2)
    entropies = _layer_entropies(run.weights, shape)
    return {"fig5_disorder": _disorder_rows(strength, entropies, run.accuracy(data.test, where.device), shape)}


def _disorder_rows(strength, entropies, accuracy, shape):
    return [
        {"W": f"{strength:g}", "seed": seed, "cut": cuts_of(shape)[cut], "entropy": f"{entropy:.6g}"}
        | {"accuracy": f"{accuracy[seed]:.5g}"}
        for (seed, cut), entropy in np.ndenumerate(entropies)
    ]


def view(where, chains, name, training, hidden, activation, seeds):
    """Train the networks of one view and measure all that the figures show of them, a row per seed."""
    shape = shape_of(hidden[0], open_dataset(chains.folder / FILE).spec.sites ** 2)
    record = analysis.entropy_recorder({"1": shape})
    run, data = _trained(where, chains, training, hidden, activation, seeds, record)
    head = {"view": name}
    correct, entropies = run.correct(data.test, where.device), _layer_entropies(run.weights, shape)
    tables = {
        "accuracy": [head | {"seed": s, "accuracy": f"{a:.6g}"} for s, a in enumerate(correct.mean(1))],
        "fig1": list(_compression(head, run, data.test, where.device)),
        "fig2": list(_grid(run, data.test)) if name == "random" and len(hidden) == 2 else [],
        "fig4_ratio": list(_accuracy_by_ratio(head, correct, data.test.ratio)),
        "fig5_accuracy": list(_bonds(head, run, data.test, shape, where.device)),
        "fig5_entropies": list(_entropies(head, run, entropies, shape)),
        "fig5_training": list(_through_training(head, record, shape)),
        "fig5_vectors": list(_vector_entropies(head, run, data.spec.sites)) if name in SHOWN else [],
        "outliers": list(_outliers(head, run, len(hidden) + 1)),
    }
    if name == "random":
        tables["fig5_disorder"] = _disorder_rows(0.0, entropies, correct.mean(1), shape)
    return tables | _selection(head, run, data)


def _compression(head, run, test, device):
    outputs, inputs = run.weights["1.weight"].shape[1:]
    keeps = np.unique(np.geomspace(64, outputs * inputs, 28).round().astype(int))
    ranks = analysis.rank_sweep(run, test, device=device)
    for sweep in (ranks, analysis.prune_sweep(run, test, keeps=keeps, device=device)):
        for (seed, i), accuracy in np.ndenumerate(sweep.accuracy):
            row = head | {"method": sweep.method, "size": sweep.sizes[i], "kept": f"{1 - sweep.removed[i]:.6g}"}
            yield row | {"bytes": sweep.stored[i], "seed": seed, "accuracy": f"{accuracy:.6g}"}


def _grid(run, test):
    full = min(run.weights["1.weight"].shape[1:])
    ranks = [*(rank for rank in RANKS_1 if rank < full), full]
    grid = analysis.rank_grid(run, test, ranks=ranks)
    for (seed, i, r), accuracy in np.ndenumerate(grid):
        row = {"rank_1": ranks[i], "rank_2": r + 1, "kept": f"{(r + 1) / grid.shape[2]:.6g}"}
        yield row | {"seed": seed, "accuracy": f"{accuracy:.6g}"}


def _accuracy_by_ratio(head, correct, ratio):
    for low, high in itertools.pairwise(RATIO_EDGES):
        inside = (low <= ratio) & (ratio < high)
        if inside.any():
            for seed, accuracy in enumerate(correct[:, inside].mean(1)):
                row = {"low": f"{low:.6g}", "high": f"{high:.6g}", "chains": inside.sum(), "seed": seed}
                yield head | row | {"accuracy": f"{accuracy:.6g}"}


def _bonds(head, run, test, shape, device):
    bonds = [bond for bond in BONDS if bond <= max(shape.bonds())]
    sweep = analysis.bond_sweep(run, test, shape, bonds, device=device)
    for (seed, i), accuracy in np.ndenumerate(sweep.accuracy):
        row = {"bond": bonds[i], "numbers": sweep.numbers[i], "seed": seed, "accuracy": f"{accuracy:.6g}"}
        yield head | row


def _entropies(head, run, trained, shape):
    """Yield the entropies at every cut, of the trained and of the initial weight."""
    for when, values in (("initial", _layer_entropies(run.initial, shape)), ("trained", trained)):
        for (seed, cut), entropy in np.ndenumerate(values):
            yield head | {"when": when, "seed": seed, "cut": cuts_of(shape)[cut], "entropy": f"{entropy:.6g}"}


def _through_training(head, record, shape):
    for epoch, values in zip(record.epochs, record.entropies["1"], strict=True):
        for (seed, cut), entropy in np.ndenumerate(values):
            row = {"epoch": epoch, "cut": cuts_of(shape)[cut], "seed": seed}
            yield head | row | {"entropy": f"{entropy:.6g}"}


def _vector_entropies(head, run, sites):
    """Yield singular value and entropy between level and site of the right singular vectors of layer 1."""
    for seed, weight in enumerate(run.weights["1.weight"]):
        values, _, right = analysis.vector_entropies(weight, ((len(weight), 1), (sites, sites)))
        for vector, (value, entropy) in enumerate(zip(values, right[:, 0], strict=True)):
            row = {"seed": seed, "vector": vector + 1, "value": f"{value:.5g}", "entropy": f"{entropy:.5g}"}
            yield head | row


def _outliers(head, run, layers):
    for layer in range(1, layers + 1):
        for when, weights in (("initial", run.initial), ("trained", run.weights)):
            for seed, count in enumerate(analysis.outliers(weights[f"{2 * layer - 1}.weight"])):
                yield head | {"layer": layer, "when": when, "seed": seed, "count": count}


def _selection(head, run, data):
    """Return what the top singular vectors select: the vector of one network, shares of all, scores of some chains."""
    found, shown = analysis.select(run, data), slice(SCATTERED)
    quantities = {
        "share of v1 on the edge sites": found.edge_share[:, 0],
        "overlap of v1 with the first principal component": found.overlap[:, 0],
        "share of v1 ... v4 in the first four principal components": found.subspace,
    }
    if found.view != "projector":
        quantities = {"share of v1 on the mid-gap levels": found.mid_gap_share[:, 0]} | quantities
    scattered = zip(data.test.ratio[shown], data.test.read("winding", shown), found.score[0], strict=False)
    return {
        "fig3_vectors": [
            head | {"row": row + 1, "site": site + 1, "v1": f"{value:.6g}"}
            for (row, site), value in np.ndenumerate(found.vectors[0, 0])
        ],
        "fig3_shares": [
            head | {"seed": seed, "row": row + 1, "share": f"{share:.4g}"}
            for (seed, row), share in np.ndenumerate(found.row_share[:, 0])
        ],
        "fig3_summary": [
            head | {"quantity": quantity, "seed": seed, "value": f"{value:.6g}"}
            for quantity, values in quantities.items()
            for seed, value in enumerate(values)
        ],
        "fig3_scores": [
            head | {"w/v": f"{ratio:.5g}", "winding": winding, "score": f"{score:.5g}"}
            for ratio, winding, score in scattered
        ],
    }
