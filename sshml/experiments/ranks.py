"""How many singular values the first layer needs, and why: over chains, networks and what they see.

The poster of Oriekhov et al. finds that 8 of 128 keep 95 %. Here its numbers over datasets as well as training seeds,
so that error bars hold for the chains too; other lengths of chain, networks and disorder; and a formula that says where
the 8 comes from (`sshml.analysis.level_directions`): with s(f_n) and s(g_n) the norms that the trained layer gives to
the two directions in which the states of level n lie, k95 = #{n: s(f_n) > max s(g_m)} + 1, or one more.

Also measured: the numbers that keep 95 % where the layer is cut level by level, each level to rank 1, 2 or 3, and
levels taken away one by one (`sshml.analysis.eliminate_blocks`), rank and number of levels chosen on validation as
those of fewest numbers that keep 95 % there; the rank that keeps 95 % where the layer is cut in the metric of the
training data; the accuracy of the projection on the two directions of one group of levels alone, a matrix of rank 2,
the group chosen on validation; whether truncation denoises: the rank of the best validation accuracy (the smallest of
equals), quoted on test; the entropy of what training added to the layer.

Written before the run, each by two standard errors of the dataset means: truncation to that rank adds accuracy at the
poster's setting, and what training added has less entropy at every cut than its spectrum with Haar vectors. And the
formula is right within {0, +1} for 80 % of the networks of a setting, wherever a network sees clean chains in random
signs through ReLUs. It is expected to fail for chains of |v - w| > .1 only, which lack the states at v = w, for
disorder, and for tanh and squares, and is measured there. Levels count from 0. Ranks are 1 to 32, then eight more to
the full one. A statistic over a setting is one of all networks of all its datasets, its standard error that of the
means of datasets.
"""

import dataclasses
import functools

import numpy as np
import torch

from sshml.analysis import (
    direction_norms,
    eliminate_blocks,
    gaussian_cuts,
    level_directions,
    prune_sweep,
    rank_grid,
    rank_of_directions,
    rank_sweep,
)
from sshml.chain import critical_states, eigenstates, fixed_signs
from sshml.classifier import MLP, TrainingSpec, fit, load_run, resident, save_run
from sshml.dataset import DatasetSpec, View, from_hoppings, generate, open_dataset
from sshml.errors import SSHMLError
from sshml.experiments import NEGATIVE, POSITIVE, Claim, Experiment, Job, above, at_least, at_most, near
from sshml.experiments.increments import increment_entropies, ranks_up_to
from sshml.experiments.poster.claims import KEEPS, SOURCE, pruned_over_svd, second_rank, svd_less_pruned
from sshml.experiments.poster.measurements import shape_of
from sshml.plotting import COLORS, new_figure, plot_band, plot_groups
from sshml.statistics import band, group_means
from sshml.tables import pivot

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
OUTSIDE = ("|v - w| > 0.1", "W = 0.5", "W = 1", "tanh", "square")
"""Settings in which the formula is not expected to hold."""
ELIMINATED = ("the poster's", "N = 32", "W = 0.5", "tanh")
"""Settings whose levels are taken away one by one, each cut to rank 1, 2 or 3."""
FORMULA = "written before the run"


@dataclasses.dataclass(frozen=True)
class Settings:
    """Size of the run: datasets, networks of each; `settings` are names of SETTINGS."""

    datasets: int = 2
    seeds: int = 4
    epochs: int = 20
    train: int = 16000
    valid: int = 2000
    test: int = 10000
    settings: tuple = ("the poster's", "level 9 alone", "levels 6, 9", "one sign", "N = 8", "|v - w| > 0.1", "tanh")

    def __post_init__(self):
        if self.datasets < 2 or self.seeds < 1:
            raise SSHMLError(f"{self.datasets} datasets of {self.seeds} networks give no error bars; take 2 datasets.")
        if unknown := set(self.settings) - set(SETTINGS):
            raise SSHMLError(f"settings {sorted(unknown)} are unknown; choose among {', '.join(SETTINGS)}.")

    def chains(self, name, dataset):
        """Return what `chains` is given for a setting and the number of a dataset."""
        change = SETTINGS[name]
        strength = change.get("disorder", 0.0)
        spec = DatasetSpec(
            cells=change.get("cells", 8), train=change.get("train", self.train), valid=self.valid, test=self.test,
            seed=100 + dataset, disorder_v=strength, disorder_w=strength,
        )  # fmt: skip
        return {"spec": spec} | ({"gap": change["gap"]} if "gap" in change else {})


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


