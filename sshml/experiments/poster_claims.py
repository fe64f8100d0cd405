"""The claims of the poster, decided by the numbers of its run."""

import numpy as np

from sshml.analysis import smallest_size
from sshml.experiments.claims import Claim

SOURCE = "Oriekhov et al., poster"
KEEPS = 0.95
RANKS_1 = (1, 2, 4, 6, 7, 8, 128)
"""Ranks left in layer 1 while those of layer 2 are swept."""


def claims(measured, leakage):
    """Yield every `Claim` of the poster, and sshml's own numbers beside them.

    Args:
        measured: {view: `Measured`}.
        leakage: {gauge: (accuracy, standard error)} of the label from the signs alone.
    """
    random, density = measured["random"], measured["density"]
    at = {rank: column for column, rank in enumerate(random.ranks.sizes)}
    rank_8 = random.ranks.accuracy[:, at[8]]
    k1 = {name: m.ranks.smallest(KEEPS) for name, m in measured.items()}
    yield Claim(
        "P1", "8 of 128 singular values of layer 1 keep 95 % (random signs)", SOURCE, "8",
        k1["random"], "mean within 8 ± 1", abs(np.nanmean(k1["random"]) - 8) <= 1,
    )  # fmt: skip
    yield Claim(
        "P1", "accuracy with 8 singular values in layer 1 (random signs)", SOURCE, ">= 0.95",
        rank_8, "mean >= 0.95", rank_8.mean() >= KEEPS,
    )  # fmt: skip
    for name in measured:
        own = measured[name].accuracy
        if name != "random":
            yield Claim(
                "P1", f"rank of layer 1 that keeps 95 % ({name})", SOURCE, "8",
                k1[name], "mean within 8 ± 1", abs(np.nanmean(k1[name]) - 8) <= 1,
            )  # fmt: skip
        relative = measured[name].ranks.smallest(KEEPS * own)
        yield Claim(
            "P1", f"rank of layer 1 that keeps 95 % of its own accuracy ({name})", "sshml", "", relative, "", None
        )
    good = rank_8 >= KEEPS
    row = random.grid[:, RANKS_1.index(8)]
    k2 = np.where(good, smallest_size(np.arange(1, row.shape[1] + 1), row, KEEPS), np.nan)
    yield Claim(
        "P2", "singular values of layer 2 that keep 95 %, 8 left in layer 1, where those 8 keep 95 % (random signs)",
        SOURCE, "1 or 2", k2, "mean <= 2", bool(np.nanmean(k2) <= 2) if good.any() else False,
    )  # fmt: skip
    for name in measured:
        m = measured[name]
        svd, kept = m.ranks, m.kept
        svd_bytes = svd.stored[0] * k1[name]
        prune_bytes = kept.smallest(KEEPS) * (kept.stored[0] / kept.sizes[0])
        ratio = prune_bytes / svd_bytes
        yield Claim(
            "P3", f"bytes of layer 1 at 95 %, pruned / SVD ({name})", SOURCE, "> 1",
            ratio, "mean > 1", bool(np.nanmean(ratio) > 1),
        )  # fmt: skip
    for name, m in (("random", random), ("density", density)):
        # removed 15/16 of the singular values against 15/16 of the weights
        svd_share = m.ranks.accuracy[:, at[8]]
        pruned = np.array([np.interp(256 * 8, m.kept.sizes, member) for member in m.kept.accuracy])
        difference = svd_share - pruned
        yield Claim(
            "P3", f"accuracy with 93.75 % removed, SVD - pruned ({name})", SOURCE, "> 0",
            difference, "mean > 0", bool(difference.mean() > 0),
        )  # fmt: skip
    for name in measured:
        if name != "projector":
            share = measured[name].selection.mid_gap_share[:, 0]
            yield Claim(
                "P4", f"v1 selects the edge states: its share on the two mid-gap levels, uniform 0.125 ({name})",
                SOURCE, "the 'important' elements", share, "mean > 0.5", bool(share.mean() > 0.5),
            )  # fmt: skip
    for name in measured:
        target = 0.98 if name == "random" else 0.99
        accuracy = measured[name].accuracy
        yield Claim(
            "accuracy", f"test accuracy ({name})", "sshml", f"target >= {target}",
            accuracy, f"mean >= {target}", bool(accuracy.mean() >= target),
        )  # fmt: skip
    for layer in (1, 2):
        for when in ("initial", "trained"):
            yield Claim(
                "spectrum", f"singular values of layer {layer} above the Marchenko-Pastur edge, {when} (random)",
                "sshml", "", random.outliers[layer, when], "", None,
            )  # fmt: skip
    for gauge, (accuracy, _) in leakage.items():
        yield Claim(
            "signs", f"signs carry no label: accuracy from the signs alone ({gauge})", "sshml", "chance 0.5",
            np.array([accuracy]), "within 0.02 of 0.5", abs(accuracy - 0.5) <= 0.02,
        )  # fmt: skip
