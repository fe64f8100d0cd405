"""How good an ensemble is, and where: by label, by w/v, by confidence."""

import dataclasses
import itertools

import numpy as np

from sshml.arguments import instance, integer
from sshml.classifier import Run
from sshml.dataset import Diagram, diagram
from sshml.errors import SSHMLError

LOG_RATIOS = (-np.inf, -2, -1, -0.5, -0.2, -0.1, 0, 0.1, 0.2, 0.5, 1, 2, np.inf)
"""Edges of the bins of ln(w/v)."""


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What an ensemble says of a split; first axes are the members.

    `labels`: names of the classes, the winding numbers of chains. `accuracy` (member). `confusion` (member, true,
    predicted): counts. `edges` (bin + 1): of w/v; `by_ratio` (member, bin): accuracy, NaN in an empty bin; `chains`
    (bin): counts; all three None where samples have no w/v. `confidence`, `right` (member, bin): mean of the largest
    probability and accuracy of the samples whose largest probability lies in the bin, NaN in an empty one; `said`
    (member, bin): counts. `error` (member): expected calibration error, sum_b n_b / n |right_b - confidence_b| (Guo,
    Pleiss, Sun and Weinberger, ICML 2017). `disorder`: {name of a hopping: largest strength}, None for data that are no
    drawn chains. `diagram`: the `Diagram` of a file that spans strengths of disorder, and `in_diagram` (member, y, x):
    accuracy in its bins; None for others.
    """

    labels: tuple
    accuracy: np.ndarray
    confusion: np.ndarray
    edges: np.ndarray | None
    by_ratio: np.ndarray | None
    chains: np.ndarray | None
    confidence: np.ndarray
    right: np.ndarray
    said: np.ndarray
    error: np.ndarray
    disorder: dict | None
    diagram: Diagram | None = None
    in_diagram: np.ndarray | None = None

    @property
    def by_label(self):
        """Accuracy for each label, (member, label), NaN for a label without samples."""
        return _divided(np.diagonal(self.confusion, axis1=1, axis2=2), self.confusion.sum(2))

    def rows(self):
        """Return (quantity, values of the members, samples) for a table."""
        total = self.confusion[0].sum()
        rows = [("accuracy", self.accuracy, total)]
        for number, label in enumerate(self.labels):
            rows.append((f"accuracy, label {label}", self.by_label[:, number], self.confusion[0, number].sum()))
        for a, true in enumerate(self.labels):
            for b, seen in enumerate(self.labels):
                if a != b:
                    share = _divided(self.confusion[:, a, b], self.confusion[:, a].sum(1))
                    rows.append((f"label {true} taken for {seen}", share, self.confusion[0, a].sum()))
        for number, count in enumerate(self.chains if self.chains is not None else ()):
            low, high = self.edges[number : number + 2]
            name = f"w/v {low:.2f} to {high:.2f}" if high < np.inf else f"w/v above {low:.2f}"
            rows.append((f"accuracy, {name}", self.by_ratio[:, number], count))
        rows += self._diagram_rows() if self.diagram else []
        return [*rows, ("expected calibration error", self.error, total)]

    def _diagram_rows(self):
        """Return the accuracies by the strength of disorder, over all of the other axis."""
        name, edges, accuracy, chains = self.diagram.along(self.in_diagram)
        return [
            (f"accuracy, {name} {low:.3g} to {high:.3g}", accuracy[:, k], chains[k])
            for k, (low, high) in enumerate(itertools.pairwise(edges))
        ]


def evaluate(run, split, *, bins=10, device="auto"):
    """Return the `Evaluation` of an ensemble on a split, seen in the view of its training.

    Args:
        run: the `Run`.
        split: samples with labels; of chains with w/v (not with longer range) accuracy by w/v is measured too.
        bins: bins of the largest probability, of equal width from 1 / classes to 1.
        device: "auto", "cpu" or "cuda".

    Raises:
        SSHMLError: data the networks cannot take, labels they do not know, a number of bins below 1.
    """
    instance(run, "run", Run, "a Run, as `fit` and `load_run` return it")
    bins = integer(bins, "bins", 1, 10**6)
    probabilities, labels = run.probabilities(split, device), np.asarray(split.labels)
    members, classes = len(probabilities), probabilities.shape[-1]
    if labels.max() >= classes:
        raise SSHMLError(f"the data hold label {labels.max()} but the networks have {classes} classes.")
    seen, sure = probabilities.argmax(-1), probabilities.max(-1)
    hits = seen == labels
    pairs = labels * classes + seen + classes**2 * np.arange(members)[:, None]
    confusion = np.bincount(pairs.ravel(), minlength=members * classes**2).reshape(members, classes, classes)
    place = np.clip(((sure - 1 / classes) / (1 - 1 / classes) * bins).astype(int), 0, bins - 1) if classes > 1 else 0
    said, of_right, of_sure = (_binned(place, bins, values) for values in (np.ones_like(sure), hits, sure))
    right, confidence = _divided(of_right, said), _divided(of_sure, said)
    error = np.abs(of_right - of_sure).sum(1) / len(labels)
    spec = getattr(split, "spec", None)
    has_ratio = spec is not None and not spec.is_longer
    edges, by_ratio, chains = _by_ratio(split.ratio, hits) if has_ratio else (None, None, None)
    drawn = hasattr(spec, "disorder_of")
    disorder = {name: spec.disorder_of(name).high for name in spec.kinds} if drawn else None
    place = diagram(split) if drawn else None
    names = tuple(spec.windings) if spec is not None and len(spec.windings) == classes else tuple(range(classes))
    return Evaluation(
        labels=names,
        accuracy=hits.mean(1),
        confusion=confusion,
        edges=edges,
        by_ratio=by_ratio,
        chains=chains,
        confidence=confidence,
        right=right,
        said=said.astype(int),
        error=error,
        disorder=disorder,
        diagram=place,
        in_diagram=None if place is None else place.mean(hits),
    )


def _by_ratio(ratio, hits):
    bins = len(LOG_RATIOS) - 1
    place = np.clip(np.searchsorted(LOG_RATIOS, np.log(ratio), side="right") - 1, 0, bins - 1)
    chains = np.bincount(place, minlength=bins)
    by_ratio = _divided(_binned(np.broadcast_to(place, hits.shape), bins, hits), chains)
    return np.exp(LOG_RATIOS), by_ratio, chains


def _binned(place, bins, values):
    """Return the sums of values (member, sample) over the bins at a place, (member, bin)."""
    places = np.broadcast_to(place, values.shape)
    return np.stack([np.bincount(p, weights=v, minlength=bins) for p, v in zip(places, values, strict=True)])


def _divided(part, whole):
    return np.where(whole > 0, part / np.maximum(whole, 1), np.nan)
