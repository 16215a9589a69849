"""What all stores share: being opened and closed, one writer a run, and a line about each run for listings."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Final, Self

from themis.effects.files import from_here
from themis.pure.errors import RunLockedError, RunNotFoundError, SchemaVersionError, StoreError
from themis.pure.json import canonical_bytes, decode
from themis.pure.protocols import RunStore
from themis.pure.records.config import StorageConfig
from themis.pure.records.dataset import Case, CaseSource, Dataset
from themis.pure.records.labels import RunLabels, labels_of
from themis.pure.records.results import RunStatus
from themis.pure.records.snapshot import RunSnapshot
from themis.pure.records.stored import RunSummary, StoredEvent
from themis.pure.state import status_of

STARTED: Final = "run_started"
"""The type of the events that say what a run is called."""


class EventStore(RunStore):
    """The part of a `RunStore` that does not depend on what the store is made of.

    A store fills in the methods of the first section, and the rest of `RunStore`, which says what they do.

    Args:
        location: where the store is, for people, without credentials.
        how_to_list: the end of the error that says that a run is not there.
    """

    is_remote: ClassVar[bool] = False
    """Whether each question to the store is a trip to a server, so that several are better asked at once."""

    def __init__(self, location: str, how_to_list: str = "") -> None:
        self._location = location
        self._how_to_list = how_to_list
        self._ready = False
        self._locks: dict[str, Callable[[], None]] = {}
        self._guard = threading.RLock()

    @property
    def location(self) -> str:
        """Where the store is, for people, without credentials."""
        kind, colon, place = self._location.partition(":")
        return f"{kind}{colon}{from_here(place)}" if place else kind

    @property
    def storage(self) -> StorageConfig:
        """What a configuration says of this store, without credentials."""
        return StorageConfig(store=type(self).__name__)

    @property
    def place(self) -> StorageConfig | None:
        """What another process of this user opens this store by; `None` if none can.

        It may hold a credential, so it is told to own processes alone, and neither kept nor shown.
        """
        return None

    # --- filled in by each store --------------------------------------------------------------------------

    def _open(self) -> None:  # memory has nothing to open, and nothing to close
        """Open the store, creating or migrating it; called once."""

    def _close(self) -> None:
        """Release what the store holds open."""

    @abstractmethod
    def _lock(self, run_id: str) -> Callable[[], None]:
        """Keep other processes from writing a run, and return what ends that. Raises `RunLockedError`."""

    @abstractmethod
    def _is_locked(self, run_id: str) -> bool:
        """Tell whether a living process, this one or another, may be writing a run."""

    @abstractmethod
    def _lines(self) -> Iterable[RunSummary]:
        """Yield a line about each run, newest first."""

    @abstractmethod
    def _of_case(self, run_id: str, case_no: int | None) -> Sequence[StoredEvent]:
        """Return a case's events, or for `None` those of the whole run."""

    # --- opening ------------------------------------------------------------------------------------------

    def initialize(self) -> None:
        if self._ready:
            return
        with self._guard:
            if not self._ready:
                self._open()
                self._ready = True

    def close(self) -> None:
        """Give up all locks and release what the store holds open."""
        for run_id in tuple(self._locks):
            self.release(run_id)
        self._close()
        self._ready = False

    def __enter__(self) -> Self:
        self.initialize()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- the one writer -----------------------------------------------------------------------------------

    def acquire(self, run_id: str) -> None:
        self.initialize()
        with self._guard:
            if run_id in self._locks:
                raise RunLockedError(f"run {run_id} is being written by another task of this process; wait for it")
            self._locks[run_id] = self._lock(run_id)

    def release(self, run_id: str) -> None:
        with self._guard:
            free = self._locks.pop(run_id, None)
            if free is not None:
                free()

    @contextlib.contextmanager
    def _held(self, run_id: str) -> Iterator[None]:
        """Hold the run, unless this store does so already."""
        if run_id in self._locks:
            yield
            return
        self.acquire(run_id)
        try:
            yield
        finally:
            self.release(run_id)

    # --- reading ------------------------------------------------------------------------------------------

    def list_runs(self) -> Sequence[RunSummary]:
        self.initialize()
        return tuple(
            line.evolve(status=RunStatus.INTERRUPTED.value)
            if line.status == RunStatus.RUNNING and self.is_interrupted(line.run_id)
            else line
            for line in self._lines()
        )

    def is_interrupted(self, run_id: str) -> bool:
        # In this order: who writes a run stores its end before giving it up.
        if run_id in self._locks or self._is_locked(run_id):
            return False
        events = self.run_events(run_id)
        return bool(events) and status_of(events[-1].event_type) == RunStatus.RUNNING

    def run_events(self, run_id: str) -> Sequence[StoredEvent]:
        return self._of_case(run_id, None)

    def case_events(self, run_id: str, case_no: int) -> Sequence[StoredEvent]:
        return self._of_case(run_id, case_no)

    def _no_run(self, run_id: str) -> RunNotFoundError:
        return RunNotFoundError(f"no run {run_id!r} in {self.location}{self._how_to_list}")


