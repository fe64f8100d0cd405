"""The state of a training in a file, so that a killed one goes on: format `sshml-checkpoint`, version 2.

The file holds a tree of arrays: the parts that are finished (weights, history, epochs), and of the one under way
weights, moments of the optimizer, generators, the best weights so far, history. It is replaced as a whole, and sealed.
"""

import json
import time
from importlib.metadata import version

import numpy as np
import torch

from sshml.errors import SSHMLError
from sshml.files import new_file, refuse_existing
from sshml.hdf5 import new_hdf5, open_hdf5, refuse_foreign, seal

FORMAT, FORMAT_VERSION = "sshml-checkpoint", 2

SECONDS = 10
"""Least time between two saves, beside those at the end of a part."""


class Checkpoint:
    """The file of one training; without a path nothing is kept.

    Args:
        path: its `Path`, or None.
        identity: plain data that must be the same when the training goes on.

    Raises:
        SSHMLError: the file belongs to another training, or is damaged.
    """

    def __init__(self, path, identity):
        self.path, self.identity = path, json.loads(json.dumps(identity))
        if path is not None:
            refuse_existing(path, force=True)
        self.state, self.saved = {"parts": {}}, time.monotonic()
        if self.path is not None and self.path.exists():
            with open_hdf5(self.path, FORMAT, FORMAT_VERSION, sealed_since=2) as file:
                refuse_foreign(file, self.path)
                try:
                    found = json.loads(file.attrs["identity"])
                    state = _read(file["state"])
                    if not isinstance(found, dict) or not isinstance(state["parts"], dict):
                        raise ValueError("it holds no state of a training")
                except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
                    raise SSHMLError(f"{self.path} is a damaged {FORMAT} file: {error!s:.200}.") from None
            if found != self.identity:
                differs = sorted(_differences(found, self.identity))
                raise SSHMLError(
                    f"{self.path} is the state of another training ({', '.join(differs)} differ); choose another"
                    " checkpoint or delete it."
                )
            self.state = state

    def save(self, changes, now=False):
        """Merge changes into the state and write it, where some time has passed or it must be `now`."""
        if self.path is None or (not now and time.monotonic() < self.saved + SECONDS):
            return
        self.state |= changes
        with new_file(self.path, force=True) as partial:
            with new_hdf5(partial) as file:
                file.attrs["format"], file.attrs["format_version"] = FORMAT, FORMAT_VERSION
                file.attrs["created_by"] = f"sshml {version('sshml')}"
                file.attrs["identity"] = json.dumps(self.identity, sort_keys=True)
                _write(file.create_group("state"), self.state)
            seal(partial)
        self.saved = time.monotonic()


def _differences(one, other):
    """Return the names of what differs, fields of dictionaries too."""
    for name in {*one, *other}:
        a, b = one.get(name), other.get(name)
        if isinstance(a, dict) and isinstance(b, dict):
            yield from _differences(a, b)
        elif a != b:
            yield name


def _write(group, tree):
    for name, value in tree.items():
        if isinstance(value, dict):
            _write(group.create_group(str(name)), value)
        elif isinstance(value, str):
            group.attrs[str(name)] = value
        else:
            group[str(name)] = value.cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)


def _read(group):
    import h5py

    found = {name: str(value) for name, value in group.attrs.items()}
    for name, value in group.items():
        found[name] = _read(value) if isinstance(value, h5py.Group) else value[()]
    return found
