"""A worker process of the engine `Processes`: the task is the first line of stdin, what it came to goes to stdout.

Its stdin stays open as long as its engine lives. When it ends, so does the worker, as if it had been interrupted.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading


def main() -> int:
    """Work on a run until nothing is left of it."""
    from themis.api.experiment.many.work import Task, work_on
    from themis.effects.jobs import own_stdout
    from themis.pure.errors import ThemisError

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    task = Task.from_dict(json.loads(sys.stdin.readline()))
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    with own_stdout() as out:
        try:
            worked = work_on(task)
        except ThemisError as error:
            sys.stderr.write(f"{error}\n")
            return 1
        out.write(json.dumps(worked.to_dict()))
    return 0


def _end_with_stdin() -> None:
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGINT)


if __name__ == "__main__":
    sys.exit(main())
