"""The PostgreSQL store: for teams whose runs share a server. It wants psycopg 3 (extra `postgres`).

Each batch is one transaction: events go in by COPY, and are acknowledged once the server has them on disk. A run
has one writer: a session-level advisory lock of the connection that writes, so that the lock is free when that
connection, or its process, is gone. The session's `application_name` says who holds it.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, LiteralString

from themis.effects.stores.cases import keyed_datasets
from themis.effects.stores.locks import locked, this_process
from themis.effects.stores.postgres_server import Server
from themis.effects.stores.summaries import Ends, summary_of
from themis.pure.errors import RunNotFoundError, StoreError
from themis.pure.json import decode, encode
from themis.pure.records.dataset import Case, CaseSource, Dataset
from themis.pure.records.snapshot import RunSnapshot
from themis.pure.records.stored import CHAIN_START, ChainHead, RunSummary, StoredEvent

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

_PAGE: Final = 2_000
"""Rows that a stream fetches at a time."""


class PostgresRunStore:
    """A store in a schema of a PostgreSQL database.

    Args:
        dsn: where the database is, as libpq reads it: `postgresql://user@host/name`, or `host=... dbname=...`. It
            holds no password once the store's configuration is kept: write `${oc.env:NAME}` there, or let libpq
            find the password itself (`PGPASSWORD`, `~/.pgpass`).
        schema: the schema that holds the store's tables; made if it is missing.

    Raises:
        MissingExtraError: psycopg is not installed.
        StoreError: the server can't be reached, or the schema holds something else; nothing is changed.
        SchemaVersionError: a newer Themis wrote it; nothing is changed.
    """

    def __init__(self, dsn: str, schema: str = "themis") -> None:
        self._server = Server(dsn, schema)
        self._writing = threading.RLock()
        self._held: dict[str, int] = {}
        self._writer: Connection | None = None
        self._inside: int | None = None  # the thread that has a transaction open
        self._ready = False

    @property
    def location(self) -> str:
        """Where the store is, for people; without the password."""
        return f"postgres:{self._server.name}"

    def __repr__(self) -> str:
        return f"PostgresRunStore({self._server.name!r})"

    # --- connections --------------------------------------------------------------------------------------

    def initialize(self) -> None:
        """Connect, creating or migrating the schema."""
        if not self._ready:
            with self._server.errors():
                self._server.prepare()
            self._ready = True

    def close(self) -> None:
        """Close all connections, and give up all locks with them."""
        with self._writing:
            if self._writer is not None:
                self._writer.close()
            self._writer = None
            self._held.clear()
        self._server.close()
        self._ready = False

    def __enter__(self) -> PostgresRunStore:
        self.initialize()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[Connection]:
        """A transaction on the connection that writes, or the one that is open already."""
        self.initialize()
        with self._writing, self._server.errors():
            connection = self._writing_connection()
            outer, self._inside = self._inside, threading.get_ident()
            try:
                with connection.transaction():
                    yield connection
            finally:
                self._inside = outer

    def _writing_connection(self) -> Connection:
        if self._writer is None or self._writer.closed:
            self._writer = self._server.connect(this_process())
            # With the old connection its locks are gone: take them again, or fail saying who has them now.
            for run_id in tuple(self._held):
                self._lock(self._writer, run_id)
        return self._writer

    @contextlib.contextmanager
    def _reading(self, run_id: str | None = None) -> Iterator[Connection]:
        self.initialize()
        with self._server.errors():
            if run_id in self._held and self._writer is not None and self._inside == threading.get_ident():
                # Inside a transaction of ours: what it wrote is to be seen.
                yield self._writer
                return
            with self._server.reader() as connection:
                yield connection

    # --- snapshots ----------------------------------------------------------------------------------------

    def persist_snapshot(self, snapshot: RunSnapshot) -> None:
        """Keep a snapshot with its cases; data that another run stored already is shared."""
        with self._transaction() as db:
            # One at a time: two runs may share a dataset that neither has stored yet.
            db.execute("lock table dataset in share row exclusive mode")
            if db.execute("select 1 from run where run_id = %s", (snapshot.run_id,)).fetchone():
                return
            number = _one(
                db.execute(
                    "insert into run (run_id, header, head_digest) values (%s, %s, %s) returning run_no",
                    (snapshot.run_id, encode(snapshot.header()).decode(), CHAIN_START),
                )
            )
            first = 0
            for ordinal, (key, dataset) in enumerate(keyed_datasets(snapshot)):
                db.execute(
                    "insert into run_dataset values (%s, %s, %s, %s, %s)",
                    (number, ordinal, _column(dataset.dataset_id), _keep_cases(db, key, dataset), first),
                )
                first += len(dataset.cases)

    def load_snapshot(self, run_id: str) -> RunSnapshot:
        """Return a snapshot whose cases are read from the server as needed."""
        with self._reading(run_id) as db:
            number = self._number(db, run_id)
            header = _one(db.execute("select header from run where run_no = %s", (number,)))
            datasets = db.execute(
                "select dataset_no, case_count from run_dataset join dataset using (dataset_no) "
                "where run_no = %s order by ordinal",
                (number,),
            ).fetchall()
        snapshot = RunSnapshot.from_dict(decode(header)).stored_as(run_id)
        return snapshot.evolve(
            datasets=[
                dataset.evolve(cases=_StoredCases(self, *found))
                for dataset, found in zip(snapshot.datasets, datasets, strict=True)
            ]
        )

    def _number(self, db: Connection, run_id: str) -> int:
        row = db.execute("select run_no from run where run_id = %s", (run_id,)).fetchone()
        if row is None:
            raise RunNotFoundError(f"no run {run_id!r} in {self.location}; list_runs shows what is")
        return int(row[0])

    def list_runs(self) -> Sequence[RunSummary]:
        """Return a line about each run, newest first."""
        with self._reading() as db:
            rows = db.execute(_LIST).fetchall()
        return tuple(
            summary_of(run_id, decode(header), int(cases), Ends(count, _time(first), _time(last), last_type))
            for run_id, header, cases, count, first, last, last_type in rows
        )

    # --- the one writer -----------------------------------------------------------------------------------

    def acquire(self, run_id: str) -> None:
        """Become the run's one writer, across machines."""
        self.initialize()
        with self._writing, self._server.errors():
            if run_id in self._held:
                raise locked(run_id, this_process())
            self._lock(self._writing_connection(), run_id)
            self._held[run_id] = 1

    def _lock(self, connection: Connection, run_id: str) -> None:
        key = self._key(run_id)
        if not _one(connection.execute("select pg_try_advisory_lock(%s)", (key,))):
            raise locked(run_id, self._holder(connection, key))

    def _holder(self, connection: Connection, key: int) -> str:
        row = connection.execute(
            "select a.application_name from pg_locks l join pg_stat_activity a using (pid) "
            "where l.locktype = 'advisory' and l.granted and l.database = "
            "(select oid from pg_database where datname = current_database()) "
            "and ((l.classid::bigint << 32) | l.objid::bigint) = %s",
            (key,),
        ).fetchone()
        return row[0] if row is not None and row[0] else "another process"

    def _key(self, run_id: str) -> int:
        """Return the advisory lock's number: 64 bits of a hash over the schema and the run."""
        digest = hashlib.sha256(f"{self._server.schema}\n{run_id}".encode()).digest()
        return int.from_bytes(digest[:8], signed=True)

    def release(self, run_id: str) -> None:
        """Stop being the run's writer."""
        with self._writing:
            if self._held.pop(run_id, None) is None or self._writer is None or self._writer.closed:
                return
            with self._server.errors():
                self._writer.execute("select pg_advisory_unlock(%s)", (self._key(run_id),))

    @contextlib.contextmanager
    def _holding(self, run_id: str) -> Iterator[None]:
        """Hold the run, unless this store does so already."""
        if run_id in self._held:
            yield
            return
        self.acquire(run_id)
        try:
            yield
        finally:
            self.release(run_id)

    @contextlib.contextmanager
    def transaction(self, run_id: str) -> Iterator[None]:
        """Keep what is written of the run within the context in one transaction of the server."""
        with self._holding(run_id), self._transaction():
            yield

    # --- events -------------------------------------------------------------------------------------------

    def append(self, run_id: str, events: Sequence[StoredEvent], blobs: Mapping[str, bytes]) -> None:
        """Keep events and blobs in one transaction."""
        if not events:
            return
        with self._transaction() as db:
            number = self._number(db, run_id)
            moved = db.execute(
                "update run set head_count = %s, head_digest = %s where run_no = %s and head_count = %s",
                (events[-1].sequence, events[-1].digest, number, events[0].sequence - 1),
            )
            if moved.rowcount != 1:
                raise StoreError(f"run {run_id}: another writer appended to it meanwhile; run again to resume")
            with db.cursor() as cursor, cursor.copy(_COPY) as copy:
                for event in events:
                    copy.write_row(_row(number, event))
            if blobs:
                with db.cursor() as cursor:
                    cursor.executemany("insert into blob values (%s, %s) on conflict do nothing", list(blobs.items()))
                    uses = [(number, ref) for ref in blobs]
                    cursor.executemany("insert into blob_use values (%s, %s) on conflict do nothing", uses)

    def head(self, run_id: str) -> ChainHead:
        """Return the end of the run's chain."""
        with self._reading(run_id) as db:
            row = db.execute("select head_count, head_digest from run where run_id = %s", (run_id,)).fetchone()
        return ChainHead(*row) if row is not None else ChainHead()

    def events(self, run_id: str) -> Iterator[StoredEvent]:
        """Yield the run's events."""
        return self._stream(run_id, f"{_EVENT} where run_no = %s order by sequence")

    def events_by_case(self, run_id: str) -> Iterator[StoredEvent]:
        """Yield the run's case events, case by case."""
        where = "where run_no = %s and case_no is not null order by case_no, sequence"
        return self._stream(run_id, f"{_EVENT} {where}")

    def _stream(self, run_id: str, query: LiteralString) -> Iterator[StoredEvent]:
        with self._reading(run_id) as db:
            number = self._number(db, run_id)
        return (_stored(row) for row in self._rows(query, (number,)))

    def _rows(self, query: LiteralString, parameters: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
        """Yield a query's rows from a cursor on the server, some at a time."""
        with self._reading() as db, db.transaction(), db.cursor("stream") as cursor:
            cursor.itersize = _PAGE
            yield from cursor.execute(query, parameters)

    def run_events(self, run_id: str) -> Sequence[StoredEvent]:
        """Return the events of the whole run."""
        return self._of_case(run_id, f"{_EVENT} where run_no = %s and case_no is null order by sequence")

    def case_events(self, run_id: str, case_no: int) -> Sequence[StoredEvent]:
        """Return one case's events."""
        return self._of_case(run_id, f"{_EVENT} where run_no = %s and case_no = %s order by sequence", case_no)

    def _of_case(self, run_id: str, query: LiteralString, *parameters: int) -> Sequence[StoredEvent]:
        with self._reading(run_id) as db:
            rows = db.execute(query, (self._number(db, run_id), *parameters)).fetchall()
        return tuple(map(_stored, rows))

    def settled_cases(self, run_id: str, metric_ids: Sequence[str]) -> Iterator[int]:
        """Yield cases with as many `score_completed` events as there are metrics, and none of a failure."""
        with self._reading(run_id) as db:
            number = self._number(db, run_id)
        rows = self._rows(
            "select case_no from event where run_no = %s and case_no is not null group by case_no "
            "having count(*) filter (where event_type = 'score_completed') = %s "
            "and count(*) filter (where right(event_type, 7) = '_failed') = 0 order by case_no",
            (number, len(metric_ids)),
        )
        return (row[0] for row in rows) if metric_ids else iter(())

    def blob(self, ref: str) -> bytes:
        """Return a blob."""
        with self._reading() as db:
            row = db.execute("select content from blob where ref = %s", (ref,)).fetchone()
        if row is None:
            raise StoreError(f"blob {ref} is missing in {self.location}; restore the store from a copy")
        return bytes(row[0])

    def cached(self, keys: Sequence[str]) -> Mapping[str, tuple[str, StoredEvent]]:
        """Return the newest event known under each of these cache keys."""
        with self._reading() as db:
            rows = db.execute(_CACHED, ([bytes.fromhex(key) for key in keys],)).fetchall()
        return {row[3].hex(): (row[-1], _stored(row)) for row in rows}

    def clear_run(self, run_id: str) -> None:
        """Forget a run; cases and blobs that other runs use stay."""
        with self._holding(run_id), self._transaction() as db:
            number = self._number(db, run_id)
            db.execute("lock table dataset, blob in share row exclusive mode")
            refs = [row[0] for row in db.execute("select ref from blob_use where run_no = %s", (number,)).fetchall()]
            for statement in _CLEAR:
                db.execute(statement, {"run_no": number, "refs": refs})


_CLEAR: Final[tuple[LiteralString, ...]] = (
    "delete from event where run_no = %(run_no)s",
    "delete from blob_use where run_no = %(run_no)s",
    "delete from blob b where ref = any(%(refs)s) and not exists (select 1 from blob_use u where u.ref = b.ref)",
    "delete from run_dataset where run_no = %(run_no)s",
    "delete from run where run_no = %(run_no)s",
    "delete from dataset_case c where not exists (select 1 from run_dataset r where r.dataset_no = c.dataset_no)",
    "delete from dataset d where not exists (select 1 from run_dataset r where r.dataset_no = d.dataset_no)",
)
_EVENT: Final = "select sequence, case_no, event_type, cache_key, payload, digest from event"
_COPY: Final = "copy event (run_no, sequence, case_no, event_type, cache_key, payload, digest) from stdin"
_CACHED: Final = (
    "select distinct on (cache_key) sequence, case_no, event_type, cache_key, payload, digest, run_id "
    "from event join run using (run_no) where cache_key = any(%s) order by cache_key, run_no desc, sequence desc"
)
# The ends of each run's chain are found by their keys, so that a listing reads two events a run.
_LIST: Final = """
    select r.run_id, r.header,
        (select coalesce(sum(d.case_count), 0) from run_dataset rd join dataset d using (dataset_no)
            where rd.run_no = r.run_no),
        r.head_count, first.payload, last.payload, last.event_type
    from run r
    left join event first on first.run_no = r.run_no and first.sequence = 1
    left join event last on last.run_no = r.run_no and last.sequence = r.head_count
    order by r.run_no desc
"""


def _row(number: int, event: StoredEvent) -> tuple[Any, ...]:
    key = bytes.fromhex(event.cache_key) if event.cache_key is not None else None
    digest = bytes.fromhex(event.digest)
    return (number, event.sequence, event.case_no, event.event_type, key, event.payload, digest)


def _stored(row: tuple[Any, ...]) -> StoredEvent:
    sequence, case_no, event_type, key, payload, digest = row[:6]
    return StoredEvent(case_no, event_type, key.hex() if key is not None else None, payload, digest.hex(), sequence)


def _one(cursor: Any) -> Any:
    """Return the one value of a row that is there."""
    return cursor.fetchone()[0]


def _time(payload: str | None) -> str | None:
    found: str | None = decode(payload).get("occurred_at") if payload else None
    return found


def _column(text: str) -> str:
    """Return text as PostgreSQL can hold it: it has no character U+0000. The views alone read such columns."""
    return text.replace("\0", "\ufffd")


def _keep_cases(db: Connection, fingerprint: str, dataset: Dataset) -> int:
    row = db.execute("select dataset_no from dataset where fingerprint = %s", (fingerprint,)).fetchone()
    if row is not None:
        return int(row[0])
    number = _one(
        db.execute(
            "insert into dataset (fingerprint, case_count) values (%s, %s) returning dataset_no",
            (fingerprint, len(dataset.cases)),
        )
    )
    with db.cursor() as cursor, cursor.copy("copy dataset_case from stdin") as copy:
        for position, case in enumerate(dataset.cases):
            copy.write_row((number, position, _column(case.case_id), encode(case).decode()))
    return int(number)


class _StoredCases(CaseSource):
    """The cases of a stored dataset, read as needed."""

    def __init__(self, store: PostgresRunStore, dataset_no: int, count: int) -> None:
        self._store = store
        self._dataset_no = dataset_no
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Case]:
        query: Final = "select payload from dataset_case where dataset_no = %s order by position"
        for row in self._store._rows(query, (self._dataset_no,)):
            yield Case.from_dict(decode(row[0]))
