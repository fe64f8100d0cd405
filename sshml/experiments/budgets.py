"""Four networks at shares of their bytes: ranks chosen jointly on data, against the rules of others, and fine-tuned.

The rules: the joint choice of `sshml.plan`, on data, on data with the kept values shrunk, and without data; one share
of the ranks for all layers, the head dense; one energy for all layers; the least largest relative error, the rule of
ALDS (Liebenwein et al., arXiv 2107.11442) without its splitting; the ranks of analytic variational Bayes, VBMF
(Nakajima et al., J. Mach. Learn. Res. 14, 1 (2013)), which have no budget. Published numbers for
784-500-500-500-500-10 are of dynamical low-rank training (Schotthoefer et al., NeurIPS 2022, the authors' logs), 250
epochs at these ranks.
"""

import dataclasses
import functools

import numpy as np
import torch

from sshml.classifier import FC2, MLP, LeNet5, TrainingSpec, finetune, resident
from sshml.compression import compress, front, n_bytes, survey
from sshml.dataset import DatasetSpec, images, open_dataset
from sshml.errors import SSHMLError
from sshml.experiments import Claim, Experiment, Job, at_least
from sshml.experiments.image_nets import (
    DLRT,
    DLRT_PUBLISHED,
    DLRT_SOURCE,
    TESTED,
    Training,
    accuracy_of,
    train,
    trained,
)
from sshml.experiments.poster.measurements import FILE, chains
from sshml.experiments.sizes import plan_of_ranks, ranks_of, ranks_within
from sshml.plotting import COLORS, name_panel, new_figure, plot_level, plot_points, set_log_axis

NETWORKS = {
    "ssh": "SSH classifier, 256-128-64-2",
    "fc2": "FC2, MNIST",
    "lenet5": "LeNet-5, MNIST",
    "dlrt": "784-500x4-10, MNIST",
}
RULES = {
    "joint": "joint, on data",
    "joint, shrunk": "joint, on data, kept values shrunk",
    "joint, no data": "joint, weights alone",
    "uniform": "one share of the ranks, dense head",
    "energy": "one energy",
    "minimax": "least largest error (ALDS)",
    "vbmf": "VBMF",
}


@dataclasses.dataclass(frozen=True)
class Settings(Training):
    """Size of the run; the defaults are the quick one. `tuned` shares get three more epochs on the factors."""

    seeds: int = 3
    networks: tuple = ("ssh", "fc2")
    shares: tuple = (0.05, 0.089, 0.2)
    tuned: tuple = (0.089,)
    epochs: int = 5
    learning_rate: float = 1e-3
    chains: int = 16000

    def __post_init__(self):
        super().__post_init__()
        if unknown := set(self.networks) - set(NETWORKS):
            raise SSHMLError(f"networks {sorted(unknown)} are unknown here; choose among {', '.join(NETWORKS)}.")
        if not all(0 < share <= 1 for share in (*self.shares, *self.tuned)):
            raise SSHMLError(f"shares are {self.shares} and {self.tuned}; expected numbers above 0, at most 1.")


def dense(where, name, training, seeds, valid, chains=None):
    """Train the dense networks of a name; they stay in the folder of the job."""
    train(where, _factory(name), _data(name, where, valid, chains), training, seeds)
    return {}


def _factory(name):
    made = {"ssh": MLP, "fc2": FC2, "lenet5": LeNet5, "dlrt": functools.partial(MLP, DLRT)}
    return made[name]


def _data(name, where, valid, chains):
    return images("mnist", where.root, valid) if name != "ssh" else open_dataset(chains.folder / FILE)


def measure(where, name, rule, shares, networks, valid, chains=None):
    """Cut the networks of a name by a rule at several shares; measure the test accuracy."""
    data, run = _data(name, where, valid, chains), trained(networks)
    seen, test = (resident(split, run.training.view) for split in (data.train, data.test))
    before, rows = run.accuracy(data.test), []
    for seed, model in enumerate(run.models()):
        for share, small in _cut(model, rule, shares, seen):
            used = n_bytes(small) / n_bytes(model)
            row = {"network": name, "rule": rule, "share": share, "seed": seed, "used": f"{used:.5g}"}
            row |= {"dense": f"{before[seed]:.5g}", "accuracy": f"{accuracy_of(small, test):.5g}"}
            rows.append(row | {"ranks": " ".join(ranks_of(small))})
    return {"rules": rows}


