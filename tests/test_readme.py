"""README and .ci/run say the same, and the examples run as printed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def run(command, folder, **options):
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, **options)


def test_ci_runs_the_test_command_of_the_readme():
    install_and_run, install_and_test = blocks("bash")[:2]
    assert install_and_run.strip() == "pip install -c constraints.txt . && sshml reproduce"
    assert install_and_test.strip() + " || exit 1\n" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_python_examples(tmp_path):
    chains, own = blocks("python")
    assert run([sys.executable, "-c", chains], tmp_path).stdout.count("[") == 2
    assert "nats" in run([sys.executable, "-c", own], tmp_path).stdout
    for example in (chains, own):
        assert len(example.strip().splitlines()) <= 11


@pytest.mark.slow
def test_command_line_examples(tmp_path):
    """All commands as printed: about five minutes."""
    path = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(tmp_path)}
    for block in blocks("bash")[2:]:
        run(["bash", "-ec", block], tmp_path, env=path)
    assert {p.name for p in tmp_path.iterdir()} >= {"chains.h5", "run.h5", "small.h5", "sweep.csv", "selection.png"}


def test_every_command_is_shown():
    from sshml.cli import app

    for command in app.registered_commands:
        assert f"sshml {command.callback.__name__}" in blocks("bash")[2]


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert (ROOT / target).exists(), target


def test_pinned_torch():
    assert "torch==2.13.0" in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
