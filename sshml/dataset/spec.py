"""What to generate: a frozen description that makes every byte of a dataset."""

import dataclasses
import json
import math

from sshml.chain.gauge import GAUGES
from sshml.chain.hamiltonian import BOUNDARIES
from sshml.errors import SSHMLError

SPLITS = ("train", "valid", "test")


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
        object.__setattr__(self, "low", float(self.low))
        object.__setattr__(self, "high", self.low if self.high is None else float(self.high))
        if not (math.isfinite(self.low) and math.isfinite(self.high)):
            raise SSHMLError(f"hopping {self} is not finite; give finite numbers.")
        if self.high < self.low:
            raise SSHMLError(
                f"hopping range {self.low:g}:{self.high:g} is reversed; write it as {self.high:g}:{self.low:g}."
            )
        if self.points is not None and (self.points < 2 or self.high == self.low):
            raise SSHMLError(f"hopping grid {self} needs at least 2 points between different ends, e.g. 0:2:21.")

    @classmethod
    def parse(cls, value):
        """Make a Hopping of itself, a number, a tuple or list of its fields, or the text "0.5", "0:1", "0:2:21"."""
        if isinstance(value, cls):
            return value
        try:
            parts = value.split(":") if isinstance(value, str) else value
            parts = tuple(p for p in parts if p is not None) if isinstance(parts, (list, tuple)) else (parts,)
            if not 1 <= len(parts) <= 3 or (len(parts) == 3 and int(parts[2]) != float(parts[2])):
                raise ValueError
            numbers = [float(part) for part in parts[:2]] + [int(part) for part in parts[2:]]
        except (TypeError, ValueError):
            raise SSHMLError(
                f"hopping {value!r} is not understood; write a number (0.5), a range (0:1) or a grid (0:2:21)."
            ) from None
        return cls(*numbers)

    @property
    def is_fixed(self):
        """Whether every chain has the same clean value."""
        return self.low == self.high

    def __str__(self):
        parts = [self.low] if self.is_fixed else [self.low, self.high]
        return ":".join([f"{part:g}" for part in parts] + ([str(self.points)] if self.points else []))


@dataclasses.dataclass(frozen=True)
class DatasetSpec:
    """Describe a dataset of SSH chains: v_m = v + W_v (r_m - 1/2), w_m = w + W_w (r'_m - 1/2), r uniform on [0, 1).

    Args:
        cells: number M of cells; a chain has N = 2 M sites.
        v: distribution of the clean intracell hopping, anything `Hopping.parse` takes.
        w: distribution of the clean intercell hopping, in the same energy unit.
        disorder_v: disorder strength W_v >= 0, full width of the uniform law.
        disorder_w: disorder strength W_w >= 0.
        boundary: "open" or "periodic".
        gauge: "random" or "fixed", see `sshml.chain.gauge`.
        train, valid, test: samples per split, at least 1 each.
        seed: integer from 0 to 2^64 - 1. Sample i of a split depends on (seed, split, i) and nothing else.

    Raises:
        SSHMLError: a value out of its range, or a spec whose splits would have to share chains.

    >>> DatasetSpec(cells=8, v=(0, 1), w="0:1").w
    Hopping(low=0.0, high=1.0, points=None)
    """

    cells: int
    v: Hopping = Hopping(0.0, 1.0)
    w: Hopping = Hopping(0.0, 1.0)
    disorder_v: float = 0.0
    disorder_w: float = 0.0
    boundary: str = "open"
    gauge: str = "random"
    train: int = 16000
    valid: int = 2000
    test: int = 10000
    seed: int = 0

    def __post_init__(self):
        for name in ("v", "w"):
            object.__setattr__(self, name, Hopping.parse(getattr(self, name)))
        for name, least in (("cells", 2), *((split, 1) for split in SPLITS), ("seed", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not hasattr(value, "__index__") or value.__index__() < least:
                raise SSHMLError(f"{name} is {value!r}; expected an integer of at least {least}.")
            object.__setattr__(self, name, value.__index__())
        if self.seed >= 2**64:
            raise SSHMLError(f"seed {self.seed} is out of range; choose an integer from 0 to 2^64 - 1.")
        for name in ("disorder_v", "disorder_w"):
            try:
                value = float(getattr(self, name))
            except (TypeError, ValueError):
                value = math.nan
            if not 0 <= value < math.inf:
                raise SSHMLError(f"{name} is {getattr(self, name)!r}; expected a width of at least 0.")
            object.__setattr__(self, name, value)
        for name, choices in (("boundary", BOUNDARIES), ("gauge", GAUGES)):
            if getattr(self, name) not in choices:
                raise SSHMLError(f"{name} {getattr(self, name)!r} is unknown; choose one of {', '.join(choices)}.")
        scale = max(*(abs(x) for h in (self.v, self.w) for x in (h.low, h.high)), self.disorder_v, self.disorder_w)
        if not 1e-30 <= scale <= 1e30:
            raise SSHMLError(f"the largest hopping is {scale:g}; states on disk are float32: choose 1e-30 to 1e30.")
        self._check_distinct()

    @property
    def sites(self):
        """Number N = 2 M of sites, which is also the number of levels."""
        return 2 * self.cells

    @property
    def is_clean(self):
        """Whether all cells of a chain are equal."""
        return self.disorder_v == 0 == self.disorder_w

    @property
    def grid_axes(self):
        """Names of the hoppings that run over a grid."""
        return [name for name in ("v", "w") if getattr(self, name).points]

    def _check_distinct(self):
        if not self.is_clean:
            return
        axes = (self.v, self.w)
        if all(axis.is_fixed for axis in axes):
            raise SSHMLError(
                f"v = {self.v} and w = {self.w} without disorder describe one single chain, which the splits would"
                " share; give a range for v or w, or a disorder strength."
            )
        if all(axis.is_fixed or axis.points for axis in axes):
            from sshml.dataset.generate import grid_points

            points, needed = len(grid_points(self)), self.train + 2 * max(self.valid, self.test)
            if needed > points:
                raise SSHMLError(
                    f"the clean grid v = {self.v}, w = {self.w} has {points} chains with an open gap, but splits that"
                    f" share none need train + 2 max(valid, test) = {needed}; refine the grid or ask for fewer."
                )

    def to_json(self):
        """Return the spec as JSON text with sorted keys."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text):
        """Return the spec of a JSON text made by `to_json`.

        Raises:
            SSHMLError: not JSON, unknown fields, or values out of range.
        """
        try:
            fields = json.loads(text)
            hoppings = {name: Hopping(**fields.pop(name)) for name in ("v", "w")}
            return cls(**hoppings, **fields)
        except SSHMLError:
            raise
        except (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError) as error:
            raise SSHMLError(f"the spec is not a dataset spec ({error}); expected the JSON of DatasetSpec.") from None
