"""The SQLite store, the default: one file, write-ahead log, one writer per run, readable with any SQLite tool.

Commits are synchronous (`synchronous=full`): what was acknowledged survives a crash of the machine too, not
of the process alone. The journal commits about twenty times a second, so this costs little.
"""

from __future__ import annotations

import contextlib
import datetime
import sqlite3
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from themis.effects.stores import sqlite_search
from themis.effects.stores.cases import keyed_datasets
from themis.effects.stores.counting import count_scores
from themis.effects.stores.locks import RunLock
from themis.effects.stores.sqlite_file import check_file, prepare, unusable
from themis.effects.stores.summaries import Ends, summary_of
from themis.pure.errors import RunNotFoundError, StoreError
from themis.pure.json import decode, encode
from themis.pure.records.dataset import Case, CaseSource, Dataset
from themis.pure.records.snapshot import RunSnapshot
from themis.pure.records.stored import CHAIN_START, ChainHead, FoundText, RunSummary, StoredEvent

_RUN_SHIFT: Final = 40


class SqliteRunStore:
    """A store in one SQLite file.

    Args:
        path: the file; it and its folder are made if they are missing.

    Raises:
        StoreError: the path can't be written, or is no Themis store; nothing is changed.
        SchemaVersionError: a newer Themis wrote the file; nothing is changed.
    """

    def __init__(self, path: str | Path) -> None:
        self.path: Path = Path(path)
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        # A result may be all that holds its store, and nobody closes a result.
        weakref.finalize(self, _close_all, self._connections)
        self._locks: dict[str, RunLock] = {}
        self._ready = False

    @property
    def location(self) -> str:
        """Where the store is, for people."""
        return f"sqlite:{self.path}"

    def __repr__(self) -> str:
        return f"SqliteRunStore({str(self.path)!r})"

    # --- opening ------------------------------------------------------------------------------------------

    def initialize(self) -> None:
        """Open the file, creating or migrating it."""
        if self._ready:
            return
        try:
            check_file(self.path)
            self.path.parent.mkdir(parents=True, exist_ok=True)
            prepare(self._connect(), self.path)
        except (OSError, sqlite3.Error) as error:
            self.close()
            raise unusable(self.path, error) from error
        except StoreError:
            self.close()
            raise
        self._ready = True

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=30)
        self._connections.append(connection)  # first of all, to be closed even if the file turns out to be none
        connection.execute("pragma synchronous=full")
        connection.execute("pragma cache_size=-16000")
        self._local.connection = connection
        return connection

    @property
    def _db(self) -> sqlite3.Connection:
        """This thread's connection: SQLite runs best with one each."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            self.initialize()
            connection = getattr(self._local, "connection", None) or self._connect()
        return connection

    def close(self) -> None:
        """Close all connections and give up all locks."""
        for lock in self._locks.values():
            lock.release()
        self._locks.clear()
        _close_all(self._connections)
        self._local = threading.local()
        self._ready = False

    def __enter__(self) -> SqliteRunStore:
        self.initialize()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """A write transaction, or the one that is open already."""
        connection = self._db
        with contextlib.nullcontext() if connection.in_transaction else self._begun(connection):
            yield connection

    @contextlib.contextmanager
    def _begun(self, connection: sqlite3.Connection) -> Iterator[None]:
        try:
            connection.execute("begin immediate")
            try:
                yield
                connection.execute("commit")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("rollback")
                raise
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: {error}") from error

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        try:
            yield self._db
        except sqlite3.Error as error:
            raise unusable(self.path, error) from error

    # --- snapshots ----------------------------------------------------------------------------------------

    def persist_snapshot(self, snapshot: RunSnapshot) -> None:
        """Keep a snapshot with its cases; data that another run stored already is shared."""
        with self._transaction() as db:
            if db.execute("select 1 from run where run_id = ?", (snapshot.run_id,)).fetchone():
                return
            number = db.execute(
                "insert into run (run_id, header, created_at, head_digest) values (?, ?, ?, ?)",
                (snapshot.run_id, encode(snapshot.header()).decode(), _now(), CHAIN_START),
            ).lastrowid
            first = 0
            for ordinal, (key, dataset) in enumerate(keyed_datasets(snapshot)):
                dataset_no = _keep_cases(db, key, dataset)
                db.execute(
                    "insert into run_dataset values (?, ?, ?, ?, ?)",
                    (number, ordinal, dataset.dataset_id, dataset_no, first),
                )
                first += len(dataset.cases)

    def load_snapshot(self, run_id: str) -> RunSnapshot:
        """Return a snapshot whose cases are read from the file as needed."""
        with self._reading() as db:
            row = db.execute("select run_no, header from run where run_id = ?", (run_id,)).fetchone()
            if row is None:
                raise self._no_run(run_id)
            datasets = db.execute(
                "select rd.dataset_no, d.case_count from run_dataset rd join dataset d using (dataset_no) "
                "where run_no = ? order by ordinal",
                (row[0],),
            ).fetchall()
        snapshot = RunSnapshot.from_dict(decode(row[1])).stored_as(run_id)
        return snapshot.evolve(
            datasets=[
                dataset.evolve(cases=_StoredCases(self, number, count))
                for dataset, (number, count) in zip(snapshot.datasets, datasets, strict=True)
            ]
        )

    def _no_run(self, run_id: str) -> RunNotFoundError:
        return RunNotFoundError(
            f"no run {run_id!r} in {self.location}; `themis list --store {self.path}` shows what is"
        )

    def _number(self, run_id: str) -> int:
        # Asked each time: another process may have cleared the run, and run numbers are used again.
        row = self._db.execute("select run_no from run where run_id = ?", (run_id,)).fetchone()
        if row is None:
            raise self._no_run(run_id)
        return int(row[0])

    def list_runs(self) -> Sequence[RunSummary]:
        """Return a line about each run, newest first."""
        with self._reading() as db:
            return tuple(
                summary_of(run_id, decode(header), cases, Ends(*ends))
                for run_id, header, cases, *ends in db.execute(_LIST)
            )

    # --- the one writer -----------------------------------------------------------------------------------

    def acquire(self, run_id: str) -> None:
        """Become the run's one writer, across processes."""
        self._locks[run_id] = RunLock.take(self.path.with_name(f"{self.path.name}.{run_id[:16]}.lock"), run_id)

    def release(self, run_id: str) -> None:
        """Stop being the run's writer."""
        lock = self._locks.pop(run_id, None)
        if lock is not None:
            lock.release()

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

    @contextlib.contextmanager
    def transaction(self, run_id: str) -> Iterator[None]:
        """Keep what is written of the run within the context in one transaction of SQLite."""
        with self._held(run_id), self._transaction():
            yield

    # --- events -------------------------------------------------------------------------------------------

    def append(self, run_id: str, events: Sequence[StoredEvent], blobs: Mapping[str, bytes]) -> None:
        """Keep events and blobs in one transaction."""
        if not events:
            return
        batch = _packed(events)
        with self._transaction() as db:
            number = self._number(run_id)
            moved = db.execute(
                "update run set head_count = ?, head_digest = ? where run_no = ? and head_count = ?",
                (events[-1].sequence, events[-1].digest, number, events[0].sequence - 1),
            )
            if moved.rowcount != 1:
                raise StoreError(f"run {run_id}: another writer appended to it meanwhile; run again to resume")
            first = (number << _RUN_SHIFT) + events[0].sequence
            db.execute(_INSERT, {"first": first, "run_no": number, **batch})
            if blobs:
                db.executemany("insert or ignore into blob values (?, ?)", blobs.items())
                db.executemany("insert or ignore into blob_use values (?, ?)", ((number, ref) for ref in blobs))

    def head(self, run_id: str) -> ChainHead:
        """Return the end of the run's chain."""
        with self._reading() as db:
            row = db.execute("select head_count, head_digest from run where run_id = ?", (run_id,)).fetchone()
        return ChainHead(*row) if row else ChainHead()

    def events(self, run_id: str) -> Iterator[StoredEvent]:
        """Yield the run's events."""
        return self._slice(run_id, 1, (1 << _RUN_SHIFT) - 1)

    def _slice(self, run_id: str, first: int, last: int) -> Iterator[StoredEvent]:
        base = self._number(run_id) << _RUN_SHIFT
        return self._select(base, f"{_EVENT} where id between ? and ? order by id", (base + first, base + last))

    def run_events(self, run_id: str) -> Sequence[StoredEvent]:
        """Return the events of the whole run."""
        return self._of_case(run_id, None)

    def events_by_case(self, run_id: str) -> Iterator[StoredEvent]:
        """Yield the run's case events, case by case."""
        number = self._number(run_id)
        where = f"{_EVENT} where run_no = ? and case_no is not null order by case_no, id"
        return self._select(number << _RUN_SHIFT, where, (number,))

    def case_events(self, run_id: str, case_no: int) -> Sequence[StoredEvent]:
        """Return one case's events."""
        return self._of_case(run_id, case_no)

    def _of_case(self, run_id: str, case_no: int | None) -> Sequence[StoredEvent]:
        number = self._number(run_id)
        where = f"{_EVENT} where run_no = ? and case_no is ? order by id"
        return tuple(self._select(number << _RUN_SHIFT, where, (number, case_no)))

    def _select(self, base: int, sql: str, parameters: tuple[Any, ...]) -> Iterator[StoredEvent]:
        with self._reading() as db:
            for row in db.execute(sql, parameters):
                yield _stored(row, base)

    def count_scores(
        self, run_id: str, thresholds: Mapping[str, float], events_a_case: int
    ) -> tuple[int, Sequence[int], Mapping[str, tuple[int, int, float]]]:
        """Count the scores of pure metrics in one pass, without reading the events out.

        Args:
            run_id: the run.
            thresholds: of each metric, from which value a score counts as correct.
            events_a_case: how many events a case has that went through at once.

        Returns:
            How many cases have events; the cases that are left out, since later events may have superseded their
            scores; and by metric, over the other cases, the number of scores, of correct ones, and the sum.
        """
        number = self._number(run_id)
        base = number << _RUN_SHIFT
        with self._reading() as db:
            return count_scores(db, (number, base, base + (1 << _RUN_SHIFT) - 1), thresholds, events_a_case)

    def settled_cases(self, run_id: str, metric_ids: Sequence[str]) -> Iterator[int]:
        """Yield cases with as many `score_completed` events as there are metrics, and none of a failure."""
        if not metric_ids:
            return
        with self._reading() as db:
            rows = db.execute(
                "select case_no from event where run_no = ? and case_no is not null "
                "group by case_no having sum(event_type = 'score_completed') = ? "
                "and not sum(event_type glob '*_failed') order by case_no",
                (self._number(run_id), len(metric_ids)),
            )
            for row in rows:
                yield row[0]

    def blob(self, ref: str) -> bytes:
        """Return a blob."""
        with self._reading() as db:
            row = db.execute("select content from blob where ref = ?", (ref,)).fetchone()
        if row is None:
            raise StoreError(f"blob {ref} is missing in {self.location}; restore the store from a copy")
        return bytes(row[0])

    def cached(self, keys: Sequence[str]) -> Mapping[str, tuple[str, StoredEvent]]:
        """Return the newest event known under each of these cache keys."""
        found: dict[str, tuple[str, StoredEvent]] = {}
        with self._reading() as db:
            for key in keys:
                row = db.execute(
                    f"{_EVENT.replace('select ', 'select run_id, ')} join run using (run_no) "
                    "where cache_key = ? order by id desc limit 1",
                    (_binary(key),),
                ).fetchone()
                if row is not None:
                    found[key] = (row[0], _stored(row[1:], row[1] >> _RUN_SHIFT << _RUN_SHIFT))
        return found

    def clear_run(self, run_id: str) -> None:
        """Forget a run; cases and blobs that other runs use stay."""
        with self._held(run_id), self._transaction() as db:
            number = self._number(run_id)
            for statement in _CLEAR:
                db.execute(statement, {"run_no": number})
            sqlite_search.forget(db, number)

    # --- full-text search ---------------------------------------------------------------------------------

    def find_text(self, query: str, run_id: str | None, limit: int) -> Sequence[FoundText]:
        """Return the best matches among prompts and outputs; the index is made and brought up to date first."""
        if sqlite_search.is_behind(self._db):
            with self._transaction() as db:
                sqlite_search.catch_up(db)
        with self._reading() as db:
            number = self._number(run_id) if run_id is not None else None
            return sqlite_search.find(db, query, number, limit)


