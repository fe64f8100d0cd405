"""Numbers that vary over the chains of a dataset: their ranges, and the points of a grid of them."""

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
class Range:
    """How a number, as a clean hopping or a strength of disorder, varies over the chains of a dataset.

    A number (`Range(0.5)`), uniform on [low, high) (`Range(0, 1)`), or the points of an even grid from low
    to high (`Range(0, 2, 21)`). Energies in the unit of the hoppings.

    >>> Range.parse("0:2:21")
    Range(low=0.0, high=2.0, points=21)
    """

    low: float
    high: float | None = None
    points: int | None = None

    def __post_init__(self):
        object.__setattr__(self, "low", real(self.low, "the number"))
        object.__setattr__(self, "high", self.low if self.high is None else real(self.high, "the range's upper end"))
        if self.points is not None:
            object.__setattr__(self, "points", integer(self.points, "the grid's points", 0, MOST_POINTS))
        if self.high < self.low:
            raise SSHMLError(f"range {self.low:g}:{self.high:g} is reversed; write it as {self.high:g}:{self.low:g}.")
        if self.points is not None and (self.points < 2 or self.high == self.low):
            raise SSHMLError(f"grid {self} needs at least 2 points between different ends, e.g. 0:2:21.")

    @classmethod
    def parse(cls, value, name="hopping"):
        """Make a Range of itself, a number, its fields (as a list or by name), or the text "0.5", "0:1", "0:2:21".

        Args:
            value: one of these.
            name: what it is of, in errors.

        Raises:
            SSHMLError: none of these.
        """
        if isinstance(value, cls):
            return value
        if isinstance(value, dict) and {"low"} <= set(value) <= {"low", "high", "points"}:
            value = [value.get(field) for field in ("low", "high", "points")]
        try:
            parts = value.split(":") if isinstance(value, str) else value
            parts = list(parts) if isinstance(parts, (list, tuple)) else [parts]
            while parts and parts[-1] is None:
                parts.pop()
            if not 1 <= len(parts) <= 3 or (len(parts) == 3 and int(parts[2]) != float(parts[2])):
                raise ValueError
            numbers = [float(part) if isinstance(part, str) else part for part in parts[:2]]
            numbers += [int(part) for part in parts[2:]]
        except (OverflowError, TypeError, ValueError):
            raise SSHMLError(
                f"{name} {shown(value)} is not understood; write a number (0.5), a range (0:1) or a grid (0:2:21)."
            ) from None
        try:
            return cls(*numbers)
        except SSHMLError as error:
            raise SSHMLError(f"{name}: {error}") from None

    @property
    def is_fixed(self):
        """Whether every chain has the same value."""
        return self.low == self.high

    @property
    def is_discrete(self):
        """Whether it is one number, or the points of a grid."""
        return self.is_fixed or self.points is not None

    @property
    def values(self):
        """The points of a grid, or the number; of a range its lower end."""
        return np.linspace(self.low, self.high, self.points) if self.points else np.array([self.low])

    def at(self, u):
        """Return the values that uniform random numbers in [0, 1) stand for."""
        return self.low + (self.high - self.low) * u

    def __str__(self):
        parts = [self.low] if self.is_fixed else [self.low, self.high]
        return ":".join([f"{part:g}" for part in parts] + ([str(self.points)] if self.points else []))


def grid_points(ranges, is_clean, seed):
    """Return the values on a grid, shape (point, name), in a seeded random order.

    A range that is not a grid stands with its lower end. Where all hoppings are fixed or on a grid and there is no
    disorder, points without a gap are left out.

    Args:
        ranges: {name: `Range`}, the hoppings first, in the order of HOPPINGS.
        is_clean: whether there is no disorder.
        seed: seed of the order.
    """
    size = math.prod(h.points or 1 for h in ranges.values())
    if size > MOST_POINTS:
        raise SSHMLError(f"the grid has {size} points; give one of at most {MOST_POINTS}.")
    axes = [one.values for one in ranges.values()]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))
    hoppings = [k for k, name in enumerate(ranges) if name in HOPPINGS]
    if is_clean and all(ranges[name].is_discrete for name in ranges if name in HOPPINGS):
        points = points[~label(*points.T[hoppings][:2, :, None], "periodic", *points.T[hoppings][2:, :, None])[1]]
    order = uniforms((seed, len(SPLITS)), 0, len(points), 1)[:, 0]
    return points[np.argsort(order, kind="stable")]
