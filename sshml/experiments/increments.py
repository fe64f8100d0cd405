"""What training adds to the weights of image networks, and whether cutting them removes noise.

FC2 (784-256-10) and 784-500-500-500-500-10 on MNIST and Fashion-MNIST, with true labels and with a share of the
training labels replaced by random classes (a tenth of them right again by chance). Adam at a constant rate; of each
network the epoch of the best accuracy on held-out images with true labels, and the last epoch, which has learned the
noise.

Entropies: at every cut of the MPO of a layer, those of the weight W, of what training added, W - W_0, of the same with
its columns shuffled, and of matrices with its singular values and Haar vectors. And at the cuts of the flat order, rows
then columns: Chen et al. (arXiv 2601.06788) report for updates of language models a volume law with a valley between
rows and columns, another one for full fine-tuning than for low rank; here training is full.

Noise: layer by layer the rank of the best accuracy on held-out images (the smallest of equals, among 1 to 32 and 24
more up to the full one), its accuracy quoted on test images; and all hidden layers at once with singular values shrunk
(`sshml.analysis.shrunk`) or cut at the same edge. Staats, Thamm and Rosenow (arXiv 2206.03927) find that filtering,
small values removed and large ones lowered, helps networks that were trained on noisy labels; their filter and networks
are not these.

Blocks: layer 1 of FC2 cut by rows of pixels, and the first linear layer of LeNet-5 by channels, beside each as a whole,
at equal shares of its bytes, on data.

Written before the run, by two standard errors over networks: what training added has less entropy than its spectrum
with Haar vectors, at every cut of FC2 on true labels; the chosen rank of the first layer and the shrunk values add
accuracy to the last epoch where labels are noisy. After a first run, and measured only: shuffled columns, Haar vectors
in the flat order, all chosen ranks at once, what stopping at the best epoch adds.
"""

import dataclasses
import functools

import numpy as np
import torch

from sshml.analysis import cut_entropies, gaussian_cuts, outliers, rank_sweep, rotated_cuts, shrunk
from sshml.arguments import as_array
from sshml.classifier import MLP, TrainingSpec, fit, load_run, resident, save_run
from sshml.compression import MPOShape, compress, n_bytes
from sshml.dataset import images
from sshml.errors import SSHMLError
from sshml.experiments import NEGATIVE, POSITIVE, Claim, Experiment, Job, lenet5
from sshml.experiments.image_nets import DLRT, FC2_SHAPE, TESTED, TITLES, Training, accuracy_of
from sshml.plotting import COLORS, legend_below, name_panel, new_figure, plot_points

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
PARTS = {"weight": "the weight", "change": "what training added", "Haar": "its spectrum with Haar vectors"}
"""What has a valley between rows and columns or not."""
WRITTEN = "written before the run"


def flat_shape(outputs, inputs):
    """Return the shape whose sites hold factors of the rows, the finest ones last, then of the columns.

    >>> flat_shape(256, 784).site_dims
    (2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 7, 7)
    """
    rows, columns = FACTORS[outputs][::-1], FACTORS[inputs]
    return MPOShape((*rows, *(1 for _ in columns)), (*(1 for _ in rows), *columns))


@dataclasses.dataclass(frozen=True)
class Settings(Training):
    """Size of the run; `noise` are shares of the training labels replaced; LeNet-5 is cut where it gets epochs."""

    seeds: int = 2
    epochs: int = 6
    learning_rate: float = 1e-3
    data: tuple = ("mnist",)
    networks: tuple = ("FC2",)
    noise: tuple = (0.0, 0.4)
    shares: tuple = (0.05, 0.2)
    lenet_epochs: int = 0

    def __post_init__(self):
        super().__post_init__()
        for name, given, known in (("data", self.data, TITLES), ("networks", self.networks, WIDTHS)):
            if unknown := set(given) - set(known):
                raise SSHMLError(f"{name} {sorted(unknown)} are unknown here; choose among {', '.join(known)}.")
        if not all(0 <= share < 1 for share in (*self.noise, *self.shares)):
            raise SSHMLError(f"noise {self.noise} and shares {self.shares} are shares; expected 0 to below 1.")


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


def noisy(split, share, seed=0):
    """Return a split with a share of its labels drawn anew, evenly from all classes."""
    rng, labels = np.random.default_rng(seed), as_array(split.labels, "the labels", kinds="iu").copy()
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
    """Return {what of `PARTS`: entropies at every cut} of a weight and of what training added to it.

    Those of the spectrum with Haar vectors are the mean of so many draws.
    """
    haar = rotated_cuts(change, shape, draws=draws, seed=seed).mean(0)
    return {"weight": cut_entropies(weight, shape), "change": cut_entropies(change, shape), "Haar": haar}


