"""The journal: the one writer of a chain. It chains events, batches them by time and size, and acknowledges.

`append` encodes an event and hands it over without waiting, so that the records behind it need not live until
the disk has been heard of; `durable` waits until everything handed over so far is in the
store. Batches are written in a worker thread, one at a time, so that the event loop never waits for a disk; an event
that was handed over is stored within `_INTERVAL` seconds, or the run fails saying why.

One task, `run`, writes; any other may append. Of the two one-shot events that it waits for, `_has_events` says that
there is something to write, and `_write_now` that there is no point in gathering more: the batch is full, or someone
waits in `durable`. `run` makes both anew before it writes, so what is appended meanwhile sets the new ones and is
written in the next round. `_progressed` is told after every batch and after a failure; `space` and `durable` look again
then.

Who may cancel what: nobody cancels `run`. It is in a nursery of its own around that of the workers, and is shielded
and protected from Ctrl-C all along, because a cancelled run is where it matters most: `close`, itself called under a
shield, has everything written that the workers finished, and `run` then ends by itself. `space` and `durable` may be
cancelled: they only wait. Whatever ends `run`, be it a store that fails for good, `run` raises it, which cancels the
workers; `_failure` is what those who append or wait from then on are told, so that none of them waits for a task that
is no more.
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Protocol

import attrs
import trio

from themis.pure.chain import link
from themis.pure.errors import StoreError
from themis.pure.events import RunEvent
from themis.pure.protocols import RunStore
from themis.pure.records.stored import ChainHead, StoredEvent

_INTERVAL: Final = 0.05
"""Seconds of work that a crash may cost at most."""
_LARGEST_BATCH: Final = 4_000
"""Events in one transaction; past twice as many waiting, appending waits for the disk."""
_LARGEST_BYTES: Final = 16 << 20
"""The same in bytes of events and blobs: answers may be large, and a disk slow."""

Acknowledged = Callable[[Sequence[RunEvent]], Awaitable[None]]


class Chain(Protocol):
    """Where a journal writes: a chain of events in a store, of which its holder is the one writer."""

    @property
    def location(self) -> str:
        """Where the store is, for people."""

    def head(self) -> ChainHead:
        """Return the chain's end."""

    def append(self, events: Sequence[StoredEvent], blobs: Mapping[str, bytes]) -> None:
        """Keep events and their blobs, durably and all or nothing."""


@attrs.frozen
class RunChain:
    """A run's own chain."""

    _store: RunStore
    _run_id: str

    @property
    def location(self) -> str:
        return self._store.location

    def head(self) -> ChainHead:
        return self._store.head(self._run_id)

    def append(self, events: Sequence[StoredEvent], blobs: Mapping[str, bytes]) -> None:
        self._store.append(self._run_id, events, blobs)


