"""What one number, or one number a cell, tells of the phase of a chain, from its states alone."""

import numpy as np

from sshml.arguments import as_array, choice
from sshml.chain.hamiltonian import BOUNDARIES
from sshml.chain.winding import EQUAL, log_margin
from sshml.errors import SSHMLError


def _checked(states):
    """Return states (..., level, site) as a float64 array."""
    states = as_array(states, "states", dtype=np.float64, finite=True)
    if states.ndim < 2 or states.shape[-1] < 2 or states.shape[-1] != states.shape[-2]:
        raise SSHMLError(f"states have shape {states.shape}; expected all levels (..., level, site), as many as sites.")
    return states


def inverse_participation_ratio(states):
    """Return sum_i |psi_i|^4 of each state: 1/N for an even spread, 1 on a single site.

    An edge state of a long clean chain has (1 - r^2)/(1 + r^2), r = v/w; each of the two hybridised ones half of that.

    Args:
        states: states of unit norm, shape (..., site).

    Returns:
        float64 array, shape (...).

    Raises:
        SSHMLError: no array of finite numbers with an axis of sites.

    >>> float(inverse_participation_ratio([0.0, 1.0]))
    1.0
    """
    states = as_array(states, "states", dtype=np.float64, finite=True)
    if states.ndim < 1 or not states.shape[-1]:
        raise SSHMLError(f"states have shape {states.shape}; expected (..., site).")
    return (states**4).sum(-1)


def edge_dipole(states):
    """Return <m>_B - <m>_A of the mid-gap pair, in cells: how far its weight on B lies to the right of that on A.

    <m>_A = sum_m m |psi_{A_m}|^2 / sum_m |psi_{A_m}|^2 over both levels next to the middle of the spectrum. M - 1 where
    the edge states sit on the end sites, 0 for single dimers A_m B_m.

    Args:
        states: all levels of chains of whole cells, ascending, shape (..., level, site).

    Returns:
        float64 array, shape (...).

    Raises:
        SSHMLError: other shapes; chains that end in half a cell, whose mid-gap level has no weight on B.
    """
    states = _checked(states)
    sites = states.shape[-1]
    if sites % 2:
        raise SSHMLError(f"the chain has {sites} sites; its zero mode has no weight on B, so that there is no dipole.")
    density = (states[..., sites // 2 - 1 : sites // 2 + 1, :] ** 2).sum(-2)
    cell = np.arange(sites // 2)
    on_a, on_b = density[..., 0::2], density[..., 1::2]
    with np.errstate(invalid="ignore", divide="ignore"):
        return on_b @ cell / on_b.sum(-1) - on_a @ cell / on_a.sum(-1)


def local_chiral_marker(states, boundary="open"):
    """Return (Q_BA [X, Q_AB])_mm of each cell m, the winding number density of the flattened Hamiltonian.

    Q = sum_{n above} |psi_n><psi_n| - sum_{n below} over the upper and the lower half of the levels (without the middle
    one of a chain that ends in half a cell), X the number of the cell: sum_a (a - m) Q_{A_a B_m}^2. In the bulk of a
    long chain it is the winding number (Mondragon-Shem et al., PRL 113, 046802 (2014); Bianco and Resta, PRB 84, 241106
    (2011) for local markers); over all cells of an open chain of whole cells it sums to 0, as the last cells make up
    for it.

    Args:
        states: all levels, ascending, shape (..., level, site).
        boundary: "open"; or "periodic", where a - m counts the shorter way around.

    Returns:
        float64 array, shape (..., cell).

    Raises:
        SSHMLError: other shapes, an unknown boundary.
    """
    states = _checked(states)
    choice(boundary, "boundary", BOUNDARIES)
    sites = states.shape[-1]
    half = sites // 2
    if boundary == "periodic" and sites % 2:
        raise SSHMLError(f"a ring has whole cells; the states have {sites} sites.")
    lower, upper = states[..., :half, :], states[..., sites - half :, :]
    q = np.swapaxes(upper[..., 0::2], -1, -2) @ upper[..., 1::2]  # A cell [level], [level] B cell
    q = q - np.swapaxes(lower[..., 0::2], -1, -2) @ lower[..., 1::2]
    step = np.arange(q.shape[-2])[:, None] - np.arange(half)
    if boundary == "periodic":
        step = (step + (half - 1) // 2) % half - (half - 1) // 2
    return (q**2 * step).sum(-2)


def real_space_winding(states, boundary="open"):
    """Return the local chiral marker at the middle cell, the mean of the two middle ones of an even number of cells.

    Args and errors as in `local_chiral_marker`.

    Returns:
        float64 array, shape (...): near the winding number where the chain is long and the gap is wide.
    """
    marker = local_chiral_marker(states, boundary)
    cells = marker.shape[-1]
    return marker[..., (cells - 1) // 2 : cells // 2 + 1].mean(-1)


def localisation_length(v, w, boundary="open"):
    """Return 1/|mean ln|w_m| - mean ln|v_m||, in cells: that of the zero-energy states of a long chain.

    Args:
        v: intracell hoppings, as in `log_margin`.
        w: intercell hoppings.
        boundary: "open" or "periodic".

    Returns:
        float64 array, shape (...): infinite where the gap is closed, 0 where a hopping is 0, NaN where one of each is.

    Raises:
        SSHMLError: as `log_margin`.

    >>> float(localisation_length(1.0, np.e))
    1.0
    """
    margin = np.abs(log_margin(v, w, boundary))
    with np.errstate(divide="ignore"):
        return 1 / np.where(margin <= EQUAL, 0.0, margin)


def decay_length(states):
    """Return the length, in cells, over which the mid-gap state decays along A, from the cells at its two ends.

    (m_2 - m_1)/|ln|psi_{A_m1}| - ln|psi_{A_m2}|| between the first and the last A site that it does not vanish on, for
    the lowest level at or above the middle. On a chain that ends in half a cell this is the localisation length of its
    hoppings, as x_{m+1} = -x_m v_m/w_m; elsewhere one of the infinite chain up to the hybridisation of the two ends.

    Args:
        states: all levels, ascending, shape (..., level, site).

    Returns:
        float64 array, shape (...); NaN where the state has fewer than two A sites, infinite where it does not decay.

    Raises:
        SSHMLError: other shapes.
    """
    states = _checked(states)
    size = np.abs(states[..., states.shape[-1] // 2, 0::2])
    seen, cells = size > 0, size.shape[-1]
    first, last = seen.argmax(-1), cells - 1 - seen[..., ::-1].argmax(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = [np.log(np.take_along_axis(size, at[..., None], -1)[..., 0]) for at in (first, last)]
        return (last - first) / np.abs(ends[0] - ends[1])
