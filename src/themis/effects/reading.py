"""Reading runs back: from a store's encoded events to events, states and results, streaming."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from themis.pure.chain import read_event
from themis.pure.events import RunEvent
from themis.pure.json import decode
from themis.pure.plan import CaseItem, case_items
from themis.pure.protocols import RunStore
from themis.pure.records.snapshot import RunSnapshot
from themis.pure.records.stored import StoredEvent
from themis.pure.state import CaseState, ExecutionState, fold, fold_case, new_state


def read_events(store: RunStore, run_id: str) -> Iterator[RunEvent]:
    """Yield a run's events in order, blobs in their places."""
    return (read_event(stored, store.blob) for stored in store.events(run_id))


def read_state(store: RunStore, run_id: str) -> ExecutionState:
    """Return the whole state of a run; for runs that fit into memory."""
    return fold(run_id, read_events(store, run_id))


def read_case(store: RunStore, run_id: str, item: CaseItem) -> CaseState:
    """Return one case's state."""
    return fold_case(fresh_state(item), (read_event(e, store.blob) for e in store.case_events(run_id, item.case_no)))


def fresh_state(item: CaseItem) -> CaseState:
    """Return the state of a case that nothing has happened to."""
    return new_state(item.case.case_id, item.dataset_id, item.case_key)


def read_cases(store: RunStore, snapshot: RunSnapshot) -> Iterator[tuple[CaseItem, CaseState]]:
    """Yield every case of a run with its state, in plan order, holding one case at a time."""
    return ((item, fold_case(fresh_state(item), events)) for item, events in read_case_events(store, snapshot))


def read_case_events(store: RunStore, snapshot: RunSnapshot) -> Iterator[tuple[CaseItem, Sequence[RunEvent]]]:
    """Yield every case of a run with what happened to it, in plan order, holding one case at a time."""
    return (
        (item, [read_event(stored, store.blob) for stored in events]) for item, events in stored_cases(store, snapshot)
    )


def stored_cases(store: RunStore, snapshot: RunSnapshot) -> Iterator[tuple[CaseItem, Sequence[StoredEvent]]]:
    """Yield every case of a run with its events as they are stored, in plan order, holding one case at a time."""
    groups = itertools.groupby(store.events_by_case(snapshot.run_id), key=lambda stored: stored.case_no)
    number, events = next(groups, (None, iter(())))
    for item in case_items(snapshot):
        if number == item.case_no:
            yield item, list(events)
            number, events = next(groups, (None, iter(())))
        else:
            yield item, ()


def read_generated(store: RunStore, snapshot: RunSnapshot) -> Iterator[tuple[CaseItem, frozenset[int]]]:
    """Yield every case of a run with the indices of the candidates that it has, without reading the rest of it."""
    for item, events in stored_cases(store, snapshot):
        generated = (stored for stored in events if stored.event_type == "generation_completed")
        yield item, frozenset(decode(stored.payload)["candidate_index"] for stored in generated)
