"""The claims of the poster, decided by the tables of its run, and sshml's own numbers beside them."""

import functools

import numpy as np

from sshml.analysis import gaussian_cuts, gaussian_entropy, smallest_size
from sshml.experiments.claims import POSITIVE, Claim, above, at_least, at_most, near
from sshml.experiments.poster.measurements import cuts_of, shape_of
from sshml.tables import pivot

SOURCE = "Oriekhov et al., poster"
KEEPS = 0.95


def poster_claims(tables, settings):
    """Yield the claims P1 ... P4, then what no source said; a verdict only for the poster's own network and chains."""

    def said(rule, published):
        unlike = "" if settings.is_source else "another network or other chains"
        return {"source": SOURCE, "published": published, "rule": rule, "unlike": unlike}

    others = [name for name in settings.views if name != "random"]
    if "random" in settings.views:
        yield Claim(
            "P1", "rank of layer 1 that keeps 95 % (random signs)", _of(smallest_ranks, tables, "random"),
            **said(near(8, 1), "8"),
        )  # fmt: skip
        if settings.hidden[0] > 8:
            yield Claim(
                "P1", "accuracy with 8 singular values in layer 1 (random signs)", _of(at_rank, tables, "random", 8),
                **said(at_least(KEEPS), ">= 0.95"), tested=settings.test,
            )  # fmt: skip
    for name in others:
        yield Claim("P1", f"rank of layer 1 that keeps 95 % ({name})", _of(smallest_ranks, tables, name))
    for name in settings.views:
        yield Claim(
            "P1", f"rank of layer 1 that keeps 95 % of its own accuracy ({name})",
            _of(smallest_ranks, tables, name, relative=True),
        )  # fmt: skip
    if "random" in settings.views and settings.hidden[0] > 9 and len(settings.hidden) == 2:
        for rank in (9, 8):
            yield Claim(
                "P2",
                f"singular values of layer 2 that keep 95 %, {rank} in layer 1, where those keep it (random signs)",
                _of(second_ranks, tables, rank), **said(at_most(2), "1 or 2"),
            )  # fmt: skip
    for name in settings.views:
        yield Claim(
            "P3", f"bytes of layer 1 at 95 %, pruned / SVD ({name})", _of(bytes_ratio, tables, name),
            **(said(above(1), "> 1") if name == "random" else {}),
        )  # fmt: skip
    for name in ("random", "density"):
        if name in settings.views:
            yield Claim(
                "P3", f"accuracy with 93.75 % removed, SVD - pruned ({name})", _of(at_equal_share, tables, name),
                **(said(POSITIVE, "> 0") if name == "random" else {}),
            )  # fmt: skip
    for name in settings.views:
        if name != "projector":
            yield Claim(
                "P4", f"share of v1 on the two mid-gap levels, uniform {1 / settings.cells:g} ({name})",
                _of(mid_gap_shares, tables, name), **said(None, "selects the 'important' elements"),
            )  # fmt: skip
    for name in settings.views:
        yield Claim("accuracy", f"test accuracy ({name})", _of(accuracies, tables, name), tested=settings.test)
    for layer in range(1, len(settings.hidden) + 1) if "random" in settings.views else ():
        for when in ("initial", "trained"):
            yield Claim(
                "spectrum", f"singular values of layer {layer} above the Marchenko-Pastur edge, {when} (random)",
                _of(outliers, tables, layer, when),
            )  # fmt: skip
    for gauge in ("eigh (LAPACK)", "random", "fixed"):
        yield Claim("signs", f"label from the signs alone, chance 0.5 ({gauge})", _of(from_signs, tables, gauge))
    yield from _of_the_mpo(tables, settings)


def _of(function, *arguments, **options):
    return functools.partial(function, *arguments, **options)


def compression(tables, view, method):
    """Return (sizes, bytes of each, accuracy (seed, size)) of layer 1 compressed by "svd" or "prune"."""
    found = tables.columns("fig1", view=view, method=method)
    _, sizes, accuracy = pivot(found, "seed", "size", "accuracy")
    return sizes, pivot(found, "seed", "size", "bytes")[2][0], accuracy


def accuracies(tables, view):
    """Return the test accuracy of every seed."""
    return tables.columns("accuracy", view=view)["accuracy"]


def smallest_ranks(tables, view, relative=False):
    """Return the smallest rank of layer 1 that keeps 95 %, or 95 % of the network's own accuracy, seed by seed."""
    sizes, _, accuracy = compression(tables, view, "svd")
    return smallest_size(sizes, accuracy, KEEPS * (accuracies(tables, view) if relative else 1))


