"""From states back to hoppings: one density of an open chain holds them all, up to their common scale.

With psi = (x, y) a state of energy E on sublattices A and B, h y = E x and h^T x = E y multiplied by x_m and y_m give

    v_m x_m y_m + w_{m-1} y_{m-1} x_m = E x_m^2,    v_m x_m y_m + w_m y_m x_{m+1} = E y_m^2,

so that w_m y_m x_{m+1} / E = b_m, the cumulative imbalance sum_{k<=m} (y_k^2 - x_k^2), and v_m x_m y_m / E = x_m^2 -
b_{m-1}. Only squares stand on the right: |psi|^2 of one level gives |v_m / E| and |w_m / E|. That a generic local
Hamiltonian follows from one eigenstate is known (Qi and Ranard, Quantum 3, 159 (2019)); here it is two sums.
"""

import numpy as np

from sshml.arguments import as_array
from sshml.errors import SSHMLError


def _parts(state):
    """Return (x, y, W, V, mass of W, mass of V) of states of unit norm.

    W_m = w_m y_m x_{m+1} / E and V_m = v_m x_m y_m / E are summed from the end of the chain that has less weight up to
    there: the masses are those weights, and eps times a mass bounds the rounding of the sum.
    """
    state = as_array(state, "state", dtype=np.float64, finite=True)
    if state.ndim < 1 or state.shape[-1] < 3:
        raise SSHMLError(f"state has shape {state.shape}; expected (..., site) with 3 sites or more.")
    norm = np.linalg.norm(state, axis=-1, keepdims=True)
    if not norm.all():
        raise SSHMLError("a state is 0 on all sites; expected states of some norm.")
    state = state / norm
    x, y = state[..., 0::2], state[..., 1::2]
    cells, longer = y.shape[-1], x.shape[-1] > y.shape[-1]
    a, b = x[..., :cells] ** 2, y**2
    left, mass = np.cumsum(b - a, -1), np.cumsum(a + b, -1)
    end = x[..., cells:] ** 2 if longer else np.zeros_like(a[..., :1])

    def behind(values):
        """Return the sums over the cells behind each, without its own."""
        summed = np.cumsum(values[..., ::-1], -1)[..., ::-1]
        return np.concatenate([summed[..., 1:], np.zeros_like(summed[..., :1])], -1)

    right, rest = behind(a - b) + end, behind(a + b) + end
    bonds = cells if longer else cells - 1
    w = np.where(mass <= rest, left, right)[..., :bonds]
    zero = np.zeros_like(left[..., :1])
    v = np.where(mass <= rest, a - np.concatenate([zero, left[..., :-1]], -1), b - right)
    before = np.concatenate([zero, mass[..., :-1]], -1)
    return x, y, w, v, np.minimum(mass, rest)[..., :bonds], np.where(mass <= rest, before + a, rest + b)


def hoppings_of_state(state):
    """Return the hoppings (v, w) of open chains, in units of the energy, from one state of each.

    v_m / E = (x_m^2 - b_{m-1}) / (x_m y_m) and w_m / E = b_m / (y_m x_{m+1}) with b_m = sum_{k<=m} (y_k^2 - x_k^2), in
    float64. Of a density, give its square root: then their absolute values. Which level serves best, `state_condition`
    tells.

    Args:
        state: eigenstate of any energy but 0, of a chain with chiral symmetry and nearest-neighbour hoppings, A1, B1,
            A2, ...; shape (..., site), 3 sites or more; with an odd number the chain ends in half a cell.

    Returns:
        float64 arrays v (..., M) and w (..., M - 1), or (..., M) with half a cell; not finite where the state is 0 on
        a site of the bond.

    Raises:
        SSHMLError: no array of finite numbers with an axis of 3 sites or more, a state that is 0.

    >>> from sshml.chain import eigenstates
    >>> v, w = np.array([[1.0, 2.0]]), np.array([[3.0]])
    >>> energies, states = eigenstates(v, w)
    >>> found = hoppings_of_state(states[0, 3])
    >>> [np.round(energies[0, 3] * hopping, 6).tolist() for hopping in found]
    [[1.0, 2.0], [3.0]]
    """
    x, y, w, v, _, _ = _parts(state)
    bonds = w.shape[-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        return v / (x[..., : y.shape[-1]] * y), w / (y[..., :bonds] * x[..., 1 : bonds + 1])


def state_condition(state):
    """Return by how much rounding of a density is magnified in `log_margin` of its hoppings.

    The error of mean ln|w_m| - mean ln|v_m| is at most about eps (mean_m c(w_m) + mean_m c(v_m)), with eps the relative
    rounding of |psi|^2 and c the weight that was summed for a hopping over the absolute value of the sum. The phase is
    safe while that is below |log_margin|.

    Args:
        state: as in `hoppings_of_state`.

    Returns:
        float64 array (...), inf where a hopping is not determined at all.

    Raises:
        SSHMLError: as `hoppings_of_state`.
    """
    _, _, w, v, of_w, of_v = _parts(state)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = (of_w / abs(w)).mean(-1) + (of_v / abs(v)).mean(-1) + 2
    return np.where(np.isnan(found), np.inf, found)


def hoppings_of_states(states):
    """Return the hoppings (v, w) of open chains, up to a common positive scale, from all their states without energies.

    h = sum_j E_j x_j y_j^T over the positive levels is bidiagonal: its other elements are linear equations for the E_j,
    which are their null vector. Better conditioned than one state: nothing is summed along the chain.

    Args:
        states: all levels of chains of M >= 2 whole cells in ascending order, as `eigenstates` gives them (LAPACK mixes
            mid-gap states whose splitting is below rounding), shape (..., level, site).

    Returns:
        float64 arrays v (..., M) and w (..., M - 1), of a chain whose energies have norm 1, with the signs of the
        states; NaN where the states leave more than one choice, as those of a chain that is cut, whose parts have
        scales of their own.

    Raises:
        SSHMLError: other shapes, or numbers that are not finite.
    """
    single = str(getattr(states, "dtype", "")).endswith("float32")
    states = as_array(states, "states", dtype=np.float64, finite=True)
    sites = states.shape[-1] if states.ndim >= 2 else 0
    if states.ndim < 2 or states.shape[-2] != sites or sites < 4 or sites % 2:
        raise SSHMLError(f"states have shape {states.shape}; expected all levels of 2 or more whole cells.")
    upper = states[..., sites // 2 :, :]
    x, y = upper[..., 0::2], upper[..., 1::2]  # level, cell
    cells = sites // 2
    row, column = np.nonzero(~(np.eye(cells, dtype=bool) | np.eye(cells, k=-1, dtype=bool)))
    equations = np.swapaxes(x[..., row] * y[..., column], -1, -2)  # equation, level
    triangle = np.linalg.qr(equations, mode="r") if len(row) > cells else equations
    _, values, vectors = np.linalg.svd(triangle)
    energies = vectors[..., -1, :]
    apart = 10 * np.finfo(np.float32 if single else np.float64).eps * values[..., 0]
    if cells > 2:  # of two there is one equation for two energies
        energies = np.where((values[..., -2] > apart)[..., None], energies, np.nan)
    energies = energies * np.where(energies.sum(-1, keepdims=True) < 0, -1, 1)
    weighted = 2 * energies[..., None] * x
    v = (weighted * y).sum(-2)
    return v, (weighted[..., 1:] * y[..., :-1]).sum(-2)
