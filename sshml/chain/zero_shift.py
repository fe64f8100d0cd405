"""Singular vectors of a bidiagonal matrix to relative accuracy, one matrix at a time: LAPACK's zero-shift QR.

For open chains that the kernels do not certify, as those whose hoppings spread over many decades: every singular value
is right to a few units in its own last place, however small (Demmel and Kahan, SIAM J. Sci. Stat. Comput. 11, 873
(1990)), which a dense SVD does not give.
"""

import ctypes

import numpy as np
from scipy.linalg import cython_lapack

from sshml.chain.degenerate import DEGENERATE, levels_of, resolve


def _dbdsqr():
    """Return LAPACK's routine, which scipy has for Cython only."""
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    name = ctypes.pythonapi.PyCapsule_GetName
    name.restype, name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    capsule = cython_lapack.__pyx_capi__["dbdsqr"]
    return ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 15)(get(capsule, name(capsule)))


def solve(v, w, energies, states, solved):
    """Fill in the levels of open chains and say which were solved; the arguments are those of the kernels.

    Args:
        v: sizes of the intracell hoppings, none of them 0, shape (chain, M).
        w: sizes of the intercell hoppings, shape (chain, M - 1), or (chain, M) with half a cell at the end.
        energies: float64, shape (chain, level), filled in.
        states: float32 or float64, shape (chain, level, site), filled in.
        solved: whether the iteration converged, shape (chain), filled in.
    """
    routine, cells = _dbdsqr(), w.shape[1] + 1
    if v.shape[1] < cells:  # half a cell is one with v = 0
        v = np.pad(v, ((0, 0), (0, 1)))
    left, sigma, right = np.empty((len(v), cells, cells)), np.empty((len(v), cells)), np.empty((len(v), cells, cells))
    for chain in range(len(v)):
        diagonal, below = v[chain].copy(), np.append(w[chain], 0.0)
        x, y = np.eye(cells, order="F"), np.eye(cells, order="F")  # x: columns, y: rows
        info, work = ctypes.c_int(-1), np.empty(4 * cells)
        sizes = [ctypes.byref(ctypes.c_int(size)) for size in (cells, 0, 1)]
        arrays = [ctypes.c_void_p(array.ctypes.data) for array in (diagonal, below, y, x, work)]
        n, none, one = sizes
        d, e, vt, u, space = arrays
        routine(ctypes.c_char_p(b"L"), n, n, n, none, d, e, vt, n, u, n, None, one, space, ctypes.byref(info))
        solved[chain] = info.value == 0
        left[chain], sigma[chain], right[chain] = x.T, diagonal, y
    left, sigma, right = left[solved], sigma[solved], right[solved]
    resolve(left, sigma, right, DEGENERATE * sigma)  # of their own size: smaller ones are told apart
    energies[solved], states[solved] = levels_of(left, sigma, right, states.shape[1])
