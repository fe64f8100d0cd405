"""What a dataset holds: a frozen description that makes every byte of it, or that of hoppings given by someone."""

import dataclasses
import json
import math

from sshml.arguments import choice, flag, integer, sequence, shown
from sshml.chain import BOUNDARIES, GAUGES, LAWS, check_power
from sshml.dataset.ranges import HOPPINGS, SPLITS, Range, grid_points
from sshml.errors import SSHMLError

KINDS = (*HOPPINGS, "onsite")
"""What a chain is made of: hoppings and on-site energies."""

PARAMETERS = (*(f"disorder_{kind}" for kind in KINDS), "onsite", "probability", "beta")
"""Numbers of a chain, beside its clean hoppings, that may vary over a dataset; their order is that of their draws."""

LATER = {
    **dict.fromkeys(("j3", "j4", "onsite", "probability", "beta")),
    **dict.fromkeys(("disorder_j3", "disorder_j4", "disorder_onsite"), Range(0.0)),
    **{"law": "uniform", "power": 1, "correlated": False, "half_cell": False},
}
"""Fields that the first release does not know, left out of the JSON where they have no effect."""

MOST = 2**48
"""Cells and samples, at most."""


UNIT, NONE = Range(0.0, 1.0), Range(0.0)
"""Default of the hoppings v and w, and of the strengths of disorder."""


class _Chains:
    """What follows from `cells`, `boundary`, `half_cell` and `kinds`."""

    @property
    def sites(self):
        """Number N of sites and of levels: 2 M, or 2 M + 1 with half a cell at the end."""
        return 2 * self.cells + self.half_cell

    @property
    def is_longer(self):
        """Whether the chains have longer-range hoppings."""
        return "j3" in self.kinds or "j4" in self.kinds

    @property
    def has_onsite(self):
        """Whether the chains have on-site energies, which break chiral symmetry."""
        return "onsite" in self.kinds

    @property
    def windings(self):
        """Possible labels in ascending order."""
        return (-1, 0, 1, 2) if self.is_longer else (0, 1)

    @property
    def hoppings(self):
        """Names of the hoppings that the chains have."""
        return tuple(kind for kind in self.kinds if kind in HOPPINGS)

    def bonds(self, name):
        """Return how many bonds of a kind a chain has, or sites for "onsite"."""
        if name == "onsite":
            return self.sites
        missing = {"v": 0, "w": 1, "j3": 1, "j4": 2}[name] if self.boundary == "open" else 0
        return max(self.cells - missing + (self.half_cell and name in ("w", "j4")), 0)

    def _check_chains(self):
        for name, least in (("cells", 2), *((split, 1) for split in SPLITS), ("seed", 0)):
            most = 2**64 - 1 if name == "seed" else MOST
            object.__setattr__(self, name, integer(getattr(self, name), name, least, most))
        for name, choices in (("boundary", BOUNDARIES), ("gauge", GAUGES)):
            choice(getattr(self, name), name, choices)
        object.__setattr__(self, "half_cell", flag(self.half_cell, "half_cell"))
        if self.half_cell and self.boundary != "open":
            raise SSHMLError("a ring has whole cells; leave half_cell out or use boundary='open'.")


