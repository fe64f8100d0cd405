"""Numbers too small to matter, which cost a processor a hundred times the others."""

import contextlib

import torch


def are_flushed():
    """Return whether this thread takes float32 numbers below the smallest normal one, 1.2e-38, for 0."""
    return bool(torch.tensor(torch.finfo(torch.float32).tiny, dtype=torch.float32) / 2 == 0)


@contextlib.contextmanager
def flushed():
    """Take numbers below the smallest normal one for 0 in this thread, and in the threads that it starts meanwhile.

    The moments of Adam fall by .9 and .999 a step where the gradient is gone, as behind a ReLU that never opens: a
    thousand steps later they are such numbers, and a step takes several times as long. A moment that small would move
    a weight by less than 1e-30 of the learning rate, since Adam divides by 1e-8 at least.
    """
    before = are_flushed()
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)