def jobs(settings):
    """Yield the measurements of every setting and dataset."""
    for name in settings.settings:
        change = SETTINGS[name]
        for dataset in range(settings.datasets):
            own = settings.chains(name, dataset)
            size = (2 * own["spec"].cells) ** 2
            made = Job(chains, own, work=1e-6 * size * own["spec"].train)
            training = TrainingSpec(
                epochs=settings.epochs, weight_decay=change.get("weight_decay", 0.0), view=change.get("view")
            )
            hidden = change.get("hidden", (128, 64))
            network = {"hidden": hidden, "activation": change.get("activation", "relu"), "seeds": settings.seeds}
            work = 1e-9 * settings.seeds * hidden[0] * size
            trained = Job(
                networks, {"made": made, "training": training} | network, work * settings.epochs * own["spec"].train
            )
            given = {"setting": name, "dataset": dataset, "made": made, "trained": trained}
            yield Job(measure, given, work * settings.test)


def _of_change(tables, of, cut):
    return tables.columns("increments", of=of, cut=cut)["entropy"]


def _below_haar(tables, cut):
    """Return the entropy of the changes less that of their spectra with Haar vectors, the mean of each dataset."""
    difference = _of_change(tables, "change", cut) - _of_change(tables, "Haar", cut)
    return group_means(difference, tables.columns("increments", of="change", cut=cut)["dataset"])


def _column(tables, setting, column):
    return tables.columns("ranks", setting=setting)[column]


def by_dataset(tables, setting, column):
    """Return the means of a column over the networks of each dataset, those that exist."""
    found = tables.columns("ranks", setting=setting)
    return group_means(found[column], found["dataset"])


def is_right(tables, setting):
    """Return for each network 1 where the formula is right within {0, +1}, 0 where it is not or no rank keeps 95 %."""
    found = tables.columns("ranks", setting=setting)
    return np.isin(found["rank"] - found["predicted"], (0, 1)).astype(float)


def reads_susceptible(tables, setting):
    """Return for each network of one dataset 1 where the level it gives most norm is the most susceptible, else 0.

    The norm is s(f_n), the fidelity susceptibility |d psi_n / d ln(w/v)|^2 at w = v; a level and its chiral partner
    have the same.
    """
    found = tables.columns("norms", setting=setting)
    norms = pivot(found, "seed", "group", "f")[2]
    susceptibility = np.linalg.norm(critical_states(norms.shape[1])[1], axis=1)
    return np.isclose(susceptibility, susceptibility.max())[norms.argmax(1)].astype(float)


def _second(tables, rank):
    """Return the `second_rank` of every network among ranks 1 to 4, with a rank in layer 1."""
    first = tables.columns("curve", setting="the poster's", size=rank)
    found = tables.columns("second", setting="the poster's", rank_1=rank)
    networks = 1000 * found["dataset"] + found["seed"]
    accuracy = np.array([found["accuracy"][networks == one] for one in 1000 * first["dataset"] + first["seed"]])
    return second_rank(first["accuracy"], np.arange(1, 5), accuracy)


def by_blocks(tables, setting, column):
    """Return a column of each network's cut level by level of fewest numbers that keeps 95 % on validation, or NaN."""
    found = tables.columns("blocks", setting=setting)
    networks, values = 1000 * found["dataset"] + found["seed"], []
    for one in np.unique(networks):
        own = np.flatnonzero((networks == one) & (found["valid"] >= KEEPS))
        least = own[np.lexsort((-found["valid"][own], found["numbers"][own]))[:1]]
        values.append(found[column][least[0]] if least.size else np.nan)
    return np.array(values)