def at_rank(tables, view, rank):
    """Return the accuracy with so many singular values in layer 1."""
    sizes, _, accuracy = compression(tables, view, "svd")
    return accuracy[:, sizes == rank]


def second_ranks(tables, rank):
    """Return the `second_rank` of every seed with a rank in layer 1."""
    _, ranks, accuracy = pivot(tables.columns("fig2", rank_1=rank), "seed", "rank_2", "accuracy")
    return second_rank(at_rank(tables, "random", rank)[:, 0], ranks, accuracy)


def second_rank(first, ranks, accuracy):
    """Return the smallest rank of layer 2 that keeps 95 %, NaN where the cut of layer 1 alone does not keep it.

    Args:
        first: accuracy of every network with layer 1 cut, shape (network).
        ranks: of layer 2, shape (rank).
        accuracy: with both cut, shape (network, rank).
    """
    return np.where(first >= KEEPS, smallest_size(ranks, accuracy, KEEPS), np.nan)


def bytes_ratio(tables, view):
    """Return `pruned_over_svd` of layer 1."""
    return pruned_over_svd(*(compression(tables, view, method) for method in ("svd", "prune")))


def pruned_over_svd(svd, pruned):
    """Return the bytes that keep 95 % pruned over those as SVD, each as (sizes, bytes, accuracy (network, size))."""
    of_svd, of_pruned = (
        smallest_size(sizes, accuracy, KEEPS) * stored[0] / sizes[0] for sizes, stored, accuracy in (svd, pruned)
    )
    return of_pruned / of_svd


def at_equal_share(tables, view):
    """Return `svd_less_pruned` of layer 1."""
    return svd_less_pruned(*(compression(tables, view, method) for method in ("svd", "prune")))


def svd_less_pruned(svd, pruned):
    """Return the accuracy with 15/16 of the singular values removed less that with 15/16 of the weights removed."""
    (ranks, _, of_ranks), (sizes, _, of_weights) = svd, pruned
    weights = np.array([np.interp(sizes[-1] / 16, sizes, member) for member in of_weights])
    return of_ranks[:, ranks == max(1, ranks[-1] // 16)][:, 0] - weights


def mid_gap_shares(tables, view):
    """Return the share of v1 on the two mid-gap levels."""
    return tables.columns("fig3_summary", view=view, quantity="share of v1 on the mid-gap levels")["value"]


def outliers(tables, layer, when):
    """Return how many singular values of a layer lie above the Marchenko-Pastur edge."""
    return tables.columns("outliers", view="random", layer=layer, when=when)["count"]


def from_signs(tables, gauge):
    """Return how well the signs alone tell the label, one number."""
    return tables.columns("fig4_signs", gauge=gauge)["accuracy"]


def against_svd(tables, view, bond, rank):
    """Return the accuracy of layer 1 as an MPO less that of its SVD."""
    mpo = tables.columns("fig5_accuracy", view=view, bond=bond)["accuracy"]
    return mpo - at_rank(tables, view, rank)[:, 0]


def gaussian(shape):
    """Return (mean, standard deviation) of the entropies of a Gaussian layer 1, each of shape (cut)."""
    mean, std = gaussian_cuts(shape)
    return np.append(mean, gaussian_entropy(shape.out_features, shape.in_features)), np.append(std, std[1])


def entropies(tables, view, cut, when="trained"):
    """Return the entropy of layer 1 at a cut, "trained" or "initial"."""
    return tables.columns("fig5_entropies", view=view, when=when, cut=cut)["entropy"]


def _of_the_mpo(tables, settings):
    outputs, inputs = settings.hidden[0], (2 * settings.cells) ** 2
    shape = shape_of(outputs, inputs)
    for view in ("random", "density"):
        for bond in (4, 8, 16):
            if view in settings.views and bond <= max(shape.bonds()):
                rank = max(1, round(shape.n_parameters(bond) / (outputs + inputs)))
                yield Claim(
                    "MPO", f"accuracy of MPO D = {bond} less SVD rank {rank}, layer 1 truncated ({view})",
                    _of(against_svd, tables, view, bond, rank),
                )  # fmt: skip
    mean, _ = gaussian(shape)
    for cut in (shape.sites // 2, shape.sites):
        for view in settings.views:
            name = cuts_of(shape)[cut - 1]
            yield Claim(
                "entropy", f"entropy of layer 1, cut {name} (Gaussian {mean[cut - 1]:.2f} nats) ({view})",
                _of(entropies, tables, view, name),
            )  # fmt: skip
