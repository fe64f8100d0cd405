"""What is not documented in PyTorch may be missing: the tests of the layers pass without."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sshml.compression import _torch

REMOVE = """
import sys, torch
kept = {}
for name in sys.argv[1].split(","):
    holder, _, leaf = name.rpartition(".")
    target = torch
    for part in holder.split(".")[1:]:
        target = getattr(target, part)
    if leaf == "_linear_pointwise":
        torch.ops.mkldnn = type("Without", (), {})()
    else:
        kept[target, leaf] = getattr(target, leaf)
        delattr(target, leaf)
from sshml.compression import _torch
assert _torch.KNOWS_TRANSFORMS == (not kept)
assert not _torch.has_onednn()
for (target, leaf), value in kept.items():  # PyTorch itself goes on needing them
    setattr(target, leaf, value)
import pytest
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", *sys.argv[2:]]))
"""
NAMES = (
    "torch._C._are_functorch_transforms_active",
    "torch._C._functorch.is_batchedtensor",
    "torch._C._functorch.is_legacy_batchedtensor",
    "torch.ops.mkldnn._linear_pointwise",
)


def pass_without(names, *files):
    here = Path(__file__).parent
    command = [sys.executable, "-c", REMOVE, names, *(str(here / file) for file in files)]
    found = subprocess.run(command, cwd=here.parents[1], capture_output=True, text=True, timeout=500, check=False)
    assert found.returncode == 0, found.stdout[-3000:] + found.stderr


@pytest.mark.parametrize("name", NAMES)
def test_layers_work_without_a_name(name):
    pass_without(name, "test_lowrank.py")


def test_layers_work_without_all_of_them():
    pass_without(",".join(NAMES), "test_layer.py")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's mallopt")
def test_freed_memory_is_kept_by_name():
    """Blocks of 16 MiB are mapped anew every time by default, and touched again page by page."""
    code = (
        "import resource, torch; from sshml.compression._torch import keep_freed_memory\n"
        "def faults():\n"
        "    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "    for _ in range(20): torch.ones(2**22)\n"
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before\n"
        "plain = faults(); keep_freed_memory(); faults(); print(plain, faults())"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC")}
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    before, after = map(int, found.stdout.split())
    assert after < before / 4


def test_where_nothing_is_at_work_functions_may_be_called():
    assert _torch.is_eager() == _torch.KNOWS_TRANSFORMS