def tune(where, name, share, networks, valid, chains=None):
    """Cut the networks of a name jointly and train the factors for three epochs, with and without the dense teacher."""
    data, run = _data(name, where, valid, chains), trained(networks)
    seen, kept, test = (resident(split, run.training.view) for split in (data.train, data.valid, data.test))
    rows = []
    for seed, model in enumerate(run.models()):
        small = compress(model, share=share, data=seen)
        row = {"network": name, "share": share, "seed": seed, "cut": f"{accuracy_of(small, test):.5g}"}
        for column, teacher in (("tuned", None), ("distilled", model)):
            found = finetune(small, seen, kept, teacher=teacher, seed=seed, device=where.device)
            row[column] = f"{accuracy_of(found, test):.5g}"
        rows.append(row)
    return {"tuned": rows}


def _cut(model, rule, shares, seen):
    """Yield (share, model cut by a rule) for the shares that have such ranks."""
    if rule.startswith("joint"):
        data = None if rule == "joint, no data" else seen
        options = {"methods": "svd", "shrink": rule == "joint, shrunk"}
        found = front(model, data, shares, evaluate=lambda _: 0.0, **options)
        for row, chosen in zip(found.rows, found.plans, strict=False):
            yield row["share"], compress(model, chosen)
        return
    for share in shares if rule != "vbmf" else (1.0,):
        try:
            yield share, compress(model, by_rule(model, rule, share))
        except SSHMLError:  # no such ranks within the budget
            continue


def by_rule(model, rule, share):
    """Return the `Plan` of a rule at the largest setting of its one parameter that keeps a share of the bytes.

    Args:
        model: the network.
        rule: "uniform", "energy", "minimax" or "vbmf" (whose share plays no role).
        share: of the bytes of the whole model.
    """
    sites, _ = survey(model)
    values = {name: _spectrum(site.matrices(model)) for name, site in sites.items()}
    head = list(sites)[-1]
    if rule == "vbmf":
        found = {name: max(1, vbmf_rank(site.matrices(model)[0])) for name, site in sites.items()}
        return plan_of_ranks(model, found)

    def rank(name, s, setting):
        if rule == "uniform":
            return len(s) if name == head else round(setting * len(s))
        if rule == "energy":
            return int((1 - np.cumsum(s**2) / (s**2).sum() > 1 - setting).sum()) + 1
        return int((s > (1 - setting) * s[0]).sum())

    def ranks(setting):
        return {name: min(max(1, rank(name, s, setting)), len(s)) for name, s in values.items()}

    return plan_of_ranks(model, ranks_within(model, ranks, share))


def _spectrum(matrices):
    """Return the singular values of the matrices of a site, of several the root of the mean squares."""
    return torch.linalg.svdvals(matrices.double()).square().mean(0).sqrt().numpy()


def free_energy(x, alpha, bound):
    """Return the free energy, less a constant, of squared singular values x in units of the noise (theorem 2)."""
    z, low = x[x > bound], np.maximum(x[x <= bound], 1e-300)
    root = 0.5 * (z - (1 + alpha) + np.sqrt(np.maximum((z - (1 + alpha)) ** 2 - 4 * alpha, 0)))
    kept = (z - root).sum() + np.log((root + 1) / z).sum() + alpha * np.log(root / alpha + 1).sum()
    return (low - np.log(low)).sum() + kept


def vbmf_rank(matrix):
    """Return the rank of a matrix (out, in) by the global solution of empirical variational Bayesian factorisation.

    The noise variance minimises the free energy of Nakajima et al. 2013, theorem 2; singular values above
    sqrt(M v (1 + t)(1 + a / t)) are kept, with a = L / M <= 1 and t = 2.5129 sqrt(a).
    """
    s = torch.linalg.svdvals(matrix.double()).numpy()
    small, large = sorted(matrix.shape)
    alpha = small / large
    tau = 2.5129 * np.sqrt(alpha)
    bound = (1 + tau) * (1 + alpha / tau)
    first = min(int(np.ceil(small / (1 + alpha))) - 1, small) - 1
    tail = s[first + 1 :] if first + 1 < small else s[-1:]
    lowest = max(tail[0] ** 2 / (large * bound), (tail**2).mean() / large, 1e-300)
    variances = np.geomspace(lowest, max((s**2).sum() / (small * large), 1.0001 * lowest), 2000)

    variance = min(variances, key=lambda variance: free_energy(s**2 / (large * variance), alpha, bound))
    return int((s > np.sqrt(large * variance * bound)).sum())


def jobs(settings):
    """Yield the trainings, the cuts by every rule, and the fine-tuning."""
    sizes = {"train": settings.chains, "valid": 2000, "test": 10000}
    data = Job(chains, {"spec": DatasetSpec(cells=8, gauge="random", **sizes)}, settings.chains / 1000)
    if "ssh" in settings.networks:
        yield data
    for name in settings.networks:
        own = {"name": name, "valid": settings.valid} | ({"chains": data} if name == "ssh" else {})
        training = settings.training()
        if name == "ssh":
            training["training"] = TrainingSpec(4 * settings.epochs, 64, settings.learning_rate)
        networks = Job(dense, own | training, settings.work())
        yield networks
        for rule in RULES:
            yield Job(measure, own | {"rule": rule, "shares": settings.shares, "networks": networks}, settings.seeds)
        for share in settings.tuned:
            yield Job(tune, own | {"share": share, "networks": networks}, settings.work(6))


