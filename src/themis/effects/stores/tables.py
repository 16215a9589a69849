"""What the stores that keep runs in SQL tables share: the statements that SQLite and PostgreSQL both understand.

They are written with parameters as `:name`; a store spells those as its driver wants them. What is each store's own
is how connections, transactions and bulk inserts work, and how an event's row is addressed.
"""

from __future__ import annotations

import contextlib
import datetime
import functools
import importlib.resources
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Final, Generic, TypeVar

from themis.effects.stores.base import (
    STARTED,
    EventStore,
    ReadCases,
    altered,
    keyed_datasets,
    overtaken,
    restored,
    summary_of,
)
from themis.pure.errors import StoreError
from themis.pure.json import decode, encode
from themis.pure.records.dataset import Case, Dataset
from themis.pure.records.snapshot import RunSnapshot
from themis.pure.records.stored import CHAIN_START, ChainHead, RunSummary, StoredEvent

Db = TypeVar("Db")
Row = tuple[Any, ...]


class TableStore(EventStore, Generic[Db]):
    """A store in SQL tables; `Db` is what its statements are run on."""

    _ROW: ClassVar[str]
    """The column that orders the events of a run."""
    _SEQUENCE: ClassVar[str]
    """An event's sequence, as an expression."""
    _OF_RUN: ClassVar[str]
    """The condition for an event to be of run `:run_no`, by which all of them are found."""
    _NTH: ClassVar[str]
    """The condition for event `{event}` to be the one with sequence `{n}` of run `r`."""
    _COUNT: ClassVar[str] = "r.head_count"
    """How many events run `r` has, as an expression."""
    _LAST: ClassVar[str] = "r.head_count"
    """The sequence of the last event of run `r`, or of its own chain, as an expression."""

    # --- filled in by each store --------------------------------------------------------------------------

    @abstractmethod
    def _transaction(self) -> AbstractContextManager[Db]:
        """Enter a transaction for writing, or the one that is open already."""

    @abstractmethod
    def _reading(self, run_id: str | None = None) -> AbstractContextManager[Db]:
        """Lend what to read with; within a transaction of the run, what that has written is seen."""

    @abstractmethod
    def _execute(self, db: Db, sql: str, parameters: Mapping[str, Any]) -> Any:
        """Run a statement and return its cursor."""

    @abstractmethod
    def _execute_many(self, db: Db, sql: str, parameters: Sequence[Mapping[str, Any]]) -> None:
        """Run a statement with each of these parameters."""

    @abstractmethod
    def _stream(self, sql: str, parameters: Mapping[str, Any]) -> Iterator[Row]:
        """Yield a query's rows, without holding them all."""

    @abstractmethod
    def _insert_cases(self, db: Db, rows: Iterable[Row]) -> None:
        """Insert rows into `dataset_case`."""

    @abstractmethod
    def _packed(self, events: Sequence[StoredEvent]) -> Any:
        """Return a batch as `_insert_events` takes it; done before the transaction begins."""

    @abstractmethod
    def _insert_events(self, db: Db, run_no: int, first: int, batch: Any) -> None:
        """Insert a batch whose first event has the sequence `first`."""

    @abstractmethod
    def _exclude(self, db: Db, tables: str) -> None:
        """Keep others from writing these tables until the transaction ends."""

    @staticmethod
    def _text(text: str) -> str:
        """Return a name as the store can hold it."""
        return text

    # --- snapshots ----------------------------------------------------------------------------------------

    def persist_snapshot(self, snapshot: RunSnapshot) -> None:
        """Keep a snapshot with its cases; data that another run stored already is shared."""
        with self._transaction() as db:
            self._exclude(db, "dataset")  # two runs may share a dataset that neither has stored yet
            if self._find(db, snapshot.run_id) is not None:
                return
            run = {
                "run_id": snapshot.run_id,
                "header": encode(snapshot.header()).decode(),
                "now": datetime.datetime.now(datetime.UTC).isoformat(),
                "start": CHAIN_START,
            }
            run_no = value_of(self._execute(db, _INSERT_RUN, run))
            first = 0
            for ordinal, (key, dataset) in enumerate(keyed_datasets(snapshot)):
                row = {
                    "run_no": run_no,
                    "ordinal": ordinal,
                    "dataset_id": self._text(dataset.dataset_id),
                    "dataset_no": self._keep_dataset(db, key, dataset),
                    "first": first,
                }
                self._execute(db, _INSERT_RUN_DATASET, row)
                first += len(dataset.cases)

    def _keep_dataset(self, db: Db, key: str, dataset: Dataset) -> int:
        known = self._execute(db, "select dataset_no from dataset where fingerprint = :key", {"key": key}).fetchone()
        if known is not None:
            return int(known[0])
        number = int(value_of(self._execute(db, _INSERT_DATASET, {"key": key})))
        self._insert_cases(
            db,
            (
                (number, position, self._text(case.case_id), encode(case).decode())
                for position, case in enumerate(dataset.cases)
            ),
        )
        counted = {"count": len(dataset.cases), "dataset_no": number}
        self._execute(db, "update dataset set case_count = :count where dataset_no = :dataset_no", counted)
        return number

    def load_snapshot(self, run_id: str) -> RunSnapshot:
        with self._reading(run_id) as db:
            run = {"run_no": self._number(db, run_id)}
            header = value_of(self._execute(db, "select header from run where run_no = :run_no", run))
            datasets = self._execute(db, _DATASETS, run).fetchall()
        first = 0
        for ordinal, (_, _, number, found, count) in enumerate(datasets):
            if (number, found) != (ordinal, first):
                raise altered(run_id, f"dataset {number}: it begins at case {found}, and not at {first}")
            first += count
        sources = [
            ReadCases(count, functools.partial(self._cases, dataset_no, dataset_id), reads_parts=True)
            for dataset_id, dataset_no, _, _, count in datasets
        ]
        stored_ids = [row[0] for row in datasets]
        try:
            snapshot = restored(run_id, decode(header), sources)
        except ValueError as error:
            raise altered(run_id, f"its header can't be read: {error}") from error
        if stored_ids != [self._text(dataset.dataset_id) for dataset in snapshot.datasets]:
            raise altered(run_id, f"its datasets are stored as {stored_ids}")
        return snapshot

    def _cases(self, dataset_no: int, dataset_id: str, wanted: range | None = None) -> Iterator[Case]:
        """Yield a dataset's cases; columns that say again what a case says are held against it."""
        where = f"{self.location}: dataset {dataset_id!r}"
        first, stop = (0, _NO_END) if wanted is None else (wanted.start, wanted.stop)
        rows = self._stream(_CASES, {"dataset_no": dataset_no, "first": first, "stop": stop})
        for number, (position, case_id, payload) in enumerate(rows, first):
            try:
                case = Case.from_dict(decode(payload))
            except ValueError as error:
                raise StoreError(f"{where}: case {number} can't be read: {error}") from error
            if (position, case_id) != (number, self._text(case.case_id)):
                raise StoreError(
                    f"{where}: case {number} ({case.case_id!r}) is stored at position {position} as {case_id!r}; "
                    "the table was changed: restore the store from a copy"
                )
            yield case

    def _find(self, db: Db, run_id: str) -> int | None:
        row = self._execute(db, "select run_no from run where run_id = :run_id", {"run_id": run_id}).fetchone()
        return None if row is None else int(row[0])

    def _number(self, db: Db, run_id: str) -> int:
        # Asked each time: another process may have cleared the run, and SQLite uses run numbers again.
        number = self._find(db, run_id)
        if number is None:
            raise self._no_run(run_id)
        return number

    def _lines(self) -> Iterable[RunSummary]:
        # The ends of all chains are found by their keys, and the starts of attempts by an index: few events are read.
        query = _LIST.format(count=self._COUNT, last=self._NTH.format(event="last", n=self._LAST))
        started: dict[str, list[str]] = {}
        with self._reading() as db:
            rows = self._execute(db, query, {}).fetchall()
            for run_id, payload in self._execute(db, _STARTED.format(row=self._ROW), {"started": STARTED}).fetchall():
                started.setdefault(run_id, []).append(payload)
        return (
            summary_of(run_id, decode(header), int(cases), count, started.get(run_id, ()), last)
            for run_id, header, cases, count, last in rows
        )

    # --- the one writer -----------------------------------------------------------------------------------

    @contextlib.contextmanager
    def transaction(self, run_id: str) -> Iterator[None]:
        with self._held(run_id), self._transaction():
            yield

    def append(self, run_id: str, events: Sequence[StoredEvent], blobs: Mapping[str, bytes]) -> None:
        if not events:
            return
        batch = self._packed(events)
        first, last = events[0].sequence, events[-1]
        with self._transaction() as db:
            run_no = self._number(db, run_id)
            if not self._move_head(db, run_no, first, last):
                raise overtaken(run_id)
            self._insert_events(db, run_no, first, batch)
            self._insert_blobs(db, run_no, blobs)

    def _move_head(self, db: Db, run_no: int, first: int, last: StoredEvent) -> bool:
        """Move the end of a run's chain from before `first` to `last`; tell whether it was there."""
        end = {"count": last.sequence, "digest": last.digest, "run_no": run_no, "before": first - 1}
        moved: bool = self._execute(db, _MOVE_HEAD, end).rowcount == 1
        return moved

    def _insert_blobs(self, db: Db, run_no: int, blobs: Mapping[str, bytes]) -> None:
        if blobs:
            contents = [{"ref": ref, "content": content} for ref, content in blobs.items()]
            self._execute_many(db, "insert into blob values (:ref, :content) on conflict do nothing", contents)
            uses = [{"run_no": run_no, "ref": ref} for ref in blobs]
            self._execute_many(db, "insert into blob_use values (:run_no, :ref) on conflict do nothing", uses)

    def clear_run(self, run_id: str) -> None:
        with self._held(run_id), self._transaction() as db:
            run_no = self._number(db, run_id)
            self._exclude(db, "dataset, blob")
            run = {"run_no": run_no}
            used = self._execute(db, "select ref from blob_use where run_no = :run_no", run).fetchall()
            for statement in _CLEAR:
                self._execute(db, statement, run if ":run_no" in statement else {})
            self._execute_many(db, _CLEAR_BLOB, [{"ref": ref} for (ref,) in used])
            self._forget(db, run_no)

    def _forget(self, db: Db, run_no: int) -> None:
        """Forget what the store alone keeps of a run."""

    # --- events -------------------------------------------------------------------------------------------

    def head(self, run_id: str) -> ChainHead:
        with self._reading(run_id) as db:
            query = "select head_count, head_digest from run where run_id = :run_id"
            row = self._execute(db, query, {"run_id": run_id}).fetchone()
        return ChainHead(*row) if row is not None else ChainHead()

    def events(self, run_id: str) -> Iterator[StoredEvent]:
        return self._events(run_id, f"{self._OF_RUN} order by {self._ROW}")

    def events_by_case(self, run_id: str) -> Iterator[StoredEvent]:
        return self._events(run_id, f"run_no = :run_no and case_no is not null order by case_no, {self._ROW}")

    def events_of_cases(self, run_id: str, cases: range) -> Iterator[StoredEvent]:
        where = f"run_no = :run_no and case_no >= :first and case_no < :stop order by case_no, {self._ROW}"
        return self._events(run_id, where, first=cases.start, stop=cases.stop)

    def _events(self, run_id: str, where: str, **values: int) -> Iterator[StoredEvent]:
        with self._reading(run_id) as db:
            run = {"run_no": self._number(db, run_id), **values}
        return map(stored_event, self._stream(self._select(where), run))

    def _of_case(self, run_id: str, case_no: int | None) -> Sequence[StoredEvent]:
        case = "is null" if case_no is None else "= :case_no"
        query = self._select(f"run_no = :run_no and case_no {case} order by {self._ROW}")
        with self._reading(run_id) as db:
            run = {"run_no": self._number(db, run_id)}
            rows = self._execute(db, query, run if case_no is None else {**run, "case_no": case_no}).fetchall()
        return tuple(map(stored_event, rows))

    def _select(self, where: str) -> str:
        columns = f"{self._SEQUENCE}, case_no, event_type, cache_key, payload, digest"
        return f"select {columns} from event where {where}"  # noqa: S608  # fixed text

    def settled_cases(self, run_id: str, scores: int) -> Iterator[int]:
        with self._reading(run_id) as db:
            run = {"run_no": self._number(db, run_id), "scores": scores}
        return (row[0] for row in self._stream(SETTLED, run)) if scores else iter(())

    def blob(self, ref: str) -> bytes:
        with self._reading() as db:
            row = self._execute(db, "select content from blob where ref = :ref", {"ref": ref}).fetchone()
        if row is None:
            raise StoreError(f"blob {ref} is missing in {self.location}; restore the store from a copy")
        return bytes(row[0])


