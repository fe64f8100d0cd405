"""The claims of an experiment: what was published, what was measured, by which rule it holds."""

import dataclasses

import numpy as np

from sshml.arguments import as_array, real
from sshml.errors import SSHMLError, flat
from sshml.statistics import group_means, mean_std, with_test_error, written


@dataclasses.dataclass(frozen=True)
class Rule:
    """When a claim holds: the criterion in `words`, and `test`(finite values of the seeds) -> bool.

    `errors`: whether it goes by the standard error of the values, which must then stand for themselves (no `groups`).
    """

    words: str
    test: object
    errors: bool = False


def near(target, allowed):
    """Return the rule that the mean lies within `allowed` of a target."""
    target, allowed = real(target, "target"), real(allowed, "allowed", 0)
    return Rule(f"mean within {allowed:g} of {target:g}", lambda x: abs(x.mean() - target) <= allowed)


def at_least(least):
    """Return the rule that the mean is a number or more."""
    least = real(least, "least")
    return Rule(f"mean >= {least:g}", lambda x: x.mean() >= least)


def at_most(most):
    """Return the rule that the mean is a number or less."""
    most = real(most, "most")
    return Rule(f"mean <= {most:g}", lambda x: x.mean() <= most)


def above(bound):
    """Return the rule that the mean is larger than a number."""
    bound = real(bound, "bound")
    return Rule(f"mean > {bound:g}", lambda x: x.mean() > bound)


def standard_error(x):
    """Return the standard error of the mean of two values or more."""
    return x.std(ddof=1) / len(x) ** 0.5


def same(allowed):
    """Return the rule that the mean is 0 within a number, or within two standard errors."""
    allowed = real(allowed, "allowed", 0)
    words = f"|mean| <= {allowed:g} or 2 standard errors"
    return Rule(words, lambda x: abs(x.mean()) <= max(allowed, 2 * standard_error(x) if len(x) > 1 else 0), True)


POSITIVE = Rule("mean > 2 standard errors", lambda x: len(x) > 1 and x.mean() > 2 * standard_error(x), True)
NEGATIVE = Rule("mean < -2 standard errors", lambda x: len(x) > 1 and x.mean() < -2 * standard_error(x), True)
NOT_ZERO = Rule("|mean| > 2 standard errors", lambda x: len(x) > 1 and abs(x.mean()) > 2 * standard_error(x), True)


@dataclasses.dataclass(frozen=True)
class Claim:
    """One statement and its measurement.

    Args:
        id: name of the claim in its source.
        statement: in words, with the unit.
        values: the measurement of every seed, NaN where it does not exist; or a function that returns it, so that an
            error in one claim is no error of the others.
        source: who said it; "sshml" for what nobody published.
        published: the published value or order, as a text.
        rule: the `Rule` that decides; None where no source said anything to decide.
        unlike: why the measurement cannot decide, in words, as "10 epochs of 500"; "" where it can.
        tested: samples of the test set on which all values are accuracies; its error is part of the standard error.
        groups: the group of each value, or a function that returns them, where values of one group share a dataset: the
            standard error is then that of the groups' means, each of which has a test set of its own.
    """

    id: str
    statement: str
    values: object
    source: str = "sshml"
    published: str = ""
    rule: Rule | None = None
    unlike: str = ""
    tested: int = 0
    groups: object = None

    def row(self):
        """Return the claim as a row of claims.csv; the verdict is one of VERDICTS."""
        values = self.values() if callable(self.values) else self.values
        values = as_array(values, f"the values of {self.id}", kinds="biuf", dtype=float).ravel()
        if self.rule and self.rule.errors and self.groups is not None:
            raise SSHMLError(
                f"{self.id} goes by standard errors; give the means of its groups as values, and no groups."
            )
        mean, std, found = mean_std(values)
        error = self._error(values, mean, std, found)
        finite = values[np.isfinite(values)]
        if found and abs(mean) < 1e-12 * abs(finite).max():
            mean = 0.0  # rounding of a sum
        if not found:
            verdict = "not measurable"
        elif self.rule is None:
            verdict = "measured"
        elif self.unlike:
            verdict = "not comparable"
        else:
            verdict = "holds" if self.rule.test(finite) else "does not hold"
        return {
            "id": self.id,
            "claim": self.statement,
            "source": self.source,
            "published": self.published,
            "mean": f"{mean:.6g}" if found else "",
            "std": f"{std:.6g}" if found > 1 else "",
            "error": "" if np.isnan(error) else f"{error:.2g}",
            "seeds": found,
            "of": len(values),
            "criterion": self.rule.words if self.rule else "",
            "verdict": verdict,
            "unlike": self.unlike if self.rule else "",
        }

    def _error(self, values, mean, std, found):
        """Return the standard error of the mean, NaN of one value or group."""
        if self.groups is not None:
            groups = self.groups() if callable(self.groups) else self.groups
            _, std, found = mean_std(group_means(values, groups))
        return with_test_error(mean, std / max(1, found) ** 0.5, 0 if self.groups is not None else self.tested)


VERDICTS = ("holds", "does not hold", "not comparable", "not measurable", "measured")
"""A rule and values; the same; a rule, and values of something else; no values; values without a rule."""


def measured(row):
    """Return "mean ± std (n)" of a row of claims.csv."""
    mean, std = (float(row[name]) if row[name] else np.nan for name in ("mean", "std"))
    return written(mean, std, int(row["seeds"]), int(row["of"]))


SHOWN = ("", "claim", "source", "published", "measured: mean ± std (seeds)", "criterion", "verdict")
"""Heads of a claim as it is shown to people."""


def shown(row):
    """Return the cells of a row of claims.csv under the heads SHOWN, a verdict with its reason."""
    unlike = f" ({row['unlike']})" if row.get("unlike") else ""
    said = (row[name] for name in ("id", "claim", "source", "published"))
    return [*said, measured(row), row["criterion"], row["verdict"] + unlike]


def markdown_line(cells):
    """Return a line of a table in Markdown."""
    texts = [flat(cell).replace("|", "\\|").replace("<", "&lt;") for cell in cells]
    return f"| {' | '.join(texts)} |"


def most_telling(rows, most):
    """Return at most so many rows of claims.csv, those that a source made first, in their order."""
    return sorted(rows, key=lambda row: (row["criterion"] == "", row["source"] == "sshml"))[:most]
