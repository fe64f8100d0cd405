"""A blog's SVD compression of a small network on the Wine data (claims B1 and B2), over many splits.

One hidden layer of 10 tanh neurons (scikit-learn's MLPClassifier) tells three kinds of wine by 13 measurements. The
source absorbs the biases of the hidden layer as a 14th row of its matrix, truncates the 14 x 10 matrix to rank 2, and
in a second step shrinks the hidden layer to 2 neurons and fits the output layer anew by logistic regression. It has one
split of 54 test samples and one network; here every seed is another split and another network, on standardised inputs.

Measured both ways: with the bias absorbed and apart, and whether the 2 new neurons keep the tanh, which the source
leaves open. Its counts, 177 and 34 numbers, are 173 and 37: the biases of all three outputs belong to both.
"""

import dataclasses

import numpy as np

from sshml.errors import SSHMLError
from sshml.experiments import Claim, Experiment, Job, Rule, near, same
from sshml.plotting import COLORS, legend_below, new_figure, plot_band, set_log_axis
from sshml.statistics import mean_std

FEATURES, HIDDEN, CLASSES, SAMPLES = 13, 10, 3, 178

FORMS = {
    "absorbed": "bias absorbed (14 by 10)",
    "apart": "bias apart (13 by 10)",
    "shrunk, tanh": "hidden layer shrunk, tanh",
    "shrunk, linear": "hidden layer shrunk, linear",
}


@dataclasses.dataclass(frozen=True)
class Settings:
    """Splits and networks, one of each per seed; test samples as in the source."""

    seeds: int = 50
    test: int = 54
    iterations: int = 3000

    def __post_init__(self):
        if self.seeds < 2 or not CLASSES <= self.test <= SAMPLES // 2:
            raise SSHMLError(f"expected 2 seeds or more and {CLASSES} to {SAMPLES // 2} test samples.")


def numbers(form, rank):
    """Return how many numbers a form of a rank stores, biases included; the dense network has 173.

    >>> numbers("absorbed", 2), numbers("shrunk, tanh", 2)
    (81, 37)
    """
    head = (HIDDEN + 1) * CLASSES
    if form == "absorbed":
        return rank * (FEATURES + 1 + HIDDEN) + head
    if form == "apart":
        return rank * (FEATURES + HIDDEN) + HIDDEN + head
    return rank * (FEATURES + 1) + (rank + 1) * CLASSES


def truncated(matrix, rank):
    """Return (factors x S, directions) of the best approximation of a rank: their product is it."""
    u, s, vt = np.linalg.svd(matrix, full_matrices=False)
    return u[:, :rank] * s[:rank], vt[:rank]


def split(where, seed, test, iterations):
    """Fit one network on one split; return its accuracy, and those of every form and rank."""
    try:
        from sklearn.datasets import load_wine
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import train_test_split
        from sklearn.neural_network import MLPClassifier
        from sklearn.preprocessing import StandardScaler
    except ImportError:
        raise SSHMLError("the Wine data are scikit-learn's; install it with: pip install scikit-learn.") from None
    x, y = load_wine(return_X_y=True)
    x, seen, y, truth = train_test_split(x, y, test_size=test, random_state=seed)
    scaler = StandardScaler().fit(x)
    x, seen = scaler.transform(x), scaler.transform(seen)
    network = MLPClassifier((HIDDEN,), activation="tanh", random_state=seed, max_iter=iterations).fit(x, y)
    weight, head = network.coefs_
    bias, head_bias = network.intercepts_
    parts = {"train": (x, y), "test": (seen, truth)}

    def accuracies(say):
        return {part: float((say(inputs) == labels).mean()) for part, (inputs, labels) in parts.items()}

    def with_one(inputs):
        return np.column_stack([inputs, np.ones(len(inputs))])

    def of_hidden(matrix, offset):
        return lambda inputs: (np.tanh(inputs @ matrix + offset) @ head + head_bias).argmax(1)

    rows = [{"seed": seed, "form": "dense", "rank": HIDDEN, "numbers": 173} | accuracies(of_hidden(weight, bias))]
    whole = np.vstack([weight, bias])
    for rank in range(1, HIDDEN + 1):
        found = {}
        left, right = truncated(whole, rank)
        approximate = left @ right
        found["absorbed"] = accuracies(of_hidden(approximate[:FEATURES], approximate[FEATURES]))
        found["apart"] = accuracies(of_hidden(np.matmul(*truncated(weight, rank)), bias))
        for form, function in (("shrunk, tanh", np.tanh), ("shrunk, linear", lambda z: z)):
            fitted = LogisticRegression(max_iter=iterations).fit(function(with_one(x) @ left), y)
            found[form] = accuracies(lambda inputs, f=function, m=fitted, a=left: m.predict(f(with_one(inputs) @ a)))
        for form, values in found.items():
            rows.append({"seed": seed, "form": form, "rank": rank, "numbers": numbers(form, rank)} | values)
    return {"accuracy": rows}


