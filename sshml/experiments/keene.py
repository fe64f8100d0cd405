"""Keene 2022: the response of a three-layer network on MNIST to randomised and truncated SVD while it is trained.

784-15-15-10 ReLU, SGD 1e-2, batch 64, 10 epochs; its text projects after each epoch, its code after each batch, and its
truncation keeps 11 values where it says 10: all of these. The source has one run; the last epoch is its result, and is
here. Ratios of times are measured in one process, interleaved. The rank revealer (the smallest ranks of all layers
whose loss is within epsilon), which the source calls unfeasible for large layers: on 784-15-15-10 beside all sets of
ranks that store less, on 784-512-512-10 beside a bound, the ranks of each layer with the others whole.
"""

import dataclasses
import functools
import itertools
import statistics
import time

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from sshml.analysis import RankLoss, reveal_ranks
from sshml.classifier import MLP, RECIPES, TrainingSpec, fit, load_run, resident, save_run
from sshml.compression import LowRank
from sshml.dataset import images
from sshml.experiments import Claim, Experiment, Job, near
from sshml.experiments.image_nets import TESTED, Training
from sshml.plotting import COLORS, name_panel, new_figure, plot_level, plot_points

SMALL, LARGE = (784, 15, 15, 10), (784, 512, 512, 10)
NAMES = {"small": SMALL, "large": LARGE}
PUBLISHED = {"stock": (0.912, 0.301), "randomized": (0.916, 0.309), "svd": (0.910, 0.320)}
"""Accuracy and loss after 10 epochs, one run each."""
PUBLISHED_TIMES = {"randomized": 1.91, "svd": 1.73}
"""Run time over that of stock training: 76.4 and 69.3 of 40.0 s."""
FEASIBLE = 10000
"""Sets of ranks that are all looked at."""
LABELS = {"stock": "stock", "svd": "truncated SVD", "randomized": "randomised SVD", "subspace": "subspace iteration"}


@dataclasses.dataclass(frozen=True)
class Settings(Training):
    """Size of the run; the training is the source's."""

    seeds: int = 4
    epochs: int = RECIPES["keene"].training.epochs
    batch_size: int = RECIPES["keene"].training.batch_size
    learning_rate: float = RECIPES["keene"].training.learning_rate
    optimizer: str = RECIPES["keene"].training.optimizer
    ranks: tuple = (2, 5, 8, 10)
    kept: tuple = (10, 11)
    epsilons: tuple = (0.02, 0.1)
    revealed: int = 3
    repeats: int = 3

    def training(self, **changes):
        """Return what a job of training is given, with the optimizer of the source."""
        return super().training(optimizer=self.optimizer, **changes)


def train(where, network, method, rank, every, training, seeds, valid):
    """Train under a projection; measure test accuracy and loss after the last epoch."""
    data, spec = images("mnist", where.root, valid), TrainingSpec(**training)
    how = {"every": 1 if every == "batch" else "epoch", "method": method}
    project = functools.partial(LowRank, rank=rank, **how) if method != "stock" else None
    factory = functools.partial(MLP, NAMES[network])
    watch = {"test": data.test}
    run = fit(factory, data.train, data.valid, spec, seeds, where.device, where.progress, project=project, watch=watch)
    save_run(run, where.folder / "run.h5", force=True)
    rows = []
    for member, seed in enumerate(run.seeds):
        row = {"network": network, "method": method, "rank": rank, "every": every, "seed": seed}
        for name in ("accuracy", "loss"):
            row[name] = f"{run.history[f'test_{name}'][member, -1]:.5g}"
        rows.append(row)
    return {"trained": rows}


