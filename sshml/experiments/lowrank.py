"""Networks of low rank on MNIST: trained under projection, as factors, as factors after a while, or cut at the end.

Four ways to a network of a given share of the numbers, with as many epochs each: "projected", dense weights put back to
their ranks after every step (`LowRank`, method "subspace"); "factors", trained as such from the SVD of the initial
weights with Frobenius decay (Khodak et al., ICLR 2021); "settled", dense until the stable ranks settle, then factors
(Wang et al., Cuttlefish, MLSys 2023); "tuned", dense, cut with joint ranks on data, then three more.
Published beside: dynamical low-rank training (Schotthoefer et al., NeurIPS 2022, the authors' logs).
"""

import dataclasses
import functools

import numpy as np
import torch

from sshml.classifier import FC2, GENTLE, MLP, TrainingSpec, finetune, fit, resident
from sshml.compression import FrobeniusDecay, LowRank, compress, n_bytes, stable_rank, survey
from sshml.dataset import images
from sshml.errors import SSHMLError
from sshml.experiments import Claim, Experiment, Job, at_least
from sshml.experiments.image_nets import (
    DLRT,
    DLRT_DENSE,
    DLRT_PUBLISHED,
    DLRT_SOURCE,
    TESTED,
    Training,
    accuracy_of,
    too_short,
    train,
    trained,
)
from sshml.experiments.sizes import plan_of_ranks, ranks_of, ranks_within
from sshml.plotting import COLORS, legend_below, name_panel, new_figure, plot_level, plot_points

NETWORKS = {"dlrt": "784-500x4-10", "fc2": "FC2, 784-256-10"}
WAYS = {
    "projected": "projected at every step",
    "factors": "factors from the start",
    "settled": "factors when the stable ranks settle, at the latest from half of the epochs",
    "cut": "cut at the end",
    "tuned": "cut at the end, 3 epochs more",
}
TUNED = 3
"""Epochs after a cut."""
SETTLED = 0.1
"""Largest change of a stable rank from epoch to epoch where it counts as settled."""


@dataclasses.dataclass(frozen=True)
class Settings(Training):
    """Size of the run; the defaults are the quick one."""

    seeds: int = 3
    networks: tuple = ("dlrt",)
    shares: tuple = (0.135, 0.089)
    epochs: int = 4
    learning_rate: float = 1e-3
    schedule: str = "cosine"
    frobenius: float = 1e-4

    def __post_init__(self):
        super().__post_init__()
        if unknown := set(self.networks) - set(NETWORKS):
            raise SSHMLError(f"networks {sorted(unknown)} are unknown here; choose among {', '.join(NETWORKS)}.")
        if not all(0 < share < 1 for share in self.shares):
            raise SSHMLError(f"shares are {self.shares}; expected numbers above 0 and below 1.")

    def training(self, **changes):
        """Return what a job of training is given, with the schedule."""
        return super().training(schedule=self.schedule, **changes)


FULL = {"networks": tuple(NETWORKS), "shares": (0.384, 0.135, 0.089, 0.076), "epochs": 10, "seeds": 5}


def network(name):
    """Return an untrained dense network of a name."""
    return FC2() if name == "fc2" else MLP(DLRT)


def dense(where, name, training, seeds, valid):
    """Train the dense networks; they stay in the folder of the job."""
    data = images("mnist", where.root, valid)
    run = train(where, functools.partial(network, name), data, training, seeds)
    return {"networks": list(_rows(name, "dense", 1.0, run.models(), _accuracy(where, run, data.test)))}


def projected(where, name, share, training, seeds, valid):
    """Train under a projection at every step, then store the factors."""
    data, ranks = images("mnist", where.root, valid), even_ranks(network(name), share)
    spec, project = TrainingSpec(**training), functools.partial(LowRank, rank=ranks, every=1, method="subspace")
    run = _fit(where, functools.partial(network, name), data, spec, seeds, project)
    run = run.with_models([LowRank(model, rank=ranks).factorize() for model in run.models()])
    return {"networks": list(_rows(name, "projected", share, run.models(), _accuracy(where, run, data.test)))}


def factors(where, name, share, training, seeds, valid, frobenius):
    """Train the factors of the initial weights."""
    data, ranks = images("mnist", where.root, valid), even_ranks(network(name), share)
    factory = functools.partial(_factored, name, ranks)
    run = _fit(
        where, factory, data, TrainingSpec(**training), seeds, functools.partial(FrobeniusDecay, decay=frobenius)
    )
    return {"networks": list(_rows(name, "factors", share, run.models(), _accuracy(where, run, data.test)))}


