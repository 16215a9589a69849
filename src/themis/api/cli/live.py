"""How far a run is, on stderr: a line that changes on a terminal, and else a line a minute.

It says done, errors, cases/s, time left, tokens, and which endpoint asked to be left alone until when.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final, TextIO

from themis.effects.options import Progress
from themis.pure.text import one_line

_INTERVAL_S: Final = 0.2
_LOG_INTERVAL_S: Final = 60.0
"""Seconds between two lines where stderr is a file or a pipe."""

_WORTH_SAYING_S: Final = 5.0
"""A wait of fewer seconds is in the order of things."""


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


def waits(progress: Progress, now: float) -> str:
    """Return which endpoints asked to be left alone, for how long from now on; nothing if none did."""
    told = []
    for endpoint, until in sorted(progress.waits.items()):
        if (left := until - now) > 0:
            moment = datetime.now().astimezone() + timedelta(seconds=left)
            told.append(f"{endpoint} asked to be left alone until {moment:%H:%M:%S} ({left:.0f} s)")
    return "; ".join(told)


@contextlib.contextmanager
def shown(progress: Progress) -> Iterator[None]:
    """Show how far a run is while the block runs."""
    out, over = sys.stderr, threading.Event()
    # A thread polls, so that the run never waits for whatever reads stderr.
    show = _redraw if out.isatty() else _log
    thread = threading.Thread(target=show, args=(progress, out, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _redraw(progress: Progress, out: TextIO, over: threading.Event) -> None:
    started = time.monotonic()
    while not over.wait(_INTERVAL_S):
        now = time.monotonic()
        width = shutil.get_terminal_size().columns - 1  # a line that wraps can't be wiped
        line = one_line(_joined(waits(progress, now), progress_line(progress, now - started)))
        _write(out, f"\r\x1b[K{line[:width]}")
    _write(out, "\r\x1b[K")


def _log(progress: Progress, out: TextIO, over: threading.Event) -> None:
    started = told = time.monotonic()
    waited = dict[str, float]()
    while not over.wait(_INTERVAL_S):
        now = time.monotonic()
        news = progress.waits.copy()
        if any(until - max(now, waited.get(who, now)) > _WORTH_SAYING_S for who, until in news.items()):
            waited = news
            _write(out, _stamped(waits(progress, now)))
        if now - told >= _LOG_INTERVAL_S:
            told = now
            _write(out, _stamped(_joined(progress_line(progress, now - started), waits(progress, now))))


def _joined(*parts: str) -> str:
    return ", ".join(filter(None, parts))


def _stamped(line: str) -> str:
    return f"themis: {datetime.now().astimezone():%H:%M:%S} {one_line(line)}\n"


def _write(out: TextIO, text: str) -> None:
    with contextlib.suppress(OSError, ValueError):  # nobody reads it any more
        out.write(text)
        out.flush()
