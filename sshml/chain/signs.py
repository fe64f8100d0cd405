"""Compiled kernels that change states in place: their signs, and the turn of chiral pairs by a staggered mass."""

import numpy as np
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


@njit(**JIT)
def turn_pairs(energies, states, on_a, on_b):
    """Turn chiral levels (chain, level), in place, to those with energies on_a on all A and on_b on all B, (chain)."""
    sites = energies.shape[1]
    pairs = sites // 2
    for chain in range(len(states)):
        mean, mass = 0.5 * (on_a[chain] + on_b[chain]), 0.5 * (on_a[chain] - on_b[chain])
        if sites % 2:
            energies[chain, pairs] = on_a[chain]
        for k in range(pairs):
            low, top = pairs - 1 - k, sites - pairs + k
            sigma = energies[chain, top]
            half_angle, size = 0.5 * np.arctan2(sigma, mass), np.hypot(sigma, mass)
            energies[chain, low], energies[chain, top] = mean - size, mean + size
            c, s = np.sqrt(2) * np.cos(half_angle), np.sqrt(2) * np.sin(half_angle)
            lower, upper = states[chain, low], states[chain, top]
            for cell in range(pairs):
                a, b = 2 * cell, 2 * cell + 1
                lower[a], lower[b] = lower[a] * s, lower[b] * c
                upper[a], upper[b] = upper[a] * c, upper[b] * s
            if sites % 2:
                lower[sites - 1] *= s
                upper[sites - 1] *= c
