"""Of all combinations of options those that lose least for what they store."""

import numpy as np

FINE = 1.001
"""Ratio of the bytes of neighbours on a front; of what lies between them the best one stays."""

ENOUGH = 4000
"""Options of all sites together that are combined; where there are more, each site keeps those that are best spread."""


class ParetoFront:
    """Combinations of one option per site, ascending in bytes and descending in loss, whatever the budget.

    One site after another joins: every combination so far with every option, of which those stay that no other beats. A
    plan for a budget is the last combination within it; so a larger budget never loses more.

    Args:
        options: for each site (bytes, loss) of its options, arrays; losses of sites add up.
        base: bytes of all else.
    """

    def __init__(self, options, base=0):
        self.bytes, self.loss = np.array([base], dtype=np.int64), np.zeros(1)
        self._steps = []
        for n_bytes, loss in options:
            useful = _undominated(n_bytes, loss)
            useful = useful[_spread(n_bytes[useful], max(64, ENOUGH // len(options)))]
            total = (self.bytes[:, None] + n_bytes[useful]).ravel()
            lost = (self.loss[:, None] + loss[useful]).ravel()
            best = _undominated(total, lost)
            best = best[_binned(total[best])]
            self._steps.append((best // len(useful), useful[best % len(useful)]))
            self.bytes, self.loss = total[best], lost[best]

    def __len__(self):
        return len(self.bytes)

    def combination(self, number):
        """Return the options' numbers, one per site, of a point of the front."""
        chosen = []
        for before, option in reversed(self._steps):
            chosen.append(int(option[number]))
            number = before[number]
        return chosen[::-1]

    def within(self, budget):
        """Return the number of the last point within a budget of bytes, None where even the first is above it."""
        number = int(np.searchsorted(self.bytes, budget, side="right")) - 1
        return None if number < 0 else number


def _undominated(n_bytes, loss):
    """Return the numbers of the options that no other beats in both, ascending in bytes."""
    order = np.lexsort((loss, n_bytes))
    best = np.minimum.accumulate(loss[order])
    first = np.r_[True, loss[order][1:] < best[:-1]]
    return order[first]


def _binned(n_bytes):
    """Return the places of the first of ascending sizes and of the last in each bin of ratio FINE."""
    bins = np.floor(np.log(np.maximum(n_bytes, 1)) / np.log(FINE))
    last = np.r_[bins[1:] != bins[:-1], True]
    last[0] = True
    return np.flatnonzero(last)


def _spread(n_bytes, most):
    """Return at most so many places of ascending sizes, evenly spread, the first and last among them."""
    return np.unique(np.linspace(0, len(n_bytes) - 1, min(most, len(n_bytes))).round().astype(int))
