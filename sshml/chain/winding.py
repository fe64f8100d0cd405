"""Labels: the winding number of the realised chain."""

import numpy as np

from sshml.chain.hamiltonian import as_hoppings, as_real
from sshml.errors import GapClosedError, SSHMLError


def log_margin(v, w, boundary="open"):
    """Return mean ln|w_m| - mean ln|v_m| over the bonds that exist.

    Its modulus is the inverse localisation length, in 1/cell, of the zero-energy states of a long chain
    (Mondragon-Shem et al., PRL 113, 046802 (2014)); its sign tells the phase.

    Args:
        v: intracell hoppings, shape (..., M), or a number for a clean chain.
        w: intercell hoppings, shape (..., M - 1) open, (..., M) periodic, or a number for a clean chain.
        boundary: "open" or "periodic"; not used when both are numbers.

    Returns:
        float64 array, shape (...): +inf where some v is 0, -inf where some w is 0, NaN where both.

    Raises:
        SSHMLError: shapes that do not match, NaN hoppings, or an open chain of one cell, which has no w.

    >>> float(log_margin(1.0, np.e))
    1.0
    """
    v, w = as_real(v, "v"), as_real(w, "w")
    if v.ndim == 0 and w.ndim == 0:
        v, w = as_hoppings(v[None], w[None], "periodic")
    else:
        cells = max(v.shape[-1] if v.ndim else 0, w.shape[-1] + (boundary == "open") if w.ndim else 0)
        v = v if v.ndim else np.full(cells, v)
        w = w if w.ndim else np.full(cells - (boundary == "open"), w)
        v, w = as_hoppings(v, w, boundary)
    if w.shape[-1] == 0:
        raise SSHMLError("an open chain of 1 cell has no intercell bond to compare with; use 2 cells or more.")
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(np.abs(w)).mean(-1) - np.log(np.abs(v)).mean(-1)


def winding_number(v, w, boundary="open"):
    """Return the winding number of each chain.

    nu = 1 if mean ln|w_m| > mean ln|v_m| else 0: the winding of det h under a twisted boundary
    (Mondragon-Shem et al. 2014); for a clean chain |w| > |v| (Asboth et al. 2016, ch. 1).

    Args:
        v: intracell hoppings, shape (..., M), or a number for a clean chain.
        w: intercell hoppings in the same energy unit, shape (..., M - 1) open, (..., M) periodic, or a number.
        boundary: "open" or "periodic".

    Returns:
        int8 array, shape (...).

    Raises:
        GapClosedError: the two means are equal for some chain, where nu is undefined.
        SSHMLError: see `log_margin`.

    >>> int(winding_number(0.5, 1.0))
    1
    """
    margin = log_margin(v, w, boundary)
    closed = ~(np.abs(margin) > EQUAL)  # also NaN: a zero v and a zero w cut the chain
    if closed.any():
        where = "" if margin.ndim == 0 else f" for {closed.sum()} of {margin.size} chains (first: {_first(closed)})"
        raise GapClosedError(
            f"mean ln|w| equals mean ln|v|{where}: the gap is closed and the winding number undefined; change v or w."
        )
    return (margin > 0).astype(np.int8)


EQUAL = 1e-14
"""Margins up to this size are rounding: the means of M equal logarithms differ by some 1e-16."""


def _first(mask):
    return ", ".join(str(int(i)) for i in np.argwhere(mask)[0])
