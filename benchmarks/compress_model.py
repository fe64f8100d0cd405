"""Whole networks made small: sshml beside the decomposers and pruners that can be installed here, asked for one share.

python benchmarks/compress_model.py --root IMAGES      784-500x4-10 on MNIST, five seeds (dense networks trained here)
python benchmarks/compress_model.py --encoder          12 layers x 768, 85 M numbers: compress beside plain SVDs

Peers: fasterai (FC_Decomposer, plain and with data), Torch-Pruning (structured), nncf.prune, torch.nn.utils.prune and
tensorly-torch (block-TT); `pip install --no-deps fasterai torch-pruning nncf` will do for the first three.
"""

import argparse
import copy
import functools
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from side_by_side import interleaved, machine
from torch import nn

from sshml.classifier import MLP, TrainingSpec, finetune, resident
from sshml.compression import compress, n_bytes
from sshml.dataset import images
from sshml.tables import aligned

SHARES = (0.05, 0.089, 0.2)
GENTLE = TrainingSpec(epochs=3, batch_size=256, learning_rate=3e-4)


def joint(net, share, data):
    return compress(net, share=share, data=data)


def joint_blind(net, share, data):
    return compress(net, share=share)


def fasterai(net, share, data, aware=False):
    from fasterai.misc.fc_decomposer import FC_Decomposer

    return FC_Decomposer().decompose(net, percent_removed=1 - share, data=data[0][:1280] if aware else None)


def fasterai_aware(net, share, data):
    return fasterai(net, share, data, aware=True)


def fasterai_energy(net, share, data):
    from fasterai.misc.fc_decomposer import FC_Decomposer

    return FC_Decomposer().decompose(net, energy_threshold=0.99)


def torch_pruning(net, share, data):
    import torch_pruning as tp

    net, example = copy.deepcopy(net), data[0][:1]
    head = [m for m in net.modules() if isinstance(m, nn.Linear)][-1]
    rule = tp.importance.MagnitudeImportance(p=2)
    tp.pruner.MagnitudePruner(net, example, rule, pruning_ratio=1 - share, ignored_layers=[head]).step()
    return net


def nncf_prune(net, share, data):
    import nncf

    class Around(nn.Module):
        """Its hooks become a child, which a Sequential would run."""

        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, x):
            return self.inner(x)

    mode = nncf.PruneMode.UNSTRUCTURED_MAGNITUDE_GLOBAL
    return nncf.prune(Around(copy.deepcopy(net)), mode, ratio=1 - share, examples_inputs=data[0][:1])


def torch_prune(net, share, data):
    from torch.nn.utils import prune

    net = copy.deepcopy(net)
    layers = [(m, "weight") for m in net.modules() if isinstance(m, nn.Linear)]
    prune.global_unstructured(layers, prune.L1Unstructured, amount=1 - share)
    return net


def tensorly_torch(net, share, data):
    import tltorch

    net = copy.deepcopy(net)
    for name, module in list(net.named_modules()):
        if isinstance(module, nn.Linear) and module.out_features > 10:
            made = tltorch.FactorizedLinear.from_linear(
                module, auto_tensorize=True, n_tensorized_modes=3, rank=share, factorization="blocktt"
            )
            net.set_submodule(name, made)
    return net


WAYS = {
    "sshml, on data": joint,
    "sshml, no data": joint_blind,
    "fasterai, ratio": fasterai,
    "fasterai, ratio, data": fasterai_aware,
    "fasterai, energy .99": fasterai_energy,
    "Torch-Pruning": torch_pruning,
    "nncf.prune": nncf_prune,
    "torch.nn.utils.prune": torch_prune,
    "tensorly-torch": tensorly_torch,
}


class Peak:
    """The largest resident memory during a block, above that before it, in MiB."""

    def __enter__(self):
        self.start = self.most = self._now()
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._watch)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()
        self.mib = (self.most - self.start) / 2**20

    @staticmethod
    def _now():
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    def _watch(self):
        while not self.stop.wait(0.002):
            self.most = max(self.most, self._now())


@torch.no_grad()
def accuracy(net, data):
    net.eval()
    return float(torch.cat([net(x).argmax(1) for x in data[0].split(2000)]).eq(data[1]).double().mean())


def further(net, train, valid, teacher):
    """Train for three epochs by sshml's loop, half of the loss the dense network's outputs."""
    return finetune(net, train, valid, GENTLE, teacher=teacher)


