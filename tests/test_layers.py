"""The import order of the rooms: chain < dataset < classifier < analysis < experiments < cli."""

import ast
import itertools
import subprocess
import sys
from pathlib import Path

import pytest

import sshml

PACKAGE = Path(sshml.__file__).parent
FILES = {"arguments", "errors", "files", "hdf5", "tables", "statistics"}
ALLOWED = {
    "errors": set(),
    "arguments": {"errors"},
    "lanes": set(),
    "statistics": {"arguments", "errors"},
    "console": set(),
    "webpage": set(),
    "files": {"arguments", "errors"},
    "hdf5": {"arguments", "errors"},
    "tables": {"arguments", "errors", "files"},
    "jobs": {"arguments", "errors"},
    "worker": {"jobs"},
    "plotting": {"arguments", "errors", "statistics"},
    "chain": {"arguments", "errors", "lanes"},
    "dataset": {"chain", "jobs"} | FILES,
    "classifier": {"chain", "dataset"} | FILES,
    "compression": {"arguments", "errors", "files", "hdf5", "lanes", "tables"},
    "analysis": {"chain", "dataset", "classifier", "compression", "lanes"} | FILES,
    "experiments": {"chain", "dataset", "classifier", "compression", "analysis", "plotting", "jobs", "lanes"} | FILES,
    "cli": {
        "chain",
        "dataset",
        "classifier",
        "compression",
        "analysis",
        "experiments",
        "plotting",
        "console",
        "webpage",
    }
    | FILES,
}
ROOMS = ("chain", "dataset", "classifier", "compression", "analysis", "experiments")
FORBIDDEN = {
    "chain": {"torch", "h5py", "matplotlib"},
    "dataset": {"torch", "matplotlib"},
    "plotting": {"torch", "h5py"},
}
PATHS = [p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py"]


def imported(path, everywhere=True):
    """Return the full names of all modules and names a file imports, anywhere or at its top level."""
    tree, names = ast.parse(path.read_text(encoding="utf-8")), set()
    for node in ast.walk(tree) if everywhere else tree.body:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def room_of(path):
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def module_of(path):
    parts = ("sshml", *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in PATHS}


@pytest.mark.parametrize("path", PATHS, ids=str)
def test_a_file_imports_only_rooms_before_its_own(path):
    room = room_of(path)
    rooms = {name.split(".")[1] for name in imported(path) if name.startswith("sshml.")}
    assert rooms - {room} <= ALLOWED[room]
    assert not {name.split(".")[0] for name in imported(path)} & FORBIDDEN.get(room, set())


@pytest.mark.parametrize("path", PATHS, ids=str)
def test_rooms_meet_at_their_doors(path):
    """What one room needs of another it takes from its `__init__`, not from a file inside; only `cli` may enter."""
    own = room_of(path)
    for name in imported(path):
        parts = name.split(".")
        if own != "cli" and parts[0] == "sshml" and len(parts) > 2 and parts[1] in ROOMS and parts[1] != own:
            door = sys.modules.get(f"sshml.{parts[1]}") or __import__(f"sshml.{parts[1]}", fromlist=["*"])
            assert len(parts) == 3, f"{path} reaches into {name}"
            assert parts[2] in door.__all__, f"{path} takes {name}, which the room does not export"


def test_imports_form_no_circle():
    """Neither the modules as they are imported, nor by way of the names that a room exports."""
    graph = {}
    for module, path in MODULES.items():
        names = imported(path, everywhere=False)
        graph[module] = {
            next(known for known in (name, name.rpartition(".")[0], "") if known in MODULES or not known)
            for name in names
            if name.startswith("sshml.")
        } - {"", module}
    left = dict(graph)
    while left:
        free = [module for module, needs in left.items() if not needs & set(left)]
        assert free, f"these import each other: {sorted(left)}"
        for module in free:
            del left[module]


def test_no_ten_lines_stand_twice():
    """Ten code lines in a row, docstrings and blank lines aside, are in one place only."""
    seen = {}
    for path in PATHS:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        texts = {
            line
            for node in ast.walk(tree)
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
            for line in range(node.lineno, node.end_lineno + 1)
        }
        lines = path.read_text(encoding="utf-8").splitlines()
        code = [(n, line.strip()) for n, line in enumerate(lines, 1) if n not in texts and line.strip()]
        for window in zip(*(itertools.islice(code, start, None) for start in range(10)), strict=False):
            text = "\n".join(line for _, line in window)
            place = f"{path.name}:{window[0][0]}"
            assert text not in seen, f"{place} and {seen[text]}"
            seen[text] = place


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
    assert len(sshml.__all__) <= 40


@pytest.mark.parametrize("room", ROOMS)
def test_every_exported_name_is_there(room):
    door = getattr(sshml, room)
    assert sorted(door.__all__) == sorted(set(door.__all__))
    for name in door.__all__:
        assert getattr(door, name) is not None