def ranks_up_to(most, more):
    """Return the ranks 1 to 32, and `more` from there to the largest, evenly in the logarithm.

    >>> ranks_up_to(128, 3)[-4:]
    array([ 31,  32,  64, 128])
    """
    few = min(32, most)
    return np.unique(np.r_[1 : few + 1, np.geomspace(few, most, more).round().astype(int)])


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


def jobs(settings):
    """Yield the measurements of every network, data set and noise, and the cuts block by block."""
    cut, work = {"shares": settings.shares, "valid": settings.valid}, settings.seeds * len(settings.shares)
    for data in settings.data:
        for name in settings.networks:
            for noise in settings.noise:
                own = {"data": data, "name": name, "noise": noise}
                size = sum(a * b for a, b in zip(WIDTHS[name], WIDTHS[name][1:], strict=False))
                trained = Job(networks, own | settings.training(), 1e-6 * size * settings.work())
                yield Job(measure, own | {"trained": trained, "valid": settings.valid}, 1e-6 * size * settings.seeds)
                if name == "FC2" and not noise:
                    yield Job(blocks, {"data": data, "name": name, "trained": trained} | cut, work)
        if settings.lenet_epochs and data == "mnist":
            own = lenet5.Settings(seeds=settings.seeds, epochs=settings.lenet_epochs, valid=settings.valid)
            dense = Job(lenet5.family, {"family": "dense"} | own.training(), own.work())
            yield Job(blocks, {"data": data, "name": "LeNet-5", "trained": dense} | cut, work)


def _entropy(tables, of, layer, cut, order="mpo", **where):
    return tables.columns("entropies", of=of, layer=layer, cut=cut, order=order, **where)["entropy"]


def _valley(tables, of, layer, shape, **where):
    """Return the entropy between rows and columns less the mean of both cuts beside."""
    at = len(FACTORS[shape.out_features])
    low, middle, high = (_entropy(tables, of, layer, cut, "flat", **where) for cut in (at - 1, at, at + 1))
    return middle - (low + high) / 2


def _random_valley(shape):
    """Return the same of a Gaussian matrix."""
    at, (mean, _) = len(FACTORS[shape.out_features]), gaussian_cuts(flat_shape(shape.out_features, shape.in_features))
    return mean[at - 1] - (mean[at - 2] + mean[at]) / 2


def _gain(tables, way, layer, epoch, **where):
    return tables.columns("denoised", way=way, layer=layer, epoch=epoch, **where)["gain"]


def _stopped(tables, **where):
    """Return the test accuracy of the best epoch less that of the last one."""
    best, last = (tables.columns("denoised", way="rank", layer="1", epoch=e, **where) for e in ("best", "last"))
    return best["accuracy"] - last["accuracy"]


def claims(tables, settings):
    """Yield the entropies of what training added, and the accuracy that cuts add or take."""
    for data in settings.data:
        for name in settings.networks:
            for noise in settings.noise:
                own = {"data": data, "network": name, "noise": noise}
                words = f"{name}, {TITLES[data]}" + (f", {noise:.0%} of labels random" if noise else "")
                yield from _claims_of_entropies(tables, own, words)
                yield from _claims_of_noise(tables, own, words)
        cut = ["FC2"] if "FC2" in settings.networks and 0 in settings.noise else []
        for name in cut + (["LeNet-5"] if settings.lenet_epochs and data == "mnist" else []):
            *_, layer, count, what = BLOCKED[name]
            for share in settings.shares:
                lost = functools.partial(_lost, tables, data=data, network=name, share=share)
                place = f"layer {layer} of {name} at {share:.0%} of its bytes"
                for way, label in (("svd", "SVD"), ("blocks", f"SVD of {count} {what}")):
                    yield Claim("F3", f"accuracy lost, {place}, {label}, {TITLES[data]}", functools.partial(lost, way))
                yield Claim(
                    "F3", f"accuracy of the SVD less that of {count} {what}, {place}, {TITLES[data]}",
                    lambda lost=lost: lost("blocks") - lost("svd"),
                )  # fmt: skip


def _lost(tables, way, **where):
    return tables.columns("blocks", way=way, **where)["lost"]


