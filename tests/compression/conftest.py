"""Networks for the tests of this folder."""

import importlib.util
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location("sshml_test_nets", Path(__file__).parent / "nets.py")
nets = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(nets)


@pytest.fixture(params=nets.NETS)
def net(request):
    """Each of the awkward networks in turn: (module in evaluation mode, inputs)."""
    return nets.made(request.param)


@pytest.fixture
def make():
    """Return made(name, dtype) -> (module in evaluation mode, inputs)."""
    return nets.made
