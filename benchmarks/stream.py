"""Training from a file in chunks beside training from memory: whether the stream keeps an ensemble busy.

python benchmarks/stream.py
"""

import argparse
import tempfile
from pathlib import Path

import torch
from side_by_side import interleaved, machine, table

from sshml.classifier import MLP, Stream, TrainingSpec, fit
from sshml.dataset import DatasetSpec, generate, open_dataset

CHAINS = 100000


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--seeds", type=int, default=16)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(machine(options.threads))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chains.h5"
        generate(DatasetSpec(cells=8, train=CHAINS, valid=1000, test=1000), path)
        dataset, training = open_dataset(path), TrainingSpec(epochs=1)

        def train(source):
            fit(MLP, source, dataset.valid, training, options.seeds, options.device)

        calls = {
            "fit, split in memory": lambda: train(dataset.train),
            "fit, streamed": lambda: train(Stream(dataset.train)),
            "stream alone": lambda: sum(len(labels) for _, labels in Stream(dataset.train)),
        }
        medians = interleaved(calls, options.repeats)
    title = f"one epoch, {options.seeds} networks, batch 64, ms per 1000 chains of 16 sites"
    table(title, medians, dict.fromkeys(calls, CHAINS / 1000), "fit, split in memory")


if __name__ == "__main__":
    main()
