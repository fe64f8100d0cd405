"""The two directions in which the states of a level of clean chains lie, and the rank that they ask of a layer.

A clean open chain is one number, r = w/v, and the states of one level lie in two dimensions to 99 %:

    psi_n(r) = +-(F_n(r) f_n + G_n(r) g_n),

F_n odd in ln r, G_n without a zero. g_n is the state at r = 1, f_n the rest's first principal direction, and the label
is the sign of F_n G_n whatever the sign of the state. A ReLU network that reads random signs forms
|a f + b g| - |a f - b g| with a >> b, so that the singular values of the f come before those of the g, and an SVD of
its layer keeps all the f, each of them useless alone, before the first g.
"""

import numpy as np

from sshml.arguments import as_array, integers
from sshml.errors import SSHMLError


def level_directions(states, even, groups=None):
    """Return the directions (f, g) of each group of levels whose signs hang together.

    Args:
        states: of chains with fixed signs, shape (chain, level, site).
        even: the states at w = v with the same signs, shape (level, site).
        groups: number of the group of each level, shape (level); each level its own if None.

    Returns:
        float64 arrays f, g of shape (group, level, site), of norm 1 and orthogonal: g the states of the group at
        w = v, f the first principal direction (uncentred) of what is left of the states, each times the sign that
        makes its part along g positive.

    Raises:
        SSHMLError: shapes that do not go together, no chains, or fewer than two sites.
    """
    states = as_array(states, "states", axes="chain, level, site", dtype=float)
    even = as_array(even, "even", axes="level, site", dtype=float)
    if even.shape != states.shape[1:] or not len(states) or even.shape[1] < 2:
        raise SSHMLError(f"states {states.shape} and even {even.shape} do not go together; give chains of 2 sites on.")
    groups = np.arange(len(even)) if groups is None else np.array(integers(groups, "groups", 0))
    if len(groups) != len(even):
        raise SSHMLError(f"{len(groups)} groups and {len(even)} levels do not match; give one for each.")
    f, g = (np.zeros((len(np.unique(groups)), *even.shape)) for _ in range(2))
    for number, group in enumerate(np.unique(groups)):
        inside = groups == group
        along = even[inside].ravel() / np.linalg.norm(even[inside])
        own = states[:, inside].reshape(len(states), -1)
        part = own @ along
        rest = np.where(part < 0, -1, 1)[:, None] * (own - part[:, None] * along)
        first = np.linalg.eigh(rest.T @ rest)[1][:, -1]
        f[number, inside], g[number, inside] = first.reshape(-1, even.shape[1]), along.reshape(-1, even.shape[1])
    return f, g


def direction_norms(weights, directions):
    """Return ||W d|| of each direction, of one layer or several.

    Args:
        weights: shape (..., out, level x site), the sites fastest.
        directions: shape (direction, level, site).

    Returns:
        float64 array (..., direction).

    Raises:
        SSHMLError: another number of inputs.
    """
    directions = as_array(directions, "directions", axes="direction, level, site", dtype=float)
    weights = as_array(weights, "weights", kinds="fiu", dtype=float)
    flat = directions.reshape(len(directions), -1)
    if weights.ndim < 2 or weights.shape[-1] != flat.shape[1]:
        raise SSHMLError(f"weights {weights.shape} and directions {directions.shape} do not go together.")
    return np.linalg.norm(weights @ flat.T, axis=-2)


def rank_of_directions(of_f, of_g):
    """Return the rank at which the first g follows the f before it: #{n: s(f_n) > max_m s(g_m)} + 1.

    Args:
        of_f: s(f_n) = ||W f_n||, shape (..., group).
        of_g: s(g_n), the same shape.

    >>> rank_of_directions(np.array([8.0, 8.0, 1.0]), np.array([2.0, 2.0, 0.5]))
    3
    """
    of_f, of_g = as_array(of_f, "of_f", dtype=float), as_array(of_g, "of_g", dtype=float)
    if of_f.shape != of_g.shape or not of_f.ndim:
        raise SSHMLError(f"of_f {of_f.shape} and of_g {of_g.shape} do not go together.")
    if np.isnan(of_f).any() or np.isnan(of_g).any():
        raise SSHMLError("of_f or of_g holds NaN; expected norms.")
    found = (of_f > of_g.max(axis=-1, keepdims=True)).sum(axis=-1) + 1
    return int(found) if found.ndim == 0 else found