def read_schema(name: str) -> str:
    return importlib.resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def stored_event(row: Row) -> StoredEvent:
    """Return the event of a row: sequence, case, type, cache key, payload and digest."""
    sequence, case_no, event_type, key, payload, digest = row
    return StoredEvent(case_no, event_type, key.hex() if key is not None else None, payload, digest.hex(), sequence)


def value_of(cursor: Any) -> Any:
    return cursor.fetchone()[0]


def binary(text: str | None) -> bytes | None:
    return bytes.fromhex(text) if text is not None else None


_INSERT_RUN: Final = """
    insert into run (run_id, header, created_at, head_digest) values (:run_id, :header, :now, :start) returning run_no
"""
_INSERT_RUN_DATASET: Final = "insert into run_dataset values (:run_no, :ordinal, :dataset_id, :dataset_no, :first)"
# The cases are counted when they have been read: a source may not know before.
_INSERT_DATASET: Final = "insert into dataset (fingerprint, case_count) values (:key, 0) returning dataset_no"
_DATASETS: Final = """
    select dataset_id, dataset_no, ordinal, first_case_no, case_count
    from run_dataset join dataset using (dataset_no) where run_no = :run_no order by ordinal
"""
_NO_END: Final = 1 << 62
_CASES: Final = """
    select position, case_id, payload from dataset_case
    where dataset_no = :dataset_no and position >= :first and position < :stop order by position
"""
_LIST: Final = """
    select r.run_id, r.header,
        (select coalesce(sum(d.case_count), 0) from run_dataset rd join dataset d using (dataset_no)
            where rd.run_no = r.run_no),
        {count}, last.payload
    from run r left join event last on {last}
    order by r.run_no desc
"""
# `cross join` makes SQLite go from the runs to their events, by the index, and not through all events.
_STARTED: Final = """
    select r.run_id, e.payload from run r cross join event e
    where e.run_no = r.run_no and e.case_no is null and e.event_type = :started order by r.run_no, e.{row}
"""
_MOVE_HEAD: Final = """
    update run set head_count = :count, head_digest = :digest where run_no = :run_no and head_count = :before
"""
SETTLED: Final = """
    select case_no from event where run_no = :run_no and case_no is not null group by case_no
    having count(*) filter (where event_type = 'score_completed') = :scores
        and count(*) filter (where event_type like '%_failed') = 0
    order by case_no
"""
_CLEAR: Final = (
    "delete from event where run_no = :run_no",
    "delete from blob_use where run_no = :run_no",
    "delete from run_dataset where run_no = :run_no",
    "delete from run where run_no = :run_no",
    "delete from dataset_case where dataset_no in "
    "(select dataset_no from dataset where dataset_no not in (select dataset_no from run_dataset))",
    "delete from dataset where dataset_no not in (select dataset_no from run_dataset)",
)
_CLEAR_BLOB: Final = "delete from blob where ref = :ref and not exists (select 1 from blob_use u where u.ref = :ref)"