def times(where, network, rank, repeats, batch_size, learning_rate, valid):
    """Time steps and epochs with and without a projection, in one process, interleaved."""
    inputs, labels = resident(images("mnist", where.root, valid).train)
    steps = -(-len(labels) // batch_size)
    calls = {("stock", "batch"): None, ("stock", "epoch"): None, ("every matrix by LAPACK", "batch"): "lapack"}
    calls |= {(method, every): method for method in ("svd", "randomized", "subspace") for every in ("batch", "epoch")}
    loops = {key: _Loop(NAMES[network], inputs, labels, batch_size, learning_rate) for key in calls}
    for (method, every), loop in loops.items():
        if method == "stock":
            continue
        if method == "every matrix by LAPACK":
            loop.project = functools.partial(_by_lapack, loop.model, rank)
        else:
            how = {"every": 1 if every == "batch" else steps, "method": method}
            loop.project = LowRank(loop.model, rank=rank, **how).step
    found = {key: [] for key in calls}
    for round_ in range(repeats + 1):
        for (method, every), loop in loops.items():
            slow = network == "large" and method not in ("stock", "subspace")
            count = steps if every == "epoch" else min(steps, 10 if slow else 200)
            seconds = loop.time(count)
            if round_:
                found[method, every].append(seconds)
        where.progress(round_ + 1, repeats + 1)
    rows = []
    for (method, every), seconds in found.items():
        base = found["stock", every]
        for repeat, (mine, stock) in enumerate(zip(seconds, base, strict=True)):
            row = {"network": network, "method": method, "every": every, "repeat": repeat}
            rows.append(row | {"ratio": f"{mine / stock:.5g}", "step_us": f"{1e6 * mine:.4g}"})
    return {"times": rows}


class _Loop:
    """A plain loop over resident data."""

    def __init__(self, widths, inputs, labels, batch_size, learning_rate):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.model = MLP(widths)
        self.inputs, self.labels, self.batch = inputs, labels, batch_size
        self.optimizer = torch.optim.SGD(self.model.parameters(), learning_rate)
        self.project, self.order, self.generator = None, iter(()), torch.Generator().manual_seed(0)

    def time(self, count):
        """Return the seconds of a step, over so many of them."""
        start = time.perf_counter()
        for _ in range(count):
            batch = next(self.order, None)
            if batch is None:
                self.order = iter(torch.randperm(len(self.labels), generator=self.generator).split(self.batch))
                batch = next(self.order)
            loss = cross_entropy(self.model(self.inputs[batch]), self.labels[batch])
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            if self.project is not None:
                self.project()
        return (time.perf_counter() - start) / count


@torch.no_grad()
def _by_lapack(model, rank):
    for layer in model:
        if type(layer) is nn.Linear:
            u, s, vh = torch.linalg.svd(layer.weight, full_matrices=False)
            layer.weight.copy_((u[:, :rank] * s[:rank]) @ vh[:rank])


def reveal(where, network, epsilon, seed, trained, valid):
    """Reveal the ranks of one network on the validation split; look at all that store less, where they are few."""
    data, run = images("mnist", where.root, valid), load_run(trained.folder / "run.h5")
    model = run.model(seed)
    found = reveal_ranks(model, data.valid, epsilon)
    cuts, test = (RankLoss(model, resident(split)) for split in (data.valid, data.test))
    names, tried, best, least = list(cuts.sites), 0, "not looked at", np.nan
    sets = int(np.prod([len(cuts.choices(name)) for name in names]))
    if sets <= FEASIBLE:
        best, least = "the same", found.numbers
        for loss, ranks in _smaller(model, cuts, found.numbers, resident(data.valid)):
            tried += 1
            size = cuts.numbers(dict(zip(names, ranks, strict=True)))
            if loss <= (1 + epsilon) * found.dense_loss and size < least:
                best, least = " ".join(map(str, ranks)), size
    own, alone = (
        {n: ranks[n] if ranks[n] in cuts.choices(n) else None for n in names} for ranks in (found.ranks, found.alone)
    )
    row = {"network": network, "epsilon": epsilon, "seed": seed, "ranks": " ".join(map(str, found.ranks.values()))}
    row |= {"alone": " ".join(map(str, found.alone.values())), "numbers": found.numbers}
    row |= {"dense_numbers": cuts.numbers(dict.fromkeys(names)), "bound": cuts.numbers(alone), "least": least}
    row |= {"evaluations": found.evaluations, "sets": sets, "looked_at": tried, "best": best}
    row |= {"loss": f"{found.loss:.5g}", "dense_loss": f"{found.dense_loss:.5g}"}
    return {"revealed": [row | {"test_loss": f"{test(own):.5g}", "dense_test_loss": f"{test.dense:.5g}"}]}


@torch.no_grad()
def _smaller(model, cuts, numbers, data):
    """Yield (loss, ranks) of every set of ranks of a perceptron of three layers that stores fewer numbers."""
    inputs, labels = data
    names, layers = list(cuts.sites), [layer for layer in model if type(layer) is nn.Linear]
    svd = [torch.linalg.svd(layer.weight, full_matrices=False) for layer in layers]

    def hidden(number, x, rank):
        layer, (u, s, vh) = layers[number], svd[number]
        if rank is None:
            return layer(x)
        return ((x @ vh[:rank].mT) * s[:rank]) @ u[:, :rank].mT + layer.bias

    def size(*ranks):
        return cuts.numbers(dict(zip(names, ranks, strict=False)))

    first, second, third = (cuts.choices(name) for name in names)
    for a in first:
        if size(a) + size(1, 1, 1) - size(1) >= numbers:
            continue
        x = torch.relu(hidden(0, inputs.flatten(1), a))
        for b in second:
            if size(a, b, 1) >= numbers:
                continue
            y = torch.relu(hidden(1, x, b))
            for c in third:
                if size(a, b, c) < numbers:
                    yield float(cross_entropy(hidden(2, y, c), labels)), (a, b, c)


def jobs(settings):
    """Yield the trainings, the timings and the rank revealer."""
    own = settings.training()
    stock = {}
    for name in NAMES:
        seeds = settings.seeds if name == "small" else settings.revealed
        arguments = {"network": name, "method": "stock", "rank": 0, "every": ""} | own | {"seeds": seeds}
        stock[name] = Job(train, arguments, seeds * (1 if name == "small" else 10))
        yield stock[name]
    grid = [(m, rank, every) for m in ("svd", "randomized") for rank in settings.kept for every in ("epoch", "batch")]
    grid += [("subspace", rank, "batch") for rank in settings.kept[:1]]
    grid += [("svd", rank, every) for rank in settings.ranks for every in ("epoch", "batch")]
    for method, rank, every in dict.fromkeys(grid):
        arguments = {"network": "small", "method": method, "rank": rank, "every": every}
        yield Job(train, arguments | own, settings.seeds * (1 if every == "epoch" else 4))
    for name in NAMES:
        sizes = {"batch_size": settings.batch_size, "learning_rate": settings.learning_rate, "valid": settings.valid}
        yield Job(times, {"network": name, "rank": settings.kept[0], "repeats": settings.repeats} | sizes, 20)
    for name, epsilon, seed in itertools.product(NAMES, settings.epsilons, range(settings.revealed)):
        arguments = {"network": name, "epsilon": epsilon, "seed": seed, "trained": stock[name]}
        yield Job(reveal, arguments | {"valid": settings.valid}, 1 if name == "small" else 20)


def claims(tables, settings):
    """Yield what the source found, and the ranks that were revealed."""
    for method, (accuracy, loss) in PUBLISHED.items():
        for rank, every in itertools.product(settings.kept, ("epoch", "batch")):
            text = f", rank {rank}, after each {every}" if method != "stock" else ""
            one = functools.partial(_trained, tables, method, rank if text else 0, every if text else "")
            what = f"of 784-15-15-10, {LABELS[method]}{text}"
            rules = (near(accuracy, 0.01), near(loss, 0.03))
            for name, published, rule in zip(("accuracy", "loss"), (accuracy, loss), rules, strict=True):
                values = functools.partial(_column, one, name)
                tested = TESTED if name == "accuracy" else 0
                yield Claim("K1", f"test {name} {what}", values, "Keene 2022", f"{published}", rule, tested=tested)
            if not text:
                break
            less = functools.partial(_lost, tables, method, rank, every)
            yield Claim("K1", f"test accuracy lost by {LABELS[method]}{text}, seed by seed", less)
    for network, widths in NAMES.items():
        title = "-".join(map(str, widths))
        for method, every in itertools.product(("svd", "randomized", "subspace"), ("epoch", "batch")):
            said = ()
            if network == "small" and method in PUBLISHED_TIMES:
                published = PUBLISHED_TIMES[method]
                said = ("Keene 2022", f"{published}", near(published, 0.1 * published))
            yield Claim(
                "K2", f"run time / stock, {title}, {LABELS[method]} of rank 10 after each {every}",
                functools.partial(_ratio, tables, network, method, every), *said,
            )  # fmt: skip
        yield Claim(
            "K2", f"run time / stock, {title}, every matrix decomposed by LAPACK after each batch",
            functools.partial(_ratio, tables, network, "every matrix by LAPACK", "batch"),
        )  # fmt: skip
        for epsilon in settings.epsilons:
            for column, text in REVEALED.items():
                yield Claim(
                    "K3", f"rank revealer, {title}, loss within {epsilon:.0%}: {text}",
                    functools.partial(_revealed, tables, network, epsilon, column),
                )  # fmt: skip


REVEALED = {
    "numbers": "numbers stored / dense",
    "evaluations": "passes over the data",
    "least": "numbers stored / the least of all sets of ranks",
    "bound": "numbers stored / those of each layer's own rank, the others whole",
}


def _trained(tables, method, rank, every):
    return tables.columns("trained", network="small", method=method, rank=rank, every=every)


def _lost(tables, method, rank, every):
    return _trained(tables, "stock", 0, "")["accuracy"] - _trained(tables, method, rank, every)["accuracy"]


def _column(table, name):
    return table()[name]


def _ratio(tables, network, method, every):
    return tables.columns("times", network=network, method=method, every=every)["ratio"]


def _revealed(tables, network, epsilon, column):
    table = tables.columns("revealed", network=network, epsilon=epsilon)
    if column == "evaluations":
        return table["evaluations"]
    return table["numbers"] / table["dense_numbers" if column == "numbers" else column]


def _draw_ranks(tables, settings):
    """Draw what projection costs.

    (a) Accuracy and (b) loss, on a logarithmic axis, on the test data of networks projected to a rank during training,
    against the rank; dashed: not projected, crosses: published. Medians and ranges of {seeds} networks, dots single
    ones.
    """
    figure, axes = new_figure(1, 2, width=3.9, height=3.2)
    for ax, name, published in zip(axes[0], ("accuracy", "loss"), (0, 1), strict=True):
        for every, color, marker in (("epoch", COLORS[0], "o"), ("batch", COLORS[1], "s")):
            groups = [_trained(tables, "svd", rank, every)[name] for rank in settings.ranks]
            label = f"projected after each {every}"
            style = {"fmt": f"{marker}-", "color": color, "label": label, "markersize": 4}
            plot_points(ax, settings.ranks, groups, ranges=True, **style)
        plot_level(ax, _trained(tables, "stock", 0, "")[name], "stock", 0 if published else TESTED)
        ax.plot([10], [PUBLISHED["svd"][published]], "kx", label="truncated SVD, Keene 2022", zorder=5)
        ax.set_xticks(settings.ranks)
        ax.set_xlabel("rank of the hidden layers")
    axes[0, 0].set_ylabel("test accuracy, last epoch")
    axes[0, 1].set_ylabel("test cross-entropy (nats), last epoch")
    axes[0, 1].set_yscale("log")
    ticks = [0.3, 0.5, 1, 2, 3, 5]
    axes[0, 1].set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes[0, 1].minorticks_off()
    axes[0, 0].legend(fontsize=7, loc="lower right")
    return figure


def _draw_times(tables, settings):
    """Draw what projection takes.

    Time of training under projection over that without, median and range of {repeats} repeats, by several ways to find
    the projection, after each batch (blue) or each epoch (orange); times are on logarithmic axes. Crosses: the source's
    one run, in both rows, as its text and its code disagree on which it is.
    """
    figure, axes = new_figure(1, 2, width=3.9, height=3.2, sharey=True)
    rows = [("every matrix by LAPACK", "batch")]
    rows += [(method, every) for every in ("batch", "epoch") for method in ("svd", "randomized", "subspace")]
    for ax, (network, widths) in zip(axes[0], NAMES.items(), strict=True):
        most = 1.0
        for place, (method, every) in enumerate(rows):
            ratios = _ratio(tables, network, method, every)
            color = COLORS[0] if every == "batch" else COLORS[1]
            middle, most = statistics.median(ratios), max(most, *ratios)
            error = [[middle - min(ratios)], [max(ratios) - middle]]
            ax.errorbar(middle, place, xerr=error, fmt="o", color=color, capsize=2, markersize=4)
            if network == "small" and method in PUBLISHED_TIMES:
                ax.plot(PUBLISHED_TIMES[method], place, "kx")
        ax.axvline(1, color="0.5", linewidth=0.8, linestyle=":")
        ax.set_xscale("log")
        ticks = [tick for tick in (1, 1.5, 2, 3, 5, 10, 20, 50) if tick <= 1.1 * most and (tick != 1.5 or most < 10)]
        ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        ax.minorticks_off()
        ax.set_xlabel("run time / stock (median, range)")
        name_panel(ax, "-".join(map(str, widths)))
    names = [f"{LABELS.get(method, 'LAPACK, full SVD')}, each {every}" for method, every in rows]
    axes[0, 0].set_yticks(range(len(rows)), names, fontsize=7)
    axes[0, 0].plot([], [], "kx", label="Keene 2022")
    axes[0, 0].legend(fontsize=7)
    return figure


experiment = Experiment(
    Settings,
    jobs,
    claims,
    {"ranks": _draw_ranks, "times": _draw_times},
    full={"seeds": 10, "ranks": tuple(range(1, 11)), "revealed": 5, "repeats": 5},
)
