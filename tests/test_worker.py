import json
import subprocess
import sys
import time

import pytest

FUNCTIONS = """
import sys, time
from pathlib import Path

def work(steps, report=None):
    print("a word")
    for step in range(steps):
        report(step, steps)
    return {"steps": steps}

def sleep(path, report=None):
    Path(path).touch()
    time.sleep(600)
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "f.py").write_text(FUNCTIONS)
    return tmp_path / "f.py"


def start():
    command = [sys.executable, "-m", "sshml.worker"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, text=True, **pipes)


def test_a_line_in_and_lines_out(file):
    with start() as process:
        for function, arguments in (("work", {"steps": 3}), ("work", {"wrong": 1})):
            process.stdin.write(json.dumps({"function": f"{file}:{function}", "arguments": arguments}) + "\n")
        process.stdin.flush()
        lines = [json.loads(process.stdout.readline()) for _ in range(3)]
        process.stdin.close()
        assert process.wait(timeout=60) == 1
        assert "a word" in process.stderr.read()
    assert lines[0] == {"progress": [0, 3]}
    assert lines[1] == {"value": {"steps": 3}}
    assert lines[2]["error"].startswith("TypeError")


def test_it_ends_with_its_parent_in_the_middle_of_a_task(file, tmp_path):
    with start() as process:
        arguments = {"path": str(tmp_path / "flag")}
        process.stdin.write(json.dumps({"function": f"{file}:sleep", "arguments": arguments}) + "\n")
        process.stdin.flush()
        while not (tmp_path / "flag").exists():
            time.sleep(0.05)
        process.stdin.close()
        assert process.wait(timeout=60) == 1
