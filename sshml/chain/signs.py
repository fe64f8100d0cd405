"""Compiled kernels that flip the signs of states in place."""

from numba import njit

from sshml.lanes import JIT


@njit(**JIT)
def multiply_levels(states, signs):
    """Multiply the levels of states (chain, level, site) by signs (chain, level), in place."""
    for chain in range(len(states)):
        for level in range(states.shape[1]):
            if signs[chain, level] < 0:
                for site in range(states.shape[2]):
                    states[chain, level, site] = -states[chain, level, site]


@njit(**JIT)
def multiply_sites(states, signs):
    """Multiply the sites of states (chain, level, site) by signs (chain, site), in place."""
    for chain in range(len(states)):
        if signs[chain].min() < 0:
            for level in range(states.shape[1]):
                for site in range(states.shape[2]):
                    states[chain, level, site] *= signs[chain, site]


@njit(**JIT)
def first_maximum_signs(states, signs, threshold):
    """Fill signs (chain, level) with the sign of the first site whose |psi| is at least threshold * maximum."""
    for chain in range(len(states)):
        for level in range(states.shape[1]):
            psi = states[chain, level]
            largest = abs(psi[0])
            for site in range(1, len(psi)):
                largest = max(largest, abs(psi[site]))
            site = 0
            while site < len(psi) - 1 and not abs(psi[site]) >= threshold * largest:
                site += 1
            signs[chain, level] = -1 if psi[site] < 0 else 1