def jobs(settings):
    """Yield a job per seed."""
    for seed in range(settings.seeds):
        yield Job(split, {"seed": seed, "test": settings.test, "iterations": settings.iterations}, work=1.0)


def _values(tables, part, form, rank):
    found = tables.columns("accuracy", form=form, rank=rank)
    return found[part][np.argsort(found["seed"])]


def among(published):
    """Return the rule that a number from one split lies among those of many: within two standard deviations."""
    return Rule(f"{published:g} within 2 standard deviations", lambda x: abs(x.mean() - published) <= 2 * x.std(ddof=1))


SAME = same(0.01)


def claims(tables, settings):
    """Yield what the source says of its split beside all of them, and what its counts should be."""
    blog = "blog on SVD compression"

    def of(part, form, rank=HIDDEN):
        return lambda: _values(tables, part, form, rank)

    yield Claim("B1", "test accuracy, dense", of("test", "dense"), blog, "0.963", among(0.963))
    yield Claim("B1", "test accuracy, rank 2, bias absorbed", of("test", "absorbed", 2), blog, "0.963", among(0.963))
    yield Claim(
        "B1", "test accuracy at rank 2 less dense, bias absorbed",
        lambda: _values(tables, "test", "absorbed", 2) - _values(tables, "test", "dense", HIDDEN), blog, "0", SAME,
    )  # fmt: skip
    yield Claim("B1", "numbers of the dense network", np.array([173.0]), blog, "177", near(177, 0))
    yield Claim(
        "B1", "numbers at rank 2, bias absorbed", np.array([float(numbers("absorbed", 2))]), blog, "81", near(81, 0)
    )
    for part, published in (("train", 0.984), ("test", 0.889)):
        for form in ("shrunk, tanh", "shrunk, linear"):
            yield Claim(
                "B2", f"{part} accuracy, {form} to 2, output layer fitted anew", of(part, form, 2), blog,
                f"{published}", among(published),
            )  # fmt: skip
    yield Claim(
        "B2",
        "numbers, hidden layer shrunk to 2",
        np.array([float(numbers("shrunk, tanh", 2))]),
        blog,
        "34",
        near(34, 0),
    )
    yield Claim(
        "B1", "test accuracy at rank 2 less dense, bias apart",
        lambda: _values(tables, "test", "apart", 2) - _values(tables, "test", "dense", HIDDEN),
    )  # fmt: skip
    yield Claim(
        "B1", "standard deviation of one split's test accuracy, dense (binomial: 0.026 at 0.963)",
        lambda: np.array([_values(tables, "test", "dense", HIDDEN).std(ddof=1)]),
    )  # fmt: skip


def _draw(tables, settings):
    """Draw the results.

    Share of wrong labels in the test set, logarithmic, of the first layer cut to every rank against (a) the rank and
    (b) the numbers stored; bands are standard errors over {seeds} splits, each with a seed of its own. Crosses: what
    the source says of its one split at rank 2; that of the shrunk layer (black) is compared with both activations.
    """
    figure, axes = new_figure(1, 2, width=3.6, height=3.1)
    for ax, x, label in ((axes[0, 0], "rank", "rank"), (axes[0, 1], "numbers", "numbers stored")):
        for (form, name), color in zip(FORMS.items(), COLORS, strict=False):
            table = tables.columns("accuracy", form=form)
            places = np.unique(table[x])
            found = np.array([mean_std(table["test"][table[x] == place]) for place in places])
            error = found[:, 1] / found[:, 2] ** 0.5
            plot_band(ax, places, 1 - found[:, 0], error, name, color, marker="o", markersize=3)
        for form, accuracy, what, color in (
            ("absorbed", 0.963, "bias absorbed", COLORS[0]), ("shrunk, tanh", 0.889, "hidden layer shrunk", "k"),
        ):  # fmt: skip
            at = 2 if x == "rank" else numbers(form, 2)
            ax.plot([at], [1 - accuracy], "x", color=color, zorder=5, label=f"{what}, the source")
        dense = 1 - tables.columns("accuracy", form="dense")["test"].mean()
        ax.axhline(dense, color="0.3", linewidth=0.8, linestyle="--", label="dense, 173 numbers")
        ax.set_xlabel(label)
        ax.set_ylabel("share of wrong labels")
        set_log_axis(ax, 0.02, 0.5)
    axes[0, 0].set_xticks(range(1, HIDDEN + 1))
    axes[0, 1].axvline(173, color="0.7", linewidth=0.8, zorder=0)
    legend_below(figure, axes[0, 0], 3)
    return figure


experiment = Experiment(Settings, jobs, claims, {"wine": _draw}, full={"seeds": 400})
