"""A limit on how much a computation may do, in steps and not in seconds.

A clock would make a result depend on the machine and the hour; a signal works in the main thread only; a process is
not pure. A step is a line of Python that is run, counted by the interpreter's own trace hook, in this thread and for
this computation alone. What one line does in C is not counted: whoever sets a limit bounds that before.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, TypeVar

T = TypeVar("T")
Tracer = Callable[[FrameType, str, Any], Any]


class StepLimitReached(BaseException):
    """A computation took more steps than it may. No `Exception`, so that no `except Exception` on the way keeps it."""


def limited(steps: int, compute: Callable[..., T], *arguments: Any) -> T:
    """Return what a function returns.

    Raises:
        StepLimitReached: it ran more lines than that.

    >>> limited(100, sorted, [2, 1])
    [1, 2]
    """
    left = steps

    def count(frame: FrameType, event: str, argument: Any) -> Tracer:
        nonlocal left
        left -= 1
        # Not at a return or an exception: a generator that is being closed has these, and could pass nothing on.
        if left < 0 and event in ("call", "line"):
            raise StepLimitReached
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        return compute(*arguments)
    finally:
        sys.settrace(before)
