"""Chance that belongs to one training, though PyTorch, NumPy and Python draw from one generator per process."""

import random
import threading

import numpy as np
import torch

LOCK = threading.RLock()
"""Held while the generators of the process are those of one training."""


class Chance:
    """The global generators as one training sees them, from a seed on: `with chance:` they are its own.

    Elsewhere, and in other threads of sshml, they are what they were.

    Args:
        seed: integer of at least 0.
        device: torch device of the training, whose generator counts too.
    """

    def __init__(self, seed, device="cpu"):
        device = torch.device(device)
        self._cuda = device if device.type == "cuda" and torch.cuda.is_available() else None
        with LOCK:
            outside = self.state()
            torch.default_generator.manual_seed(int(seed))
            if "numpy" in outside:
                np.random.seed(int(seed) % 2**32)  # noqa: NPY002
            random.seed(int(seed))
            if self._cuda:
                with torch.cuda.device(self._cuda):
                    torch.cuda.manual_seed(int(seed))
            self.own = self.state()
            self.set_state(outside)
        self._seen = {}
        self.has_drawn()

    def state(self):
        """Return the state of the global generators as plain arrays."""
        found = {"torch": torch.get_rng_state()}
        numpy = np.random.get_state(legacy=False)  # noqa: NPY002
        if numpy["bit_generator"] == "MT19937":  # another one was put there by somebody, and stays his
            own = numpy["state"]
            rest = np.array([own["pos"], numpy["has_gauss"], numpy["gauss"]])
            found |= {"numpy": np.asarray(own["key"]).copy(), "numpy_rest": rest}
        version, numbers, gauss_next = random.getstate()
        found["python"] = np.array(numbers, dtype=np.int64)
        found["python_rest"] = np.array([version, np.nan if gauss_next is None else gauss_next])
        return found | ({"cuda": torch.cuda.get_rng_state(self._cuda)} if self._cuda else {})

    def set_state(self, state):
        """Make the global generators what `state` returned."""
        torch.set_rng_state(torch.as_tensor(state["torch"]))
        if "numpy" in state:
            place, has_gauss, gauss = np.asarray(state["numpy_rest"]).tolist()
            keys = np.asarray(state["numpy"])
            np.random.set_state(("MT19937", keys, int(place), int(has_gauss), gauss))  # noqa: NPY002
        version, gauss_next = np.asarray(state["python_rest"]).tolist()
        numbers = tuple(np.asarray(state["python"]).tolist())
        random.setstate((int(version), numbers, None if gauss_next != gauss_next else gauss_next))
        if self._cuda:
            torch.cuda.set_rng_state(torch.as_tensor(state["cuda"]), self._cuda)

    def has_drawn(self):
        """Return whether anything has been drawn since the seed, or since the last time this was asked."""
        keys = [name for name in self.own if name != "cuda"]
        before, self._seen = self._seen or self.own, {name: np.asarray(self.own[name]).copy() for name in keys}
        return any(not np.array_equal(before[name], self._seen[name], equal_nan=True) for name in keys)

    def __enter__(self):
        LOCK.acquire()
        self._outside = self.state()
        self.set_state(self.own)
        return self

    def __exit__(self, *_):
        self.own = self.state()
        self.set_state(self._outside)
        LOCK.release()
