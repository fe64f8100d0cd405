import json
import subprocess
import sys

from sshml.dataset import DatasetSpec
from sshml.dataset.shards import Shard, is_complete

SPEC = DatasetSpec(cells=3, disorder_v=0.5, train=40, valid=7, test=11, seed=5)


def serve(folder, *shards):
    job = {"spec": SPEC.to_json(), "folder": str(folder), "recipe": False}
    lines = "".join(json.dumps(line) + "\n" for line in (job, *shards))
    command = [sys.executable, "-m", "sshml.dataset.worker"]
    found = subprocess.run(command, input=lines, capture_output=True, text=True, check=True, timeout=100)
    return [json.loads(line) for line in found.stdout.splitlines()]


def test_a_worker_answers_every_shard_and_ends_with_its_input(tmp_path):
    shards = [{"split": "train", "first": 0, "count": 20}, {"split": "test", "first": 3, "count": 8}]
    assert serve(tmp_path, *shards) == [{"count": 20}, {"count": 8}]
    assert all(is_complete(tmp_path / Shard(**s).name, SPEC, Shard(**s), False) for s in shards)


def test_an_error_is_an_answer(tmp_path):
    (tmp_path / "file").write_text("no folder")
    (answer,) = serve(tmp_path / "file", {"split": "train", "first": 0, "count": 20})
    assert "could not be" in answer["error"]
