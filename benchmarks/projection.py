"""Training under a projection to rank 10 against training without, plain SGD loops side by side.

python benchmarks/projection.py [--threads 1] [--repeats 5]

For every step: LAPACK's SVD of each matrix as published scripts do it, and each method of `LowRank`. For every epoch:
one projection in an epoch of 938 steps (60 000 images, batch 64), its time added to that of the steps.
"""

import argparse
import time

import torch
from side_by_side import interleaved, machine
from torch import nn

from sshml.classifier import MLP
from sshml.compression import LowRank

RANK, BATCH, EPOCH = 10, 64, 938


class Loop:
    """A plain loop over resident random data; `project` follows each step."""

    def __init__(self, widths, project=None):
        torch.manual_seed(0)
        self.model = MLP(widths)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=1e-2)
        self.inputs, self.labels = torch.randn(6000, widths[0]), torch.randint(10, (6000,))
        self.project = project(self.model) if project else None

    def step(self):
        """Make one step."""
        batch = torch.randint(6000, (BATCH,))
        loss = nn.functional.cross_entropy(self.model(self.inputs[batch]), self.labels[batch])
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        if self.project:
            self.project()


def by_lapack(model):
    """Return what replaces every matrix by U_r S_r V_r^T."""

    @torch.no_grad()
    def project():
        for layer in model:
            if isinstance(layer, nn.Linear):
                u, s, vh = torch.linalg.svd(layer.weight, full_matrices=False)
                layer.weight.copy_((u[:, :RANK] * s[:RANK]) @ vh[:RANK])

    return project


def by_method(method):
    """Return what makes the projection of a method."""
    return lambda model: LowRank(model, rank=RANK, every=1, method=method).step


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(machine(options.threads))
    for widths, row in (((784, 15, 15, 10), 300), ((784, 512, 512, 10), 40)):
        loops = {"stock": Loop(widths), "LAPACK, each matrix": Loop(widths, by_lapack)}
        loops |= {method: Loop(widths, by_method(method)) for method in ("svd", "randomized", "subspace")}
        fast = {name: loops[name].step for name in ("stock", "subspace")}
        medians = interleaved(fast, options.repeats, row)
        slow = {name: loop.step for name, loop in loops.items() if name not in fast} | {
            "stock again": loops["stock"].step
        }
        medians |= interleaved(slow, options.repeats, row // 4)
        print(
            "-".join(map(str, widths)),
            f"rank {RANK}, batch {BATCH}: a step, and an epoch of {EPOCH} with one projection",
        )
        for name, seconds in medians.items():
            base = medians["stock" if name in fast else "stock again"]
            line = f"  {name:22s} {1e6 * seconds:9.0f} us   {seconds / base:6.2f} x"
            if name in ("svd", "randomized", "subspace"):
                line += f"   per epoch {1 + (seconds - base) / (EPOCH * base):.4f} x"
            print(line)
        time.sleep(1)


if __name__ == "__main__":
    main()
