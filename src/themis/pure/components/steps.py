"""A limit on how much a computation may do, in steps and not in seconds.

A clock would make a result depend on the machine and the hour; a signal works in the main thread only; a process is
not pure. A step is a line of Python that is run, counted by the interpreter's own trace hook, in this thread and for
this computation alone. What one line does in C is not counted: whoever sets a limit bounds that before.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, Final, TypeVar

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
    left, calls = steps, 0

    def count(frame: FrameType, event: str, argument: Any) -> Tracer:
        nonlocal left, calls
        left -= 1
        # Not at a return or an exception: a generator that is being closed has these, and could pass nothing on.
        if left < 0 and event in ("call", "line"):
            calls = 0
            sys.setprofile(look_again)
            raise StepLimitReached
        return count

    def look_again(frame: FrameType, event: str, argument: Any) -> None:
        # Who raises is traced no more. Where nothing is passed on, as by a finalizer that was running just then, the
        # computation would go on for ever; what cleans up on the way out takes far fewer calls than that.
        nonlocal calls
        calls += 1
        if calls > _CALLS_TO_END:
            sys.settrace(count)

    before, profile = sys.gettrace(), sys.getprofile()
    sys.settrace(count)
    try:
        return compute(*arguments)
    finally:
        sys.setprofile(profile)
        sys.settrace(before)


_CALLS_TO_END: Final = 100_000
