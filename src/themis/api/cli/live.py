"""The progress line: done, errors, cases/s, ETA, tokens; on a terminal's stderr, and nowhere else."""

from __future__ import annotations

import contextlib
import shutil
import sys
import threading
import time
from collections.abc import Iterator

from themis.effects.options import Progress

INTERVAL_S = 0.2


def progress_line(progress: Progress, seconds: float) -> str:
    """Return how far a run is, in one line.

    >>> progress_line(Progress(total=100, done=50, failed=2, tokens=1200), 10.0)
    '50/100 done, 2 errors, 5.0 cases/s, 10 s left, 1,200 tokens'
    """
    fresh = progress.done - progress.reused
    speed = fresh / seconds if seconds > 0 else 0.0
    left = f"{(progress.total - progress.done) / speed:.0f} s left" if speed > 0 else "? left"
    tokens = f", {progress.tokens:,} tokens" if progress.tokens else ""
    reused = f", {progress.reused} stored before" if progress.reused else ""
    return (
        f"{progress.done}/{progress.total} done, {progress.failed} errors, {speed:.1f} cases/s, {left}{tokens}{reused}"
    )


@contextlib.contextmanager
def shown(progress: Progress) -> Iterator[None]:
    """Show the progress line while the block runs, if stderr is a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    over, started = threading.Event(), time.monotonic()

    def show() -> None:
        while not over.wait(INTERVAL_S):
            # A thread polls, so that the run never waits for the terminal.
            width = shutil.get_terminal_size().columns - 1  # a line that wraps can't be wiped
            sys.stderr.write(f"\r\x1b[K{progress_line(progress, time.monotonic() - started)[:width]}")
            sys.stderr.flush()

    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()
