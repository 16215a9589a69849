"""The PostgreSQL store: for teams whose runs share a server. It wants psycopg 3 (extra `postgres`).

Each batch is one transaction: events go in by COPY, and are acknowledged once the server has them on disk. A run
has one writer: a session-level advisory lock of the connection that writes, so that the lock is free when that
connection, or its process, is gone. The session's `application_name` says who holds it.

Of a run that is divided, each segment has one writer, by the same kind of lock; all of them share the run's, so that
nobody takes it alone meanwhile. Locks tell who lives. What is true is told by compare-and-append: a segment moves on
only from the end, and by the claim, that its writer knows.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, NoReturn

from themis.effects.stores.base import overtaken
from themis.effects.stores.locks import locked, this_process
from themis.effects.stores.postgres_server import Server
from themis.effects.stores.tables import Row, TableStore, binary, stored_event, value_of
from themis.pure.errors import RunLockedError
from themis.pure.limits import Budget, Estimate
from themis.pure.protocols import MakeEvents
from themis.pure.records.config import StorageConfig
from themis.pure.records.stored import ChainHead, Segment, StoredEvent
from themis.pure.segments import RUN_CHAIN, Position

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

_PAGE: Final = 2_000
"""Rows that a stream fetches at a time."""
_EVENTS_OF_RUN: Final = (
    "r.head_count + (select cast(coalesce(sum(s.head_count), 0) as bigint) from segment s where s.run_no = r.run_no)"
)
_PARAMETER: Final = re.compile(r":(\w+)")


class PostgresRunStore(TableStore["Connection"]):
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

    is_remote: ClassVar[bool] = True
    _ROW: ClassVar[str] = "sequence"
    _SEQUENCE: ClassVar[str] = "sequence"
    _OF_RUN: ClassVar[str] = "run_no = :run_no"
    _NTH: ClassVar[str] = "{event}.run_no = r.run_no and {event}.sequence = {n}"
    _LAST: ClassVar[str] = "r.head_last"
    _COUNT: ClassVar[str] = _EVENTS_OF_RUN

    def __init__(self, dsn: str, schema: str = "themis") -> None:
        self._server = Server(dsn, schema)
        super().__init__(f"postgres:{self._server.name}", "; list_runs shows what is")
        self._writer: Connection | None = None
        self._claims: dict[str, int] = {}  # of divided runs that this process has acquired, the claim
        self._slots: dict[tuple[str, str], set[int]] = {}
        self._joined: dict[str, dict[int, int]] = {}  # runs of many writers, with the segments and claims of this one
        self._inside: int | None = None  # the thread that has a transaction open

    def __repr__(self) -> str:
        return f"PostgresRunStore({self._server.name!r})"

    @property
    def storage(self) -> StorageConfig:
        return StorageConfig(store="postgres", parameters={"schema": self._server.schema})

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"{self!r} can't be pickled: its address may hold a password. Pickle the run's id, and open the store there"
        )

    # --- connections --------------------------------------------------------------------------------------

    def _open(self) -> None:
        with self._server.errors():
            self._server.prepare()

    def close(self) -> None:
        """Close all connections, and give up all locks with them."""
        with self._guard:
            if self._writer is not None:
                self._writer.close()
            self._writer = None
        super().close()

    def _close(self) -> None:
        self._server.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[Connection]:
        self.initialize()
        with self._guard, self._server.errors():
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
            for run_id in tuple(self._locks):
                self._take(self._writer, run_id)
            for run_id, segments in self._joined.items():
                self._take(self._writer, run_id, shared=True)
                for segment in segments:
                    if not self._take_segment(self._writer, run_id, segment):
                        raise overtaken(run_id)
            for (run_id, name), slots in self._slots.items():
                for slot in slots:
                    if not self._try_lock(self._writer, self._key(run_id, name) ^ slot):
                        raise overtaken(run_id)
        return self._writer

    @contextlib.contextmanager
    def _reading(self, run_id: str | None = None) -> Iterator[Connection]:
        self.initialize()
        with self._server.errors():
            if run_id in self._locks and self._writer is not None and self._inside == threading.get_ident():
                # Inside a transaction of ours: what it wrote is to be seen.
                yield self._writer
                return
            with self._server.reader() as connection:
                yield connection

    def _exclude(self, db: Connection, tables: str) -> None:
        db.execute(f"lock table {tables} in share row exclusive mode".encode())

    # --- the one writer -----------------------------------------------------------------------------------

    def _lock(self, run_id: str) -> Callable[[], None]:
        with self._server.errors():
            connection = self._writing_connection()
            self._take(connection, run_id)
            claimed = self._execute(connection, _CLAIM_RUN, {"run_id": run_id}).fetchone()
        if claimed is not None:
            self._claims[run_id] = claimed[0]
        return functools.partial(self._free, run_id)

    def _is_locked(self, run_id: str) -> bool:
        with self._reading() as db:
            return self._writer_of(db, self._key(run_id)) is not None

    def _free(self, run_id: str) -> None:
        self._claims.pop(run_id, None)
        self._unlock("pg_advisory_unlock", self._key(run_id))

    def _unlock(self, function: str, key: int) -> None:
        if self._writer is not None and not self._writer.closed:
            with self._server.errors():
                self._writer.execute(f"select {function}(%s)".encode(), (key,))

    def _take(self, connection: Connection, run_id: str, *, shared: bool = False) -> None:
        key = self._key(run_id)
        function = "pg_try_advisory_lock_shared" if shared else "pg_try_advisory_lock"
        taken = connection.execute(f"select {function}(%s)".encode(), (key,)).fetchone()
        if taken != (True,):
            raise locked(run_id, self._writer_of(connection, key) or "another process")

    def _take_segment(self, connection: Connection, run_id: str, segment: int) -> bool:
        return self._try_lock(connection, self._key(run_id, segment))

    @staticmethod
    def _try_lock(connection: Connection, key: int) -> bool:
        return connection.execute("select pg_try_advisory_lock(%s)", (key,)).fetchone() == (True,)

    def _writer_of(self, connection: Connection, key: int) -> str | None:
        row = connection.execute(
            "select a.application_name from pg_locks l join pg_stat_activity a using (pid) "
            "where l.locktype = 'advisory' and l.granted and l.database = "
            "(select oid from pg_database where datname = current_database()) "
            "and ((l.classid::bigint << 32) | l.objid::bigint) = %s",
            (key,),
        ).fetchone()
        return None if row is None else row[0] or "another process"

    def _key(self, run_id: str, what: int | str | None = None) -> int:
        """Return an advisory lock's number: 64 bits of a hash over the schema, the run, and what of it is locked."""
        part = "" if what is None else f"\n{what}"
        digest = hashlib.sha256(f"{self._server.schema}\n{run_id}{part}".encode()).digest()
        return int.from_bytes(digest[:8], signed=True)

    # --- runs of many writers -----------------------------------------------------------------------------

    def head(self, run_id: str) -> ChainHead:
        with self._reading(run_id) as db:
            row = self._execute(db, _HEAD, {"run_id": run_id}).fetchone()
        if row is None:
            return ChainHead()
        count, number, digest, last = row
        claim = self._claims.get(run_id)
        # Who has acquired a divided run goes on by a claim of its own.
        return ChainHead(count, digest, last if claim is None else Position(claim, RUN_CHAIN, number).sequence)

    def _move_head(self, db: Connection, run_no: int, first: int, last: StoredEvent) -> bool:
        claim, _, number = Position.of(last.sequence)
        end = {"number": number, "digest": last.digest, "last": last.sequence, "run_no": run_no, "claim": claim}
        before = {"before": Position.of(first).number - 1}
        return self._execute(db, _MOVE_HEAD, {**end, **before}).rowcount == 1

    def divide(self, run_id: str, segments: Sequence[str], size: int, event: StoredEvent) -> None:
        with self._transaction() as db:
            self.append(run_id, [event], {})
            run_no = self._number(db, run_id)
            self._execute(db, _DIVIDE, {"size": size, "run_no": run_no})
            rows = [{"run_no": run_no, "number": n, "digest": digest} for n, digest in enumerate(segments)]
            self._execute_many(
                db, "insert into segment (run_no, number, head_digest) values (:run_no, :number, :digest)", rows
            )

    def segment_size(self, run_id: str) -> int | None:
        with self._reading(run_id) as db:
            row = self._execute(
                db, "select segment_size from run where run_id = :run_id", {"run_id": run_id}
            ).fetchone()
        return None if row is None else row[0]

    def segments(self, run_id: str) -> Sequence[Segment]:
        with self._reading(run_id) as db:
            return self._segments(db, self._number(db, run_id))

    def _segments(self, db: Connection, run_no: int) -> Sequence[Segment]:
        rows = self._execute(db, _SEGMENTS, {"run_no": run_no}).fetchall()
        return [Segment(number=row[0], head=ChainHead(*row[1:4]), is_done=row[4]) for row in rows]

    def begin(self, run_id: str, manifest: str, make: MakeEvents) -> None:
        with self._transaction() as db:
            claim, run_no = self._go_on(db, run_id, make) or (0, 0)
            said = {"attempt": claim, "manifest": manifest, "run_no": run_no}
            self._execute(db, "update run set attempt = :attempt, manifest = :manifest where run_no = :run_no", said)

    def end(self, run_id: str, make: MakeEvents) -> bool:
        with self._transaction() as db:
            query = "select manifest from run where run_id = :run_id for update"
            if self._execute(db, query, {"run_id": run_id}).fetchone() in (None, (None,)):
                return False
            went_on = self._go_on(db, run_id, make)
            if went_on is not None:
                self._execute(db, "update run set manifest = null where run_no = :run_no", {"run_no": went_on[1]})
            return went_on is not None

    def _go_on(self, db: Connection, run_id: str, make: MakeEvents) -> tuple[int, int] | None:
        """Append to the chain of a run that others write, too; return the claim and the run's number."""
        row = self._execute(db, _CLAIM_CHAIN, {"run_id": run_id}).fetchone()
        if row is None:
            raise self._no_run(run_id)
        run_no, claim, count, digest = row
        segments = self._segments(db, run_no)
        total = count + sum(segment.head.count for segment in segments)
        events = make(ChainHead(total, digest, Position(claim, RUN_CHAIN, count).sequence), segments)
        if not events:
            return None
        self.append(run_id, events, {})
        self._execute(db, "update run set writer = -1 where run_no = :run_no", {"run_no": run_no})
        return claim, run_no

    def manifest(self, run_id: str) -> str | None:
        text: str | None = self._fact(run_id, "manifest")
        return text

    def _fact(self, run_id: str, column: str) -> Any:
        with self._reading(run_id) as db:
            query = f"select {column} from run where run_id = :run_id"  # noqa: S608  # fixed text
            row = self._execute(db, query, {"run_id": run_id}).fetchone()
        return None if row is None else row[0]

    def join(self, run_id: str) -> None:
        self.initialize()
        with self._guard, self._server.errors():
            if run_id in self._joined:
                raise RunLockedError(f"run {run_id} is being worked on by another task of this process")
            self._take(self._writing_connection(), run_id, shared=True)
            self._joined[run_id] = {}

    def leave(self, run_id: str) -> None:
        with self._guard:
            for segment in tuple(self._joined.get(run_id, ())):
                self.give_back(run_id, segment)
            if self._joined.pop(run_id, None) is not None:
                self._unlock("pg_advisory_unlock_shared", self._key(run_id))

    def claim(self, run_id: str, segment: int | None = None) -> Segment | None:
        with self._guard, self._server.errors():
            connection = self._writing_connection()
            for (number,) in self._open_segments(connection, run_id, segment):
                if number not in self._joined[run_id] and self._take_segment(connection, run_id, number):
                    claimed = self._claimed(run_id, number)
                    if claimed is not None:
                        return claimed
                    self._unlock("pg_advisory_unlock", self._key(run_id, number))
        return None

    def is_worked_off(self, run_id: str, segment: int | None = None) -> bool:
        with self._reading(run_id) as db:
            return not self._open_segments(db, run_id, segment)

    def _open_segments(self, db: Connection, run_id: str, segment: int | None) -> list[Row]:
        return self._execute(db, _OPEN, {"run_id": run_id, "segment": segment}).fetchall()

    def _claimed(self, run_id: str, segment: int) -> Segment | None:
        # Looked at again: its last writer may have finished it between the list and the lock.
        with self._transaction() as db:
            row = self._execute(db, _CLAIM_SEGMENT, {"run_id": run_id, "number": segment}).fetchone()
        if row is None:
            return None
        claim, count, digest = row
        self._joined[run_id][segment] = claim
        return Segment(number=segment, head=ChainHead(count, digest, Position(claim, segment + 1, count).sequence))

    def append_to(self, run_id: str, segment: int, events: Sequence[StoredEvent], blobs: Mapping[str, bytes]) -> None:
        batch, first, last = self._packed(events), Position.of(events[0].sequence), events[-1]
        if self._joined.get(run_id, {}).get(segment) != first.claim:
            raise overtaken(run_id)
        with self._transaction() as db:
            run_no = self._number(db, run_id)
            end = {
                "run_no": run_no,
                "segment": segment,
                "claim": first.claim,
                "before": first.number - 1,
                "number": Position.of(last.sequence).number,
                "digest": last.digest,
                "last": last.sequence,
            }
            if self._execute(db, _MOVE_SEGMENT, end).rowcount != 1:
                raise overtaken(run_id)
            self._insert_events(db, run_no, events[0].sequence, batch)
            self._insert_blobs(db, run_no, blobs)

    def segment_head(self, run_id: str, segment: int) -> ChainHead:
        with self._reading(run_id) as db:
            place = {"run_no": self._number(db, run_id), "segment": segment}
            count, digest, last = self._execute(db, _SEGMENT_HEAD, place).fetchone() or (0, "", 0)
        return ChainHead(count, digest, last)

    def finish(self, run_id: str, segment: int, head: ChainHead) -> None:
        with self._transaction() as db:
            claim = self._joined.get(run_id, {}).get(segment)
            end = {"run_no": self._number(db, run_id), "segment": segment, "claim": claim, "count": head.count}
            if self._execute(db, _FINISH, end).rowcount != 1:
                raise overtaken(run_id)
        self.give_back(run_id, segment)

    def give_back(self, run_id: str, segment: int) -> None:
        with self._guard:
            if self._joined.get(run_id, {}).pop(segment, None) is not None:
                self._unlock("pg_advisory_unlock", self._key(run_id, segment))

    def events_of_cases(self, run_id: str, cases: range) -> Iterator[StoredEvent]:
        where = "run_no = :run_no and case_no >= :first and case_no < :stop order by case_no, sequence"
        with self._reading(run_id) as db:
            run = {"run_no": self._number(db, run_id), "first": cases.start, "stop": cases.stop}
        return map(stored_event, self._stream(self._select(where), run))

    # --- what the workers of a run share ------------------------------------------------------------------

    def workers(self, run_id: str) -> int:
        with self._reading() as db:
            return int(value_of(self._execute(db, _WORKERS, {"key": self._key(run_id)})))

    def take_rate(self, run_id: str, name: str, per_minute: float, units: float) -> float:
        taken = {"run_id": run_id, "name": name, "seconds": 60.0 * units / per_minute}
        with self._shared() as db:
            return max(0.0, float(value_of(self._execute(db, _TAKE_RATE, taken))))

    @contextlib.contextmanager
    def _shared(self) -> Iterator[Connection]:
        """Lend the writer's connection for what is lost without harm: nobody waits for a disk."""
        with self._guard, self._server.errors():
            connection = self._writing_connection()
            with connection.transaction():
                connection.execute("set local synchronous_commit to off")
                yield connection

    def take_slots(self, run_id: str, name: str, most: int, wanted: int) -> Sequence[int]:
        with self._guard, self._server.errors():
            held = self._slots.setdefault((run_id, name), set())
            asked = {"key": self._key(run_id, name), "most": most, "wanted": wanted, "held": list(held)}
            rows = self._execute(self._writing_connection(), _TAKE_SLOTS, asked).fetchall()
            held.update(slot for (slot,) in rows)
            return [slot for (slot,) in rows]

    def give_slots_back(self, run_id: str, name: str, slots: Sequence[int]) -> None:
        with self._guard:
            for slot in slots:
                self._slots[run_id, name].discard(slot)
                self._unlock("pg_advisory_unlock", self._key(run_id, name) ^ slot)

    def set_spending(self, run_id: str, spent: Mapping[str, tuple[int, float]]) -> None:
        with self._transaction() as db:
            run_no = self._number(db, run_id)
            self._execute(db, "delete from spending where run_no = :run_no", {"run_no": run_no})
            self._execute(db, "delete from reservation where run_no = :run_no", {"run_no": run_no})
            rows = [
                {"run_no": run_no, "stage": stage, "tokens": tokens, "cost": cost}
                for stage, (tokens, cost) in spent.items()
            ]
            self._execute_many(db, _SPEND, rows)

    def reserve(self, run_id: str, stage: str, wanted: Estimate, budget: Callable[[], Budget]) -> bool | None:
        with self._shared() as db:
            query = "select run_no from run where run_id = :run_id for update"
            run = {"run_no": value_of(self._execute(db, query, {"run_id": run_id}))}
            books = budget()
            for spent, tokens, cost in self._execute(db, _SPENT, run).fetchall():
                books.spend(spent, tokens, cost)
            if not books.ever_fits(stage, wanted):
                return False
            for reserved, tokens, cost in self._execute(db, _RESERVED, run).fetchall():
                books.reserve(reserved, Estimate(tokens=tokens, cost=cost))
            if not books.fits(stage, wanted):
                return None
            self._execute(db, _RESERVE, {**run, "stage": stage, "tokens": wanted.tokens, "cost": wanted.cost})
            return True

    def spend(self, run_id: str, stage: str, *, freed: Estimate, used: Estimate) -> None:
        with self._shared() as db:
            of = {"run_no": self._number(db, run_id), "stage": stage}
            self._execute(db, _RESERVE, {**of, "tokens": -freed.tokens, "cost": -freed.cost})
            self._execute(db, _SPEND, {**of, "tokens": used.tokens, "cost": used.cost})

    # --- statements ---------------------------------------------------------------------------------------

    def _execute(self, db: Connection, sql: str, parameters: Mapping[str, Any]) -> psycopg.Cursor[Row]:
        return db.execute(_spelled(sql), parameters)

    def _execute_many(self, db: Connection, sql: str, parameters: Sequence[Mapping[str, Any]]) -> None:
        with db.cursor() as cursor:
            cursor.executemany(_spelled(sql), parameters)

    def _stream(self, sql: str, parameters: Mapping[str, Any]) -> Iterator[Row]:
        # A cursor on the server, read some rows at a time.
        with self._reading() as db, db.transaction(), db.cursor("stream") as cursor:
            cursor.itersize = _PAGE
            yield from cursor.execute(_spelled(sql), parameters)

    def _insert_cases(self, db: Connection, rows: Iterable[Row]) -> None:
        with db.cursor() as cursor, cursor.copy("copy dataset_case from stdin") as copy:
            for row in rows:
                copy.write_row(row)

    def _packed(self, events: Sequence[StoredEvent]) -> list[Row]:
        return [(e.sequence, e.case_no, e.event_type, binary(e.cache_key), e.payload, binary(e.digest)) for e in events]

    def _insert_events(self, db: Connection, run_no: int, first: int, batch: Sequence[Row]) -> None:
        with db.cursor() as cursor, cursor.copy(_COPY) as copy:
            for row in batch:
                copy.write_row((run_no, *row))

    @staticmethod
    def _text(text: str) -> str:
        """Return text as PostgreSQL can hold it: it has no character U+0000. The views alone read such columns."""
        return text.replace("\0", "\ufffd")

    def cached(self, keys: Sequence[str]) -> Mapping[str, tuple[str, StoredEvent]]:
        with self._reading() as db:
            rows = db.execute(_CACHED, ([bytes.fromhex(key) for key in keys],)).fetchall()
        return {row[4].hex(): (row[0], stored_event(row[1:])) for row in rows}


