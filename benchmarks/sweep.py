"""Accuracy of every rank of layer 1, and of every pair of ranks of layers 1 and 2, against the obvious loops.

python benchmarks/sweep.py [--threads 1]
"""

import argparse
import copy
import tempfile
from pathlib import Path

import numpy as np
import torch
from side_by_side import interleaved, machine, table

from sshml import lanes
from sshml.analysis import rank_grid, rank_sweep
from sshml.classifier import MLP, TrainingSpec, fit, resident
from sshml.dataset import DatasetSpec, generate, open_dataset

SOME = (1, 2, 3, 5, 8, 12, 24, 48, 64, 96)  # ranks that the slow loops visit
PAIRS = [(r1, r2) for r1 in (1, 8, 64) for r2 in (1, 8, 64)]


def published(model, split, ranks):
    """Decompose, rebuild and predict for each rank, reading the data as a DataLoader gives it."""
    found = []
    for rank in ranks:
        twin = copy.deepcopy(model)
        u, s, vh = np.linalg.svd(twin[1].weight.detach().numpy(), full_matrices=False)
        twin[1].weight.data = torch.from_numpy((u[:, :rank] * s[:rank]) @ vh[:rank])
        data = torch.utils.data.TensorDataset(*resident(split))
        hits = 0
        with torch.no_grad():
            for x, y in torch.utils.data.DataLoader(data, batch_size=64):
                hits += (twin(x).argmax(1) == y).sum().item()
        found.append(hits / len(data))
    return found


def truncate(decomposition, rank):
    u, s, vh = decomposition
    return (u[:, :rank] * s[:rank]) @ vh[:rank]


def naive(model, inputs, labels, pairs, decompositions):
    """Rebuild the weights from one decomposition and predict all samples at once, for each (r1, r2)."""
    twin, found = copy.deepcopy(model), []
    with torch.no_grad():
        for r1, r2 in pairs:
            twin[1].weight.data = truncate(decompositions[0], r1)
            if r2 is not None:
                twin[3].weight.data = truncate(decompositions[1], r2)
            found.append((twin(inputs).argmax(1) == labels).double().mean().item())
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    lanes.THREADS = options.threads
    print(machine(options.threads))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chains.h5"
        generate(DatasetSpec(cells=8, train=8000, valid=500, test=10000), path)
        dataset = open_dataset(path)
        run = fit(MLP, dataset.train, dataset.valid, TrainingSpec(epochs=8), seeds=16, device="cpu")
        model, split = run.model(), dataset.test
        inputs, labels = resident(split)
        decompositions = [torch.linalg.svd(model[i].weight.detach(), full_matrices=False) for i in (1, 3)]
        singles = [(rank, None) for rank in SOME]

        sweep, grid = rank_sweep(run, split, device="cpu").accuracy[0], rank_grid(model, split)[0]
        for accuracy, (r1, _) in zip(naive(model, inputs, labels, singles, decompositions), singles, strict=True):
            assert abs(accuracy - sweep[r1 - 1]) <= 2e-4, (r1, accuracy, sweep[r1 - 1])
        for accuracy, (r1, r2) in zip(naive(model, inputs, labels, PAIRS, decompositions), PAIRS, strict=True):
            assert abs(accuracy - grid[r1 - 1, r2 - 1]) <= 2e-4, (r1, r2)
        print("accuracies agree with the naive loops to 2 of 10000 samples")

        calls = {
            "naive, data resident": lambda: naive(model, inputs, labels, singles, decompositions),
            "published style (SVD and DataLoader per rank)": lambda: published(model, split, SOME[:2]),
            "rank_sweep, 1 network": lambda: rank_sweep(model, split, device="cpu"),
            "rank_sweep, 16 networks": lambda: rank_sweep(run, split, device="cpu"),
        }
        medians = interleaved(calls, options.repeats)
        units = dict(zip(calls, (len(SOME), 2, 128, 16 * 128), strict=True))
        table("layer 1: per rank and network, 10000 chains", medians, units, "naive, data resident")

        calls = {
            "naive, data resident": lambda: naive(model, inputs, labels, PAIRS, decompositions),
            "rank_grid": lambda: rank_grid(model, split),
        }
        medians = interleaved(calls, options.repeats)
        units = dict(zip(calls, (len(PAIRS), 128 * 64), strict=True))
        table("layers 1 x 2: per pair of ranks, 10000 chains", medians, units, "naive, data resident")


if __name__ == "__main__":
    main()