@dataclasses.dataclass(frozen=True)
class DatasetSpec(_Chains):
    """Describe a dataset of SSH chains: v_m = v + W_v r_m, w_m = w + W_w r'_m, with r drawn for each bond.

    The law of the disorder: "uniform" x_m = x + W r_m with r uniform on [-1/2, 1/2), as in the literature; "normal"
    x_m = x + W r_m with r standard normal; "multiplicative" x_m = x (1 + W r_m) with r uniform; "binary" x_m = x + W/2
    or x - W/2; "quasiperiodic" x_m = x + W cos(2 pi (beta m) + phi)^power with a random phase for each chain and kind
    of hopping (`sshml.chain.LAWS`). The numbers r of a sample do not depend on the strengths, so that specs that differ
    in them hold the same chains, more or less disordered. Every strength, and every parameter of a law, may be a range
    or a grid, drawn for each chain and stored with it, so that one file spans a phase diagram.

    Args:
        cells: number M of cells; a chain has N = 2 M sites.
        v: distribution of the clean intracell hopping, anything `Range.parse` takes.
        w: distribution of the clean intercell hopping, in the same energy unit.
        disorder_v: disorder strength W_v >= 0, or a range of it: full width of the uniform law, standard deviation of
            the normal one, without unit for the multiplicative one, distance of the two values of the binary one,
            amplitude of the quasi-periodic one.
        disorder_w: disorder strength W_w >= 0.
        boundary: "open" or "periodic".
        gauge: "random" or "fixed", see `sshml.chain.gauge`.
        train, valid, test: samples per split, at least 1 each.
        seed: integer from 0 to 2^64 - 1. Sample i of a split depends on (seed, split, i) and nothing else.
        j3, j4: distributions of the clean longer-range hoppings A_m-B_{m+1} and B_m-A_{m+2}; None for a chain without.
        disorder_j3, disorder_j4: their disorder strengths.
        law: a name of `sshml.chain.LAWS`.
        onsite: staggered on-site energy m, +m on A and -m on B (Rice-Mele), or its distribution; None for a chain
            without. It breaks chiral symmetry: the label is the winding number of the hoppings.
        disorder_onsite: strength of the disorder of the on-site energies, by the same law.
        probability: of x + W/2 in the binary law, 1/2 if not given.
        beta: wavenumber of the quasi-periodic law over 2 pi, (5^(1/2) - 1)/2 if not given: 1/golden ratio.
        power: power of its cosine, 1 to 20.
        correlated: whether all hoppings of a cell share their random number: r'_m = r_m (and the phase).
        half_cell: whether an open chain ends in half a cell, a site A_{M+1}, so that N = 2 M + 1.

    Raises:
        SSHMLError: a value out of its range, or a spec whose splits would have to share chains.

    >>> DatasetSpec(cells=8, v=(0, 1), w="0:1").w
    Range(low=0.0, high=1.0, points=None)
    """

    cells: int
    v: Range = UNIT
    w: Range = UNIT
    disorder_v: Range = NONE
    disorder_w: Range = NONE
    boundary: str = "open"
    gauge: str = "random"
    train: int = 16000
    valid: int = 2000
    test: int = 10000
    seed: int = 0
    j3: Range | None = None
    j4: Range | None = None
    disorder_j3: Range = NONE
    disorder_j4: Range = NONE
    law: str = "uniform"
    onsite: Range | None = None
    disorder_onsite: Range = NONE
    probability: Range | None = None
    beta: Range | None = None
    power: int = 1
    correlated: bool = False
    half_cell: bool = False

    def __post_init__(self):
        self._check_chains()
        choice(self.law, "law", tuple(LAWS))
        for name in (*HOPPINGS, *PARAMETERS):
            value = getattr(self, name)
            found = None if value is None and LATER.get(name, 0) is None else Range.parse(value, name)
            object.__setattr__(self, name, found)
            if name.startswith("disorder_") and found.low < 0:
                raise SSHMLError(f"{name} is {found}; expected a number of at least 0.")
        object.__setattr__(self, "power", check_power(self.power))
        object.__setattr__(self, "correlated", flag(self.correlated, "correlated"))
        self._check_law()
        self._check_kinds()
        ranges = (*self.clean.values(), *map(self.disorder_of, self.kinds), *filter(None, [self.onsite]))
        scale = max(abs(x) for one in ranges for x in (one.low, one.high))
        if not 1e-30 <= scale <= 1e30:
            raise SSHMLError(f"the largest hopping is {scale:g}; states on disk are float32: choose 1e-30 to 1e30.")
        self._check_distinct()

    @property
    def kinds(self):
        """Names of what the chains have: hoppings, and "onsite" where there are on-site energies."""
        longer = HOPPINGS[2:] if self.j3 is not None or self.j4 is not None else ()
        onsite = ("onsite",) if self.onsite is not None or self.disorder_onsite != NONE else ()
        return (*HOPPINGS[:2], *longer, *onsite)

    @property
    def clean(self):
        """The distributions of the clean hoppings by name, those that the chains have."""
        return {name: getattr(self, name) or Range(0.0) for name in self.hoppings}

    @property
    def parameters(self):
        """The ranges of the other numbers of a chain by name, in the order of PARAMETERS."""
        law = LAWS[self.law].parameters
        found = {f"disorder_{kind}": self.disorder_of(kind) for kind in self.kinds}
        found |= {"onsite": self.onsite or Range(0.0)} if self.has_onsite else {}
        return found | {
            name: getattr(self, name) or Range(law[name]) for name in ("probability", "beta") if name in law
        }

    @property
    def stored(self):
        """Names of the arrays, a number per chain, that a file has where parameters vary: those of all that vary."""
        varying = [name for name, found in self.parameters.items() if not found.is_fixed]
        if not varying:
            return ()
        clean = [f"clean_{name}" for name, found in self.clean.items() if not found.is_fixed]
        return (*clean, *(f"clean_{name}" if name == "onsite" else name for name in varying))

    def disorder_of(self, name):
        """Return the disorder strength of a kind, a `Range`."""
        return getattr(self, f"disorder_{name}")

    @property
    def is_clean(self):
        """Whether all cells of a chain are equal."""
        return not any(self.disorder_of(kind).high for kind in KINDS)

    @property
    def ranges(self):
        """All ranges by name, those of the clean hoppings first."""
        return self.clean | self.parameters

    @property
    def grid_axes(self):
        """Names of the ranges that are grids."""
        return [name for name, found in self.ranges.items() if found.points]

    def _check_law(self):
        names = [name for name in ("probability", "beta") if getattr(self, name) is not None]
        for name in names + ["power"] * (self.power != 1):
            if name not in LAWS[self.law].parameters:
                raise SSHMLError(f"the law {self.law!r} has no {name}; leave it out.")
        if self.probability is not None and not 0 <= self.probability.low <= self.probability.high <= 1:
            raise SSHMLError(f"probability is {self.probability}; expected a number from 0 to 1.")

    def _check_kinds(self):
        for name in ("j3", "j4"):
            if getattr(self, name) is None and self.disorder_of(name).high:
                raise SSHMLError(f"disorder_{name} needs {name}; give {name}=0 for disorder alone.")
        disordered = any(self.disorder_of(kind).high for kind in HOPPINGS)
        if self.is_longer and self.boundary == "open" and disordered:
            raise SSHMLError(
                "a disordered open chain with j3 or j4 has no winding number of its own; use boundary='periodic'."
            )

    def _check_distinct(self):
        discrete = all(found.is_discrete for found in self.clean.values())
        if not discrete or (self.has_onsite and not self.parameters["onsite"].is_discrete):
            return
        values = ", ".join(f"{name} = {found}" for name, found in self.clean.items())
        idle = {kind for kind, found in self.clean.items() if self.law == "multiplicative" and not any(found.values)}
        strengths = {f"disorder_{kind}": self.disorder_of(kind) for kind in self.kinds if kind not in idle}
        if not self.is_clean:
            if all(found.low == 0 and found.is_discrete for found in strengths.values()):
                raise SSHMLError(
                    f"{values} and strengths from 0 describe the same clean chains again and again, which the splits"
                    " would share; give a range for v or w, or begin the strengths above 0."
                )
            self._check_binary(values)
            return
        if all(found.is_fixed for found in self.ranges.values()):
            raise SSHMLError(
                f"{values} without disorder describe one single chain, which the splits would share; give a range for"
                " v or w, or a disorder strength."
            )
        points = len(grid_points(self.ranges, True, self.seed))
        needed = self.train + 2 * max(self.valid, self.test)
        if needed > points:
            raise SSHMLError(
                f"the clean grid {values} has {points} chains with an open gap, but splits that share none need"
                f" train + 2 max(valid, test) = {needed}; refine the grid or ask for fewer."
            )

    def _check_binary(self, values):
        """Raise where a binary law has so few chains that some would come twice."""
        if self.law != "binary":
            return
        varying = [kind for kind in self.kinds if self.disorder_of(kind).high]
        if any(not self.disorder_of(kind).is_discrete for kind in varying):
            return
        bits = [self.bonds(kind) for kind in varying]
        bits = max(bits) if self.correlated and "onsite" not in varying else sum(bits)
        p = self.parameters["probability"]
        equal = max(x * x + (1 - x) * (1 - x) for x in (p.low, p.high))
        points = math.prod(found.points or 1 for found in self.ranges.values())
        samples = self.train + self.valid + self.test
        if samples**2 / points * equal**bits > 1e-3:
            raise SSHMLError(
                f"{values} with the binary law describe so few chains that {samples} samples would hold some twice;"
                " give a range for v or w, more cells, or fewer samples."
            )

    def to_json(self):
        """Return the spec as JSON text with sorted keys."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        fields = {k: x for k, x in fields.items() if k not in LATER or x != LATER[k]}
        plain = {k: dataclasses.asdict(x) if isinstance(x, Range) else x for k, x in fields.items()}
        plain |= {k: x.low for k, x in fields.items() if k in PARAMETERS[: len(KINDS)] and x.is_fixed}  # as release 0.1
        return json.dumps(plain, sort_keys=True)

    @classmethod
    def from_json(cls, text):
        """Return the spec of a JSON text made by `to_json`.

        Raises:
            SSHMLError: not JSON, unknown fields, or values out of range.
        """
        fields = _fields(text)
        try:
            given = {name: fields.pop(name) for name in (*HOPPINGS, *PARAMETERS) if name in fields or name in "vw"}
            ranges = {k: Range(**x) if isinstance(x, dict) else Range(x) for k, x in given.items()}
            if any(not isinstance(given[name], dict) for name in given if name in HOPPINGS):
                raise TypeError("a hopping is no range")
            return cls(**ranges, **fields)
        except SSHMLError:
            raise
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            raise _no_spec(error) from None


@dataclasses.dataclass(frozen=True)
class GivenSpec(_Chains):
    """Describe a dataset of hoppings that were given, not drawn (`sshml.dataset.from_hoppings`).

    The seed makes the signs of the states alone. Other arguments as in `DatasetSpec`.

    Args:
        cells: number M of cells.
        kinds: names of what was given: "v" and "w", then "j3" and "j4", both or none, and "onsite".
        boundary: "open" or "periodic".
        gauge: "random" or "fixed".
        train, valid, test: samples per split.
        seed: seed of the signs.
        half_cell: whether the chains end in half a cell.

    Raises:
        SSHMLError: a value out of its range.
    """

    cells: int
    kinds: tuple
    boundary: str = "open"
    gauge: str = "random"
    train: int = 1
    valid: int = 1
    test: int = 1
    seed: int = 0
    half_cell: bool = False

    stored = ()

    def __post_init__(self):
        self._check_chains()
        kinds = tuple(sequence(self.kinds, "kinds"))
        if not all(isinstance(kind, str) for kind in kinds):
            raise SSHMLError(f"kinds are {shown(self.kinds)}; expected names, as v and w.")
        if not {"v", "w"} <= set(kinds) or ("j3" in kinds) != ("j4" in kinds) or not set(kinds) <= set(KINDS):
            raise SSHMLError(f"kinds are {kinds}; expected v and w, and j3 and j4, or onsite, or all.")
        object.__setattr__(self, "kinds", tuple(kind for kind in KINDS if kind in kinds))

    def to_json(self):
        """Return the spec as JSON text with sorted keys."""
        fields = dataclasses.asdict(self)
        return json.dumps({"given": list(fields.pop("kinds"))} | fields, sort_keys=True)

    @classmethod
    def from_json(cls, text):
        """Return the spec of a JSON text made by `to_json`; errors as `DatasetSpec.from_json`."""
        fields = _fields(text)
        try:
            return cls(kinds=tuple(fields.pop("given")), **fields)
        except SSHMLError:
            raise
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise _no_spec(error) from None


def _fields(text):
    try:
        fields = json.loads(text)
        if not isinstance(fields, dict):
            raise TypeError("no object")
        return fields
    except (RecursionError, TypeError, ValueError) as error:
        raise _no_spec(error) from None


def _no_spec(error):
    return SSHMLError(f"the spec is not a dataset spec ({error}); expected the JSON of DatasetSpec.")


def spec_from_json(text):
    """Return the `DatasetSpec` or `GivenSpec` of a JSON text; errors as `DatasetSpec.from_json`."""
    return (GivenSpec if "given" in _fields(text) else DatasetSpec).from_json(text)
