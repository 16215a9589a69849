"""The memory store: for tests, notebooks and throw-away runs. Nothing survives the process."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence

import attrs

from themis.effects.stores.summaries import summary_of
from themis.pure.errors import RunLockedError, RunNotFoundError, StoreError
from themis.pure.records.snapshot import RunSnapshot
from themis.pure.records.stored import ChainHead, RunSummary, StoredEvent


@attrs.define
class _Run:
    snapshot: RunSnapshot
    events: list[StoredEvent] = attrs.field(factory=list)
    by_case: dict[int, list[StoredEvent]] = attrs.field(factory=dict)


class InMemoryRunStore:
    """A store that lives as long as the process, for tests and local development.

    >>> store = InMemoryRunStore()
    >>> store.list_runs()
    ()
    """

    def __init__(self) -> None:
        self._runs: dict[str, _Run] = {}
        self._blobs: dict[str, bytes] = {}
        self._cache: dict[str, tuple[str, StoredEvent]] = {}
        self._writing: set[str] = set()
        self._lock = threading.Lock()

    @property
    def location(self) -> str:
        """Where the store is, for people."""
        return "memory (not kept after this process)"

    def initialize(self) -> None:
        """Do nothing: memory needs no opening."""

    def close(self) -> None:
        """Do nothing: the runs stay readable as long as the store is."""

    def persist_snapshot(self, snapshot: RunSnapshot) -> None:
        """Keep a snapshot."""
        self._runs.setdefault(snapshot.run_id, _Run(snapshot))

    def load_snapshot(self, run_id: str) -> RunSnapshot:
        """Return a snapshot."""
        return self._run(run_id).snapshot

    def _run(self, run_id: str) -> _Run:
        try:
            return self._runs[run_id]
        except KeyError:
            raise RunNotFoundError(f"no run {run_id!r} in {self.location}") from None

    def list_runs(self) -> Sequence[RunSummary]:
        """Return a line about each run, newest first."""
        lines = [summary_of(run.snapshot, run.events[:1], run.events[-1:]) for run in self._runs.values()]
        return tuple(reversed(lines))

    def acquire(self, run_id: str) -> None:
        """Become the run's one writer."""
        with self._lock:
            if run_id in self._writing:
                raise RunLockedError(f"run {run_id} is being written by another task of this process; wait for it")
            self._writing.add(run_id)

    def release(self, run_id: str) -> None:
        """Stop being the run's writer."""
        self._writing.discard(run_id)

    def append(self, run_id: str, events: Sequence[StoredEvent], blobs: Mapping[str, bytes]) -> None:
        """Keep events and blobs."""
        run = self._run(run_id)
        run.events.extend(events)
        self._blobs.update(blobs)
        for event in events:
            if event.case_no is not None:
                run.by_case.setdefault(event.case_no, []).append(event)
            if event.cache_key is not None:
                self._cache[event.cache_key] = (run_id, event)

    def head(self, run_id: str) -> ChainHead:
        """Return the end of the run's chain."""
        run = self._runs.get(run_id)
        if run is None or not run.events:
            return ChainHead()
        return ChainHead(run.events[-1].sequence, run.events[-1].digest)

    def events(self, run_id: str) -> Iterator[StoredEvent]:
        """Yield the run's events."""
        return iter(tuple(self._run(run_id).events))

    def events_by_case(self, run_id: str) -> Iterator[StoredEvent]:
        """Yield the run's case events, case by case."""
        by_case = self._run(run_id).by_case
        return (event for number in sorted(by_case) for event in by_case[number])

    def case_events(self, run_id: str, case_no: int) -> Sequence[StoredEvent]:
        """Return one case's events."""
        return tuple(self._run(run_id).by_case.get(case_no, ()))

    def settled_cases(self, run_id: str, metric_ids: Sequence[str]) -> Iterator[int]:
        """Yield cases with as many `score_completed` events as there are metrics."""
        run = self._run(run_id)
        for number in sorted(run.by_case):
            scored = sum(event.event_type == "score_completed" for event in run.by_case[number])
            if metric_ids and scored == len(metric_ids):
                yield number

    def blob(self, ref: str) -> bytes:
        """Return a blob."""
        try:
            return self._blobs[ref]
        except KeyError:
            raise StoreError(f"blob {ref} is missing in {self.location}") from None

    def cached(self, keys: Sequence[str]) -> Mapping[str, tuple[str, StoredEvent]]:
        """Return the events known under these cache keys."""
        return {key: self._cache[key] for key in keys if key in self._cache}

    def clear_run(self, run_id: str) -> None:
        """Forget a run."""
        if self._runs.pop(run_id, None) is not None:
            self._cache = {key: found for key, found in self._cache.items() if found[0] != run_id}