class Journal:
    """Writes events into a chain, in order, in batches."""

    def __init__(
        self,
        chain: Chain,
        *,
        attempts: int = 5,
        delay: float = 0.1,
        acknowledged: Acknowledged | None = None,
    ) -> None:
        self._chain = chain
        self._attempts = attempts
        self._delay = delay
        self._acknowledged = acknowledged
        head = chain.head()
        self._written = self._appended = head.last
        self._digest = head.digest
        self._count = head.count
        self._waiting: list[StoredEvent] = []
        self._blobs: dict[str, bytes] = {}
        self._bytes = 0
        self._unacknowledged: deque[RunEvent] = deque()
        self._has_events = trio.Event()
        self._write_now = trio.Event()
        self._progressed = trio.Condition()
        self._closing = False
        self._stalled = False
        self._failure: BaseException | None = None

    def append(self, case_no: int | None, event: RunEvent, cache_key: str | None = None) -> None:
        """Hand an event over; it is stored soon. Raises `StoreError` if the store has failed for good."""
        if self._failure is not None:
            raise self._failure
        sequence = self._appended + 1
        stored, blobs = link(self._digest, sequence, case_no, event, cache_key)
        self._appended, self._digest = sequence, stored.digest
        self._count += 1
        self._waiting.append(stored)
        self._bytes += len(stored.payload)
        if blobs:
            self._blobs.update(blobs)
            self._bytes += sum(map(len, blobs.values()))
        if self._acknowledged is not None:
            self._unacknowledged.append(event)
        if len(self._waiting) == 1:
            self._has_events.set()
        elif len(self._waiting) == _LARGEST_BATCH or self._bytes >= _LARGEST_BYTES:
            self._write_now.set()

    @property
    def count(self) -> int:
        """How many events the chain has, with those that were handed over."""
        return self._count

    @property
    def is_full(self) -> bool:
        """Whether no new case is to begin: too much waits for the disk, or it failed, and what is paid may be lost."""
        return self._stalled or len(self._waiting) >= 2 * _LARGEST_BATCH or self._bytes >= 2 * _LARGEST_BYTES

    async def space(self) -> None:
        await self._until(lambda: not self.is_full)

    async def durable(self) -> None:
        """Wait until everything appended so far is stored and acknowledged."""
        target = self._appended
        self._write_now.set()
        await self._until(lambda: self._written >= target)

    async def _until(self, holds: Callable[[], bool]) -> None:
        async with self._progressed:
            while not holds():
                if self._failure is not None:
                    raise self._failure
                await self._progressed.wait()

    @trio.lowlevel.enable_ki_protection
    async def run(self) -> None:
        """Write batches until closed; the engine starts this once, beside the workers."""
        with trio.CancelScope(shield=True):
            try:
                await self._write_until_closed()
            except BaseException as error:
                self._failure = error
                async with self._progressed:
                    self._progressed.notify_all()
                raise

    async def _write_until_closed(self) -> None:
        while not (self._closing and not self._waiting):
            await self._has_events.wait()
            with trio.move_on_after(_INTERVAL):
                await self._write_now.wait()
            self._has_events, self._write_now = trio.Event(), trio.Event()
            await self._write_all()

    async def _write_all(self) -> None:
        while self._waiting:
            events, self._waiting = self._waiting[:_LARGEST_BATCH], self._waiting[_LARGEST_BATCH:]
            # A blob may go in with an earlier batch than its event, never with a later one.
            blobs, self._blobs, self._bytes = self._blobs, {}, sum(len(event.payload) for event in self._waiting)
            await self._write(events, blobs)
            self._written = events[-1].sequence
            if self._acknowledged is not None:
                await self._acknowledged([self._unacknowledged.popleft() for _ in events])
            async with self._progressed:
                self._progressed.notify_all()

    async def _write(self, events: Sequence[StoredEvent], blobs: Mapping[str, bytes]) -> None:
        last, digest = events[-1].sequence, events[-1].digest
        write = functools.partial(self._chain.append, events, blobs)
        for attempt in range(1, self._attempts + 1):
            try:
                await trio.to_thread.run_sync(write)
                break
            except Exception as error:
                self._stalled = True
                # It may have raised after its commit; a batch that is written twice would break the chain.
                if await self._was_written(last, digest):
                    break
                if attempt == self._attempts:
                    raise self._given_up(error) from error
            await trio.sleep(self._delay * attempt)
        self._stalled = False

    async def _was_written(self, last: int, digest: str) -> bool:
        """Tell whether a write that raised came through all the same."""
        try:
            head = await trio.to_thread.run_sync(self._chain.head)
        except Exception:
            return False
        return (head.last, head.digest) == (last, digest)

    def _given_up(self, error: Exception) -> StoreError:
        return StoreError(
            f"{self._chain.location}: could not write after {self._attempts} attempts: {error}. What was stored "
            "before is kept; mend the store (free the disk, check its permissions) and run again to resume"
        )

    async def close(self) -> None:
        """Write what is waiting, then let `run` end."""
        self._closing = True
        await self.durable()
        self._has_events.set()