class ReadCases(CaseSource):
    """Cases that are read as needed, and have been counted.

    Args:
        count: how many there are.
        read: reads all of them, or those of a range where `reads_parts`.
        reads_parts: a range costs what its cases cost.
    """

    def __init__(self, count: int, read: Callable[..., Iterator[Case]], *, reads_parts: bool = False) -> None:
        self._count = count
        self._read = read
        self._reads_parts = reads_parts

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Case]:
        return self._read()

    def part(self, wanted: range) -> Iterator[Case]:
        return self._read(wanted) if self._reads_parts else super().part(wanted)


def overtaken(run_id: str) -> StoreError:
    return StoreError(f"run {run_id}: another writer appended to it meanwhile; run again to resume")


def keyed_datasets(snapshot: RunSnapshot) -> Iterator[tuple[str, Dataset]]:
    """Yield a run's datasets, each with the name of its content: runs over the same data share it."""
    for dataset, ref in zip(snapshot.datasets, snapshot.identity.dataset_refs, strict=True):
        yield hashlib.sha256(canonical_bytes([dataset.dataset_id, ref.fingerprint])).hexdigest(), dataset


def newer(where: object, schema: str, version: int, known: int) -> SchemaVersionError:
    return SchemaVersionError(
        f"{where} has {schema} version {version}, and this Themis knows up to {known}: "
        "upgrade Themis to open it; nothing was changed"
    )


def altered(run_id: str, what: str) -> StoreError:
    return StoreError(f"run {run_id}: {what}; the store was changed by hand: restore it from a copy")


def restored(run_id: str, header: Mapping[str, Any], cases: Sequence[CaseSource]) -> RunSnapshot:
    """Return a snapshot from its header (`RunSnapshot.header`), with its datasets' cases where they are stored.

    Raises:
        StoreError: there are more datasets in the header than are stored, or fewer.
    """
    snapshot = RunSnapshot.from_dict(header).stored_as(run_id)
    if len(snapshot.datasets) != len(cases):
        raise altered(run_id, f"its header names {len(snapshot.datasets)} datasets, and {len(cases)} are stored")
    datasets = [dataset.evolve(cases=source) for dataset, source in zip(snapshot.datasets, cases, strict=True)]
    return snapshot.evolve(datasets=datasets)


def summary_of(
    run_id: str, header: Mapping[str, Any], total_cases: int, count: int, started: Sequence[str], last: str | None
) -> RunSummary:
    """Return a listing's line.

    Args:
        run_id: the run.
        header: its `RunSnapshot.header()`.
        total_cases: how many cases it has.
        count: how many events are stored.
        started: the `run_started` events of its attempts, as JSON text.
        last: its last event.
    """
    attempts, ended = [decode(event) for event in started], decode(last) if last else {}
    identity = header["identity"]
    labels = labels_of(RunLabels(name=event.get("name"), tags=event.get("tags", ())) for event in attempts)
    return RunSummary(
        run_id=run_id,
        name=labels.name,
        tags=labels.tags,
        settings=header.get("descriptions", {}).get("generator"),
        status=status_of(ended.get("event_type")).value,
        started_at=_time(attempts[0]) if attempts else None,
        updated_at=_time(ended),
        event_count=count,
        total_cases=ended.get("planned_cases") or total_cases,
        generator_id=identity["generator_ref"]["component_id"],
        dataset_ids=tuple(ref["dataset_id"] for ref in identity["dataset_refs"]),
        metric_ids=tuple(ref["component_id"] for ref in identity["metric_refs"]),
    )


def _time(event: Mapping[str, Any]) -> datetime | None:
    found = event.get("occurred_at")
    return datetime.fromisoformat(found) if found else None