def claims(tables, settings):
    """Yield the poster's claims over datasets, what other settings give, and whether the formula is right.

    The standard errors are those of the means of datasets.
    """
    of = functools.partial(functools.partial, _column, tables)
    means = functools.partial(functools.partial, by_dataset, tables)
    if "the poster's" in settings.settings:
        each = functools.partial(Claim, groups=of("the poster's", "dataset"))
        own, datasets = "the poster's", f"means of {settings.datasets} datasets"
        yield each("P1", "rank of layer 1 that keeps 95 %, all networks", of(own, "rank"), SOURCE, "8", near(8, 1))
        yield Claim("P1", f"rank of layer 1 that keeps 95 %, {datasets}", means(own, "rank"), SOURCE, "8", near(8, 1))
        yield each(
            "P1", "accuracy with 8 singular values in layer 1",
            lambda: tables.columns("curve", setting=own, size=8)["accuracy"], SOURCE, ">= 0.95", at_least(KEEPS),
        )  # fmt: skip
        mean, _ = gaussian_cuts(shape_of(128, 256))
        for cut in (1, 2, 3):
            change = functools.partial(_of_change, tables, "change", cut)
            yield each("F5", f"entropy of what training added, cut {cut} (Gaussian {mean[cut - 1]:.2f} nats)", change)
            yield Claim(
                "F5",
                f"entropy of what training added less that of its spectrum with Haar vectors, cut {cut}, {datasets}",
                functools.partial(_below_haar, tables, cut), FORMULA, "< 0", NEGATIVE,
            )  # fmt: skip
        for rank in (8, 9):
            yield each(
                "P2", f"singular values of layer 2 that keep 95 %, {rank} in layer 1, where those keep it",
                functools.partial(_second, tables, rank), SOURCE, "1 or 2", at_most(2),
            )  # fmt: skip
        yield each("P3", "bytes of layer 1 at 95 %, pruned / SVD", of(own, "bytes_ratio"), SOURCE, "> 1", above(1))
        yield Claim(
            "P3", f"accuracy with 93.75 % removed, SVD - pruned, {datasets}", means(own, "share_difference"), SOURCE,
            "> 0", POSITIVE,
        )  # fmt: skip
    for name in settings.settings:
        each = functools.partial(Claim, groups=of(name, "dataset"))
        right = functools.partial(is_right, tables, name)
        decided = () if name in OUTSIDE else (FORMULA, ">= 0.8", at_least(0.8))
        yield each("F1", f"share of networks whose rank the formula gives within 0, +1, {name}", right, *decided)
    for name in settings.settings:
        if "view" not in SETTINGS[name]:
            yield Claim(
                "F1", f"share of networks that read a level of largest fidelity susceptibility first, {name}",
                functools.partial(reads_susceptible, tables, name),
            )  # fmt: skip
    for name in settings.settings:
        each = functools.partial(Claim, groups=of(name, "dataset"))
        yield each("F1", f"rank of layer 1 that keeps 95 %, {name}", of(name, "rank"))
        yield each("F1", f"the formula's rank, {name}", of(name, "predicted"))
        yield each("F1", f"rank that keeps 95 % of the network's own accuracy, {name}", of(name, "own_rank"))
        yield each("F1", f"test accuracy, {name}", of(name, "accuracy"))
        yield each("F1", f"bytes of layer 1 at 95 %, pruned / SVD, {name}", of(name, "bytes_ratio"))
        yield each(
            "F2", f"accuracy of the projection of layer 1 on two directions of one group, {name}", of(name, "of_level")
        )
        yield each(
            "F3", f"rank that keeps 95 %, cut in the metric of the training data, {name}", of(name, "aware_rank")
        )
        yield each(
            "F3", f"bytes of layer 1 at 95 %, pruned / SVD in the metric of the data, {name}",
            of(name, "aware_bytes_ratio"),
        )  # fmt: skip
        if name in ELIMINATED:
            for column, text in (("numbers", "numbers"), ("rank", "rank of each level"), ("kept", "levels left")):
                yield each(
                    "F3", f"{text} of the cut level by level that keeps 95 % on validation, {name}",
                    functools.partial(by_blocks, tables, name, column),
                )  # fmt: skip
            yield each("F3", f"its test accuracy, {name}", functools.partial(by_blocks, tables, name, "test"))
        yield Claim(
            "F4", f"accuracy at the rank chosen on validation less that of the network, means of datasets, {name}",
            means(name, "gain"), *((FORMULA, "> 0", POSITIVE) if name == "the poster's" else ()),
        )  # fmt: skip