def _claims_of_entropies(tables, own, words):
    noise, name = own["noise"], own["network"]
    for layer, shape in SHAPES[name].items():
        mean, _ = gaussian_cuts(shape)
        peak = f"(Gaussian {_random_valley(shape):+.2f} nats)"
        for epoch in ("best", "last"):
            whose = f"{words}, {epoch} epoch"
            for cut in range(1, shape.sites):
                of = functools.partial(_entropy, tables, layer=layer, cut=cut, epoch=epoch, **own)
                place = f"layer {layer}, cut {cut}"
                yield Claim(
                    "F5", f"entropy of what training added, {place} (Gaussian {mean[cut - 1]:.2f} nats), {whose}",
                    functools.partial(of, "change"),
                )  # fmt: skip
                decided = (WRITTEN, "< 0", NEGATIVE) if name == "FC2" and not noise and epoch == "best" else ()
                for other, what in (
                    ("Haar", "its spectrum with Haar vectors"),
                    ("shuffled", "it with inputs shuffled"),
                ):
                    yield Claim(
                        "F5", f"entropy of what training added less that of {what}, {place}, {whose}",
                        lambda of=of, other=other: of("change") - of(other), *(decided if other == "Haar" else ()),
                    )  # fmt: skip
            for of, label in PARTS.items():
                yield Claim(
                    "F5", f"entropy between rows and columns less the mean of both cuts beside, of {label}, layer"
                    f" {layer} {peak}, {whose}",
                    functools.partial(_valley, tables, of, layer, shape, epoch=epoch, **own),
                )  # fmt: skip


def _claims_of_noise(tables, own, words):
    for epoch in ("best", "last"):
        whose = f"{words}, {epoch} epoch"
        yield Claim(
            "F4", f"test accuracy, {whose}",
            lambda epoch=epoch: tables.columns("denoised", way="shrunk", epoch=epoch, **own)["accuracy"], tested=TESTED,
        )  # fmt: skip
        decided = (WRITTEN, "> 0", POSITIVE) if own["noise"] and epoch == "last" else ()
        for layer in SHAPES[own["network"]]:
            of = functools.partial(_gain, tables, "rank", layer, epoch, **own)
            yield Claim(
                "F4", f"accuracy added by the rank chosen on validation, layer {layer}, {whose}", of,
                *(decided if layer == "1" else ()),
            )  # fmt: skip
        for way, label in WAYS.items():
            of = functools.partial(_gain, tables, way, ALL, epoch, **own)
            yield Claim("F4", f"accuracy added by {label}, {whose}", of, *(decided if way == "shrunk" else ()))
    yield Claim("F4", f"accuracy of the best epoch less that of the last, {words}", lambda: _stopped(tables, **own))


def _layers(settings):
    """Return [(network, layer, shape)] of all hidden layers."""
    return [(name, layer, shape) for name in settings.networks for layer, shape in SHAPES[name].items()]


