"""What networks reach on disordered chains, where one density of a chain holds its label exactly.

Additive uniform disorder W on all hoppings of chains of clean hoppings uniform on [0, 1]. Rules: the hoppings of all
states in float32 (`sshml.chain.hoppings_of_states`) and of one level's density (`hoppings_of_state`) give the label, so
that the best accuracy there can be is 1 for states and for densities; thresholds on one number of the states, chosen on
training chains. Networks: the plain one on states in random signs and on densities;
one linear layer on the logarithms of one density and of its cumulative imbalance (`CumulativeLogs`), which can express
the label; and one that can express the real-space winding number (`WindingNetwork`), from a random and from the exact
start. Construction and starts of that are ours: the networks of Oriekhov et al., arXiv 2509.26261, were not at hand.

Protocol. Chains of W_v and W_w each uniform on [0, 3], drawn independently, in growing numbers, streamed, all networks
by the same recipe (Adam, cosine, batches of 128; learning rates chosen on other chains), then of W = 0 and of W = 1
alone, and other lengths. Tested on the same chains at each W = W_v = W_w, and at W = 1 with disorder of other laws:
binary, and normal of the same variance. The epoch of the best validation accuracy is kept; errors are of dataset
means. Each dataset seed has chains of its own.

Written before the run, all but the first by two standard errors of dataset means: both exact rules are right on 99.9 %
at every W (one level: the first above the middle); networks on logarithms are above plain ones on states at every
number of chains; plain ones on states at W = 1 are below a threshold on the edge dipole with the fewest chains, and
gain from fewest to most chains.
"""

import dataclasses
import functools

import numpy as np
from torch import nn

from sshml.chain import hoppings_of_state, hoppings_of_states, log_margin, state_condition
from sshml.classifier import MLP, CumulativeLogs, Stream, TrainingSpec, WindingNetwork, fit
from sshml.dataset import DatasetSpec, generate, one_number_baselines, open_dataset
from sshml.errors import SSHMLError
from sshml.experiments import NEGATIVE, POSITIVE, Claim, Experiment, Job, at_least
from sshml.plotting import COLORS, legend_below, name_panel, new_figure, plot_points
from sshml.statistics import group_means

WRITTEN = "written before the run"
MIXED = "0:3"
SPREAD = "W_v, W_w in [0, 3]"
"""What MIXED is: each drawn by itself."""
LAWS = {"uniform": 1.0, "binary": 1.0, "normal": 12**-0.5}
"""Law: its strength over W; the normal one has the variance of the uniform one."""

NETWORKS = {
    "plain, states": ("states", 1e-3, lambda cells: MLP((4 * cells**2, 128, 64, 2))),
    "plain, densities": ("density", 1e-3, lambda cells: MLP((4 * cells**2, 128, 64, 2))),
    "logs of one density": (
        "states/levels={cells}", 1e-2,
        lambda cells: nn.Sequential(CumulativeLogs(), nn.Flatten(), nn.Linear(4 * cells - 1, 2)),
    ),
    "winding, random start": ("states", 1e-2, lambda cells: WindingNetwork(cells)),
    "winding, exact start": ("states", 1e-2, lambda cells: WindingNetwork(cells, exact=True)),
}  # fmt: skip
"""Name of a network: its view, its learning rate, and how it is made for so many cells."""
STATES, ONE = "all states", "one density"
RULES = (STATES, ONE, "edge dipole", "weight on site 1", "half gap", "real-space winding")