def settled(where, name, share, training, seeds, valid, frobenius):
    """Train the dense networks at a constant rate until their stable ranks settle, then the factors for the rest."""
    data, spec = images("mnist", where.root, valid), TrainingSpec(**training)
    seen, most = _Watch(), max(1, spec.epochs // 2)
    first = dataclasses.replace(spec, epochs=most, schedule="constant")
    try:
        fit(functools.partial(network, name), data.train, data.valid, first, seeds, where.device, on_epoch=seen)
    except _Settled:
        pass
    ranks = scaled_ranks(network(name), seen.scaled(), share)
    starts = [_loaded(network(name), seen.state, member) for member in range(seeds)]
    small = [compress(model, plan_of_ranks(model, ranks)) for model in starts]
    rest = dataclasses.replace(spec, epochs=spec.epochs - seen.epoch)
    run = _fit(where, small, data, rest, seeds, functools.partial(FrobeniusDecay, decay=frobenius))
    rows = _rows(name, "settled", share, run.models(), _accuracy(where, run, data.test))
    log = [
        {"network": name, "share": share, "epoch": epoch + 1, "layer": layer, "stable_rank": f"{value:.4g}"}
        for epoch, found in enumerate(seen.ranks)
        for layer, value in found.items()
    ]
    return {"networks": list(rows), "stable": log}


def cut(where, name, share, networks, valid):
    """Cut the dense networks with joint ranks on data; three epochs more on the factors, and of the dense ones."""
    data, run = images("mnist", where.root, valid), trained(networks)
    seen, kept = (resident(split, run.training.view) for split in (data.train, data.valid))
    small, tuned, further = [], [], dataclasses.replace(GENTLE, epochs=TUNED)
    for seed, model in enumerate(run.models()):
        small.append(compress(model, share=share, data=seen, methods="svd") if share < 1 else model)
        tuned.append(finetune(small[-1], seen, kept, further, seed=seed, device=where.device))
    test, rows = resident(data.test), []
    for way, models in (("cut", small), ("tuned", tuned)):
        rows += _rows(name, way, share, models, [accuracy_of(model, test) for model in models])
    return {"networks": rows}


def _fit(where, factory, data, spec, seeds, project):
    return fit(factory, data.train, data.valid, spec, seeds, where.device, where.progress, project=project)


def _accuracy(where, run, split):
    return run.accuracy(split, where.device)


def _rows(name, way, share, models, accuracy):
    """Yield a row per seed: share of the bytes that is stored, ranks, accuracy on the test split."""
    whole = n_bytes(network(name))
    for seed, (model, right) in enumerate(zip(models, accuracy, strict=True)):
        row = {"network": name, "way": way, "share": share, "seed": seed, "used": f"{n_bytes(model) / whole:.5g}"}
        yield row | {"accuracy": f"{right:.5g}", "ranks": " ".join(ranks_of(model))}


def even_ranks(model, share):
    """Return {layer: rank}, the same rank for all layers but the head, at a share of the bytes of the whole model."""
    return scaled_ranks(model, dict.fromkeys(list(survey(model)[0])[:-1], 1.0), share)


def scaled_ranks(model, weights, share):
    """Return {layer: rank}, ranks in proportion to weights, the largest whose factors fit a share of the bytes.

    Args:
        model: the dense network.
        weights: {layer: number}; other layers stay dense.
        share: of the bytes of the whole model.
    """
    sites = survey(model)[0]
    full = {name: min(sites[name].out_features, sites[name].in_features) for name in weights}

    def ranks(scale):
        return {name: min(full[name], max(1, int(scale * weight))) for name, weight in weights.items()}

    return ranks_within(model, ranks, share, 1e6)


def _factored(name, ranks):
    model = network(name)
    return compress(model, plan_of_ranks(model, ranks))


def _loaded(model, state, member):
    model.load_state_dict({name: tensor[member] for name, tensor in state.items()})
    return model


class _Settled(Exception):
    pass


class _Watch:
    """Stable ranks epoch by epoch, the mean over the networks; stops when none changes any more."""

    def __init__(self):
        self.ranks, self.state, self.first, self.epoch = [], None, None, 0

    def __call__(self, epoch, stacked):
        state = {name: tensor.detach().cpu().clone() for name, tensor in stacked.state_dict().items()}
        hidden = [name for name, tensor in state.items() if tensor.ndim == 3][:-1]
        found = {name.removesuffix(".weight"): float(stable_rank(state[name]).mean()) for name in hidden}
        self.state, self.epoch = state, epoch
        self.ranks.append(found)
        if len(self.ranks) > 1 and all(abs(self.ranks[-1][n] - self.ranks[-2][n]) <= SETTLED for n in found):
            raise _Settled

    def scaled(self):
        """Return {layer: rank}, the stable rank times what makes that of random weights the full rank."""
        found = {}
        for name, value in self.ranks[-1].items():
            rows, columns = self.state[f"{name}.weight"].shape[1:]
            start = torch.randn(rows, columns, generator=torch.Generator().manual_seed(0))
            found[name] = value * min(rows, columns) / float(stable_rank(start))
        return found


def jobs(settings):
    """Yield the dense trainings, and every way at every share."""
    for name in settings.networks:
        own, work = {"name": name}, settings.work() * (6 if name == "dlrt" else 1)
        whole = Job(dense, own | settings.training(), work)
        yield whole
        for share in settings.shares:
            at = own | {"share": share} | settings.training(epochs=settings.epochs + TUNED)
            yield Job(projected, at, work)
            yield Job(factors, at | {"frobenius": settings.frobenius}, work)
            yield Job(settled, at | {"frobenius": settings.frobenius}, work)
        for share in (*settings.shares, 1.0):
            yield Job(cut, own | {"share": share, "networks": whole, "valid": settings.valid}, work)


def claims(tables, settings):
    """Yield the accuracies that somebody published, and every way beside cutting at the end."""
    if "dlrt" in settings.networks:
        yield Claim(
            "DLRT", f"test accuracy of dense {NETWORKS['dlrt']}", functools.partial(_of, tables, "dlrt", "dense", 1.0),
            DLRT_SOURCE, f"{DLRT_DENSE}", at_least(DLRT_DENSE - 0.002),
            too_short(settings, FULL["epochs"]), TESTED,
        )  # fmt: skip
    for name in settings.networks:
        control = functools.partial(_gain, tables, name, ("tuned", 1.0), ("dense", 1.0))
        yield Claim("control", f"accuracy gained by 3 epochs more, dense {NETWORKS[name]}", control)
        for share in settings.shares:
            for way, label in WAYS.items():
                said = ()
                if name == "dlrt" and share in DLRT_PUBLISHED:
                    said = (DLRT_SOURCE, f"{DLRT_PUBLISHED[share]}")  # of another way: nothing to decide
                yield Claim(
                    "DLRT", f"test accuracy of {NETWORKS[name]} at {share:.1%} of the bytes, {label}",
                    functools.partial(_of, tables, name, way, share), *said, tested=TESTED,
                )  # fmt: skip
            for way in ("projected", "factors", "settled", "cut"):
                yield Claim(
                    "ways", f"accuracy of {WAYS['tuned']} less {WAYS[way]}, {NETWORKS[name]}, {share:.1%}",
                    functools.partial(_gain, tables, name, ("tuned", share), (way, share)),
                )  # fmt: skip


def _of(tables, name, way, share):
    return tables.columns("networks", network=name, way=way, share=share)["accuracy"]


def _gain(tables, name, one, other):
    return _of(tables, name, *one) - _of(tables, name, *other)


def _draw(tables, settings):
    """Draw the results.

    Test accuracy at shares of the bytes, logarithmic: dense networks that are cut and trained on, and networks trained
    in low rank; dashed: dense, crosses and dotted line: published, of another way to train. Bars: one standard
    deviation over {seeds} networks with the error of the test set, dots single networks.
    """
    names = settings.networks
    figure, axes = new_figure(1, len(names), width=4.4, height=3.5, sharey=True)
    for ax, name in zip(axes[0], names, strict=True):
        for (way, label), color, marker in zip(WAYS.items(), COLORS, "osD^v", strict=False):
            table = tables.columns("networks", network=name, way=way)
            shares = [share for share in np.unique(table["share"]) if share < 1]
            used = [table["used"][table["share"] == share].mean() for share in shares]
            groups = [table["accuracy"][table["share"] == share] for share in shares]
            style = {"fmt": f"{marker}-", "color": color, "label": label.replace("settle, ", "settle,\n")}
            plot_points(ax, used, groups, TESTED, markersize=4, **style)
        plot_level(ax, _of(tables, name, "dense", 1.0), "dense", TESTED)
        if name == "dlrt":
            label = f"dynamical low rank, 250 epochs,\n{DLRT_SOURCE}"
            ax.plot(list(DLRT_PUBLISHED), list(DLRT_PUBLISHED.values()), "kx", label=label, zorder=5)
            ax.axhline(DLRT_DENSE, color="k", linewidth=0.8, linestyle=":", label=f"dense, {DLRT_SOURCE}")
        ax.set_xscale("log")
        ticks = [0.05, 0.1, 0.2, 0.4, 0.65]
        ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        ax.minorticks_off()
        ax.set_xlabel("bytes of the whole model / dense")
        ax.set_ylabel("test accuracy")
        name_panel(ax, f"{NETWORKS[name]}, MNIST")
    legend_below(figure, axes[0, 0], 2)
    return figure


experiment = Experiment(Settings, jobs, claims, {"lowrank": _draw}, full=FULL)