_CLEAR: Final = (
    "delete from event where run_no = :run_no",
    "delete from blob where ref in (select ref from blob_use where run_no = :run_no) "
    "and not exists (select 1 from blob_use u where u.ref = blob.ref and u.run_no <> :run_no)",
    "delete from blob_use where run_no = :run_no",
    "delete from run_dataset where run_no = :run_no",
    "delete from run where run_no = :run_no",
    "delete from dataset_case where dataset_no not in (select dataset_no from run_dataset)",
    "delete from dataset where dataset_no not in (select dataset_no from run_dataset)",
)

# The ends of each run's chain are found by their ids, so that a listing reads two events a run.
_LIST: Final = """
    select r.run_id, r.header,
        (select coalesce(sum(d.case_count), 0) from run_dataset rd join dataset d using (dataset_no)
            where rd.run_no = r.run_no),
        r.head_count, first.payload ->> 'occurred_at', last.payload ->> 'occurred_at', last.event_type
    from run r
    left join event first on first.id = (r.run_no << 40) + 1
    left join event last on last.id = (r.run_no << 40) + r.head_count
    order by r.run_no desc
"""
_EVENT: Final = "select id, case_no, event_type, cache_key, payload, digest from event"


# One statement a batch, and not one a row: Python's lock is given up once for the whole batch, so that writing goes
# on beside the event loop. A statement a row would wait for the lock each time, for 5 ms where the loop is busy.
_INSERT: Final = """
    insert into event
    select :first + key, :run_no, value ->> 0, value ->> 1, iif(value ->> 2, substr(:keys, value ->> 2, 32), null),
        cast(substr(:texts, value ->> 3, value ->> 4) as text), substr(:digests, key * 32 + 1, 32)
    from json_each(:places)
"""