def claims(tables, settings):
    """Yield the accuracies that somebody published, and the joint choice beside every other rule."""
    for share, published in DLRT_PUBLISHED.items():
        if "dlrt" in settings.networks and share in settings.shares:
            yield Claim(
                "DLRT", f"test accuracy of {NETWORKS['dlrt']} at {share:.1%} of the bytes, cut without retraining",
                functools.partial(_of, tables, "dlrt", "joint", share), DLRT_SOURCE, f"{published}",
                at_least(published), tested=TESTED,
            )  # fmt: skip
    for name in settings.networks:
        yield Claim(
            "dense", f"test accuracy of dense {NETWORKS[name]}", functools.partial(_dense, tables, name), tested=TESTED
        )
        for share in settings.shares:
            for rule in [rule for rule in RULES if rule not in ("joint", "vbmf")]:
                yield Claim(
                    "joint", f"accuracy of the joint choice less {RULES[rule]}, {NETWORKS[name]}, {share:.1%}",
                    functools.partial(_gain, tables, name, rule, share),
                )  # fmt: skip
        for share in settings.tuned:
            for column in ("cut", "tuned", "distilled"):
                yield Claim(
                    "tuned", f"test accuracy of {NETWORKS[name]} at {share:.1%} of the bytes, {column}",
                    functools.partial(_tuned, tables, name, share, column), tested=TESTED,
                )  # fmt: skip


def _of(tables, name, rule, share):
    return tables.columns("rules", network=name, rule=rule, share=share)["accuracy"]


def _dense(tables, name):
    table = tables.columns("rules", network=name, rule="joint")
    return table["dense"][table["share"] == table["share"].max()]


def _gain(tables, name, rule, share):
    """Return the difference seed by seed, NaN where a rule has no ranks within the budget."""
    try:
        return _of(tables, name, "joint", share) - _of(tables, name, rule, share)
    except (SSHMLError, ValueError):
        return [np.nan]


def _tuned(tables, name, share, column):
    return tables.columns("tuned", network=name, share=share)[column]


def _figure(name, tables, settings):
    """Draw rules of choosing ranks.

    Share of wrong labels of a trained network compressed at once to shares of its bytes by several rules, without
    retraining, both logarithmic; dashed: dense; crosses: published, of networks trained in low rank. Medians and ranges
    of {seeds} networks, dots single ones.
    """
    if name not in settings.networks:
        return None
    figure, axes = new_figure(width=7.2, height=3.6)
    ax = axes[0, 0]
    table = tables.columns("rules", network=name)
    for (rule, label), color, marker in zip(RULES.items(), COLORS, "o*s^vDX", strict=False):
        mine = table["rule"] == rule
        shares = np.unique(table["share"][mine])
        used = [table["used"][mine & (table["share"] == share)].mean() for share in shares]
        groups = [1 - table["accuracy"][mine & (table["share"] == share)] for share in shares]
        style = {"fmt": f"{marker}" if rule == "vbmf" else f"{marker}-", "color": color, "label": label}
        plot_points(ax, used, groups, ranges=True, markersize=4, **style)
    plot_level(ax, 1 - _dense(tables, name), "dense", TESTED)
    if name == "dlrt":
        said = {share: DLRT_PUBLISHED[share] for share in settings.shares if share in DLRT_PUBLISHED}
        wrong = 1 - np.array(list(said.values()))
        ax.plot(list(said), wrong, "kx", label=f"trained low-rank, {DLRT_SOURCE}", zorder=6)
    wrong = 1 - table["accuracy"]
    set_log_axis(ax, 0.85 * wrong.min(), 1.2 * wrong.max())
    ax.set_xscale("log")
    ticks = [0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0]
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    ax.set_xlim(0.9 * min(*settings.shares, *table["used"]), 1.05 * max(*settings.shares, *table["used"]))
    ax.set_xlabel("bytes of the whole model / dense")
    ax.set_ylabel("share of wrong labels, no retraining")
    name_panel(ax, NETWORKS[name])
    ax.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


experiment = Experiment(
    Settings,
    jobs,
    claims,
    {name: functools.partial(_figure, name) for name in NETWORKS},
    full={"seeds": 5, "networks": tuple(NETWORKS), "shares": (0.03, 0.05, 0.076, 0.089, 0.135, 0.2, 0.3)},
)