_COPY: Final = "copy event (run_no, sequence, case_no, event_type, cache_key, payload, digest) from stdin"
_HEAD: Final = f"select {_EVENTS_OF_RUN}, head_count, head_digest, head_last from run r where run_id = :run_id"  # noqa: S608
_MOVE_HEAD: Final = """
    update run set head_count = :number, head_digest = :digest, head_last = :last
    where run_no = :run_no and head_count = :before and writer = :claim
"""
_INSERT_SEGMENT: Final = "insert into segment (run_no, number, head_digest) values (:run_no, :number, :digest)"
_DIVIDE: Final = "update run set segment_size = :size, writer = -1 where run_no = :run_no"
_CLAIM_RUN: Final = """
    update run set claims = claims + 1, writer = claims + 1
    where run_id = :run_id and segment_size is not null returning writer
"""
_CLAIM_CHAIN: Final = """
    update run set claims = claims + 1, writer = claims + 1
    where run_id = :run_id and segment_size is not null returning run_no, writer, head_count, head_digest
"""
_SEGMENTS: Final = """
    select s.number, s.head_count, s.head_digest, s.head_last, s.done_in = r.attempt
    from segment s join run r using (run_no) where run_no = :run_no order by s.number
"""
_OPEN: Final = """
    select s.number from segment s join run r using (run_no)
    where r.run_id = :run_id and r.manifest is not null and s.done_in <> r.attempt
        and s.number = coalesce(:segment, s.number)
    order by s.number
"""
_CLAIM_SEGMENT: Final = """
    with r as (
        update run set claims = claims + 1, writer = -1 where run_id = :run_id and manifest is not null
        returning run_no, claims, attempt
    )
    update segment s set claim = r.claims from r
    where s.run_no = r.run_no and s.number = :number and s.done_in <> r.attempt
    returning s.claim, s.head_count, s.head_digest
"""
_MOVE_SEGMENT: Final = """
    update segment set head_count = :number, head_digest = :digest, head_last = :last
    where run_no = :run_no and number = :segment and claim = :claim and head_count = :before
"""
_SEGMENT_HEAD: Final = (
    "select head_count, head_digest, head_last from segment where run_no = :run_no and number = :segment"
)
_FINISH: Final = """
    update segment s set done_in = r.attempt from run r
    where s.run_no = :run_no and r.run_no = s.run_no and s.number = :segment
        and s.claim = :claim and s.claim > r.attempt and s.head_count = :count
"""
_WORKERS: Final = """
    select count(distinct pid) from pg_locks where locktype = 'advisory' and granted and mode = 'ShareLock'
        and database = (select oid from pg_database where datname = current_database())
        and ((cast(classid as bigint) << 32) | cast(objid as bigint)) = :key
"""
# The locks are tried one after the other, and none is that is held here, which would be taken once more.
_TAKE_SLOTS: Final = """
    with others as materialized (select slot from generate_series(0, :most - 1) slot where slot <> all(:held))
    select slot from others where pg_try_advisory_lock(:key # slot) limit :wanted
"""
_TAKE_RATE: Final = """
    insert into rate as r (run_no, name, ready_at)
    select run_no, :name, clock_timestamp() + make_interval(secs => :seconds) from run where run_id = :run_id
    on conflict (run_no, name) do update
        set ready_at = greatest(r.ready_at, clock_timestamp()) + make_interval(secs => :seconds)
    returning extract(epoch from ready_at - clock_timestamp()) - :seconds
"""
_SPEND: Final = """
    insert into spending as s values (:run_no, :stage, :tokens, :cost)
    on conflict (run_no, stage) do update set tokens = s.tokens + excluded.tokens, cost = s.cost + excluded.cost
"""
_SPENT: Final = "select stage, tokens, cost from spending where run_no = :run_no"
# Of the sessions that are there still: what a worker that died had reserved is free.
_RESERVED: Final = """
    select r.stage, r.tokens, r.cost from reservation r join pg_stat_activity a using (pid)
    where r.run_no = :run_no and coalesce(a.backend_start, r.since) = r.since
"""
_RESERVE: Final = """
    insert into reservation as r
    select :run_no, pid, backend_start, :stage, :tokens, :cost from pg_stat_activity where pid = pg_backend_pid()
    on conflict (run_no, pid, since, stage) do update
        set tokens = r.tokens + excluded.tokens, cost = r.cost + excluded.cost
"""
_CACHED: Final = """
    select distinct on (cache_key) run_id, sequence, case_no, event_type, cache_key, payload, digest
    from event join run using (run_no) where cache_key = any(%s) order by cache_key, run_no desc, sequence desc
"""


@functools.cache
def _spelled(sql: str) -> bytes:
    return _PARAMETER.sub(r"%(\1)s", sql.replace("%", "%%")).encode()
