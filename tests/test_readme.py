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


def test_the_first_screen():
    """One sentence, five bullets, nine lines of Python that end in a figure, the figure, the two commands."""
    first = README[: README.index("## What it finds")]
    assert first.count("\n- ") == 5
    assert [first.index(mark) for mark in ("With it you can", "```python", "![", "## Two commands")] == sorted(
        first.index(mark) for mark in ("With it you can", "```python", "![", "## Two commands")
    )
    assert len(blocks("python")[0].strip().splitlines()) == 9
    assert "sweep_figure" in blocks("python")[0].strip().splitlines()[-1]
    assert not re.search(r"\b(gauge|view|random signs)\b", first)


def test_the_python_example(tmp_path):
    (example,) = blocks("python")
    found = run([sys.executable, "-c", example], tmp_path)
    assert found.stdout.startswith("singular values of the first layer that keep 95 %: [")
    assert (tmp_path / "ranks.png").stat().st_size > 10000


def test_it_is_short():
    assert len(README.splitlines()) <= 150


def test_experiments_are_shown_as_they_are_called():
    """The commands that run for long, or need images: their options exist, their settings too."""
    from sshml.experiments import load, names, settings_of

    (block,) = blocks("sh")
    for line in block.strip().splitlines():
        words = line.partition("#")[0].split()
        assert words[:2] == ["sshml", "reproduce"]
        experiments = [word for word in words[2:] if word in names()]
        changes = dict(words[i + 1].split("=") for i, word in enumerate(words) if word == "--set")
        for name in experiments:
            settings_of(load(name)[1], "--full" in words, changes)


@pytest.mark.slow
def test_command_line_examples(tmp_path):
    """All commands as printed: about three minutes."""
    path = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(tmp_path)}
    for block in blocks("bash")[2:]:
        run(["bash", "-ec", block], tmp_path, env=path)
    assert {p.name for p in tmp_path.iterdir()} >= {
        "chains.h5",
        "run.h5",
        "small.h5",
        "sweep.csv",
        "selection.png",
        "results",
        "results.html",
    }


def test_every_command_is_shown():
    from sshml.cli import app

    for command in app.registered_commands:
        assert f"sshml {command.callback.__name__}" in blocks("bash")[2]


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert (ROOT / target).exists(), target


def test_pinned_torch():
    assert "torch==2.13.0" in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
