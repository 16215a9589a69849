"""The PostgreSQL store's connections, its locks and how it spells statements; what it keeps is told by `tables`.

Each batch is one transaction: events go in by COPY, and are acknowledged once the server has them on disk. A run
has one writer: a session-level advisory lock of the connection that writes, so that the lock is free when that
connection, or its process, is gone. The session's `application_name` says who holds it.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final

from themis.effects.stores.locks import locked, this_process
from themis.effects.stores.postgres_server import Server
from themis.effects.stores.tables import Row, TableStore, binary, stored_event
from themis.pure.records.stored import StoredEvent

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

_PAGE: Final = 2_000
"""Rows that a stream fetches at a time."""
_PARAMETER: Final = re.compile(r":(\w+)")


class PostgresConnections(TableStore["Connection"]):
    """A store in a schema of a PostgreSQL database, as far as it does not depend on what is kept there.

    Args:
        dsn, schema: as for `PostgresRunStore`.
    """

    is_remote: ClassVar[bool] = True
    _ROW: ClassVar[str] = "sequence"
    _SEQUENCE: ClassVar[str] = "sequence"
    _OF_RUN: ClassVar[str] = "run_no = :run_no"
    _NTH: ClassVar[str] = "{event}.run_no = r.run_no and {event}.sequence = {n}"

    def __init__(self, dsn: str, schema: str = "themis") -> None:
        self._server = Server(dsn, schema)
        super().__init__(f"postgres:{self._server.name}", "; list_runs shows what is")
        self._writer: Connection | None = None
        self._inside: int | None = None  # the thread that has a transaction open

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
            self._lock_again(self._writer)
        return self._writer

    def _lock_again(self, connection: Connection) -> None:
        for run_id in tuple(self._locks):
            self._take(connection, run_id)

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
            self._take(self._writing_connection(), run_id)
        return functools.partial(self._free, run_id)

    def _is_locked(self, run_id: str) -> bool:
        with self._reading() as db:
            return self._writer_of(db, self._key(run_id)) is not None

    def _free(self, run_id: str) -> None:
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
_CACHED: Final = """
    select distinct on (cache_key) run_id, sequence, case_no, event_type, cache_key, payload, digest
    from event join run using (run_no) where cache_key = any(%s) order by cache_key, run_no desc, sequence desc
"""


@functools.cache
def _spelled(sql: str) -> bytes:
    return _PARAMETER.sub(r"%(\1)s", sql.replace("%", "%%")).encode()