def _packed(events: Sequence[StoredEvent]) -> dict[str, bytes | str | int]:
    """Return a batch as four values: keys, texts and digests end to end, and where each event's parts stand in them."""
    keys, texts, places = bytearray(), bytearray(), []
    for event in events:
        key, text = event.cache_key, event.payload.encode()
        places.append((event.case_no, event.event_type, len(keys) + 1 if key else 0, len(texts) + 1, len(text)))
        if key:
            keys += bytes.fromhex(key)
        texts += text
    digests = bytes.fromhex("".join(event.digest for event in events))
    return {"keys": bytes(keys), "texts": bytes(texts), "digests": digests, "places": encode(places).decode()}


def _stored(row: Any, base: int) -> StoredEvent:
    key = row[3]
    return StoredEvent(row[1], row[2], key.hex() if key is not None else None, row[4], row[5].hex(), row[0] - base)


def _binary(key: str | None) -> bytes | None:
    return bytes.fromhex(key) if key is not None else None


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat()


def _keep_cases(db: sqlite3.Connection, fingerprint: str, dataset: Dataset) -> int:
    row = db.execute("select dataset_no from dataset where fingerprint = ?", (fingerprint,)).fetchone()
    if row is not None:
        return int(row[0])
    number = db.execute("insert into dataset (fingerprint, case_count) values (?, 0)", (fingerprint,)).lastrowid
    assert number is not None
    rows = ((number, i, case.case_id, encode(case).decode()) for i, case in enumerate(dataset.cases))
    db.executemany("insert into dataset_case values (?, ?, ?, ?)", rows)
    db.execute("update dataset set case_count = ? where dataset_no = ?", (len(dataset.cases), number))
    return number


def _close_all(connections: list[sqlite3.Connection]) -> None:
    for connection in connections:
        connection.close()
    connections.clear()


class _StoredCases(CaseSource):
    """The cases of a stored dataset, read as needed."""

    def __init__(self, store: SqliteRunStore, dataset_no: int, count: int) -> None:
        self._store = store
        self._dataset_no = dataset_no
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Case]:
        with self._store._reading() as db:
            rows = db.execute(
                "select payload from dataset_case where dataset_no = ? order by position", (self._dataset_no,)
            )
            for row in rows:
                yield Case.from_dict(decode(row[0]))


def sqlite_store(path: str | Path = "runs/themis.sqlite3") -> SqliteRunStore:
    """Open the default kind of store.

    Args:
        path: the SQLite file; made if it is missing.
    """
    store = SqliteRunStore(path)
    store.initialize()
    return store