def _measured_against_predicted(tables, settings):
    """Draw ranks beside those of the formula.

    Rank of layer 1 that keeps 95 % accuracy, measured and by the formula, in every setting; grey: settings in which the
    formula is not expected to hold.
    """
    figure, axes = new_figure(1, 1, width=7.0, height=3.6)
    ax, names = axes[0, 0], list(settings.settings)
    for column, label, color, offset in (
        ("rank", "measured: keeps 95 %", COLORS[0], -0.12),
        ("predicted", r"$\#\{n: s(f_n) > \max\, s(g_m)\} + 1$", COLORS[1], 0.12),
    ):
        plot_groups(ax, names, [_column(tables, name, column) for name in names], color, offset, label)
    for place, name in enumerate(names):
        if name in OUTSIDE:
            ax.axvspan(place - 0.5, place + 0.5, color="0.9", zorder=0)
        if not np.isfinite(_column(tables, name, "rank")).any():
            ax.text(place - 0.12, 40, "none keeps 95 %", rotation=90, fontsize=7, ha="center", va="center")
    ax.set_ylabel("rank of layer 1 (logarithmic)")
    ax.set_yscale("log", base=2)
    ax.set_yticks([1, 2, 4, 8, 16, 32, 64, 128], ["1", "2", "4", "8", "16", "32", "64", "128"])
    ax.set_xlim(-0.5, len(names) - 0.5)
    ax.tick_params(axis="x", labelsize=7, rotation=60)
    for text in ax.get_xticklabels():
        text.set_horizontalalignment("right")
        text.set_rotation_mode("anchor")
    ax.legend(fontsize=7, loc="upper left")
    return figure


def _amplitudes(ax, level, sites=16):
    """Draw how much of its two directions a state of a clean chain has, against w/v."""
    ratio = np.geomspace(0.1, 10, 201)
    v, w = np.ones((len(ratio), sites // 2)), np.repeat(ratio[:, None], sites // 2 - 1, 1)
    even, odd = (each[level] / np.linalg.norm(each[level]) for each in critical_states(sites))
    states = eigenstates(v, w)[1][:, level]
    states *= np.sign(states @ even)[:, None]
    for direction, label, color in ((odd, f"$f_{{{level}}}$", COLORS[0]), (even, f"$g_{{{level}}}$", COLORS[1])):
        ax.plot(ratio, states @ direction, color=color, label=label)
    ax.axhline(0, color="0.5", linewidth=0.8, linestyle=":")
    ax.axvline(1, color="0.5", linewidth=0.8, linestyle=":")
    ax.set_xscale("log")
    ax.set_xticks([0.1, 1, 10], ["0.1", "1", "10"])
    ax.set(xlabel="w / v", ylabel=f"overlap of state {level} with")
    ax.legend(fontsize=7)


def _mechanism(tables, settings):
    """Draw why the rank is what it is.

    (a) Overlap of a state of a clean chain with itself at w = v (g) and with its derivative there (f), of which f
    changes sign at w = v and g does not. (b) Norms that the trained layer 1 gives to the two main directions of every
    level, f and g up to overlaps of .94. (c) Test accuracy against the singular values kept; orange: where the formula
    puts 95 %. Bands: one standard deviation.
    """
    if "the poster's" not in settings.settings:
        return None
    figure, axes = new_figure(1, 3, width=2.33, height=2.3)
    _amplitudes(axes[0, 0], 9)
    axes = axes[:, 1:]
    norms = tables.columns("norms", setting="the poster's")
    groups = np.unique(norms["group"])
    for name, label, color in (("f", "$s(f_n)$", COLORS[0]), ("g", "$s(g_n)$", COLORS[1])):
        values = np.stack([norms[name][norms["group"] == n] for n in groups], 1)
        plot_band(axes[0, 0], groups, *band(values), label, color, marker="o", markersize=3)
    axes[0, 0].set(xlabel="level $n$, from 0", ylabel="norm in trained layer 1", xticks=groups[::3])
    axes[0, 0].legend(fontsize=7)
    curve = tables.columns("curve", setting="the poster's")
    sizes = np.unique(curve["size"])
    values = np.stack([curve["accuracy"][curve["size"] == size] for size in sizes], 1)
    plot_band(axes[0, 1], sizes, *band(values), "all networks", COLORS[0], marker="o", markersize=3)
    predicted = _column(tables, "the poster's", "predicted")
    axes[0, 1].axvspan(predicted.min(), predicted.max() + 1, color=COLORS[1], alpha=0.2, label="formula, and + 1")
    axes[0, 1].axhline(KEEPS, color="0.3", linewidth=0.8, linestyle=":")
    axes[0, 1].set(xlabel="singular values kept in layer 1", ylabel="test accuracy", xticks=sizes[::3])
    axes[0, 1].legend(fontsize=7, loc="lower right")
    return figure


FULL = {"datasets": 5, "seeds": 16, "settings": tuple(SETTINGS)}
experiment = Experiment(
    Settings, jobs, claims, {"formula": _measured_against_predicted, "mechanism": _mechanism}, full=FULL
)
