"""Hamiltonians of the SSH chain.

H = sum_m v_m |A_m><B_m| + sum_m w_m |B_m><A_{m+1}| + h.c., sites ordered A1 B1 A2 B2 ...
(Asboth, Oroszlany, Palyi, *A Short Course on Topological Insulators*, 2016, ch. 1).
With the sublattices grouped, chiral symmetry makes it block off-diagonal, H = [[0, h], [h^T, 0]].
Longer-range hoppings that keep chiral symmetry: j3 joins A_m and B_{m+1}, j4 joins B_m and A_{m+2}
(Perez-Gonzalez et al., Phys. Rev. B 99, 035146 (2019), name such bonds by their length).
On-site energies stand on the diagonal and break chiral symmetry; the staggered ones of Rice and Mele, +m on A and -m on
B, keep h^T h as it is. An open chain may end in half a cell, the site A_{M+1}: w is then as long as v.
"""

import numpy as np

from sshml.arguments import as_array, choice, flag
from sshml.errors import SSHMLError

BOUNDARIES = ("open", "periodic")


def as_hoppings(v, w, boundary="open"):
    """Return `v` and `w` as broadcast float64 arrays after checking them.

    Args:
        v: intracell hoppings, shape (..., M).
        w: intercell hoppings, shape (..., M - 1) for an open chain, (..., M) for one that ends in half a cell or a
            periodic one.
        boundary: "open" or "periodic".

    Returns:
        The pair (v, w) with equal leading shapes.

    Raises:
        SSHMLError: an unknown boundary, shapes that do not match, NaN or infinite hoppings.
    """
    choice(boundary, "boundary", BOUNDARIES)
    v, w = (as_array(x, name, dtype=np.float64, finite=True) for x, name in ((v, "v"), (w, "w")))
    if v.ndim == 0 or w.ndim == 0 or v.shape[-1] < 1:
        raise SSHMLError(
            f"hoppings have shapes v {v.shape} and w {w.shape}; expected v (..., M) with M >= 1 cells and w"
            " (..., M - 1) open or (..., M) periodic."
        )
    cells = v.shape[-1]
    bonds = w.shape[-1]
    if bonds != cells and (boundary == "periodic" or bonds != cells - 1):
        needs = f"{cells - 1}, or {cells} to end in half a cell" if boundary == "open" else cells
        raise SSHMLError(
            f"v has {cells} cells and w has {bonds} bonds; a chain of {cells} cells with boundary={boundary!r}"
            f" needs {needs}."
        )
    try:
        batch = np.broadcast_shapes(v.shape[:-1], w.shape[:-1])
    except ValueError:
        raise SSHMLError(
            f"v {v.shape} and w {w.shape} describe different numbers of chains; their leading shapes must agree."
        ) from None
    return np.broadcast_to(v, (*batch, cells)), np.broadcast_to(w, (*batch, bonds))


def sites_of(v, w, boundary="open"):
    """Return the number of sites of checked hoppings, 2 M, or 2 M + 1 where an open chain ends in half a cell."""
    return 2 * v.shape[-1] + (boundary == "open" and w.shape[-1] == v.shape[-1])


def as_onsite(onsite, v, w, boundary="open"):
    """Return on-site energies as a float64 array that belongs to checked hoppings.

    Args:
        onsite: energies of the sites A1 B1 A2 ..., shape (..., N), a number for all sites, or None.
        v: intracell hoppings, shape (..., M).
        w: intercell hoppings.
        boundary: "open" or "periodic".

    Returns:
        Array of shape (..., N) with the leading shape of `v`; None for None.

    Raises:
        SSHMLError: shapes that do not match, NaN or infinite energies.
    """
    if onsite is None:
        return None
    v, w = as_hoppings(v, w, boundary)
    sites = sites_of(v, w, boundary)
    onsite = as_array(onsite, "onsite", dtype=np.float64, finite=True)
    if onsite.ndim and onsite.shape[-1] != sites:
        raise SSHMLError(f"onsite has {onsite.shape[-1]} energies; the chain has {sites} sites.")
    try:
        return np.broadcast_to(onsite, (*v.shape[:-1], sites))
    except ValueError:
        raise SSHMLError(f"onsite {onsite.shape} and v {v.shape} describe different numbers of chains.") from None


