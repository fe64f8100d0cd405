"""A layer in which the label of a disordered chain is linear, and a network of its real-space winding number."""

import numpy as np
import torch
from torch import nn

from sshml.arguments import flag, integer
from sshml.errors import SSHMLError

FLOOR = 1e-300
"""Smallest number of which a logarithm is taken."""


class CumulativeLogs(nn.Module):
    """Logarithms of a density and of its cumulative imbalance, in which the label of a chain is linear.

    With x_m, y_m the amplitudes of a state on A_m and B_m and b_m = sum_{k<=m} (y_k^2 - x_k^2), the hoppings are
    |v_m/E| = |x_m^2 - b_{m-1}|/|x_m y_m| and |w_m/E| = |b_m|/|y_m x_{m+1}| (`sshml.chain.hoppings_of_state`): so
    ln x_m^2, ln y_m^2, ln|x_m^2 - b_{m-1}| and ln|b_m| of any one level give mean ln|w_m| - mean ln|v_m| as a sum. It
    has no parameters. Sums are taken in float64 from the end of the chain with less weight.

    Inputs (..., level, site), states of chains of M >= 2 whole cells in any signs; outputs (..., level, 4 M - 1), in
    the order above.

    >>> CumulativeLogs()(torch.full((1, 4), 0.5)).tolist()[0][:2]
    [-1.3862943649291992, -1.3862943649291992]
    """

    def forward(self, states):
        """Return the logarithms."""
        if states.ndim < 2 or states.shape[-1] < 4 or states.shape[-1] % 2:
            raise SSHMLError(f"states are {tuple(states.shape)}; expected (..., level, site) of 2 whole cells or more.")
        density = states.double() ** 2
        density = density / density.sum(-1, keepdim=True).clamp(min=FLOOR)
        a, b = density[..., 0::2], density[..., 1::2]
        left, mass = (b - a).cumsum(-1), (a + b).cumsum(-1)  # b_m, and the weight of cells 1 to m
        right = (a - b).flip(-1).cumsum(-1).flip(-1)  # of cells m to M, so that b_m = right_{m+1}
        light = mass[..., :-1] <= 0.5
        w = torch.where(light, left[..., :-1], right[..., 1:])
        first, last = a[..., :1], b[..., -1:]  # v_1 x_1 y_1 = E x_1^2, v_M x_M y_M = E y_M^2
        v = torch.where(mass[..., 1:-1] <= 0.5, a[..., 1:-1] - left[..., :-2], b[..., 1:-1] - right[..., 2:])
        parts = torch.cat([a, b, first, v, last, w], -1)
        return parts.abs().clamp(min=FLOOR).log().to(states.dtype)


class WindingNetwork(nn.Module):
    """A network that can express the real-space winding number exactly.

    Q = sum_n s_n x_n y_n^T over the levels n, x and y their amplitudes on A and B; nu = sum_{am} T_am Q_am^2; logits
    are linear in nu. Signs of levels drop out. With s_n = -1 below and 1 above the middle and T_am = a - m for m in the
    middle cell (half of that in the two middle ones of an even number) nu is `sshml.chain.real_space_winding`. Networks
    that express this number are the subject of Oriekhov et al., arXiv 2509.26261, who find them harder to train than
    plain ones; this is a construction of our own, theirs was not at hand.

    Args:
        cells: M, 2 to 2^10; inputs are states (sample, level, site) of 2 M levels and sites.
        exact: start at the winding number with a threshold at 1/2; otherwise from s_n normal, and T_am normal of
            standard deviation 1/M.

    Raises:
        SSHMLError: fewer than 2 cells.
    """

    def __init__(self, cells, exact=False):
        cells = integer(cells, "cells", 2, 2**10)
        super().__init__()
        self.arguments = {"cells": cells, "exact": flag(exact, "exact")}
        self.levels = nn.Parameter(torch.randn(2 * cells))
        self.pairs = nn.Parameter(torch.randn(cells, cells) / cells)
        self.head = nn.Linear(1, 2)
        if exact:
            place = np.arange(cells)
            middle = (place >= (cells - 1) // 2) & (place <= cells // 2)
            with torch.no_grad():
                self.levels.copy_(torch.where(torch.arange(2 * cells) < cells, -1.0, 1.0))
                self.pairs.copy_(torch.from_numpy((place[:, None] - place) * middle / middle.sum()))
                self.head.weight.copy_(torch.tensor([[-8.0], [8.0]]))
                self.head.bias.copy_(torch.tensor([4.0, -4.0]))

    def forward(self, states):
        """Return the logits (sample, 2)."""
        q = (states[..., 0::2] * self.levels[:, None]).mT @ states[..., 1::2]
        return self.head((q**2 * self.pairs).sum((-1, -2))[..., None])
