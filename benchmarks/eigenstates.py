"""All levels of many chains: every solver of sshml beside the usual ways, microseconds per chain.

OMP_NUM_THREADS=1 python benchmarks/eigenstates.py --threads 1
python benchmarks/eigenstates.py --threads 2
"""

import argparse

import numpy as np
import scipy.linalg
import torch
from side_by_side import interleaved, machine, table

from sshml import lanes
from sshml.chain import bidiagonal, block, closed_form, eigenstates, hamiltonian, tridiagonal
from sshml.lanes import run

CHAINS = {16: 20000, 64: 2000, 256: 192}
LOOPED = {16: 1000, 64: 100, 256: 8}
"""Chains for the loops that take one chain at a time."""


def published(v, w, onsite=None):
    """Fill H in a loop, diagonalise and append, chain by chain, as published code does."""
    energies, states = [], []
    for chain, (v_chain, w_chain) in enumerate(zip(v, w, strict=True)):
        sites = len(v_chain) + len(w_chain) + 1
        h = np.zeros((sites, sites)) if onsite is None else np.diag(onsite[chain])
        for m in range(len(v_chain)):
            h[2 * m, 2 * m + 1] = h[2 * m + 1, 2 * m] = v_chain[m]
        for m in range(len(w_chain)):
            h[2 * m + 1, 2 * m + 2] = h[2 * m + 2, 2 * m + 1] = w_chain[m]
        e, psi = scipy.linalg.eigh(h)
        energies.append(e)
        states.append(psi)
    return energies, states


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    lanes.THREADS = options.threads
    print(machine(options.threads))
    rng = np.random.default_rng(0)
    for sites, chains in CHAINS.items():
        few, cells = LOOPED[sites], sites // 2
        v, w = rng.random((chains, cells)), rng.random((chains, cells - 1))
        one_v, one_w = v[:, 0].copy(), w[:, 0].copy()
        energies, states = np.empty((chains, sites)), np.empty((chains, sites, sites))
        small, certified = np.empty((chains, sites, sites), np.float32), np.empty(chains, bool)
        onsite, bonds = rng.random((chains, sites)), np.empty((chains, sites - 1))
        bonds[:, 0::2], bonds[:, 1::2] = v, w
        shorter = np.ascontiguousarray(v[:, 1:])
        more = np.empty((chains, sites - 1)), np.empty((chains, sites - 1, sites - 1)), np.empty(chains, bool)
        h, full, with_onsite = block(v, w), hamiltonian(v, w), hamiltonian(v, w, onsite=onsite)
        tensor = torch.from_numpy(full)
        some = slice(0, max(few, chains // 10))
        calls = {
            "loop: fill H, scipy eigh, append": lambda v=v[:few], w=w[:few]: published(v, w),
            "numpy eigh of the batch of H (baseline)": lambda x=full[some]: np.linalg.eigh(x),
            "torch eigh of the batch of H": lambda x=tensor[some]: torch.linalg.eigh(x),
            "numpy svd of the batch of h": lambda x=h[some]: np.linalg.svd(x),
            "sshml svd (periodic, longer range)": lambda v=v[some], w=w[some]: eigenstates(v, w, solver="svd"),
            "sshml bidiagonal, float64": lambda a=(v, w, energies, states, certified): run(bidiagonal.solve, *a),
            "sshml bidiagonal, float32 out": lambda a=(v, w, energies, small, certified): run(bidiagonal.solve, *a),
            "sshml closed form, float64": lambda a=(one_v, one_w, energies, states, certified): run(
                closed_form.solve, *a
            ),
            "sshml closed form, float32 out": lambda a=(one_v, one_w, energies, small, certified): run(
                closed_form.solve, *a
            ),
            "numpy eigh, with on-site energies": lambda x=with_onsite[some]: np.linalg.eigh(x),
            "sshml tridiagonal (on-site), float64": lambda a=(onsite, bonds, energies, states, certified): run(
                tridiagonal.solve, *a
            ),
            "sshml tridiagonal (on-site), float32 out": lambda a=(onsite, bonds, energies, small, certified): run(
                tridiagonal.solve, *a
            ),
            "sshml Rice-Mele (staggered), float32 out": lambda v=v, w=w: eigenstates(
                v, w, onsite=np.where(np.arange(2 * v.shape[1]) % 2, -0.3, 0.3), dtype=np.float32, solver="kernels"
            ),
            "sshml bidiagonal, half a cell (N - 1), float64": lambda a=(shorter, w, *more): run(bidiagonal.solve, *a),
            "memset of the float32 output": lambda x=small: x.fill(0),
        }
        sizes = [few, *[some.stop] * 4, *[chains] * 4, some.stop, *[chains] * 5]
        medians = interleaved(calls, options.repeats)
        units = {name: size / 1000 for name, size in zip(calls, sizes, strict=True)}
        table(f"N = {sites} sites, ms per 1000 chains", medians, units, "numpy eigh of the batch of H (baseline)")


if __name__ == "__main__":
    main()
