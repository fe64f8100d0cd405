"""A few chains of a split, as `sshml show` draws them."""

import dataclasses

import numpy as np

from sshml.arguments import having, integer
from sshml.chain import local_chiral_marker
from sshml.dataset.baselines import markers
from sshml.dataset.diagram import Diagram, diagram

MARKED = 300
"""Chains whose one-number markers are shown."""


@dataclasses.dataclass(frozen=True)
class Preview:
    """The first chains of a split, and some of them over w/v.

    `windings`: possible labels; `winding`, `energies` (chain, level), `ratio` (chain): w/v, None with longer range;
    `edge` (chain): share of the first level at or above the middle on the two sites at either end.
    `chosen`: some chains; `density` (chosen, site): |psi|^2 of the first level at or above the middle; `marker`
    (chosen, cell): the local chiral marker. `markers` {name: (marked chain)} with `marked_ratio`, `marked_winding`, of
    more chains. `diagram`: the `Diagram` of the split where it spans one.
    """

    windings: tuple
    winding: np.ndarray
    energies: np.ndarray
    ratio: np.ndarray | None
    edge: np.ndarray
    chosen: np.ndarray
    density: np.ndarray
    marker: np.ndarray
    markers: dict
    marked_winding: np.ndarray
    marked_ratio: np.ndarray | None
    diagram: Diagram | None


def preview(split, count=24, states=3):
    """Return the `Preview` of the first `count` chains of a split, with the states of some, spread over their w/v.

    Args:
        split: of a dataset file.
        count: chains whose levels are shown.
        states: chains whose states are shown, 1 to 12.

    Raises:
        SSHMLError: no split of a dataset file, or a number out of range.
    """
    having(split, "split", ("read", "spec", "ratio"), "a split of a dataset file, as open_dataset(path).test")
    count, states = min(integer(count, "count", 1), len(split)), integer(states, "states", 1, 12)
    marked = min(len(split), max(count, MARKED))
    energies, winding, psi = split.read(("energies", "winding", "states"), slice(marked))
    ratio = None if split.spec.is_longer else split.ratio[:marked]
    order = np.arange(count) if ratio is None else np.argsort(ratio[:count])
    middle = psi[:, split.spec.sites // 2] ** 2
    chosen = order[np.linspace(0, count - 1, min(states, count)).round().astype(int)]
    return Preview(
        windings=split.spec.windings,
        winding=winding[:count],
        energies=energies[:count],
        ratio=None if ratio is None else ratio[:count],
        edge=middle[:count, [0, 1, -2, -1]].sum(1),
        chosen=chosen,
        density=middle[chosen],
        marker=local_chiral_marker(psi[chosen], split.spec.boundary),
        markers=markers(psi, energies, split.spec.boundary),
        marked_winding=winding,
        marked_ratio=ratio,
        diagram=diagram(split),
    )
