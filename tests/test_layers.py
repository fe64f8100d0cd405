"""The import order of the rooms: chain < dataset < classifier < analysis < experiments < cli."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import sshml

PACKAGE = Path(sshml.__file__).parent
LEAVES = {"errors", "files"}
ALLOWED = {
    "errors": set(),
    "files": {"errors"},
    "plotting": {"errors"},
    "console": set(),
    "chain": {"errors"},
    "dataset": {"chain"} | LEAVES,
    "classifier": {"chain", "dataset"} | LEAVES,
    "compression": {"errors"},
    "analysis": {"chain", "dataset", "classifier", "compression"} | LEAVES,
    "experiments": {"chain", "dataset", "classifier", "compression", "analysis", "plotting"} | LEAVES,
    "cli": {"chain", "dataset", "classifier", "compression", "analysis", "experiments", "plotting", "console"} | LEAVES,
}
FORBIDDEN = {
    "chain": {"torch", "h5py", "matplotlib"},
    "dataset": {"torch", "matplotlib"},
    "plotting": {"torch", "h5py"},
}


def imported(path):
    """Return the full names of all modules a file imports anywhere."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def room_of(path):
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


@pytest.mark.parametrize("path", [p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py"], ids=str)
def test_a_file_imports_only_rooms_before_its_own(path):
    room = room_of(path)
    rooms = {name.split(".")[1] for name in imported(path) if name.startswith("sshml.")}
    assert rooms - {room} <= ALLOWED[room]
    assert not {name.split(".")[0] for name in imported(path)} & FORBIDDEN.get(room, set())


def test_every_room_has_a_rule():
    assert {room_of(p) for p in PACKAGE.rglob("*.py")} - {"__init__"} == set(ALLOWED)


def test_importing_sshml_loads_nothing_heavy():
    code = "import sys, sshml; print(*[m for m in ('torch', 'numpy', 'h5py', 'matplotlib') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == ""


def test_chain_and_dataset_run_without_torch():
    code = (
        "import sys; sys.modules['torch'] = None; import sshml;"
        "sshml.DatasetSpec(cells=2); sshml.eigenstates([1.0, 2.0], [3.0]); sshml.open_dataset"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_public_name_resolves():
    for name in sshml.__all__:
        assert callable(getattr(sshml, name))
    assert len(sshml.__all__) <= 30
