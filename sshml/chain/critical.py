"""Clean open chains at the transition, w = v: states in closed form, and how fast they turn."""

import numpy as np

from sshml.arguments import integer


def critical_states(sites):
    """Return the states of an open chain of w = v and their derivatives by s = ln(w/v).

    psi_n(j) = (2/(N+1))^(1/2) sin(pi k j/(N+1)) with k = N - n, j = 1 ... N, E_n = 2 v cos(pi k/(N+1)); by first-order
    perturbation theory, with v = e^(-s/2) and w = e^(s/2),
    d psi_n/ds = sum_{m != n} psi_m <psi_m|H'|psi_n>/(E_n - E_m),
    H' = (H_w - H_v)/2. The norm of a derivative is the root of the level's fidelity susceptibility.

    Args:
        sites: N, 2 to 2^14; an odd number for a chain that ends in half a cell.

    Returns:
        float64 arrays (level, site) of the states, first component positive, and of the derivatives, orthogonal to
        their states.

    Raises:
        SSHMLError: a number of sites out of range.

    >>> states, turned = critical_states(16)
    >>> int(np.linalg.norm(turned, axis=1).argmax())  # levels 6 and 9, the first beside the gap
    6
    """
    sites = integer(sites, "sites", 2, 2**14)
    k, j = np.arange(sites, 0, -1), np.arange(1, sites + 1)
    states = np.sqrt(2 / (sites + 1)) * np.sin(np.pi * k[:, None] * j / (sites + 1))
    energies = 2 * np.cos(np.pi * k / (sites + 1))
    bond = np.where(np.arange(sites - 1) % 2, 0.5, -0.5)  # v first
    turned = np.zeros_like(states)
    turned[:, :-1] = states[:, 1:] * bond
    turned[:, 1:] += states[:, :-1] * bond  # H' psi_n
    apart = energies[:, None] - energies
    np.fill_diagonal(apart, np.inf)
    return states, (turned @ states.T / apart) @ states