def _entropies_drawn(tables, settings):
    """Draw what training adds to entropies.

    (a), (b) Entropy of what training added less that of matrices with its singular values and Haar vectors, at the
    middle cut of the MPO of every hidden layer; filled: best epoch, open: last. (c) Entropy between rows and columns
    less the mean of both cuts beside, in the flat order, true labels, last epoch; grey: a Gaussian matrix.
    """
    noises = sorted({min(settings.noise), max(settings.noise)})
    figure, axes = new_figure(1, len(noises) + 1, width=2.4, height=3.3)
    layers, places = _layers(settings), np.arange(len(_layers(settings)))
    for ax, noise in zip(axes[0], noises, strict=False):
        for number, data in enumerate(settings.data):
            for epoch, face in (("best", COLORS[number]), ("last", "none")):
                groups = []
                for name, layer, shape in layers:
                    own = {"data": data, "network": name, "noise": noise, "epoch": epoch}
                    change, random = (_entropy(tables, of, layer, shape.sites // 2, **own) for of in ("change", "Haar"))
                    groups.append(change - random)
                at = places + 0.2 * (number - (len(settings.data) - 1) / 2) + (0.08 if epoch == "last" else 0)
                style = {"color": COLORS[number], "markerfacecolor": face, "markersize": 4}
                plot_points(ax, at, groups, fmt="o", label=f"{TITLES[data]}, {epoch} epoch", **style)
        ax.set_ylabel("entropy less that of its\nspectrum, Haar vectors (nats)" if ax is axes[0, 0] else "")
        name_panel(ax, "true labels" if not noise else f"{noise:.0%} of labels random")
    low = min(ax.get_ylim()[0] for ax in axes[0, :-1])
    for ax in axes[0, :-1]:
        ax.set_ylim(low, 0.05)
        ax.axhline(0, color="0.5", linewidth=0.8, linestyle=":")
    ax, data = axes[0, -1], settings.data[0]
    for number, (of, label) in enumerate(PARTS.items()):
        own = {"data": data, "noise": noises[0], "epoch": "last"}
        groups = [_valley(tables, of, layer, shape, network=name, **own) for name, layer, shape in layers]
        style = {"color": COLORS[2 + number], "markersize": 4, "label": f"{label} (c)"}
        plot_points(ax, places + 0.12 * (number - 1), groups, fmt="s^v"[number], **style)
    for place, (_, _, shape) in zip(places, layers, strict=True):
        ax.plot(place, _random_valley(shape), "_", color="0.3", markersize=14)
    ax.axhline(0, color="0.5", linewidth=0.8, linestyle=":")
    ax.set_ylabel("valley, rows | columns (nats)")
    name_panel(ax, f"flat order, {TITLES[data]}")
    for ax in axes[0]:
        ax.set_xticks(places, [f"{name}, layer {layer}" for name, layer, _ in layers], rotation=90)
    (points, names), (others, more) = (ax.get_legend_handles_labels() for ax in axes[0, [0, -1]])
    figure.legend(points + others, names + more, fontsize=7, loc="outside lower center", ncols=3)
    return figure


def _gains_drawn(tables, settings):
    """Draw what cuts add.

    Test accuracy that cuts add to networks trained (a) on true labels, (b) on labels of which some are random: one
    layer at the rank chosen on held-out images with true labels; all hidden layers so, cut or with their values shrunk
    at the edge of Marchenko and Pastur; and, of the last epoch, what stopping at the best one adds. Linear up to a
    point.
    """
    figure, axes = new_figure(1, len(settings.noise), width=3.5, height=3.6, sharey=True)
    layers = dict.fromkeys(layer for _, layer, _ in _layers(settings))
    names = {("rank", layer): f"layer {layer}" for layer in layers}
    names |= {("rank", ALL): "all,\nranks", ("cut", ALL): "all,\nedge", ("shrunk", ALL): "all,\nshrunk"}
    total, most = 2 * len(settings.data) * len(settings.networks), 0.1
    for ax, noise in zip(axes[0], settings.noise, strict=True):
        number = 0
        for data in settings.data:
            for name in settings.networks:
                for epoch in ("best", "last"):
                    own = {"data": data, "network": name, "noise": noise}
                    places = [at for at, (_, layer) in enumerate(names) if layer in (*SHAPES[name], ALL)]
                    groups = [100 * _gain(tables, *list(names)[at], epoch, **own) for at in places]
                    if epoch == "last":
                        places, groups = [*places, len(names)], [*groups, 100 * _stopped(tables, **own)]
                    most = max(most, *(abs(group).max() for group in groups))
                    plot_points(
                        ax, np.array(places) + 0.7 * ((number + 0.5) / total - 0.5), groups, fmt="os"[epoch == "last"],
                        color=COLORS[number // 2 % len(COLORS)], markersize=4,
                        markerfacecolor="none" if epoch == "last" else None,
                        label=f"{name}, {TITLES[data]}, {epoch} epoch",
                    )  # fmt: skip
                    number += 1
        ax.axhline(0, color="0.5", linewidth=0.8, linestyle=":")
        ax.set_xticks(range(len(names) + 1), [*names.values(), "stopped\nearlier"], rotation=90)
        ax.tick_params(axis="x", length=0)
        for edge in np.arange(1, len(names) + 1) - 0.5:
            ax.axvline(edge, color="0.9", linewidth=0.8, zorder=0)
        name_panel(ax, "true labels" if not noise else f"{noise:.0%} of labels random")
    axes[0, 0].set_ylabel("test accuracy added (percentage points)")
    axes[0, 0].set_yscale("symlog", linthresh=1)
    axes[0, 0].set_ylim(-2 * most, 2 * most)
    ticks = [tick for tick in (-10, -1, -0.5, 0, 0.5, 1, 10) if abs(tick) < 2 * most]
    axes[0, 0].set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    legend_below(figure, axes[0, 0], 2)
    return figure


FULL = {
    "seeds": 5, "epochs": 20, "data": ("mnist", "fashion-mnist"), "networks": tuple(WIDTHS),
    "shares": (0.03, 0.05, 0.1, 0.2, 0.3), "lenet_epochs": lenet5.LONG,
}  # fmt: skip
experiment = Experiment(Settings, jobs, claims, {"entropies": _entropies_drawn, "gains": _gains_drawn}, full=FULL)
