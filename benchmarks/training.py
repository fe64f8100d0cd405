"""Training 16 seeds of 256-128-64-2 at once against a DataLoader loop over one network.

python benchmarks/training.py [--threads 1] [--device cpu] [--seeds 16]
python benchmarks/training.py --denormals [--threads 1]    # 20 epochs on densities, numbers below 1e-38 kept or not
"""

import argparse
import contextlib
import tempfile
from pathlib import Path
from types import SimpleNamespace

import torch
from side_by_side import interleaved, machine, table
from torch.utils.data import DataLoader, TensorDataset

from sshml.classifier import MLP, TrainingSpec, fit, resident, training
from sshml.dataset import DatasetSpec, generate, open_dataset

SAMPLES = 16000


def loop(inputs, labels, batch_size, device):
    """Train one network for one epoch as in a tutorial."""
    model = MLP().to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for x, y in DataLoader(TensorDataset(inputs, labels), batch_size=batch_size, shuffle=True):
        loss = torch.nn.functional.cross_entropy(model(x.to(device)), y.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def with_denormals(dataset, options):
    """Train on densities, where many neurons never open, as `fit` does and without its flushing."""
    spec, flushed = TrainingSpec(epochs=20, view="density"), training.flushed

    def kept():
        training.flushed = contextlib.nullcontext
        try:
            ensemble()
        finally:
            training.flushed = flushed

    def ensemble():
        fit(MLP, dataset.train, dataset.valid, spec, options.seeds, "cpu")

    calls = {"numbers below 1e-38 kept": kept, "taken for 0": ensemble}
    title = f"20 epochs of {SAMPLES} chains, view density, batch 64, {options.seeds} seeds"
    table(title, interleaved(calls, options.repeats), dict.fromkeys(calls, options.seeds), "numbers below 1e-38 kept")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seeds", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--denormals", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = "cuda" if options.device == "auto" and torch.cuda.is_available() else options.device
    device = "cpu" if device == "auto" else device
    print(machine(options.threads))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chains.h5"
        generate(DatasetSpec(cells=8, train=SAMPLES, valid=1, test=1), path)
        dataset = open_dataset(path)
        if options.denormals:
            with_denormals(dataset, options)
            return
        inputs, labels = resident(dataset.train)
        train = SimpleNamespace(inputs=inputs.numpy(), labels=labels.numpy())  # in memory, as for the loop
        for batch_size in (64, 128):
            spec = TrainingSpec(epochs=1, batch_size=batch_size)

            def ensemble(count, spec=spec):
                fit(MLP, train, dataset.valid, spec, count, device)

            one, all_, alone = (
                "DataLoader loop, Adam, 1 network",
                f"sshml.fit, {options.seeds} seeds",
                "sshml.fit, 1 seed",
            )
            calls = {
                one: lambda b=batch_size: loop(inputs, labels, b, device),
                alone: lambda: ensemble(1),
                all_: lambda: ensemble(options.seeds),
            }
            medians = interleaved(calls, options.repeats)
            title = f"batch {batch_size}, {device}: one epoch of {SAMPLES} chains, per network"
            table(title, medians, {one: 1, alone: 1, all_: options.seeds}, one)


if __name__ == "__main__":
    main()