@dataclasses.dataclass(frozen=True)
class Settings:
    """Size of the run: numbers of chains with the epochs on each, strengths, cells; `others` trains elsewhere too."""

    cells: int = 8
    strengths: tuple = (0.0, 0.5, 1.0, 2.0, 3.0)
    chains: tuple = (4000, 16000)
    epochs: tuple = (20, 10)
    lengths: tuple = ()
    others: bool = False
    test: int = 4000
    datasets: int = 2
    seeds: int = 2

    def __post_init__(self):
        if self.datasets < 2 or self.seeds < 1 or len(self.chains) < 2:
            raise SSHMLError("2 datasets, a network and 2 numbers of chains at least: there is no error bar of fewer.")
        if len(self.chains) != len(self.epochs) or list(self.chains) != sorted(self.chains):
            raise SSHMLError(f"chains are {self.chains}, epochs {self.epochs}; expected as many, chains ascending.")
        if 1.0 not in self.strengths or len(set(self.strengths)) < len(self.strengths):
            raise SSHMLError(f"strengths are {self.strengths}; expected different ones, 1.0 among them.")


def _spec(cells, strength, dataset, **sizes):
    """Return the spec of chains: W a number or a range, W of other laws as of the uniform one."""
    return DatasetSpec(cells=cells, disorder_v=strength, disorder_w=strength, seed=200 + dataset, **sizes)


def _tested(strengths):
    """Return the pairs (law, W) of the test chains: the uniform law at all strengths, the others at W = 1."""
    return [("uniform", strength) for strength in strengths] + [(law, 1.0) for law in list(LAWS)[1:]]


def _name(law, strength):
    return f"{law}-{strength:g}.h5"


