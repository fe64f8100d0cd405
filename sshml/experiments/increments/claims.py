"""What the tables of the increments decide: entropies of what training added, and the accuracy that cuts add."""

import functools

from sshml.analysis import gaussian_cuts
from sshml.experiments.claims import NEGATIVE, POSITIVE, Claim
from sshml.experiments.image_nets import TESTED, TITLES
from sshml.experiments.increments.measurements import ALL, BLOCKED, FACTORS, SHAPES, WAYS, flat_shape

PARTS = {"weight": "the weight", "change": "what training added", "Haar": "its spectrum with Haar vectors"}
"""What has a valley between rows and columns or not."""
WRITTEN = "written before the run"


def entropy_of(tables, of, layer, cut, order="mpo", **where):
    """Return the entropies of a matrix at a cut, network by network."""
    return tables.columns("entropies", of=of, layer=layer, cut=cut, order=order, **where)["entropy"]


def valley(tables, of, layer, shape, **where):
    """Return the entropy between rows and columns less the mean of both cuts beside."""
    at = len(FACTORS[shape.out_features])
    low, middle, high = (entropy_of(tables, of, layer, cut, "flat", **where) for cut in (at - 1, at, at + 1))
    return middle - (low + high) / 2


def random_valley(shape):
    """Return the same of a Gaussian matrix."""
    at, (mean, _) = len(FACTORS[shape.out_features]), gaussian_cuts(flat_shape(shape.out_features, shape.in_features))
    return mean[at - 1] - (mean[at - 2] + mean[at]) / 2


def gain_of(tables, way, layer, epoch, **where):
    """Return the test accuracy that a way of cutting adds, network by network."""
    return tables.columns("denoised", way=way, layer=layer, epoch=epoch, **where)["gain"]


def stopped(tables, **where):
    """Return the test accuracy of the best epoch less that of the last one."""
    best, last = (tables.columns("denoised", way="rank", layer="1", epoch=e, **where) for e in ("best", "last"))
    return best["accuracy"] - last["accuracy"]


def increment_claims(tables, settings):
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
        peak = f"(Gaussian {random_valley(shape):+.2f} nats)"
        for epoch in ("best", "last"):
            whose = f"{words}, {epoch} epoch"
            for cut in range(1, shape.sites):
                of = functools.partial(entropy_of, tables, layer=layer, cut=cut, epoch=epoch, **own)
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
                    functools.partial(valley, tables, of, layer, shape, epoch=epoch, **own),
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
            of = functools.partial(gain_of, tables, "rank", layer, epoch, **own)
            yield Claim(
                "F4", f"accuracy added by the rank chosen on validation, layer {layer}, {whose}", of,
                *(decided if layer == "1" else ()),
            )  # fmt: skip
        for way, label in WAYS.items():
            of = functools.partial(gain_of, tables, way, ALL, epoch, **own)
            yield Claim("F4", f"accuracy added by {label}, {whose}", of, *(decided if way == "shrunk" else ()))
    yield Claim("F4", f"accuracy of the best epoch less that of the last, {words}", lambda: stopped(tables, **own))
