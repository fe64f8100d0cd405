"""What a network sees of a stored sample: chosen on reading, never stored."""

import dataclasses
import re

import numpy as np

from sshml.arguments import choice, integer, sequence, shown
from sshml.chain import fixed_signs, uniforms
from sshml.errors import SSHMLError

VIEWS = ("states", "abs", "density", "projector")

SIGNS = ("none", "chain", "pairs")
"""Words for groups of levels that share a sign: none has one, all levels, the two chiral partners."""

SIGN_STREAM = 2**32 + 1
"""Stream of the draws of shared signs, beside that of the gauge."""


@dataclasses.dataclass(frozen=True)
class View:
    """What a network sees of chains, as an object or as a text like "states/levels=6,9/signs=pairs".

    Kinds: "states" psi, "abs" |psi|, "density" |psi|^2, each (level, site); "projector" on the lower half of the
    levels, P_ij = sum_n psi_n(i) psi_n(j), (site, site): the correlation matrix <c_i^+ c_j> at half filling (of a chain
    that ends in half a cell with its middle level empty). Levels count from 0 at the lowest, sites from 0 at A1; a text
    may hold ranges, levels=5-10.

    Args:
        kind: one of VIEWS.
        levels: the levels that are seen, in order; all if None. Not of the projector.
        sites: the sites that are seen, both axes of the projector; all if None.
        signs: which levels share a random sign, of the view "states": the file's own gauge if None; "none" for the
            gauge "fixed"; "chain" for one sign for all; "pairs" for one for each pair n and N - 1 - n; a number for so
            many groups of neighbouring levels, as even as can be. The signs depend on the seed of the dataset and the
            sample.

    Raises:
        SSHMLError: an unknown kind, numbers below 0 or twice, or what the kind does not have.

    >>> View.parse("projector/sites=4-7")
    View(kind='projector', levels=None, sites=(4, 5, 6, 7), signs=None)
    >>> str(View("states", levels=(6, 9)))
    'states/levels=6,9'
    """

    kind: str = "states"
    levels: tuple | None = None
    sites: tuple | None = None
    signs: str | int | None = None

    def __post_init__(self):
        choice(self.kind, "view", VIEWS)
        for name in ("levels", "sites"):
            if (given := getattr(self, name)) is not None:
                numbers = tuple(integer(n, name, 0) for n in sequence(given, name))
                if not numbers or len(set(numbers)) < len(numbers):
                    raise SSHMLError(f"{name} of the view are {shown(given)}; expected different numbers from 0.")
                object.__setattr__(self, name, numbers)
        if self.kind == "projector" and self.levels is not None:
            raise SSHMLError("the view 'projector' sums over levels; leave levels out.")
        if self.signs is not None:
            if self.kind != "states":
                raise SSHMLError(f"the view {self.kind!r} has no signs; leave signs out.")
            if isinstance(self.signs, str):
                choice(self.signs, "signs", SIGNS)
            else:
                object.__setattr__(self, "signs", integer(self.signs, "signs", 1))

    @classmethod
    def parse(cls, view):
        """Return a View of itself, of its text, or of None (states).

        Raises:
            SSHMLError: none of these.
        """
        if view is None or isinstance(view, cls):
            return view or cls()
        if not isinstance(view, str) or "/" not in view:
            choice(view, "view", VIEWS)
            return cls(view)
        kind, *parts = view.split("/")
        fields = {}
        for part in parts:
            name, equals, text = part.partition("=")
            if name not in ("levels", "sites", "signs") or not equals or name in fields:
                raise SSHMLError(
                    f"view {shown(view)} is not understood at {shown(part)}; write levels=6,9, sites=4-11, signs=pairs."
                )
            fields[name] = _numbers(view, text) if name != "signs" else int(text) if text.isdecimal() else text
        return cls(kind, **fields)

    def __str__(self):
        parts = [
            f"{name}={_text(getattr(self, name))}" for name in ("levels", "sites") if getattr(self, name) is not None
        ]
        parts += [f"signs={self.signs}"] if self.signs is not None else []
        return "/".join([self.kind, *parts])

    @property
    def is_whole(self):
        """Whether all levels and sites are seen."""
        return self.levels is None and self.sites is None

    def shape(self, spec):
        """Return the shape of what is seen of a sample of a spec.

        Raises:
            SSHMLError: levels, sites or groups of signs that its chains do not have.
        """
        size = spec.sites
        for name in ("levels", "sites"):
            if (most := max(getattr(self, name) or (0,))) >= size:
                raise SSHMLError(f"the view shows {name} up to {most}; the chains have {size}, from 0.")
        if isinstance(self.signs, int) and self.signs > size:
            raise SSHMLError(f"the view has {self.signs} groups of signs; the chains have {size} levels.")
        sites = size if self.sites is None else len(self.sites)
        return (sites if self.kind == "projector" else size if self.levels is None else len(self.levels), sites)

    def groups(self, size):
        """Return the group of each level that is seen whose levels share a sign, of chains of so many levels."""
        level = np.arange(size)
        if self.signs in ("none", "chain"):
            group = np.zeros(size, np.int64)
        elif self.signs == "pairs":
            group = np.minimum(level, size - 1 - level)
        else:
            group = level if self.signs is None else level * self.signs // size
        return group if self.levels is None else group[list(self.levels)]

    def of(self, states, spec, split, numbers):
        """Return what is seen of states (sample, level, site) of samples with such numbers of a split (0, 1 or 2)."""
        self.shape(spec)
        if self.kind == "projector":
            lower = states[:, : spec.sites // 2]
            lower = lower if self.sites is None else lower[..., list(self.sites)]
            return np.swapaxes(lower, -1, -2) @ lower  # b site [level], b [level] site
        if self.signs is not None:
            states = states * fixed_signs(states)[..., None]
        states = states if self.levels is None else states[:, list(self.levels)]
        if self.signs not in (None, "none"):
            group = self.groups(spec.sites)
            drawn = np.empty((len(states), spec.sites), np.float32)
            start = 0
            for run in np.split(numbers, 1 + np.flatnonzero(np.diff(numbers) != 1)):
                key = (spec.seed, split)
                rows = uniforms(key, int(run[0]), len(run), spec.sites, SIGN_STREAM) if run.size else drawn[:0]
                drawn[start : start + len(run)] = np.where(rows < 0.5, -1, 1)
                start += len(run)
            states = states * drawn[:, group, None].astype(states.dtype)
        states = states if self.sites is None else states[..., list(self.sites)]
        if self.kind == "abs":
            return np.abs(states)
        return states**2 if self.kind == "density" else states


def check_view(view):
    """Raise where `view` is neither a `View` nor the text of one."""
    View.parse(view)


def _numbers(view, text):
    found = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", part)
        if not match:
            raise SSHMLError(f"view {shown(view)} is not understood at {shown(part)}; write numbers like 6,9 or 4-11.")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise SSHMLError(f"view {shown(view)} has the range {part}; write {last}-{first}.")
        found += range(first, min(last, first + 10**6) + 1)
    return tuple(found)


def _text(numbers):
    runs = np.split(np.array(numbers), 1 + np.flatnonzero(np.diff(numbers) != 1))
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 2 else ",".join(map(str, run)) for run in runs)
