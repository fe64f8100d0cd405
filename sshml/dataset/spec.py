"""What to generate: a frozen description that makes every byte of a dataset."""

import dataclasses
import json

from sshml.arguments import choice, integer, real
from sshml.chain import BOUNDARIES, GAUGES
from sshml.dataset.hoppings import HOPPINGS, SPLITS, Hopping, grid_points
from sshml.errors import SSHMLError

LAWS = ("uniform", "normal", "multiplicative")
"""Disorder r is uniform on [-1/2, 1/2), or standard normal: x + W r, x + W r, x (1 + W r)."""

LATER = {"j3": None, "j4": None, "disorder_j3": 0.0, "disorder_j4": 0.0, "law": "uniform"}
"""Fields that releases before 0.2 do not know, left out of the JSON where they have no effect."""


MOST = 2**48
"""Cells and samples, at most."""


@dataclasses.dataclass(frozen=True)
class DatasetSpec:
    """Describe a dataset of SSH chains: v_m = v + W_v r_m, w_m = w + W_w r'_m, with r drawn for each bond.

    The law of the disorder: "uniform" x_m = x + W r_m with r uniform on [-1/2, 1/2), as in the literature; "normal"
    x_m = x + W r_m with r standard normal; "multiplicative" x_m = x (1 + W r_m) with r uniform. The numbers r of a
    sample do not depend on the strengths, so that specs that differ in them hold the same chains, more or less
    disordered.

    Args:
        cells: number M of cells; a chain has N = 2 M sites.
        v: distribution of the clean intracell hopping, anything `Hopping.parse` takes.
        w: distribution of the clean intercell hopping, in the same energy unit.
        disorder_v: disorder strength W_v >= 0: full width of the uniform law, standard deviation of the normal one,
            and without unit for the multiplicative one.
        disorder_w: disorder strength W_w >= 0.
        boundary: "open" or "periodic".
        gauge: "random" or "fixed", see `sshml.chain.gauge`.
        train, valid, test: samples per split, at least 1 each.
        seed: integer from 0 to 2^64 - 1. Sample i of a split depends on (seed, split, i) and nothing else.
        j3, j4: distributions of the clean longer-range hoppings A_m-B_{m+1} and B_m-A_{m+2}; None for a chain without.
        disorder_j3, disorder_j4: their disorder strengths.
        law: "uniform", "normal" or "multiplicative".

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
    j3: Hopping | None = None
    j4: Hopping | None = None
    disorder_j3: float = 0.0
    disorder_j4: float = 0.0
    law: str = "uniform"

    def __post_init__(self):
        for name in HOPPINGS:
            value = getattr(self, name)
            object.__setattr__(self, name, None if value is None and name in LATER else Hopping.parse(value))
        for name, least in (("cells", 2), *((split, 1) for split in SPLITS), ("seed", 0)):
            most = 2**64 - 1 if name == "seed" else MOST
            object.__setattr__(self, name, integer(getattr(self, name), name, least, most))
        for name in (f"disorder_{hopping}" for hopping in HOPPINGS):
            object.__setattr__(self, name, real(getattr(self, name), name, 0))
        for name, choices in (("boundary", BOUNDARIES), ("gauge", GAUGES), ("law", LAWS)):
            choice(getattr(self, name), name, choices)
        self._check_longer()
        scale = max(*(abs(x) for h in self.clean.values() for x in (h.low, h.high)), *map(self.disorder_of, self.clean))
        if not 1e-30 <= scale <= 1e30:
            raise SSHMLError(f"the largest hopping is {scale:g}; states on disk are float32: choose 1e-30 to 1e30.")
        self._check_distinct()

    @property
    def sites(self):
        """Number N = 2 M of sites, which is also the number of levels."""
        return 2 * self.cells

    @property
    def is_longer(self):
        """Whether the chains have longer-range hoppings."""
        return self.j3 is not None or self.j4 is not None

    @property
    def windings(self):
        """Possible labels in ascending order."""
        return (-1, 0, 1, 2) if self.is_longer else (0, 1)

    @property
    def clean(self):
        """The distributions of the clean hoppings by name, those that the chains have."""
        names = HOPPINGS if self.is_longer else HOPPINGS[:2]
        return {name: getattr(self, name) or Hopping(0.0) for name in names}

    def disorder_of(self, name):
        """Return the disorder strength of a hopping."""
        return getattr(self, f"disorder_{name}")

    def bonds(self, name):
        """Return how many bonds of a kind a chain has."""
        missing = {"v": 0, "w": 1, "j3": 1, "j4": 2}[name] if self.boundary == "open" else 0
        return max(self.cells - missing, 0)

    @property
    def is_clean(self):
        """Whether all cells of a chain are equal."""
        return not any(map(self.disorder_of, HOPPINGS))

    @property
    def grid_axes(self):
        """Names of the hoppings that run over a grid."""
        return [name for name, hopping in self.clean.items() if hopping.points]

    def _check_longer(self):
        for name in ("j3", "j4"):
            if getattr(self, name) is None and self.disorder_of(name):
                raise SSHMLError(f"disorder_{name} needs {name}; give {name}=0 for disorder alone.")
        if self.is_longer and self.boundary == "open" and not self.is_clean:
            raise SSHMLError(
                "a disordered open chain with j3 or j4 has no winding number of its own; use boundary='periodic'."
            )

    def _check_distinct(self):
        if not self.is_clean:
            return
        axes = self.clean
        if all(axis.is_fixed for axis in axes.values()):
            values = ", ".join(f"{name} = {axis}" for name, axis in axes.items())
            raise SSHMLError(
                f"{values} without disorder describe one single chain, which the splits would share; give a range for"
                " v or w, or a disorder strength."
            )
        if all(axis.is_fixed or axis.points for axis in axes.values()):
            points, needed = len(grid_points(axes, True, self.seed)), self.train + 2 * max(self.valid, self.test)
            if needed > points:
                raise SSHMLError(
                    f"the clean grid {', '.join(f'{name} = {axis}' for name, axis in axes.items())} has {points} chains"
                    " with an open gap, but splits that share none need train + 2 max(valid, test) ="
                    f" {needed}; refine the grid or ask for fewer."
                )

    def to_json(self):
        """Return the spec as JSON text with sorted keys."""
        fields = dataclasses.asdict(self)
        return json.dumps({k: x for k, x in fields.items() if k not in LATER or x != LATER[k]}, sort_keys=True)

    @classmethod
    def from_json(cls, text):
        """Return the spec of a JSON text made by `to_json`.

        Raises:
            SSHMLError: not JSON, unknown fields, or values out of range.
        """
        try:
            fields = json.loads(text)
            hoppings = {name: Hopping(**fields.pop(name)) for name in HOPPINGS if name in fields or name in "vw"}
            return cls(**hoppings, **fields)
        except SSHMLError:
            raise
        except (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError) as error:
            raise SSHMLError(f"the spec is not a dataset spec ({error}); expected the JSON of DatasetSpec.") from None
