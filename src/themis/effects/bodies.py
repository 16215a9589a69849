"""How many bytes of answers a run holds at once: of those that are being read, and of cases that are not done yet.

Each worker has a share, which its case fills and gives back when it is done. The share that has held something the
longest never waits; the others wait while the whole is used up, in the order in which they came. So an answer that is
larger than the whole still passes, alone, and cases whose answers come in pieces can't wait for each other for ever.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Final

import attrs
import trio

COUNTED_FROM: Final = 1 << 20
"""Bytes of an answer that are not counted: those of ordinary ones."""

_MOST: Final = 32 << 20

_share: ContextVar[Share | None] = ContextVar("themis_share_of_bodies", default=None)
_timers: ContextVar[tuple[trio.CancelScope, ...]] = ContextVar("themis_timers_of_a_call", default=())


class Bodies:
    """The whole of a run.

    Args:
        most: bytes that are held at once, but for the share that never waits.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._free = most
        self._holders: dict[Share, None] = {}  # the longest first
        self._waiting: dict[_Wait, None] = {}

    @contextlib.contextmanager
    def share(self) -> Iterator[Share]:
        """Let what is read inside belong to a share of its own."""
        share = Share(self)
        token = _share.set(share)
        try:
            yield share
        finally:
            _share.reset(token)
            share.give_back()

    async def _take(self, share: Share, size: int) -> None:
        wait = _Wait(share, size)
        self._waiting[wait] = None
        self._let_on()
        if wait.is_over.is_set():
            return
        with _stopped_timers():
            try:
                await wait.is_over.wait()
            finally:
                self._waiting.pop(wait, None)

    def _give_back(self, share: Share) -> None:
        self._free += share.held
        share.held = 0
        self._holders.pop(share, None)
        self._let_on()

    def _let_on(self) -> None:
        has_room = True
        for wait in tuple(self._waiting):
            never_waits = next(iter(self._holders), wait.share) is wait.share
            has_room = has_room and wait.size <= self._free
            if never_waits or has_room:
                del self._waiting[wait]
                self._holders[wait.share] = None
                self._free -= wait.size
                wait.share.held += wait.size
                wait.is_over.set()


@attrs.define(eq=False)
class Share:
    """What one worker's case holds, in bytes."""

    _of: Bodies
    held: int = 0

    async def take(self, size: int) -> None:
        """Return when there is room for so many bytes more."""
        await self._of._take(self, size)

    def give_back(self) -> None:
        """Give all of it back."""
        if self.held:
            self._of._give_back(self)


@attrs.frozen(eq=False)
class _Wait:
    share: Share
    size: int
    is_over: trio.Event = attrs.field(factory=trio.Event)


async def take(size: int) -> None:
    """Wait until there is room for so many bytes more of an answer; outside of a run there always is."""
    share = _share.get()
    if share is not None:
        await share.take(size)


@contextlib.contextmanager
def stopping(timer: trio.CancelScope) -> Iterator[None]:
    """Let a timer stand still while what goes on inside waits for room."""
    token = _timers.set((*_timers.get(), timer))
    try:
        yield
    finally:
        _timers.reset(token)


@contextlib.contextmanager
def _stopped_timers() -> Iterator[None]:
    timers, began = _timers.get(), trio.current_time()
    deadlines = [timer.deadline for timer in timers]
    for timer in timers:
        timer.deadline = math.inf
    try:
        yield
    finally:
        waited = trio.current_time() - began
        for timer, deadline in zip(timers, deadlines, strict=True):
            timer.deadline = deadline + waited
