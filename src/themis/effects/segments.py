"""Writing a run by many processes: dividing it, claiming a segment of it, and joining the segments at the end.

What is true stands in the store. A worker may die, vanish or wake up too late at any point here: its segment is claimed
by another, which goes on from what was stored, and what it itself appends afterwards is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime

import attrs
import trio

from themis.effects.reading import fresh_state, stored_part
from themis.pure.chain import Entry, link, link_all, read_event
from themis.pure.events import RunDividedEvent, RunEvent, RunJoinedEvent
from themis.pure.plan import CaseItem
from themis.pure.protocols import DividedStore, RunStore
from themis.pure.records.snapshot import RunSnapshot
from themis.pure.records.stored import ChainHead, Segment, StoredEvent
from themis.pure.segments import Division, divided, first_digest, joined_digest
from themis.pure.state import CaseState, fold_case


@attrs.frozen
class SegmentChain:
    """The chain of a segment that this process has claimed, and which cases those are; a journal writes it."""

    store: DividedStore
    run_id: str
    segment: Segment
    cases: range

    @property
    def location(self) -> str:
        return self.store.location

    def head(self) -> ChainHead:
        found = self.store.segment_head(self.run_id, self.segment.number)
        # Until this claim has written something, its events follow those of the claim before.
        return found if found.count > self.segment.head.count else self.segment.head

    def append(self, events: Sequence[StoredEvent], blobs: Mapping[str, bytes]) -> None:
        self.store.append_to(self.run_id, self.segment.number, events, blobs)


def divide(store: DividedStore, run_id: str, cases: int, size: int, now: datetime) -> Division:
    """Divide a run that this process has acquired, unless it is divided already; return how it is.

    Args:
        store: where the run is.
        run_id: the run.
        cases: how many it has.
        size: how many a segment is to have.
        now: when.

    Raises:
        SpecError: it can't be divided so.
    """
    found = store.segment_size(run_id)
    if found is not None:
        return Division(cases=cases, size=found)
    division = divided(cases, size)
    head = store.head(run_id)
    event, _ = link(
        head.digest, head.last + 1, None, RunDividedEvent(run_id=run_id, occurred_at=now, segment_size=size), None
    )
    firsts = [first_digest(event.digest, segment) for segment in range(len(division))]
    store.divide(run_id, firsts, size, event)
    return division


def begin(store: DividedStore, run_id: str, manifest: str, started: RunEvent) -> None:
    """Begin an attempt at a divided run, which many processes will work on."""

    def make(head: ChainHead, segments: Sequence[Segment]) -> Sequence[StoredEvent]:
        return link_all(head, [Entry(None, _joined(run_id, started.occurred_at, segments)), Entry(None, started)])[0]

    store.begin(run_id, manifest, make)


def end(store: DividedStore, run_id: str, ending: Callable[[int], RunEvent], *, done: bool) -> bool:
    """End the attempt at a divided run if nobody did; tell whether this call did.

    Args:
        store: where the run is; this process has joined it.
        run_id: the run.
        ending: returns the event that says how it ended, given how many events the run has with it.
        done: only if all segments are done; else it is ended as it stands.
    """

    def make(head: ChainHead, segments: Sequence[Segment]) -> Sequence[StoredEvent]:
        if done and not all(segment.is_done for segment in segments):
            return ()
        last = ending(head.count + 2)
        return link_all(head, [Entry(None, _joined(run_id, last.occurred_at, segments)), Entry(None, last)])[0]

    return store.end(run_id, make)


def _joined(run_id: str, now: datetime, segments: Sequence[Segment]) -> RunJoinedEvent:
    heads = joined_digest(segment.head for segment in segments)
    return RunJoinedEvent(run_id=run_id, occurred_at=now, segments=len(segments), heads=heads)


def joins(store: RunStore, run_id: str, now: datetime) -> list[Entry]:
    """Return what a process that has acquired a run writes into its chain first: where the segments end, if any.

    Nothing if the last event that says so says the same.
    """
    segments = store.segments(run_id) if isinstance(store, DividedStore) else ()
    if not segments:
        return []
    events = (read_event(stored, store.blob) for stored in reversed(store.run_events(run_id)))
    last = next((event for event in events if isinstance(event, RunJoinedEvent)), None)
    joined = _joined(run_id, now, segments)
    return [] if last is not None and last.heads == joined.heads else [Entry(None, joined)]


def cases_of(store: DividedStore, snapshot: RunSnapshot, cases: range) -> Iterator[tuple[CaseItem, CaseState]]:
    """Yield a segment's cases with what is stored of them, holding one at a time."""
    for item, stored in stored_part(store, snapshot, cases):
        yield item, fold_case(fresh_state(item), [read_event(one, store.blob) for one in stored])


async def claimed(store: DividedStore, run_id: str, wanted: int | None, again_s: float) -> Segment | None:
    """Return a segment that this process has claimed, or `None` if nothing is left to do.

    Args:
        store: where the run is; this process has joined it.
        run_id: the run.
        wanted: this segment alone, as soon as it is free; the first that is if not given.
        again_s: seconds until it is looked again, while other processes have all that is left.
    """
    while True:
        segment = await trio.to_thread.run_sync(store.claim, run_id, wanted)
        if segment is not None or await trio.to_thread.run_sync(store.is_worked_off, run_id, wanted):
            return segment
        await trio.sleep(again_s)