def as_longer(j3, j4, v, boundary="open", half_cell=False):
    """Return the longer-range hoppings as float64 arrays of the shapes that belong to `v`.

    Args:
        j3: hoppings A_m-B_{m+1}, shape (..., M - 1) open, (..., M) periodic, a number for all bonds, or None for 0.
        j4: hoppings B_m-A_{m+2}, shape (..., M - 2) open, (..., M) periodic, a number, or None.
        v: checked intracell hoppings, shape (..., M).
        boundary: "open" or "periodic".
        half_cell: whether the open chain ends in half a cell, so that j4 has M - 1 bonds.

    Returns:
        (j3, j4), broadcast to the leading shape of `v`; None where both are None.

    Raises:
        SSHMLError: shapes that do not match, NaN or infinite hoppings.
    """
    choice(boundary, "boundary", BOUNDARIES)
    if j3 is None and j4 is None:
        return None
    v, given, half_cell = as_array(v, "v", dtype=np.float64), [], flag(half_cell, "half_cell")
    if v.ndim == 0:
        raise SSHMLError("v is a single number; expected the intracell hoppings (..., M).")
    for name, hoppings, missing in (("j3", j3, 1), ("j4", j4, 2 - half_cell)):
        bonds = max(v.shape[-1] - missing, 0) if boundary == "open" else v.shape[-1]
        found = as_array(0.0 if hoppings is None else hoppings, name, dtype=np.float64, finite=True)
        if found.ndim and found.shape[-1] != bonds:
            raise SSHMLError(
                f"{name} has {found.shape[-1]} bonds; a chain of {v.shape[-1]} cells with boundary={boundary!r} needs"
                f" {bonds}."
            )
        try:
            given.append(np.broadcast_to(found, (*v.shape[:-1], bonds)))
        except ValueError:
            raise SSHMLError(f"{name} {found.shape} and v {v.shape} describe different numbers of chains.") from None
    return tuple(given)


def block(v, w, boundary="open", j3=None, j4=None):
    """Return the block h of each chain: rows A, columns B.

    h[n, n] = v_n, h[n + 1, n] = w_n, h[n, n + 1] = j3_n, h[n + 2, n] = j4_n, indices modulo M on a ring.

    Args:
        v: intracell hoppings, shape (..., M).
        w: intercell hoppings, shape (..., M - 1) open, (..., M) periodic or with half a cell at the end, in the same
            energy unit.
        boundary: "open" or "periodic".
        j3: longer-range hoppings A_m-B_{m+1}, see `as_longer`.
        j4: the same for the bonds B_m-A_{m+2}.

    Returns:
        float64 array, shape (..., A cell, B cell); one A cell more with half a cell at the end.

    Raises:
        SSHMLError: see `as_hoppings` and `as_longer`.

    >>> block([1.0, 2.0], [3.0])
    array([[1., 0.],
           [3., 2.]])
    """
    v, w = as_hoppings(v, w, boundary)
    cells = v.shape[-1]
    half_cell = sites_of(v, w, boundary) % 2
    h = np.zeros((*v.shape[:-1], cells + half_cell, cells))
    bonds = [(v, 0, 0), (w, 1, 0)]
    longer = as_longer(j3, j4, v, boundary, bool(half_cell))
    if longer:
        bonds += [(longer[0], 0, 1), (longer[1], 2, 0)]
    for hoppings, a, b in bonds:
        n = np.arange(hoppings.shape[-1])
        # += because on a short ring several bonds join the same two sites
        h[..., (n + a) % (cells + half_cell), (n + b) % cells] += hoppings
    return h


