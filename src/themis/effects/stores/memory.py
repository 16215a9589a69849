"""The memory store: for tests, notebooks and throw-away runs. Nothing survives the process."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import attrs

from themis.effects.stores.base import STARTED, EventStore, overtaken, summary_of
from themis.pure.errors import StoreError
from themis.pure.plan import total_cases
from themis.pure.records.config import StorageConfig
from themis.pure.records.snapshot import RunSnapshot
from themis.pure.records.stored import ChainHead, RunSummary, StoredEvent


@attrs.define
class _Run:
    snapshot: RunSnapshot
    number: int
    events: list[StoredEvent] = attrs.field(factory=list)
    by_case: dict[int | None, list[StoredEvent]] = attrs.field(factory=dict)
    blobs: set[str] = attrs.field(factory=set)

    def drop_after(self, count: int, blobs: set[str]) -> None:
        self.events, kept = [], self.events[:count]
        self.by_case, self.blobs = {}, blobs
        self.add(kept)

    def add(self, events: Sequence[StoredEvent]) -> None:
        self.events.extend(events)
        for event in events:
            self.by_case.setdefault(event.case_no, []).append(event)

    def cases(self) -> list[tuple[int, list[StoredEvent]]]:
        return sorted((number, events) for number, events in self.by_case.items() if number is not None)


class InMemoryRunStore(EventStore):
    """A store that lives as long as the process, for tests and local development.

    >>> store = InMemoryRunStore()
    >>> store.list_runs()
    ()
    """

    def __init__(self) -> None:
        super().__init__("memory (not kept after this process)")
        self._runs: dict[str, _Run] = {}
        self._blobs: dict[str, bytes] = {}
        self._cache: dict[str, tuple[str, StoredEvent]] = {}
        self._numbers = 0

    @property
    def storage(self) -> StorageConfig:
        return StorageConfig(store="memory")

    def __reduce__(self) -> tuple[Callable[..., InMemoryRunStore], tuple[object, ...]]:
        return _kept, (self._runs, self._blobs, self._numbers)

    def _lock(self, run_id: str) -> Callable[[], None]:
        return lambda: None  # no other process can write here

    def _is_locked(self, run_id: str) -> bool:
        return False

    def persist_snapshot(self, snapshot: RunSnapshot) -> None:
        if snapshot.run_id not in self._runs:
            self._numbers += 1
            self._runs[snapshot.run_id] = _Run(snapshot, self._numbers)

    def load_snapshot(self, run_id: str) -> RunSnapshot:
        return self._run(run_id).snapshot

    def _run(self, run_id: str) -> _Run:
        try:
            return self._runs[run_id]
        except KeyError:
            raise self._no_run(run_id) from None

    def _lines(self) -> Iterable[RunSummary]:
        for run_id, run in reversed(tuple(self._runs.items())):
            started = [event.payload for event in run.by_case.get(None, ()) if event.event_type == STARTED]
            last = run.events[-1].payload if run.events else None
            yield summary_of(run_id, run.snapshot.header(), total_cases(run.snapshot), len(run.events), started, last)

    @contextlib.contextmanager
    def transaction(self, run_id: str) -> Iterator[None]:
        """Forget what was written of the run within the context, should it be left by an exception."""
        run = self._runs.get(run_id)
        count, blobs = (len(run.events), {*run.blobs}) if run is not None else (0, set[str]())
        try:
            yield
        except BaseException:
            if run is None:
                self._runs.pop(run_id, None)
            else:
                run.drop_after(count, blobs)
            self._sweep()
            raise

    def append(self, run_id: str, events: Sequence[StoredEvent], blobs: Mapping[str, bytes]) -> None:
        run = self._run(run_id)
        if not events:
            return
        if events[0].sequence != len(run.events) + 1:
            raise overtaken(run_id)
        run.add(events)
        run.blobs.update(blobs)
        self._blobs.update(blobs)
        self._remember(run_id, run, events)

    def _remember(self, run_id: str, run: _Run, events: Sequence[StoredEvent]) -> None:
        for event in events:
            if event.cache_key is not None:
                known = self._cache.get(event.cache_key)
                if known is None or self._runs[known[0]].number <= run.number:
                    self._cache[event.cache_key] = (run_id, event)

    def head(self, run_id: str) -> ChainHead:
        run = self._runs.get(run_id)
        if run is None or not run.events:
            return ChainHead()
        return ChainHead(run.events[-1].sequence, run.events[-1].digest)

    def events(self, run_id: str) -> Iterator[StoredEvent]:
        return iter(tuple(self._run(run_id).events))

    def events_by_case(self, run_id: str) -> Iterator[StoredEvent]:
        return (event for _, events in self._run(run_id).cases() for event in events)

    def _of_case(self, run_id: str, case_no: int | None) -> Sequence[StoredEvent]:
        return tuple(self._run(run_id).by_case.get(case_no, ()))

    def settled_cases(self, run_id: str, scores: int) -> Iterator[int]:
        for number, events in self._run(run_id).cases():
            types = [event.event_type for event in events]
            failed = any(name.endswith("_failed") for name in types)
            if scores and types.count("score_completed") == scores and not failed:
                yield number

    def blob(self, ref: str) -> bytes:
        try:
            return self._blobs[ref]
        except KeyError:
            raise StoreError(f"blob {ref} is missing in {self.location}") from None

    def blob_refs(self) -> Sequence[str]:
        """Return the content hashes of all blobs."""
        return tuple(self._blobs)

    def cached(self, keys: Sequence[str]) -> Mapping[str, tuple[str, StoredEvent]]:
        return {key: self._cache[key] for key in keys if key in self._cache}

    def clear_run(self, run_id: str) -> None:
        self._run(run_id)
        del self._runs[run_id]
        self._sweep()

    def _sweep(self) -> None:
        """Forget the blobs that no run uses, and the cached events that no run has."""
        for ref in self._blobs.keys() - {ref for run in self._runs.values() for ref in run.blobs}:
            del self._blobs[ref]
        self._cache.clear()
        for run_id, run in self._runs.items():
            self._remember(run_id, run, run.events)


def _kept(runs: dict[str, _Run], blobs: dict[str, bytes], numbers: int) -> InMemoryRunStore:
    """Return a store with what a pickled one held."""
    store = InMemoryRunStore()
    store._runs, store._blobs, store._numbers = runs, blobs, numbers
    store._sweep()
    return store
