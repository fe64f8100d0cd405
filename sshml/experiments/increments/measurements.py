"""What is computed for the increments: networks with noisy labels, entropies, gains of cuts, cuts block by block."""

import dataclasses
import functools

import numpy as np
import torch

from sshml.analysis import cut_entropies, outliers, rank_sweep, rotated_cuts, shrunk
from sshml.arguments import as_array
from sshml.classifier import MLP, TrainingSpec, fit, load_run, resident, save_run
from sshml.compression import MPOShape, compress, n_bytes
from sshml.dataset import images
from sshml.experiments.image_nets import DLRT, FC2_SHAPE, accuracy_of
from sshml.experiments.sizes import ranks_up_to

WIDTHS = {"FC2": (784, 256, 10), "784-500x4": DLRT}

WIDE = MPOShape((4, 5, 5, 5), (4, 7, 7, 4))
SQUARE = MPOShape((4, 5, 5, 5), (4, 5, 5, 5))

SHAPES = {"FC2": {"1": FC2_SHAPE}, "784-500x4": {"1": WIDE, "3": SQUARE, "5": SQUARE, "7": SQUARE}}
"""MPO of the hidden layers, by the layer's name in the network."""
FACTORS = {256: (2,) * 8, 784: (2, 2, 2, 2, 7, 7), 500: (2, 2, 5, 5, 5)}

BLOCKED = {
    "FC2": ("best.h5", "1", 28, "rows of pixels"),
    "LeNet-5": ("run.h5", "7", 16, "channels"),
}
"""Networks cut block by block: file of the run, layer, number of blocks, what they are."""
ALL = "all hidden"

WAYS = {
    "rank": "cutting all hidden layers to the ranks chosen",
    "cut": "cutting all hidden layers at the edge",
    "shrunk": "shrinking the singular values of all hidden layers",
}
"""What is done to all hidden layers at once."""


def flat_shape(outputs, inputs):
    """Return the shape whose sites hold factors of the rows, the finest ones last, then of the columns.

    >>> flat_shape(256, 784).site_dims
    (2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 7, 7)
    """
    rows, columns = FACTORS[outputs][::-1], FACTORS[inputs]
    return MPOShape((*rows, *(1 for _ in columns)), (*(1 for _ in rows), *columns))


@dataclasses.dataclass(frozen=True)
class Noisy:
    """A split with other labels."""

    split: object
    labels: np.ndarray

    def __len__(self):
        return len(self.labels)

    def inputs(self, view=None):
        """Return those of the split."""
        return self.split.inputs(view)


def noisy(split, share):
    """Return a split with a share of its labels drawn anew, evenly from all classes, the same every time."""
    rng, labels = np.random.default_rng(0), as_array(split.labels, "the labels", kinds="iu").copy()
    drawn = rng.permutation(len(labels))[: round(share * len(labels))]
    labels[drawn] = rng.integers(0, labels.max() + 1, len(drawn))
    return Noisy(split, labels)


def networks(where, data, name, noise, training, seeds, valid):
    """Train networks; those of the best and of the last epoch stay in the folder of the job."""
    split, spec, last = images(data, where.root, valid), TrainingSpec(**training), {}

    def on_epoch(epoch, stacked):
        if epoch == spec.epochs:
            last.update({key: tensor.detach().cpu().clone() for key, tensor in stacked.state_dict().items()})

    factory = functools.partial(MLP, WIDTHS[name])
    train = noisy(split.train, noise) if noise else split.train
    run = fit(factory, train, split.valid, spec, seeds, where.device, where.progress, on_epoch)
    save_run(run, where.folder / "best.h5", force=True)
    save_run(dataclasses.replace(run, weights=last), where.folder / "last.h5", force=True)
    return {}


def measure(where, data, name, noise, trained, valid):
    """Measure entropies and what cuts and shrinkage do to the accuracy, for the best and the last epoch."""
    split = images(data, where.root, valid)
    head, found = {"data": data, "network": name, "noise": noise}, {"entropies": [], "denoised": []}
    for number, epoch in enumerate(("best", "last")):
        run = load_run(trained.folder / f"{epoch}.h5")
        own = head | {"epoch": epoch}
        found["entropies"] += _entropies(own, run, SHAPES[name])
        found["denoised"] += _denoised(own, run, split, list(SHAPES[name]), where.device)
        where.progress(number + 1, 2)
    return found


