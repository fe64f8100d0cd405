"""The example of CONTRIBUTING.md is complete and runs as printed."""

import re
import subprocess
import sys
from pathlib import Path

from sshml.tables import read_csv

TEXT = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_an_experiment_of_thirty_lines(tmp_path):
    (example,) = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
    (command,) = re.findall(r"```sh\n(.*?)```", TEXT, flags=re.DOTALL)
    assert len([line for line in example.splitlines() if line.strip()]) <= 36
    (tmp_path / "my_experiment.py").write_text(example)
    path = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(tmp_path)}

    def run():
        return subprocess.run(command, shell=True, cwd=tmp_path, env=path, capture_output=True, text=True, check=False)

    found = run()
    assert found.returncode == 0, found.stderr
    folder = tmp_path / "results" / "my_experiment"
    claims = read_csv(folder / "claims.csv")
    assert [row["claim"] for row in claims] == ["accuracy, 4 cells", "accuracy, 12 cells"]
    assert {row["seeds"] for row in claims} == {"5"}
    assert (folder / "edge.png").stat().st_size > 5000
    assert len(list((tmp_path / "results" / "jobs").glob("*/done/result.json"))) == 10
    when = {file: file.stat().st_mtime_ns for file in (tmp_path / "results" / "jobs").rglob("result.json")}
    assert run().returncode == 0
    assert all(file.stat().st_mtime_ns == at for file, at in when.items())


def test_every_room_is_on_the_map():
    import sshml

    for path in Path(sshml.__file__).parent.iterdir():
        if path.suffix == ".py" or (path / "__init__.py").exists():
            assert f"`{path.stem}" in TEXT or path.stem == "__init__", path
