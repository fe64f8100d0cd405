"""A weight into an MPO: sshml beside quimb, torchTT, tntorch, tensorkrowch and tensorly, at the same bond and error.

OMP_NUM_THREADS=1 python benchmarks/mpo_decompose.py --threads 1
python benchmarks/mpo_decompose.py --threads 2

Peers: pip install 'sshml[bench]'; those that are not installed are left out.
"""

import argparse
import contextlib
import resource

import quimb.tensor as qtn
import torch
from side_by_side import interleaved, machine, table

from sshml.compression import MPOLinear, MPOShape
from sshml.compression.contraction import merge
from sshml.compression.decomposition import decompose, tensorised

BASE = "quimb MatrixProductOperator.from_dense (baseline)"


def peers(weight, shape, bond):
    """Return {name: callable that gives cores (left, out, in, right) or None where it has no such form}."""
    tensor = tensorised(weight, shape)
    calls = {
        BASE: lambda: qtn.MatrixProductOperator.from_dense(
            weight.numpy(), dims=shape.out_dims, max_bond=bond, cutoff=0.0
        ),
        "sshml decompose": lambda: decompose(tensorised(weight, shape), shape, bond),
        "quimb MPS of torch tensors, plain svd": lambda: qtn.MatrixProductState.from_dense(
            tensor.reshape(-1), dims=tensor.shape, method="svd", max_bond=bond, cutoff=0.0
        ),
    }
    with contextlib.suppress(ImportError):
        import torchtt

        pairs = list(zip(shape.out_dims, shape.in_dims, strict=True))
        legs = weight.reshape(*shape.out_dims, *shape.in_dims)
        calls["torchTT"] = lambda: torchtt.TT(legs, shape=pairs, eps=1e-14, rmax=bond)
    with contextlib.suppress(ImportError):
        import tntorch

        calls["tntorch"] = lambda: tntorch.Tensor(tensor, ranks_tt=bond)
    with contextlib.suppress(ImportError):
        import tensorkrowch

        n = shape.sites
        mixed = weight.reshape(*shape.out_dims, *shape.in_dims).permute([a for k in range(n) for a in (n + k, k)])
        calls["tensorkrowch"] = lambda: tensorkrowch.decompositions.mat_to_mpo(mixed, rank=bond)
    with contextlib.suppress(ImportError):
        import tensorly

        tensorly.set_backend("pytorch")
        ranks = [1, *shape.bonds(bond), 1]
        calls["tensorly"] = lambda: tensorly.decomposition.tensor_train(tensor, rank=ranks)
    return calls


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--bond", type=int, default=32)
    parser.add_argument("--small", action="store_true", help="1024 x 1024 only")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(machine(options.threads))
    for sites in (5,) if options.small else (5, 6):
        torch.manual_seed(0)
        size = 4**sites
        weight = torch.randn(size, size) / size**0.5
        shape = MPOShape((4,) * sites, (4,) * sites)
        calls = peers(weight, shape, options.bond)
        medians = interleaved(calls, options.repeats, row=3 if sites == 5 else 1)
        table(f"{size} x {size}, {sites} sites, bond {options.bond}", medians, dict.fromkeys(medians, 1), BASE)
        reference = decompose(tensorised(weight.double(), shape), shape, options.bond)
        for name, cores in (("sshml", calls["sshml decompose"]()), ("plain SVD, float64", reference)):
            error = (merge([c.double() for c in cores])[0, ..., 0] - weight).norm() / weight.norm()
            print(f"  relative error, {name:30s} {error:.6f}")
    layer = torch.nn.Linear(784, 256)
    rectangular = MPOLinear.from_dense(layer, ((4,) * 4, (4, 7, 7, 4)), options.bond)
    print(f"rectangular 256 x 784 at bonds {rectangular.bonds}: quimb's from_dense takes square matrices only")
    print(f"peak memory of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
