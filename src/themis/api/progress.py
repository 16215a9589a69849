"""How far a run is: a line that changes on a terminal (stderr) and below a notebook's cell, and else a line a minute.

It says done, errors, cases/s, time left, tokens, and which endpoint asked to be left alone until when. A terminal shows
one run at a time: of several side by side, the first.
"""

from __future__ import annotations

import contextlib
import functools
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, Final, TextIO

import attrs

from themis.effects.options import Progress
from themis.pure.text import one_line

_INTERVAL_S: Final = 0.2
_NOTEBOOK_INTERVAL_S: Final = 2.0
"""Seconds between two changes below a notebook's cell; what is done before the first leaves no trace there."""
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


@attrs.define
class StudyProgress(Progress):
    """How far a study is. Its cases are those of the cells that were not complete when it began.

    `calls_under_way` and `cost`, in US dollars, are asked for when they are shown.
    """

    cells: int = 0
    cells_done: int = 0
    cells_failed: int = 0
    of_cells: list[Progress] = attrs.field(factory=list)
    calls_under_way: Callable[[], int] = lambda: 0
    cost: Callable[[], float | None] = lambda: None

    def of_cell(self, cases: int) -> Progress:
        """Return the progress of one more cell, which is counted into this one."""
        progress = Progress(total=cases, waits=self.waits)
        self.of_cells.append(progress)
        return progress

    def line(self, seconds: float) -> str:
        """Return how far it is, in one line.

        >>> study = StudyProgress(cells=4, cells_done=1)
        >>> cell = study.of_cell(20)
        >>> cell.done = 10
        >>> study.line(5.0)
        '1/4 cells done, 0 calls under way; 10/20 done, 0 errors, 2.0 cases/s, 5 s left'
        """
        for name in ("total", "done", "failed", "reused", "tokens"):
            setattr(self, name, sum(getattr(each, name) for each in self.of_cells))
        failed = f", {self.cells_failed} failed" if self.cells_failed else ""
        cost = self.cost()
        spent = "" if cost is None else f", ${cost:.4f}"
        return (
            f"{self.cells_done}/{self.cells} cells done{failed}, {self.calls_under_way()} calls under way; "
            f"{progress_line(self, seconds)}{spent}"
        )


def _line(progress: Progress, seconds: float) -> str:
    return progress.line(seconds) if isinstance(progress, StudyProgress) else progress_line(progress, seconds)


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
    over = threading.Event()
    # A thread polls, so that the run never waits for whatever reads stderr.
    thread = threading.Thread(target=_shower(), args=(progress, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _shower() -> Callable[[Progress, threading.Event], None]:
    display = _notebook()
    if display is not None:
        return functools.partial(_update, display)
    out = sys.stderr
    if out is None:  # a process without a console
        return lambda progress, over: None
    return functools.partial(_redraw if out.isatty() else _log, out)


def _notebook() -> Callable[..., Any] | None:
    """Return what displays below a cell, if a notebook's kernel runs this."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return None if shell is None or not hasattr(shell, "kernel") else ipython.display.display  # type: ignore[union-attr]


def _update(display: Callable[..., Any], progress: Progress, over: threading.Event) -> None:
    started, shown = time.monotonic(), None
    while not over.wait(_NOTEBOOK_INTERVAL_S):
        now = time.monotonic()
        data = {"text/plain": _joined(waits(progress, now), _line(progress, now - started))}
        if shown is None:
            shown = display(data, raw=True, display_id=True)
        else:
            shown.update(data, raw=True)
    if shown is not None:
        shown.update({"text/plain": _line(progress, time.monotonic() - started)}, raw=True)


_terminal: Final = threading.Lock()


def _redraw(out: TextIO, progress: Progress, over: threading.Event) -> None:
    if not _terminal.acquire(blocking=False):
        return
    try:
        _draw(out, progress, over)
    finally:
        _terminal.release()


def _draw(out: TextIO, progress: Progress, over: threading.Event) -> None:
    started = time.monotonic()
    while not over.wait(_INTERVAL_S):
        now = time.monotonic()
        width = shutil.get_terminal_size().columns - 1  # a line that wraps can't be wiped
        line = one_line(_joined(waits(progress, now), _line(progress, now - started)))
        _write(out, f"\r\x1b[K{line[:width]}")
    _write(out, "\r\x1b[K")


def _log(out: TextIO, progress: Progress, over: threading.Event) -> None:
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
            _write(out, _stamped(_joined(_line(progress, now - started), waits(progress, now))))


def _joined(*parts: str) -> str:
    return ", ".join(filter(None, parts))


def _stamped(line: str) -> str:
    return f"themis: {datetime.now().astimezone():%H:%M:%S} {one_line(line)}\n"


def _write(out: TextIO, text: str) -> None:
    with contextlib.suppress(OSError, ValueError):  # nobody reads it any more
        out.write(text)
        out.flush()