def increment_entropies(weight, change, shape, draws, seed):
    """Return {weight, change or Haar: entropies at every cut} of a weight and of what training added to it.

    Those of the spectrum with Haar vectors are the mean of so many draws.
    """
    haar = rotated_cuts(change, shape, draws=draws, seed=seed).mean(0)
    return {"weight": cut_entropies(weight, shape), "change": cut_entropies(change, shape), "Haar": haar}


def _entropies(head, run, shapes):
    for layer, shape in shapes.items():
        after, before = run.weights[f"{layer}.weight"], run.initial[f"{layer}.weight"]
        for order, sites in (("mpo", shape), ("flat", flat_shape(*after.shape[1:]))):
            for seed, weight, change in zip(run.seeds, after, after - before, strict=True):
                shuffled = np.random.default_rng(int(seed)).permutation(change.shape[1])
                entropies = increment_entropies(weight, change, sites, 3, int(seed))
                entropies["shuffled"] = cut_entropies(change[:, shuffled], sites)
                for of, values in entropies.items():
                    for cut, entropy in enumerate(values, 1):
                        row = {"layer": layer, "order": order, "of": of, "cut": cut, "seed": seed}
                        yield head | row | {"entropy": f"{entropy:.5g}"}


def _denoised(head, run, split, layers, device):
    """Yield the gain in test accuracy by cuts: each layer to the rank chosen for it, and all of them in three ways."""
    full, chosen = run.accuracy(split.test, device), {}
    for number, layer in enumerate(layers):
        ranks = ranks_up_to(min(run.weights[f"{layer}.weight"].shape[1:]), 25)
        of_valid, of_test = (rank_sweep(run, part, number, ranks, device=device) for part in (split.valid, split.test))
        count, best = outliers(run.weights[f"{layer}.weight"]), of_valid.accuracy.argmax(1)  # the first of equals
        chosen[layer] = of_valid.sizes[best]
        for seed, place in enumerate(best):
            row = {"layer": layer, "way": "rank", "seed": seed, "accuracy": f"{full[seed]:.5g}"}
            size = {"size": chosen[layer][seed], "outliers": count[seed]}
            yield head | row | size | {"gain": f"{of_test.accuracy[seed, place] - full[seed]:.5g}"}
    for way in WAYS:
        weights = dict(run.weights)
        for layer in layers:
            old = weights[f"{layer}.weight"]
            kept = chosen[layer] if way == "rank" else outliers(old)
            new = torch.from_numpy(shrunk(old) if way == "shrunk" else _cut(old, kept))
            weights[f"{layer}.weight"] = new.float()
        after = dataclasses.replace(run, weights=weights).accuracy(split.test, device)
        for seed, gain in enumerate(after - full):
            row = {"layer": ALL, "way": way, "seed": seed, "accuracy": f"{full[seed]:.5g}"}
            yield head | row | {"size": "", "outliers": "", "gain": f"{gain:.5g}"}


def _cut(weights, ranks):
    """Return weights (member, out, in) cut to a rank each."""
    found = []
    for weight, kept in zip(weights.double().numpy(), ranks, strict=True):
        left, values, right = np.linalg.svd(weight, full_matrices=False)
        found.append((left[:, :kept] * values[:kept]) @ right[:kept])
    return np.stack(found)


def blocks(where, data, name, trained, shares, valid):
    """Cut a layer on training images block by block and as a whole, at shares of the bytes of the layer."""
    split, (file, layer, count, _) = images(data, where.root, valid), BLOCKED[name]
    run = load_run(trained.folder / file)
    seen, test = resident(split.train), resident(split.test)
    full, rows = run.accuracy(split.test, where.device), []
    for seed, model in enumerate(run.models()):
        for share in shares:
            budget = n_bytes(model) - int((1 - share) * n_bytes(model.get_submodule(layer)))
            for way in ("svd", "blocks"):
                own = {"blocks": {layer: count}} if way == "blocks" else {}
                small = compress(model, n_bytes=budget, data=seen, methods=way, layers=(layer,), **own)
                lost = full[seed] - accuracy_of(small, test)
                head = {"data": data, "network": name, "share": share}
                rows.append(head | {"way": way, "seed": seed, "lost": f"{lost:.5g}"})
        where.progress(seed + 1, len(run))
    return {"blocks": rows}
