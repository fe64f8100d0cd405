"""Splits as torch tensors."""

import numpy as np
import torch

from sshml.errors import SSHMLError


def pick_device(device="auto"):
    """Return the torch device: "auto" is CUDA where there is one, else the CPU.

    Raises:
        SSHMLError: torch knows no such device, or this machine has none.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        found = torch.device(device)
    except RuntimeError:
        raise SSHMLError(f"device {device!r} is unknown; choose auto, cpu or cuda.") from None
    if found.type not in ("cpu", "cuda"):
        raise SSHMLError(f"device {device!r} is not supported; choose auto, cpu or cuda.")
    if found.type == "cuda" and not torch.cuda.is_available():
        raise SSHMLError("device 'cuda' was asked for but torch sees no CUDA device; use --device cpu or auto.")
    return found


def resident(split, view=None, device="cpu"):
    """Return the inputs and labels of a split as tensors on a device.

    Args:
        split: any object with `inputs`, an array (sample, ...) or a method that returns one, and `labels`, the
            classes 0, 1, ... (sample).
        view: passed to `split.inputs(view=...)` where given.
        device: torch device.

    Returns:
        (inputs float32, labels int64).

    Raises:
        SSHMLError: empty split, lengths that differ, NaN inputs, labels that are not classes.
    """
    inputs = split.inputs if not callable(split.inputs) else split.inputs(view=view) if view else split.inputs()
    inputs, labels = np.asarray(inputs), np.asarray(split.labels)
    if len(inputs) == 0 or labels.shape != inputs.shape[:1]:
        raise SSHMLError(f"inputs {inputs.shape} and labels {labels.shape} do not match; expected a label per sample.")
    if labels.dtype.kind not in "iu" or labels.min() < 0:
        raise SSHMLError(f"labels are {labels.dtype} from {labels.min()}; expected class numbers 0, 1, ...")
    if not np.isfinite(inputs).all():
        raise SSHMLError("the inputs hold NaN or infinite numbers; run `sshml check` on the dataset.")
    inputs = torch.from_numpy(np.ascontiguousarray(inputs, dtype=np.float32))
    return inputs.to(device), torch.from_numpy(labels.astype(np.int64)).to(device)
