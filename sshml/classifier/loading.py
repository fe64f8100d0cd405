"""Splits as torch tensors: resident on a device, or streamed from a file larger than memory."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from sshml.arguments import as_array, as_module, as_split, choice, integer, shown
from sshml.dataset import View, check_view
from sshml.errors import SSHMLError

EXAMPLES = 4
"""Samples on which a network is tried before it is used."""


def pick_device(device="auto"):
    """Return the torch device: "auto" is CUDA where there is one, else the CPU.

    Raises:
        SSHMLError: torch knows no such device, or this machine has none.
    """
    if not isinstance(device, (str, torch.device)):
        raise SSHMLError(f"device is {shown(device)}; choose auto, cpu or cuda.")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError):
        raise SSHMLError(f"device {shown(device)} is unknown; choose auto, cpu or cuda.") from None
    if found.type not in ("cpu", "cuda"):
        raise SSHMLError(f"device {shown(device)} is not supported; choose auto, cpu or cuda.")
    if found.type == "cuda" and not torch.cuda.is_available():
        raise SSHMLError("device 'cuda' was asked for but torch sees no CUDA device; use --device cpu or auto.")
    return found


def input_type(model):
    """Return the type in which a network takes its inputs, that of its parameters, or None for whole numbers as well.

    Raises:
        SSHMLError: half precision or complex parameters.
    """
    model = as_module(model)
    found = {p.dtype for p in (*model.parameters(), *model.buffers()) if p.is_floating_point() or p.is_complex()}
    if found - {torch.float32, torch.float64}:
        raise SSHMLError(
            f"the network holds {', '.join(sorted(map(str, found)))}; train in float32 or float64, convert by .float();"
            ' TrainingSpec(precision="bf16") does the products in bfloat16.'
        )
    if any(isinstance(module, (torch.nn.Embedding, torch.nn.EmbeddingBag)) for module in model.modules()):
        return None
    return found.pop() if len(found) == 1 else torch.float32


def resident(split, view=None, device="cpu", dtype=torch.float32):
    """Return the inputs and labels of a split as tensors on a device.

    Args:
        split: any object with `inputs`, an array (sample, ...) or a method that returns one, and `labels`, the
            classes 0, 1, ... (sample).
        view: passed to `split.inputs(view=...)` where given.
        device: torch device.
        dtype: of the inputs; None for float32, or int64 where the split holds whole numbers, as for embeddings.

    Returns:
        (inputs, labels int64).

    Raises:
        SSHMLError: empty split, lengths that differ, NaN inputs, labels that are not classes.
    """
    split, device = as_split(split), device if isinstance(device, torch.device) else pick_device(device)
    if view is not None:
        check_view(view)
    if dtype is not None:
        choice(dtype, "dtype", (torch.float32, torch.float64))
    if view not in (None, "states") and not callable(split.inputs):
        raise SSHMLError(f"the inputs are an array and have no view {shown(view)}; leave view out.")
    inputs = split.inputs if not callable(split.inputs) else split.inputs(view=view) if view else split.inputs()
    inputs = as_array(inputs, "the inputs", kinds="biuf")
    labels = as_array(split.labels, "the labels", axes="sample", kinds="iu")
    if inputs.ndim == 0 or len(inputs) == 0:
        raise SSHMLError("the split is empty; expected a sample at least.")
    if labels.shape != inputs.shape[:1]:
        raise SSHMLError(f"inputs {inputs.shape} and labels {labels.shape} do not match; expected a label per sample.")
    if labels.min() < 0:
        raise SSHMLError(f"labels are {labels.dtype} from {labels.min()}; expected class numbers 0, 1, ...")
    if dtype is None:
        dtype = torch.int64 if inputs.dtype.kind in "iu" else torch.float32
    with np.errstate(over="ignore"):
        found = np.ascontiguousarray(inputs, dtype=str(dtype).removeprefix("torch."))
    if not np.isfinite(found).all():
        if np.isfinite(inputs).all():
            raise SSHMLError(f"the inputs hold numbers beyond {found.dtype}; scale them.")
        raise SSHMLError("the inputs hold NaN or infinite numbers; run `sshml check` on the dataset.")
    return torch.from_numpy(found).to(device), torch.from_numpy(labels.astype(np.int64)).to(device)


class Stream:
    """Shuffled mini-batches of a split of a dataset file, read in whole chunks.

    In every epoch the chunks of the file are permuted; a group of them is read at once and its samples are permuted.
    Each sample comes once per epoch, and the batches are the same for any number of workers. Every iteration is the
    next epoch. Nothing is open when a worker starts, so fork and spawn are both safe.

    Args:
        split: a `Split` of a dataset file.
        view: what the network sees, see `Split.inputs`.
        batch_size: samples per batch; the last one of an epoch may be smaller.
        seed: seed of the permutations.
        workers: processes that read ahead; 0 for a thread.
        group_bytes: memory of a group; some three of them are alive, per worker.
        context: start method of the workers, "fork", "spawn" or "forkserver"; None for torch's own.

    >>> stream = Stream(split, batch_size=64)  # doctest: +SKIP
    >>> for inputs, labels in stream: ...  # doctest: +SKIP
    """

    def __init__(self, split, view=None, batch_size=64, seed=0, workers=0, group_bytes=2**26, context=None):
        if not hasattr(split, "chunk_rows"):
            raise SSHMLError(f"a {type(split).__name__} cannot be streamed; give a split of a dataset file.")
        batch_size, workers = integer(batch_size, "batch_size", 1), integer(workers, "workers", 0, 10**4)
        seed, group_bytes = integer(seed, "seed", 0), integer(group_bytes, "group_bytes", 1)
        View.parse(view).shape(split.spec)
        self.split, self.view, self.batch_size = split, str(View.parse(view)), batch_size
        self.seed, self.workers, self.context, self.epoch = seed, workers, context, 0
        self._rows = split.chunk_rows
        self._chunks = -(-len(split) // self._rows)
        self._per_group = max(1, group_bytes // (4 * self._rows * split.spec.sites**2))

    def __len__(self):
        return -(-len(self.split) // self.batch_size)

    def __iter__(self):
        self.epoch += 1
        return self.batches(self.epoch)

    def batches(self, epoch):
        """Yield (inputs float32, labels int64) of one epoch, a function of (seed, epoch) alone."""
        rest = None
        for inputs, labels in self._groups(epoch):
            if rest is not None:
                inputs, labels = torch.cat([rest[0], inputs]), torch.cat([rest[1], labels])
            whole = len(labels) // self.batch_size * self.batch_size
            for first in range(0, whole, self.batch_size):
                rows = slice(first, first + self.batch_size)
                yield inputs[rows], labels[rows]
            rest = (inputs[whole:], labels[whole:]) if whole < len(labels) else None
        if rest is not None:
            yield rest

    def _groups(self, epoch):
        groups = _Groups(self.split, self.view, self._rows, self._order(epoch), (self.seed, epoch))
        if self.workers:
            yield from torch.utils.data.DataLoader(
                groups, batch_size=None, num_workers=self.workers, multiprocessing_context=self.context
            )
            return
        with ThreadPoolExecutor(1) as thread:
            ahead = thread.submit(groups.__getitem__, 0)
            for number in range(1, len(groups) + 1):
                group = ahead.result()
                if number < len(groups):
                    ahead = thread.submit(groups.__getitem__, number)
                yield group

    def _order(self, epoch):
        order = np.random.default_rng((self.seed, epoch)).permutation(self._chunks)
        return np.split(order, range(self._per_group, self._chunks, self._per_group))


class _Groups(torch.utils.data.Dataset):
    """The groups of one epoch, each with its samples permuted; opens the file anew in every process."""

    def __init__(self, split, view, rows, order, seed):
        self.split, self.view, self.rows, self.order, self.seed = split, view, rows, order, seed
        self._opened = None

    def __len__(self):
        return len(self.order)

    def __getitem__(self, number):
        file = self._file()
        slices = [slice(c * self.rows, min((c + 1) * self.rows, len(self.split))) for c in self.order[number]]
        inputs = np.concatenate([self.split.inputs(self.view, rows, file) for rows in slices])
        labels = np.concatenate([self.split.classes(self.split.read("winding", rows, file)) for rows in slices])
        order = np.random.default_rng((*self.seed, number)).permutation(len(labels))
        return torch.from_numpy(inputs[order]), torch.from_numpy(labels[order])

    def _file(self):
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = os.getpid(), self.split.open()
        return self._opened[1]

    def __getstate__(self):
        return self.__dict__ | {"_opened": None}
