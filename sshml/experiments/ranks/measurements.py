"""What is computed for the ranks: chains and networks of every setting, and all that is measured of them."""

import dataclasses
import functools

import numpy as np
import torch

from sshml.analysis import (
    direction_norms,
    eliminate_blocks,
    level_directions,
    prune_sweep,
    rank_grid,
    rank_of_directions,
    rank_sweep,
)
from sshml.chain import critical_states, fixed_signs
from sshml.classifier import MLP, TrainingSpec, fit, load_run, resident, save_run
from sshml.dataset import DatasetSpec, View, from_hoppings, generate, open_dataset
from sshml.experiments.increments.measurements import increment_entropies
from sshml.experiments.poster.claims import KEEPS, pruned_over_svd, svd_less_pruned
from sshml.experiments.poster.measurements import shape_of
from sshml.experiments.sizes import ranks_up_to

FILE, RUN = "chains.h5", "run.h5"

SETTINGS = {
    "the poster's": {},
    "level 9 alone": {"view": "states/levels=9"},
    "levels 6, 9": {"view": "states/levels=6,9"},
    "levels 5 to 10": {"view": "states/levels=5-10"},
    "levels 4 to 11": {"view": "states/levels=4-11"},
    "one sign": {"view": "states/signs=chain"},
    "2 signs": {"view": "states/signs=2"},
    "4 signs": {"view": "states/signs=4"},
    "8 signs": {"view": "states/signs=8"},
    "8 chiral pairs": {"view": "states/signs=pairs"},
    "N = 8": {"cells": 4},
    "N = 32": {"cells": 16},
    "N = 64": {"cells": 32},
    "4000 chains": {"train": 4000},
    "64000 chains": {"train": 64000},
    "weight decay 1e-3": {"weight_decay": 1e-3},
    "|v - w| > 0.1": {"gap": 0.1},
    "W = 0.5": {"disorder": 0.5},
    "W = 1": {"disorder": 1.0},
    "tanh": {"activation": "tanh"},
    "square": {"activation": "square"},
    "hidden 32, 16": {"hidden": (32, 16)},
    "hidden 512, 128": {"hidden": (512, 128)},
}
"""Name of a setting: what it changes of the poster's."""
ELIMINATED = ("the poster's", "N = 32", "W = 0.5", "tanh")
"""Settings whose levels are taken away one by one, each cut to rank 1, 2 or 3."""


def chains(where, spec, gap=0.0):
    """Generate chains of a `DatasetSpec`; with a gap clean ones of |v - w| above it."""
    spec, path = DatasetSpec(**spec), where.folder / FILE
    if not gap:
        generate(spec, path, force=True, progress=where.progress)
        return {}
    counts, rng = {"train": spec.train, "valid": spec.valid, "test": spec.test}, np.random.default_rng(spec.seed)
    v, w = rng.random((2, int(sum(counts.values()) / (1 - gap) ** 2 * 1.1) + 1000))
    kept = np.flatnonzero(abs(v - w) > gap)[: sum(counts.values())]
    v, w = (np.repeat(each[kept, None], spec.cells - last, 1) for each, last in ((v, 0), (w, 1)))
    from_hoppings(v, w, path, **counts, seed=spec.seed, force=True, progress=where.progress)
    return {}


def networks(where, made, training, hidden, activation, seeds):
    """Train networks; the run stays in the folder of the job."""
    data, spec = open_dataset(made.folder / FILE), TrainingSpec(**training)
    shape = View.parse(spec.view).shape(data.spec)
    network = functools.partial(MLP, (shape[0] * shape[1], *hidden, 2), activation)
    run = fit(network, data.train, data.valid, spec, seeds, where.device, where.progress)
    save_run(run, where.folder / RUN, force=True)
    return {}


def measure(where, setting, dataset, made, trained):
    """Measure ranks, weights and the directions of the levels of the networks of a setting."""
    data, run = open_dataset(made.folder / FILE), load_run(trained.folder / RUN)
    head, device = {"setting": setting, "dataset": dataset}, where.device
    by_rank, cuts = _cuts(data, run, device)
    directions, norms = _directions(data, run)
    found = {"ranks": [head | {"seed": n} | a | b for n, (a, b) in enumerate(zip(cuts, directions, strict=True))]}
    if dataset == 0:
        found["norms"] = [head | row for row in norms]
    if setting in ELIMINATED:
        found["blocks"] = [head | row for row in _level_by_level(data, run, device)]
    if setting == "the poster's":
        found["increments"] = list(_increments(head, run))
        found["curve"] = [
            head | {"seed": seed, "size": int(size), "accuracy": f"{by_rank.accuracy[seed, size - 1]:.5g}"}
            for seed in range(len(run))
            for size in range(1, 17)
        ]
        second = rank_grid(run, data.test, ranks=[8, 9])
        found["second"] = [
            head | {"seed": seed, "rank_1": rank, "rank_2": r + 1, "accuracy": f"{second[seed, i, r]:.5g}"}
            for seed in range(len(run))
            for i, rank in enumerate((8, 9))
            for r in range(4)
        ]
    return found


