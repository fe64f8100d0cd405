"""A process that runs tasks for another: `python -m sshml.worker`, a JSON line in for each, JSON lines out.

In: {"function", "arguments"}. Out: any number of {"progress": [done, total]}, then {"value"} or {"error", ...} as from
`sshml.jobs.call`. What a task prints goes to standard error. The process ends with its standard input, at once.
"""

import json
import os
import queue
import sys
import threading
import time

from sshml.jobs import call

EVERY = 0.2
"""Seconds between two lines of progress."""


def main():
    """Serve until standard input ends."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.stdout = sys.stderr  # which keeps nothing back
    lines, said = queue.SimpleQueue(), 0.0

    def listen():
        for line in sys.stdin:
            lines.put(line)
        os._exit(1)  # whoever wanted the result is gone

    def say(answer):
        out.write(json.dumps(answer) + "\n")
        out.flush()

    def report(done, total):
        nonlocal said
        if time.monotonic() > said + EVERY:
            said = time.monotonic()
            say({"progress": [float(done), float(total)]})

    threading.Thread(target=listen, daemon=True).start()
    while True:
        task = json.loads(lines.get())
        say(call(task["function"], task["arguments"], report))


if __name__ == "__main__":
    main()
