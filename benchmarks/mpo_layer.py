"""Forward and backward of an MPO layer: sshml beside a dense layer, tensorly-torch and torchTT.

OMP_NUM_THREADS=1 python benchmarks/mpo_layer.py --threads 1
python benchmarks/mpo_layer.py --threads 2            # --device cuda on a GPU

Peers: pip install 'sshml[bench]'; those that are not installed are left out. Memory: what autograd keeps for the
backward pass, weights aside.
"""

import argparse
import contextlib
import warnings

import torch
from side_by_side import interleaved, machine, table
from torch import nn

from sshml.compression import MPOLinear
from sshml.compression.contraction import best_groups
from sshml.compression.products import linear

CASES = ((5, 4, 128), (5, 8, 128), (5, 16, 128), (5, 32, 128), (5, 4, 1024), (5, 8, 1024), (5, 32, 1024), (6, 8, 128))
"""(sites of 4 x 4, bond, batch)."""
ROW = 10
"""Steps in a row, as in training, of which each timing is the mean."""


def saved_bytes(layer, x):
    """Return the bytes of the tensors that autograd keeps for the backward pass, parameters and inputs aside."""
    known = {tensor.untyped_storage().data_ptr() for tensor in (x, *layer.parameters())}
    kept = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        layer(x)
    return sum(kept.values())


def layers(sites, bond, device):
    """Return {name: layer}."""
    size, dims = 4**sites, (4,) * sites
    made = {
        "dense nn.Linear (baseline)": nn.Linear(size, size, bias=False),
        "dense, the products of sshml (oneDNN)": _Dense(size),
        "sshml MPOLinear": MPOLinear(size, size, (dims, dims), bond, bias=False),
    }
    ranks = [1, *made["sshml MPOLinear"].bonds, 1]
    with contextlib.suppress(ImportError):
        from tltorch import FactorizedLinear

        made["tensorly-torch, blocktt, factorized"] = FactorizedLinear(
            dims, dims, bias=False, factorization="blocktt", rank=tuple(ranks)
        )
        made["tensorly-torch, blocktt, reconstructed"] = FactorizedLinear(
            dims, dims, bias=False, factorization="blocktt", rank=tuple(ranks), implementation="reconstructed"
        )
    with contextlib.suppress(ImportError):
        import torchtt.nn

        torchtt_layer = torchtt.nn.LinearLayerTT(list(dims), list(dims), ranks)
        made["torchTT, LinearLayerTT"] = _Folded(torchtt_layer, dims)
    return {name: layer.to(device) for name, layer in made.items()}


class _Dense(nn.Linear):
    """A dense layer whose products take the way of `MPOLinear`."""

    def __init__(self, size):
        super().__init__(size, size, bias=False)

    def forward(self, x):
        return linear(x, self.weight)


class _Folded(nn.Module):
    """A layer that takes and gives the tensorised neurons."""

    def __init__(self, layer, dims):
        super().__init__()
        self.layer, self.dims = layer, dims

    def forward(self, x):
        return self.layer(x.view(len(x), *self.dims)).reshape(len(x), -1)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore")  # of the peers
    print(machine(options.threads))
    for sites, bond, batch in CASES:
        torch.manual_seed(0)
        x = torch.randn(batch, 4**sites, device=options.device, requires_grad=True)
        made = layers(sites, bond, options.device)

        def step(layer, x=x):
            y = layer(x)
            y.backward(y.detach())

        medians = interleaved({name: (lambda m=m, s=step: s(m)) for name, m in made.items()}, options.repeats, ROW)
        groups = best_groups(list(made["sshml MPOLinear"].cores), batch)
        title = f"n = {4**sites}, bond {bond}, batch {batch}; sites grouped as {groups}"
        table(title, medians, dict.fromkeys(medians, 1), "dense nn.Linear (baseline)")
        for name, layer in made.items():
            print(f"    kept for backward, {name:42s} {saved_bytes(layer, x) / 2**20:8.2f} MiB")


if __name__ == "__main__":
    main()
