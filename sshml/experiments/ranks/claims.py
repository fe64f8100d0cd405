"""What the tables of the ranks decide: the claims of the poster over datasets, and those of the formula."""

import functools

import numpy as np

from sshml.analysis import gaussian_cuts
from sshml.chain import critical_states
from sshml.experiments.claims import NEGATIVE, POSITIVE, Claim, above, at_least, at_most, near
from sshml.experiments.poster.claims import KEEPS, SOURCE, second_rank
from sshml.experiments.poster.measurements import shape_of
from sshml.experiments.ranks.measurements import ELIMINATED, SETTINGS
from sshml.statistics import group_means
from sshml.tables import pivot

OUTSIDE = ("|v - w| > 0.1", "W = 0.5", "W = 1", "tanh", "square")
"""Settings in which the formula is not expected to hold."""
FORMULA = "written before the run"


def _of_change(tables, of, cut):
    return tables.columns("increments", of=of, cut=cut)["entropy"]


def _below_haar(tables, cut):
    """Return the entropy of the changes less that of their spectra with Haar vectors, the mean of each dataset."""
    difference = _of_change(tables, "change", cut) - _of_change(tables, "Haar", cut)
    return group_means(difference, tables.columns("increments", of="change", cut=cut)["dataset"])


def column_of(tables, setting, column):
    """Return a column of the networks of a setting."""
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


def rank_claims(tables, settings):
    """Yield the poster's claims over datasets, what other settings give, and whether the formula is right.

    The standard errors are those of the means of datasets.
    """
    of = functools.partial(functools.partial, column_of, tables)
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