def _cuts(data, run, device):
    """Return the `Sweep` over ranks, and a row for each network: what it needs as SVD, in the metric, and pruned."""
    correct, shape = run.accuracy(data.test, device), run.weights["1.weight"].shape[1:]
    most, full = min(shape), shape[0] * shape[1]
    ranks = ranks_up_to(most, 9)
    by_rank = rank_sweep(run, data.test, ranks=ranks, device=device)
    aware = rank_sweep(run, data.test, ranks=ranks, device=device, metric=data.train)
    chosen = rank_sweep(run, data.valid, ranks=ranks, device=device).accuracy.argmax(1)  # the first of equals
    keeps = np.unique(np.geomspace(min(64, full), full, 28).round().astype(int))
    by_weight = prune_sweep(run, data.test, keeps=keeps, device=device)
    svd, metric, pruned = ((each.sizes, each.stored, each.accuracy) for each in (by_rank, aware, by_weight))
    columns = {
        "rank": by_rank.smallest(KEEPS), "own_rank": by_rank.smallest(KEEPS * correct),
        "weights": by_weight.smallest(KEEPS), "bytes_ratio": pruned_over_svd(svd, pruned),
        "aware_rank": aware.smallest(KEEPS), "aware_bytes_ratio": pruned_over_svd(metric, pruned),
    }  # fmt: skip
    difference = svd_less_pruned(svd, pruned)
    return by_rank, [
        {"accuracy": f"{correct[seed]:.5g}"} | {name: f"{column[seed]:.6g}" for name, column in columns.items()} | {
            "chosen_rank": int(ranks[chosen[seed]]),
            "gain": f"{by_rank.accuracy[seed, chosen[seed]] - correct[seed]:.5g}",
            "share_difference": f"{difference[seed]:.5g}",
        }
        for seed in range(len(run))
    ]  # fmt: skip


def _level_by_level(data, run, device):
    """Return a row for each choice of levels and rank that keeps 95 % on validation, and for one level alone."""
    levels = View.parse(run.training.view).shape(data.spec)[0]
    return [
        {"seed": row["member"], "rank": row["rank"], "kept": len(row["blocks"])}
        | {"levels": " ".join(map(str, row["blocks"])), "numbers": row["numbers"]}
        | {name: f"{row[name]:.5g}" for name in ("valid", "test")}
        for row in eliminate_blocks(run, data.valid, data.test, blocks=levels, device=device)
        if row["valid"] >= KEEPS or len(row["blocks"]) == 1
    ]


def _increments(head, run):
    """Yield the entropies of the weight and of what training added, and of the latter's spectrum with Haar vectors."""
    outputs, inputs = run.weights["1.weight"].shape[1:]
    shape = shape_of(outputs, inputs)
    for seed, (after, before) in enumerate(zip(run.weights["1.weight"], run.initial["1.weight"], strict=True)):
        for of, values in increment_entropies(after, after - before, shape, 5, seed).items():
            for cut, entropy in enumerate(values, 1):
                yield head | {"seed": seed, "of": of, "cut": cut, "entropy": f"{entropy:.5g}"}


@torch.no_grad()
def _directions(data, run):
    """Return a row for each network, and one for each of its groups of levels.

    The formula's rank, the group of levels chosen on the validation split, and the accuracy on the test split of the
    projection on that group's f and g; the norms s(f) and s(g).
    """
    view, size = View.parse(run.training.view), data.spec.sites
    seen = dataclasses.replace(view, signs="none")
    even = critical_states(size)[0]
    even = even * fixed_signs(even)[:, None]
    even = even if view.levels is None else even[list(view.levels)]
    f, g = level_directions(data.valid.inputs(view=seen), even, view.groups(size))
    weight = run.weights["1.weight"].numpy()
    of_f, of_g = direction_norms(weight, f), direction_norms(weight, g)
    accuracy, models = np.zeros((2, len(run), len(f))), run.models()
    for number, split in enumerate((data.valid, data.test)):
        inputs, labels = resident(split, run.training.view)
        for n, basis in enumerate(torch.from_numpy(np.stack([f, g], 1).reshape(len(f), 2, -1)).float()):
            seen = inputs.flatten(1) @ basis.T  # a layer W P, P = basis^T basis, sees these two numbers
            for member, model in enumerate(models):
                layer, *rest = list(model)[1:]
                values = torch.nn.functional.linear(seen, layer.weight @ basis.T, layer.bias)
                for each in rest:
                    values = each(values)
                accuracy[number, member, n] = (values.argmax(1) == labels).double().mean()
    predicted, best = rank_of_directions(of_f, of_g), accuracy[0].argmax(1)
    rows = [
        {"predicted": int(predicted[seed]), "level": int(n), "of_level": f"{accuracy[1, seed, n]:.5g}"}
        for seed, n in enumerate(best)
    ]
    norms = [
        {"seed": seed, "group": n, "f": f"{of_f[seed, n]:.4g}", "g": f"{of_g[seed, n]:.4g}"}
        for seed in range(len(run))
        for n in range(of_f.shape[1])
    ]
    return rows, norms