def tests(where, cells, strengths, test, dataset):
    """Make test chains, as recipes, and measure the rules on them and how safe each level's density is."""
    rules, levels = [], []
    for law, strength in _tested(strengths):
        path = where.folder / _name(law, strength)
        spec = _spec(cells, strength * LAWS[law], dataset, train=2 * test, valid=1, test=test)
        generate(dataclasses.replace(spec, law=law), path, force=True, recipe=True)
        head = {"dataset": dataset, "cells": cells, "law": law, "strength": strength}
        data = open_dataset(path)
        found = {name: accuracy for name, (accuracy, _) in one_number_baselines(data).items() if name in RULES}
        states, truth = data.test.read(("states", "winding"))
        found[STATES] = 1 - _wrong(*hoppings_of_states(states), truth) / len(truth)
        for level in range(cells, 2 * cells):
            one = states[:, level]
            row = {"level": level, "wrong": _wrong(*hoppings_of_state(one), truth), "chains": len(truth)}
            levels.append(head | row | {"condition": f"{np.median(state_condition(one)):.4g}"})
        found[ONE] = 1 - levels[-cells]["wrong"] / len(truth)
        rules += [head | {"rule": name, "accuracy": f"{accuracy:.6g}"} for name, accuracy in found.items()]
        where.progress(len(levels) // cells, len(_tested(strengths)))
    return {"rules": rules, "levels": levels}


def _wrong(v, w, truth):
    """Return how many chains are labelled wrongly by hoppings, those that are not determined among them."""
    known = np.isfinite(v).all(-1) & np.isfinite(w).all(-1)
    return int((~known).sum() + ((log_margin(v[known], w[known]) > 0) != truth[known]).sum())


def trained(where, tested, network, strength, cells, chains, epochs, strengths, dataset, seeds):
    """Train networks on streamed chains and test them at every strength and law."""
    view, rate, make = NETWORKS[network]
    view, path = view.format(cells=cells), where.folder / "chains.h5"
    generate(_spec(cells, strength, dataset, train=chains, valid=min(chains, 4000), test=1), path, force=True)
    data = open_dataset(path)
    training = TrainingSpec(epochs=epochs, learning_rate=rate, batch_size=128, schedule="cosine", view=view)
    stream = Stream(data.train, view, training.batch_size, dataset)
    run = fit(functools.partial(make, cells), stream, data.valid, training, seeds, where.device, where.progress)
    head = {"network": network, "trained": str(strength), "cells": cells, "chains": chains, "dataset": dataset}
    rows = [
        head | {"law": law, "strength": w, "seed": seed, "accuracy": f"{x:.6g}"}
        for law, w in _tested(strengths)
        for seed, x in enumerate(run.accuracy(open_dataset(tested.folder / _name(law, w)).test, where.device))
    ]
    path.unlink()
    return {"accuracy": rows}


def jobs(settings):
    """Yield the rules, and the networks on growing numbers of chains, on single strengths and on other lengths."""
    sizes = list(zip(settings.chains, settings.epochs, strict=True))
    for dataset in range(settings.datasets):
        for cells in (settings.cells, *settings.lengths):
            given = {"cells": cells, "strengths": settings.strengths, "dataset": dataset}
            tested = Job(tests, given | {"test": settings.test}, 1e-6 * settings.test * cells**2)
            middle = sizes[len(sizes) // 2]
            wanted = [(MIXED, *size) for size in (sizes if cells == settings.cells else [middle])]
            if settings.others and cells == settings.cells:
                wanted += [(strength, *middle) for strength in (0, 1)]
            for network in NETWORKS:
                for strength, chains, epochs in wanted:
                    how = {"network": network, "strength": strength, "chains": chains, "epochs": epochs}
                    work = 1e-7 * epochs * chains * settings.seeds * cells
                    yield Job(trained, {"tested": tested} | given | how | {"seeds": settings.seeds}, work)
            yield tested


def _by_dataset(found):
    return group_means(found["accuracy"], found["dataset"])


def _of_rule(tables, settings, rule, strength, law="uniform", cells=None):
    where = {"rule": rule, "strength": strength, "law": law, "cells": cells or settings.cells}
    return _by_dataset(tables.columns("rules", **where))


def _of_network(tables, settings, network, strength, chains, trained=MIXED, law="uniform", cells=None):
    where = {"network": network, "chains": chains, "trained": trained, "law": law, "cells": cells or settings.cells}
    return _by_dataset(tables.columns("accuracy", strength=strength, **where))


def claims(tables, settings):
    """Yield the accuracies of rules and networks, and what was predicted of them."""
    rule = functools.partial(functools.partial, _of_rule, tables, settings)
    network = functools.partial(functools.partial, _of_network, tables, settings)
    few, many = settings.chains[0], settings.chains[-1]
    middle = settings.chains[len(settings.chains) // 2]
    for strength in settings.strengths:
        for name in (STATES, ONE):
            words = f"accuracy of the hoppings of {name}, W = {strength:g}"
            yield Claim("D1", words, rule(name, strength), WRITTEN, ">= 0.999", at_least(0.999))
        for name in RULES[2:]:
            yield Claim("D2", f"accuracy of a threshold on the {name}, W = {strength:g}", rule(name, strength))
    for chains in settings.chains:
        for strength in settings.strengths:
            for name in NETWORKS:
                words = f"accuracy, {name}, {chains} chains of {SPREAD}, tested at W = {strength:g}"
                yield Claim("D3", words, network(name, strength, chains))
        words = f"accuracy at W = 1, {chains} chains: on logarithms less plain on states"
        yield Claim(
            "D4", words, lambda chains=chains: network("logs of one density", 1, chains)()
            - network("plain, states", 1, chains)(), WRITTEN, "> 0", POSITIVE,
        )  # fmt: skip
    yield Claim(
        "D4", f"accuracy at W = 1, plain on states, {few} chains, less that of the edge dipole",
        lambda: network("plain, states", 1, few)() - rule("edge dipole", 1)(), WRITTEN, "< 0", NEGATIVE,
    )  # fmt: skip
    yield Claim(
        "D4", f"accuracy at W = 1, plain on states, {many} chains less {few}",
        lambda: network("plain, states", 1, many)() - network("plain, states", 1, few)(), WRITTEN, "> 0", POSITIVE,
    )  # fmt: skip
    for trained in (0, 1) if settings.others else ():
        for strength in settings.strengths:
            for name in NETWORKS:
                words = f"accuracy, {name}, {middle} chains of W = {trained}, tested at W = {strength:g}"
                yield Claim("D5", words, network(name, strength, middle, str(trained)))
    for law in list(LAWS)[1:]:
        for name in NETWORKS:
            yield Claim(
                "D5", f"accuracy, {name}, {many} chains of {SPREAD}, tested on the {law} law at W = 1",
                network(name, 1, many, law=law),
            )  # fmt: skip
    for cells in settings.lengths:
        for name in NETWORKS:
            words = f"accuracy at W = 1, {name}, {middle} chains of {2 * cells} sites and {SPREAD}"
            yield Claim("D6", words, network(name, 1, middle, cells=cells))
        yield Claim("D6", f"accuracy of one density, W = 1, {2 * cells} sites", rule(ONE, 1, cells=cells))


def _draw(tables, settings):
    """Draw the results.

    Share of wrong labels, logarithmic down to the lowest row, which is 0: (a) of an exact rule, thresholds and
    networks, against the disorder of the test chains; (b) of networks at W = 1 against the number of training chains,
    those of (a) and (b) with strengths between 0 and the largest; (c) of networks trained at W = 1 (solid) or W = 0
    (dotted), against that of the test chains. Medians and ranges over {datasets} datasets of {test} test chains and
    {seeds} networks each.
    """
    figure, axes = new_figure(1, 3 if settings.others else 2, width=2.4 if settings.others else 3.4, height=3.6)
    floor, lines = 1 / (3 * settings.test), list(zip(NETWORKS, COLORS, "osD^v", strict=False))

    def curve(ax, x, values, name, color, form):
        wrong = [np.maximum(1 - np.asarray(value), floor) for value in values]
        plot_points(ax, x, wrong, ranges=True, fmt=form, color=color, label=name, markersize=3)

    def chains(number):
        return f"{number // 10**6} M" if number % 10**6 == 0 else f"{number // 1000} k"

    many, strengths = settings.chains[-1], settings.strengths
    for name, form in ((ONE, ".:"), ("edge dipole", "^:"), ("real-space winding", "v:")):
        values = [_of_rule(tables, settings, name, w) for w in strengths]
        curve(axes[0, 0], strengths, values, f"rule: {name}", "k", form)
    for name, color, form in lines:
        values = [_of_network(tables, settings, name, w, many) for w in strengths]
        curve(axes[0, 0], strengths, values, name, color, f"{form}-")
        values = [_of_network(tables, settings, name, 1, number) for number in settings.chains]
        curve(axes[0, 1], settings.chains, values, None, color, f"{form}-")
    name_panel(axes[0, 0], f"networks: {chains(many)} chains")
    axes[0, 0].set_ylabel("share of wrong labels")
    axes[0, 1].set(xlabel="training chains", xscale="log")
    axes[0, 1].set_xticks(settings.chains, list(map(chains, settings.chains)))
    axes[0, 1].minorticks_off()
    name_panel(axes[0, 1], "tested at W = 1")
    if settings.others:
        middle = settings.chains[len(settings.chains) // 2]
        for trained, line in (("0", ":"), ("1", "-")):
            for name, color, form in lines:
                values = [_of_network(tables, settings, name, w, middle, trained) for w in strengths]
                curve(axes[0, 2], strengths, values, None, color, f"{form}{line}")
        name_panel(axes[0, 2], f"{chains(middle)} chains of one W")
    for ax in axes[0]:
        ax.set_yscale("log")
        ax.set_ylim(floor / 1.5, 1)
        powers = [10.0**power for power in range(-6, 1) if 10.0**power > 1.5 * floor]
        ax.set_yticks([floor, *powers], ["0", *(f"$10^{{{round(np.log10(power))}}}$" for power in powers)])
        ax.minorticks_off()
        ax.axhline(1.6 * floor, color="0.7", linewidth=0.8, linestyle=(0, (1, 3)))
    for ax in axes[0, ::2]:
        ax.set_xlabel("disorder $W$ of the test chains")
    legend_below(figure, axes[0, 0])
    return figure


FULL = {
    "chains": (16000, 64000, 256000, 1000000), "epochs": (40, 20, 10, 6), "lengths": (4, 16), "others": True,
    "test": 10000, "datasets": 3,
}  # fmt: skip
experiment = Experiment(Settings, jobs, claims, {"disorder": _draw}, full=FULL)
