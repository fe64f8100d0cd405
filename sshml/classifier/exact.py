"""Small networks that are right by construction: on clean chains, and from one density on disordered ones."""

import numpy as np
import torch
from torch import nn

from sshml.arguments import integer
from sshml.chain import critical_states
from sshml.classifier.features import CumulativeLogs
from sshml.classifier.networks import MLP


def exact_network(cells, level=None):
    """Return a network that tells the winding number of every clean open chain from its states, in any signs.

    Without a level it has two neurons, which form |psi_M(A_1)|, the first level above the gap on the first site (levels
    from 0): it grows with w/v, and the chain is topological where it is above (2/(N+1))^(1/2) sin(pi M/(N+1)), its
    value at w = v. Layer 1 has rank 1.

    With a level n it has four, |F + G| and |F - G|, where G = <g, psi_n> and F = <f, psi_n>, g the state at w = v and f
    its derivative by ln(w/v) (`critical_states`): the chain is topological where F G > 0, that is |F + G| > |F - G|.
    Layer 1 has rank 2. That the rule holds for every level and 0 < w/v < inf was found by trial, at N = 4
    to 48; not for v = 0 or w = 0, where levels are degenerate, nor within rounding of w = v.

    Args:
        cells: M, 2 to 2^10.
        level: 0 to 2 M - 1, or None.

    Returns:
        An `MLP` of widths (N^2, 2 or 4, 2) with N = 2 M, in evaluation mode, which reads the view "states".

    Raises:
        SSHMLError: fewer than 2 cells, a level out of range.

    >>> network = exact_network(8)
    >>> int(torch.linalg.matrix_rank(network[1].weight)), sum(p.numel() for p in network.parameters())
    (1, 520)
    """
    cells = integer(cells, "cells", 2, 2**10)
    sites = 2 * cells
    level = None if level is None else integer(level, "level", 0, sites - 1)
    states, turned = critical_states(sites)
    if level is None:
        read, head = np.zeros((2, sites, sites)), np.array([[0.0, 0.0], [1.0, 1.0]])
        read[:, cells, 0] = 1, -1
        bias = [abs(states[cells, 0]), 0.0]
    else:
        f, g = turned[level] / np.linalg.norm(turned[level]), states[level]
        read, head = np.zeros((4, sites, sites)), np.array([[0.0, 0.0, 1.0, 1.0], [1.0, 1.0, 0.0, 0.0]])
        read[:, level] = f + g, -f - g, f - g, g - f
        bias = [0.0, 0.0]
    model = MLP((sites**2, len(read), 2))
    with torch.no_grad():
        model[1].weight.copy_(torch.from_numpy(read.reshape(len(read), -1)))
        model[1].bias.zero_()
        model[3].weight.copy_(torch.from_numpy(head))
        model[3].bias.copy_(torch.tensor(bias))
    return model.eval()


def exact_log_network(cells):
    """Return a network that tells the winding number of every open chain, disordered too, from one of its densities.

    `CumulativeLogs` and one linear layer, whose logits are -d/2 and d/2 with d = mean ln|w_m| - mean ln|v_m|: the label
    at any disorder, up to rounding (`sshml.chain.state_condition` bounds it). It reads one level in the view "states",
    e.g. "states/levels=8".

    Args:
        cells: M, 2 to 2^10.

    Raises:
        SSHMLError: fewer than 2 cells.

    >>> from sshml.chain import eigenstates
    >>> states = eigenstates(np.array([[1.0, 2.0]]), np.array([[3.0]]))[1][:, 2:3]
    >>> logits = exact_log_network(2)(torch.from_numpy(states).float()).detach()
    >>> round(float(logits.diff()), 4)  # ln 3 - ln(2)/2
    0.752
    """
    cells = integer(cells, "cells", 2, 2**10)
    v, w = 1 / cells, 1 / (cells - 1)
    squares = np.full((2, cells), v / 2)  # of -mean ln|v_m|
    squares[0, 1:] -= w / 2
    squares[1, :-1] -= w / 2
    read = np.concatenate([*squares, np.full(cells, -v), np.full(cells - 1, w)])
    model = nn.Sequential(CumulativeLogs(), nn.Flatten(), nn.Linear(len(read), 2))
    with torch.no_grad():
        model[2].weight.copy_(torch.from_numpy(np.stack([-read, read]) / 2))
        model[2].bias.zero_()
    return model.eval()
