"""The claims table of an experiment: what was published, what was measured, and whether it holds."""

import dataclasses

import numpy as np

from sshml.files import write_csv


@dataclasses.dataclass(frozen=True)
class Claim:
    """One published statement and its measurement.

    `values` (seed): the measurement of every seed, NaN where it does not exist; `holds`: True, False, or None where
    nothing was published to compare with; `criterion`: the rule that decided, in words.
    """

    id: str
    statement: str
    source: str
    published: str
    values: np.ndarray
    criterion: str
    holds: bool | None

    def row(self):
        """Return the claim as a row of claims.csv."""
        found = np.asarray(self.values, dtype=float)
        found = found[np.isfinite(found)]
        mean = found.mean() if found.size else np.nan
        std = found.std(ddof=1) if found.size > 1 else np.nan
        return {
            "id": self.id,
            "claim": self.statement,
            "source": self.source,
            "published": self.published,
            "mean": f"{mean:.6g}",
            "std": "" if np.isnan(std) else f"{std:.3g}",
            "seeds": found.size,
            "criterion": self.criterion,
            "verdict": {True: "holds", False: "does not hold", None: "measured"}[self.holds],
        }


def measured(row):
    """Return "mean ± std (n)" of a row of claims.csv."""
    mean = f"{float(row['mean']):.4g}"
    return f"{mean} ± {float(row['std']):.2g} ({row['seeds']})" if row["std"] else f"{mean} ({row['seeds']})"


def summary(values):
    """Return the columns mean, std (over seeds, n - 1) and seeds of a table."""
    std = values.std(ddof=1) if len(values) > 1 else 0.0
    return {"mean": f"{values.mean():.6g}", "std": f"{std:.4g}", "seeds": len(values)}


def conclude(folder, claims, draw):
    """Write claims.csv from an iterable of `Claim`, draw the figures of a folder, and return the rows."""
    rows = [claim.row() for claim in claims]
    write_csv(folder / "claims.csv", rows)
    draw(folder)
    return rows


def save_figures(folder, figures):
    """Write figures {name: figure} into a folder as PNG and PDF, without the date."""
    for name, figure in figures.items():
        for suffix, options in (("png", {"dpi": 200}), ("pdf", {"metadata": {"CreationDate": None}})):
            figure.savefig(folder / f"{name}.{suffix}", **options)