def hamiltonian(v, w, boundary="open", j3=None, j4=None, onsite=None):
    """Return the full Hamiltonian of each chain, sites ordered A1 B1 A2 B2 ...

    Args and errors as in `block`; `onsite`: energies of the sites, shape (..., N), a number, or None for 0.

    Returns:
        Real symmetric float64 array, shape (..., site, site).

    >>> hamiltonian([1.0, 2.0], [3.0]).astype(int)
    array([[0, 1, 0, 0],
           [1, 0, 3, 0],
           [0, 3, 0, 2],
           [0, 0, 2, 0]])
    """
    h = block(v, w, boundary, j3, j4)
    onsite = as_onsite(onsite, *as_hoppings(v, w, boundary), boundary)
    sites = sum(h.shape[-2:])
    full = np.zeros((*h.shape[:-2], sites, sites))
    if onsite is not None:
        full[..., np.arange(sites), np.arange(sites)] = onsite
    full[..., 0::2, 1::2] = h
    full[..., 1::2, 0::2] = np.swapaxes(h, -1, -2)
    return full


def bloch_hamiltonian(k, v, w, j3=0.0, j4=0.0, mass=0.0):
    """Return the Bloch Hamiltonian H(k) of the clean chain.

    H(k) = [[m, h(k)], [h(k)*, -m]] with h(k) = v + w e^{-ik} + j3 e^{ik} + j4 e^{-2ik} (Asboth et al. 2016, ch. 1).

    Args:
        k: wavenumbers in units of 1/cell, shape (...).
        v: intracell hopping, broadcast against k.
        w: intercell hopping, broadcast against k.
        j3: longer-range hoppings A_m-B_{m+1}, broadcast against k.
        j4: the same for the bonds B_m-A_{m+2}.
        mass: staggered on-site energy m, +m on A and -m on B (Rice and Mele, PRL 49, 1455 (1982)).

    Returns:
        complex128 array, shape (..., sublattice, sublattice).

    Raises:
        SSHMLError: what is no finite number, shapes that do not go together.

    >>> bloch_hamiltonian(0.0, 1.0, 2.0).real
    array([[0., 3.],
           [3., 0.]])
    """
    named = {"k": k, "v": v, "w": w, "j3": j3, "j4": j4, "mass": mass}
    given = [as_array(x, name, dtype=np.float64, finite=True) for name, x in named.items()]
    try:
        k, v, w, j3, j4, mass = np.broadcast_arrays(*given)
    except ValueError:
        shapes = ", ".join(f"{name} {x.shape}" for name, x in zip(named, given, strict=True))
        raise SSHMLError(f"{shapes} cannot be broadcast against each other; give equal shapes or numbers.") from None
    step = np.exp(-1j * k)
    off_diagonal = v + w * step + j3 / step + j4 * step**2
    matrix = np.zeros((*off_diagonal.shape, 2, 2), dtype=np.complex128)
    matrix[..., 0, 1] = off_diagonal
    matrix[..., 1, 0] = off_diagonal.conj()
    matrix[..., 0, 0], matrix[..., 1, 1] = mass, 0.0 - mass
    return matrix


def dispersion(k, v, w, j3=0.0, j4=0.0, mass=0.0):
    """Return both bands of the clean chain, E(k) = -+(|h(k)|^2 + m^2)^(1/2), -+|v + w e^{ik}| without j3, j4 and m.

    Args as in `bloch_hamiltonian`.

    Returns:
        float64 array, shape (..., 2), lower band first.

    >>> dispersion(0.0, 1.0, 2.0)
    array([-3.,  3.])
    """
    matrix = bloch_hamiltonian(k, v, w, j3, j4, mass)
    upper = np.hypot(np.abs(matrix[..., 0, 1]), matrix[..., 0, 0].real)
    return np.stack([-upper, upper], axis=-1)
