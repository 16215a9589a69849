"""Ctrl-C: the first one stops a run in good order, a second one ends the process at once.

trio raises the first as `KeyboardInterrupt` in the run; storing what finished may then wait for a thread, a component
that cleans up, or a slow disk. Someone who presses again does not want to wait: what is stored is safe at any moment.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

EXIT_CODE: Final = 130
"""What shells report for a process that SIGINT ended: 128 + 2."""

_LAST_WORDS: Final = (
    b"\nthemis: exited at once; what was stored by now is kept: run the same again to go on from there\n"
)

_PATIENCE: Final = 3.0
"""Seconds after which someone who pressed once is told that it may be pressed again."""
_STILL_THERE: Final = (
    b"\nthemis: stopping, once the component that is being called lets it; Ctrl-C again exits at once, and what is "
    b"stored is kept\n"
)


@contextmanager
def second_interrupt_exits() -> Iterator[None]:
    """End the process at the second SIGINT that arrives inside; the first goes to the handler that was there before.

    At an interactive prompt, in threads, and where nothing of Python handles SIGINT, this does nothing.
    """
    before = signal.getsignal(signal.SIGINT)
    if not callable(before) or threading.current_thread() is not threading.main_thread() or hasattr(sys, "ps1"):
        yield
        return
    first, told = True, threading.Timer(_PATIENCE, os.write, (2, _STILL_THERE))
    told.daemon = True

    def handler(number: int, frame: FrameType | None) -> None:
        nonlocal first
        if not first:
            os.write(2, _LAST_WORDS)
            os._exit(EXIT_CODE)
        first = False
        told.start()
        before(number, frame)

    signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        told.cancel()
        if signal.getsignal(signal.SIGINT) is handler:
            signal.signal(signal.SIGINT, before)
