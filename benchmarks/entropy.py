"""Entropies of all cuts of a 1024 x 1024 weight, and of 1000 orderings of its sites: sshml beside the usual ways.

OMP_NUM_THREADS=1 python benchmarks/entropy.py --threads 1
python benchmarks/entropy.py --threads 2
"""

import argparse

import numpy as np
import quimb.tensor as qtn
import torch
from side_by_side import interleaved, machine, table

from sshml.analysis import cut_entropies, entanglement_entropy, ordering_entropies
from sshml.compression import MPOShape
from sshml.compression.decomposition import tensorised

SHAPE = MPOShape((2,) * 10, (2,) * 10)
BASE = "SVD with vectors, cut by cut (baseline)"


def by_svd(tensor, vectors):
    """Return the entropies of all cuts, one SVD each."""
    found = []
    for cut in range(1, tensor.ndim):
        matrix = tensor.reshape(4**cut, -1)
        values = torch.linalg.svd(matrix, full_matrices=False).S if vectors else torch.linalg.svdvals(matrix)
        found.append(entanglement_entropy(values.numpy()))
    return np.array(found)


def by_quimb(tensor):
    """Return the entropies of all cuts from the exact MPS, in nats; its own are in bits."""
    state = qtn.MatrixProductState.from_dense(tensor.reshape(-1), dims=tensor.shape, cutoff=0.0, method="svd")
    state /= state.norm()
    return np.array([float(state.entropy(cut)) for cut in range(1, tensor.ndim)]) * np.log(2)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--orderings", type=int, default=1000)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(machine(options.threads))
    torch.manual_seed(0)
    weight = torch.randn(1024, 1024)
    tensor = tensorised(weight, SHAPE).contiguous()
    calls = {
        BASE: lambda: by_svd(tensor, vectors=True),
        "singular values, cut by cut": lambda: by_svd(tensor, vectors=False),
        "quimb MPS, entropy(cut)": lambda: by_quimb(tensor),
        "sshml cut_entropies": lambda: cut_entropies(weight, SHAPE),
    }
    medians = interleaved(calls, options.repeats)
    table("9 cuts of a 1024 x 1024 weight, 10 sites, float32", medians, dict.fromkeys(medians, 1), BASE)
    exact = by_svd(tensor.double(), vectors=False)
    error = abs(calls["sshml cut_entropies"]() - exact).max()
    print(f"  largest error of sshml against float64 singular values: {error:.1e}")
    rng = np.random.default_rng(0)
    orderings = [rng.permutation(10).tolist() for _ in range(options.orderings)]
    name = f"sshml ordering_entropies, {len(orderings)} orderings"
    seconds = interleaved({name: lambda: ordering_entropies(weight, SHAPE, orderings)}, 1)[name]
    naive = medians[BASE] * len(orderings)
    print(f"  {name:44s} {seconds:9.2f} s; SVD ordering by ordering {naive:.0f} s: {naive / seconds:.0f} x")


if __name__ == "__main__":
    main()
