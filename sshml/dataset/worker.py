"""A process that makes shards: `python -m sshml.dataset.worker`, one JSON line in and one out per shard.

The first line in is the job, {"spec", "folder", "recipe"}; each further one is a shard, answered by {"count"} or
{"error"}. The process ends with its standard input, and so with its parent. A process of its own rather than one of
`multiprocessing`: no guard around the user's main module, no threads across a fork.
"""

import json
import sys

from sshml.dataset.shards import Shard, make_shard
from sshml.dataset.spec import DatasetSpec
from sshml.errors import SSHMLError


def main():
    """Serve until standard input ends."""
    job = json.loads(sys.stdin.readline())
    spec = DatasetSpec.from_json(job["spec"])
    for line in sys.stdin:
        try:
            answer = {"count": make_shard(spec, job["folder"], Shard(**json.loads(line)), job["recipe"])}
        except SSHMLError as error:
            answer = {"error": str(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
