"""All that is taken from PyTorch without being documented there, and what serves where it is missing.

Three things: oneDNN's product of two matrices, which PyTorch calls in compiled graphs only; whether a transform of
`torch.func` or a derivative in forward direction is at work, which an `autograd.Function` of ours must step aside for;
and glibc's limits for giving freed memory back (public, mallopt(3), but not PyTorch's to set).
"""

import ctypes
import functools
import sys

import torch

try:
    from torch._C import _are_functorch_transforms_active as transforms_are_active
    from torch._C._functorch import is_batchedtensor, is_legacy_batchedtensor
    from torch.autograd.forward_ad import _current_level as _level_at_import  # noqa: F401  (whether it is there)

    KNOWS_TRANSFORMS = True
except (ImportError, AttributeError):  # another PyTorch: no function of ours is ever called in their place
    KNOWS_TRANSFORMS = False

    def transforms_are_active():
        """Return True: nobody knows."""
        return True

    def is_batchedtensor(tensor):
        """Return True: nobody knows."""
        return True

    is_legacy_batchedtensor = is_batchedtensor


def is_eager():
    """Return whether an `autograd.Function` may be called: nothing traces, casts, maps or differentiates forwards."""
    return KNOWS_TRANSFORMS and not (
        torch.compiler.is_compiling()
        or torch.jit.is_tracing()
        or torch.is_autocast_enabled("cpu")
        or transforms_are_active()
        or torch.autograd.forward_ad._current_level >= 0
    )


def wants_graph(grad):
    """Return whether a backward pass must itself be differentiable, or runs for many gradients at once."""
    return torch.is_grad_enabled() or is_legacy_batchedtensor(grad) or transforms_are_active()


@functools.cache
def has_onednn():
    """Return whether oneDNN's product can be called, and pays: processors with AVX-512."""
    wide = torch.backends.mkldnn.is_available() and torch.backends.cpu.get_cpu_capability() == "AVX512"
    return KNOWS_TRANSFORMS and wide and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def onednn_product(a, b):
    """Return a b^T by oneDNN, two float32 matrices with whole rows or columns side by side in memory."""
    return torch.ops.mkldnn._linear_pointwise(a, b, None, "none", [], "")


M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT_BYTES = 2**25


@functools.cache
def keep_freed_memory():
    """Let glibc keep freed blocks of up to 32 MiB for this process: pages given back are slow to come again."""
    if sys.platform.startswith("linux"):
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none
        if mallopt is not None:
            mallopt(M_MMAP_THRESHOLD, KEPT_BYTES)
            mallopt(M_TRIM_THRESHOLD, 2 * KEPT_BYTES)
