"""Clean hoppings: their distribution over the chains of a dataset, and the points of a grid of them."""

import dataclasses
import math

import numpy as np

from sshml.arguments import integer, real, shown
from sshml.chain import label, uniforms
from sshml.errors import SSHMLError

SPLITS = ("train", "valid", "test")

MOST_POINTS = 10**7
"""Points of a grid, at most: all of them are in memory."""

HOPPINGS = ("v", "w", "j3", "j4")


@dataclasses.dataclass(frozen=True)
class Hopping:
    """Distribution of the clean value of a hopping over the chains of a dataset.

    A number (`Hopping(0.5)`), uniform on [low, high) (`Hopping(0, 1)`), or the points of an even grid from low
    to high (`Hopping(0, 2, 21)`). Energies in the unit of the hoppings.

    >>> Hopping.parse("0:2:21")
    Hopping(low=0.0, high=2.0, points=21)
    """

    low: float
    high: float | None = None
    points: int | None = None

    def __post_init__(self):
        object.__setattr__(self, "low", real(self.low, "the hopping"))
        object.__setattr__(self, "high", self.low if self.high is None else real(self.high, "the hopping's upper end"))
        if self.points is not None:
            object.__setattr__(self, "points", integer(self.points, "the hopping's points", 0, MOST_POINTS))
        if self.high < self.low:
            raise SSHMLError(
                f"hopping range {self.low:g}:{self.high:g} is reversed; write it as {self.high:g}:{self.low:g}."
            )
        if self.points is not None and (self.points < 2 or self.high == self.low):
            raise SSHMLError(f"hopping grid {self} needs at least 2 points between different ends, e.g. 0:2:21.")

    @classmethod
    def parse(cls, value):
        """Make a Hopping of itself, a number, its fields (as a list or by name), or the text "0.5", "0:1", "0:2:21"."""
        if isinstance(value, cls):
            return value
        if isinstance(value, dict) and {"low"} <= set(value) <= {"low", "high", "points"}:
            value = [value.get(name) for name in ("low", "high", "points")]
        try:
            parts = value.split(":") if isinstance(value, str) else value
            parts = tuple(p for p in parts if p is not None) if isinstance(parts, (list, tuple)) else (parts,)
            if not 1 <= len(parts) <= 3 or (len(parts) == 3 and int(parts[2]) != float(parts[2])):
                raise ValueError
            numbers = [float(part) if isinstance(part, str) else part for part in parts[:2]]
            numbers += [int(part) for part in parts[2:]]
        except (OverflowError, TypeError, ValueError):
            raise SSHMLError(
                f"hopping {shown(value)} is not understood; write a number (0.5), a range (0:1) or a grid (0:2:21)."
            ) from None
        return cls(*numbers)

    @property
    def is_fixed(self):
        """Whether every chain has the same clean value."""
        return self.low == self.high

    def __str__(self):
        parts = [self.low] if self.is_fixed else [self.low, self.high]
        return ":".join([f"{part:g}" for part in parts] + ([str(self.points)] if self.points else []))


def grid_points(clean, is_clean, seed):
    """Return the hoppings on a grid, shape (point, kind of hopping), in a seeded random order.

    A hopping that is not on a grid stands with its lower end. Where all are fixed or on a grid and there is no
    disorder, points without a gap are left out.

    Args:
        clean: {name: `Hopping`}, in the order of HOPPINGS.
        is_clean: whether there is no disorder.
        seed: seed of the order.
    """
    size = math.prod(h.points or 1 for h in clean.values())
    if size > MOST_POINTS:
        raise SSHMLError(f"the grid has {size} points; give one of at most {MOST_POINTS}.")
    axes = [np.linspace(h.low, h.high, h.points) if h.points else np.array([h.low]) for h in clean.values()]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))
    if is_clean and all(h.is_fixed or h.points for h in clean.values()):
        points = points[~label(*points.T[:2, :, None], "periodic", *points.T[2:, :, None])[1]]
    order = uniforms((seed, len(SPLITS)), 0, len(points), 1)[:, 0]
    return points[np.argsort(order, kind="stable")]
