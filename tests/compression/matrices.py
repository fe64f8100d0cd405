"""Matrices and second moments that the tests of compression share."""

import torch


def matrices(rows, columns, groups=1):
    torch.manual_seed(0)
    return torch.randn(groups, rows, columns, dtype=torch.float64)


def moment(columns, rank=None, groups=1):
    torch.manual_seed(1)
    x = torch.randn(groups, columns, rank or 3 * columns, dtype=torch.float64)
    return x @ x.mT