def tuned(small, train, valid, test, teacher):
    """Return the accuracy after three more epochs, NaN where the module cannot be copied, as with masks by hooks."""
    try:
        return accuracy(further(small, train, valid, teacher), test)
    except (RuntimeError, NotImplementedError):
        return float("nan")


@torch.no_grad()
def error(net, small, x):
    exact = net(x)
    return float((small(x) - exact).norm() / exact.norm())


def trained(seed, x, y, epochs=5, batch=256):
    """Train 784-500x4-10 by Adam at 1e-3 with a cosine schedule."""
    torch.manual_seed(seed)
    net = MLP((784, 500, 500, 500, 500, 10))
    optimizer = torch.optim.Adam(net.parameters(), 1e-3, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * -(-len(x) // batch))
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(batch):
            loss = nn.functional.cross_entropy(net(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return net.eval()


def networks(root, seeds, only):
    data = images("mnist", root, 5000)
    train, valid, test = (resident(split) for split in (data.train, data.valid, data.test))
    mean = train[0].mean(0)
    train, valid, test = ((x - mean, y) for x, y in (train, valid, test))
    dense = [trained(seed, *train) for seed in range(seeds)]
    accuracies = [accuracy(net, test) for net in dense]
    print(f"dense: {n_bytes(dense[0])} bytes, accuracy {np.mean(accuracies):.4f} ± {np.std(accuracies, ddof=1):.4f}\n")
    for share in SHARES:
        rows, small = [], {}
        for name, way in ((n, w) for n, w in WAYS.items() if only is None or n in only):
            found = {"bytes": [], "error": [], "cut": [], "tuned": [], "seconds": [], "peak": []}
            try:
                for net in dense:
                    with Peak() as peak:
                        start = time.perf_counter()
                        small[name] = way(net, share, train).eval()
                        found["seconds"].append(time.perf_counter() - start)
                    found["peak"].append(peak.mib)
                    found["bytes"].append(n_bytes(small[name]) / n_bytes(net))
                    found["error"].append(error(net, small[name], test[0]))
                    found["cut"].append(accuracy(small[name], test))
                    found["tuned"].append(tuned(small[name], train, valid, test, net))
            except Exception as problem:  # a peer that is missing, or fails
                rows.append([name, f"{type(problem).__name__}: {' '.join(str(problem).split())[:60]}"])
                small.pop(name, None)
                continue
            cells = [f"{np.mean(found['bytes']):.3f}", f"{np.mean(found['error']):.3f}"]
            cells += [f"{np.mean(found[n]):.4f} ± {np.std(found[n], ddof=1):.4f}" for n in ("cut", "tuned")]
            rows.append([name, *cells, f"{np.median(found['seconds']):.2f}", f"{np.max(found['peak']):.0f}"])
        x = test[0][:128]
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        calls = {"dense": functools.partial(dense[0], x)} | {n: functools.partial(s, x) for n, s in small.items()}
        with torch.no_grad():
            times = interleaved(calls, 15)
        torch.set_num_threads(threads)
        for row in rows:
            row += [""] * (7 - len(row))
            if row[0] in times:
                row.append(f"{times[row[0]] / times['dense']:.2f}")
            else:
                row.append("")
        print(f"share asked for: {share:g}; {seeds} seeds")
        print(aligned(("", "bytes / dense", "error", "accuracy", "3 epochs", "s", "peak MiB", "forward / dense"), rows))


def encoder():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(768, 12, 3072, batch_first=True)
    net = nn.TransformerEncoder(layer, 12).eval()
    matrices = [
        part.detach()
        for name, weight in net.named_parameters()
        if weight.ndim == 2
        for part in (weight.chunk(3) if "in_proj" in name else [weight])
    ]

    def plain():
        for matrix in matrices:
            torch.linalg.svd(matrix, full_matrices=False)

    sizes = []

    def whole():
        sizes.append(n_bytes(compress(net, share=0.3)) / n_bytes(net))

    times = interleaved({"svd": plain, "compress": whole}, 3)
    rows = [["torch.linalg.svd of the 72 matrices", f"{times['svd']:.2f}", "1"]]
    rows.append(["plan + compress, share 0.3", f"{times['compress']:.2f}", f"{times['compress'] / times['svd']:.2f}"])
    print(aligned(("encoder of 12 x 768", "s", "ratio"), rows))
    print(f"stored: {sizes[-1]:.4f} of the bytes")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", help="folder of the image files")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", nargs="*", help="some of the ways")
    parser.add_argument("--encoder", action="store_true")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    print(machine(torch.get_num_threads()))
    if arguments.encoder:
        encoder()
    else:
        networks(arguments.root, arguments.seeds, arguments.only)
