"""Reading runs back: from a store's encoded events to events, states and results, streaming."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import attrs

from themis.pure.chain import read_event
from themis.pure.errors import StoreError
from themis.pure.events import CaseRunEvent, GenerationCompletedEvent, LabelGivenEvent, RunEvent
from themis.pure.json import decode
from themis.pure.pipeline.effects import Ask, Recalled
from themis.pure.pipeline.recorded import unanswered
from themis.pure.pipeline.run import Run
from themis.pure.plan import CaseItem, case_items, items_between
from themis.pure.protocols import KnowsWriters, ReadsParts, RunReader, RunStore
from themis.pure.records.snapshot import RunSnapshot
from themis.pure.records.stored import ChainHead, StoredEvent
from themis.pure.state import CaseState, fold_case, new_state


@attrs.frozen
class AsOf:
    """A run's store as it was when the run's chain ended in `end`: what came later is not seen.

    Labels are: people give them to answers of a run that is over, and they change no result.
    """

    store: RunStore
    run_id: str
    end: ChainHead

    def head(self, run_id: str) -> ChainHead:
        return self.end

    def events(self, run_id: str) -> Iterator[StoredEvent]:
        return self._until(self.store.events(run_id))

    def run_events(self, run_id: str) -> Sequence[StoredEvent]:
        return tuple(self._until(self.store.run_events(run_id)))

    def events_by_case(self, run_id: str) -> Iterator[StoredEvent]:
        return self._until(self.store.events_by_case(run_id))

    def case_events(self, run_id: str, case_no: int) -> Sequence[StoredEvent]:
        return tuple(self._until(self.store.case_events(run_id, case_no)))

    def blob(self, ref: str) -> bytes:
        return self.store.blob(ref)

    def is_interrupted(self, run_id: str) -> bool:
        return isinstance(self.store, KnowsWriters) and self.store.is_interrupted(run_id)

    def _until(self, events: Iterable[StoredEvent]) -> Iterator[StoredEvent]:
        self._check()
        last = self.end.last
        return (event for event in events if event.sequence <= last or event.event_type == _LABEL)

    def _check(self) -> None:
        """Refuse a run that was cleared since, and may have been made anew: its events are others.

        A result's chain ends in an event of the whole run, of which there are few.
        """
        if self.store.head(self.run_id) == self.end:
            return
        places = {event.sequence: event.digest for event in self.store.run_events(self.run_id)}
        if places.get(self.end.last) != self.end.digest:
            raise StoreError(
                f"run {self.run_id}: it was cleared or made anew since this result was returned, and what the result "
                "is of is gone; read the store's run by `themis.get_stored_run` or its report"
            )


def read_events(store: RunReader, run_id: str) -> Iterator[RunEvent]:
    return (read_event(stored, store.blob) for stored in store.events(run_id))


def read_case(store: RunReader, run_id: str, item: CaseItem) -> CaseState:
    return fold_case(fresh_state(item), (read_event(e, store.blob) for e in store.case_events(run_id, item.case_no)))


def fresh_state(item: CaseItem) -> CaseState:
    return new_state(item.case.case_id, item.dataset_id, item.case_key)


def read_cases(store: RunReader, snapshot: RunSnapshot) -> Iterator[tuple[CaseItem, CaseState]]:
    return ((item, fold_case(fresh_state(item), events)) for item, events in read_case_events(store, snapshot))


def read_case_events(store: RunReader, snapshot: RunSnapshot) -> Iterator[tuple[CaseItem, Sequence[RunEvent]]]:
    """Yield every case of a run with what happened to it, in plan order, holding one case at a time."""
    return (
        (item, [read_event(stored, store.blob) for stored in events]) for item, events in stored_cases(store, snapshot)
    )


def stored_cases(store: RunReader, snapshot: RunSnapshot) -> Iterator[tuple[CaseItem, Sequence[StoredEvent]]]:
    """Yield every case of a run with its events as they are stored, in plan order, holding one case at a time."""
    return _together(case_items(snapshot), store.events_by_case(snapshot.run_id))


def stored_part(
    store: ReadsParts, snapshot: RunSnapshot, cases: range
) -> Iterator[tuple[CaseItem, Sequence[StoredEvent]]]:
    """Yield consecutive cases as `stored_cases` does, reading no others."""
    return _together(items_between(snapshot, cases), store.events_of_cases(snapshot.run_id, cases))


def _together(
    items: Iterable[CaseItem], stored: Iterable[StoredEvent]
) -> Iterator[tuple[CaseItem, Sequence[StoredEvent]]]:
    groups = itertools.groupby(stored, key=lambda stored: stored.case_no)
    number, events = next(groups, (None, iter(())))
    for item in items:
        if number == item.case_no:
            yield item, list(events)
            number, events = next(groups, (None, iter(())))
        else:
            yield item, ()


def recalled(store: RunStore, key: str) -> Recalled | None:
    """Look a cache key up in the events of all runs."""
    return all_recalled(store, [key])[0]


def all_recalled(store: RunStore, keys: Sequence[str]) -> list[Recalled | None]:
    """Look cache keys up in the events of all runs, with one question to the store."""
    found = store.cached(keys)
    return [_recalled(store, *found[key]) if key in found else None for key in keys]


def _recalled(store: RunStore, run_id: str, stored: StoredEvent) -> Recalled | None:
    event = read_event(stored, store.blob)
    return Recalled(event, run_id) if isinstance(event, CaseRunEvent) else None


def unasked(run: Run, snapshot: RunSnapshot, store: RunStore, *, reuse: bool = True) -> Iterator[tuple[CaseItem, Ask]]:
    """Yield what a run would ask its generator: the candidates that neither it nor any other run of the store has.

    Args:
        run: the run; nobody is told anything.
        snapshot: the run's cases.
        store: where results are.
        reuse: what other runs stored counts.
    """
    recall = functools.partial(recalled, store) if reuse else None
    is_stored = store.head(snapshot.run_id).count > 0
    for item, events in stored_cases(store, snapshot) if is_stored else ((item, ()) for item in case_items(snapshot)):
        if _generated(events) < run.plan.candidate_count:
            state = fold_case(fresh_state(item), (read_event(stored, store.blob) for stored in events))
            yield from ((item, ask) for ask in unanswered(run, item, state.without_failures(), recall))


def _generated(events: Sequence[StoredEvent]) -> int:
    """Count the candidates that are there, without reading more than has to be."""
    made = [stored for stored in events if stored.event_type == _GENERATED]
    return len(made) if len(made) < 2 else len({decode(stored.payload)["candidate_index"] for stored in made})


_LABEL: Final = attrs.fields(LabelGivenEvent).event_type.default
_GENERATED: Final = attrs.fields(GenerationCompletedEvent).event_type.default
