"""The pages: built without warnings, no public name forgotten, their examples run as printed."""

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import sshml

ROOT = Path(__file__).parents[1]
GUIDES = sorted((ROOT / "docs" / "pages" / "guides").glob("*.md"))


def blocks(path, language):
    return re.findall(rf"```{language}\n(.*?)```", path.read_text(encoding="utf-8"), flags=re.DOTALL)


def environment(folder):
    return {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(folder)}


def test_the_pages_are_built(tmp_path):
    """Strict: a warning, a dead link or a public name without an entry is an error."""
    pytest.importorskip("mkdocs")
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "-q",
        "-f",
        ROOT / "docs" / "mkdocs.yml",
        "-d",
        tmp_path / "site",
    ]
    quiet = {"NO_MKDOCS_2_WARNING": "1", "PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    found = subprocess.run(command, capture_output=True, text=True, check=False, env=quiet)
    assert (found.returncode, found.stderr) == (0, ""), found.stdout + found.stderr
    assert "wavefunction" in (tmp_path / "site" / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)
def test_examples_run_as_printed(tmp_path, guide):
    """Those in Python, one after another; what commands before them leave is made first."""
    code = "".join(blocks(guide, "python"))
    if not code:
        return
    if guide.stem == "figure":
        small = "--set points=15 --set cells=60 --set chains=50 --set edge_cells=100 --out results"
        subprocess.run(
            ["sshml", "reproduce", "phases", *small.split()], cwd=tmp_path, env=environment(tmp_path), check=True
        )
    found = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr


@pytest.mark.slow
@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)
def test_commands_run_as_printed(tmp_path, guide):
    for block in blocks(guide, "bash"):
        subprocess.run(["bash", "-ec", block], cwd=tmp_path, env=environment(tmp_path), check=True)


def test_help_of_every_public_name_is_short():
    """What `help(name)` begins with fits a screen or two."""
    for name in sshml.__all__:
        thing = getattr(sshml, name)
        text = inspect.getdoc(thing)
        assert text, name
        assert len(text.splitlines()) <= 75, name
