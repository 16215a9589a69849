"""The PostgreSQL store's server: connections, the schema's version, and what the server's errors mean."""

from __future__ import annotations

import contextlib
import logging
import queue
import re
import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from themis.effects.stores.base import newer
from themis.effects.stores.tables import read_schema, value_of
from themis.pure.errors import MissingExtraError, StoreError, pip_install
from themis.pure.security import redact

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

SCHEMA_VERSION: Final = 5
_READERS_KEPT: Final = 4
_SOON: Final[dict[str, Any]] = {
    "keepalives_idle": 3,
    "keepalives_interval": 1,
    "keepalives_count": 3,
    "tcp_user_timeout": 7_000,
}
"""A process whose cable was cut notices it within some 7 seconds, and stops."""
_LATER: Final = {
    "tcp_keepalives_idle": 5,
    "tcp_keepalives_interval": 2,
    "tcp_keepalives_count": 3,
    "tcp_user_timeout": 11_000,
}
"""And the server within some 11: only then are its locks free, and what it was doing is another's.

What the system would wait by itself is two hours; or a quarter of one for who has not confirmed the last answer, for
then no keepalive is sent.
"""


def _close_all(connections: queue.SimpleQueue[Connection]) -> None:
    with contextlib.suppress(queue.Empty):
        while True:
            connections.get_nowait().close()


class Server:
    """One schema of one database."""

    def __init__(self, dsn: str, schema: str) -> None:
        try:
            import psycopg.conninfo
        except ImportError as error:
            raise MissingExtraError(
                f"the postgres store needs psycopg 3, which is not installed: {pip_install('postgres')}"
            ) from error
        logging.getLogger("psycopg").addFilter(_says_more)
        self.schema = schema
        try:
            place = psycopg.conninfo.conninfo_to_dict(dsn)
        except psycopg.Error as error:
            raise StoreError(
                f"storage.parameters.dsn can't be read as an address of PostgreSQL: {redact(str(error))}"
            ) from None
        self.dsn: str = psycopg.conninfo.make_conninfo(**{**_SOON, **place})
        host, port = place.get("host") or "localhost", place.get("port") or 5432
        self._password = str(place.get("password") or "")
        self.name: str = f"{host}:{port}/{place.get('dbname') or ''}?schema={schema}"
        self._free: queue.SimpleQueue[Connection] = queue.SimpleQueue()
        self._lent: set[Connection] = set()
        weakref.finalize(self, _close_all, self._free)  # a store that nobody closed has connections all the same

    def connect(self, name: str = "themis") -> Connection:
        """Open a connection that commits durably and sees the store's schema."""
        import psycopg
        from psycopg import sql

        # A name longer than 63 bytes would be cut by the server: its end, the machine, matters less.
        connection = psycopg.connect(self.dsn, autocommit=True, application_name=name[:63], connect_timeout=10)
        connection.execute(sql.SQL("set search_path to {}").format(sql.Identifier(self.schema)))
        connection.execute("set synchronous_commit to on")
        # Compiling a query of the views takes seconds; running it on a small run, milliseconds.
        connection.execute("set jit to off")
        for name, value in _LATER.items():
            connection.execute(f"set {name} to {value}".encode())
        return connection

    @contextlib.contextmanager
    def reader(self) -> Iterator[Connection]:
        """Lend a connection for reading."""
        try:
            connection = self._free.get_nowait()
        except queue.Empty:
            connection = self.connect()
        self._lent.add(connection)
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        finally:
            self._lent.discard(connection)
        if connection.closed or self._free.qsize() >= _READERS_KEPT:
            connection.close()
        else:
            self._free.put(connection)

    def close(self) -> None:
        """Close all connections, those too that somebody reads by who will not read on."""
        _close_all(self._free)
        for connection in tuple(self._lent):
            connection.close()

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Turn what the server says into an error that says what to do, and no password."""
        import psycopg

        try:
            yield
        except psycopg.errors.UndefinedTable as error:
            raise StoreError(
                f"postgres:{self.name} is damaged ({self._said(error)}): restore the schema from a dump; "
                "nothing was changed"
            ) from None
        except psycopg.errors.DiskFull as error:
            raise StoreError(
                f"postgres:{self.name}: the server's disk is full ({self._said(error)}): make room there, and go on"
            ) from None
        except psycopg.Error as error:
            raise StoreError(
                f"postgres:{self.name}: {self._said(error)}; check that the server runs, the dsn and the user's rights"
            ) from None

    def _said(self, error: Exception) -> str:
        text = redact(" ".join(str(error).split()))
        return text.replace(self._password, "[secret]") if self._password else text

    def prepare(self) -> None:
        """Create the schema, or check its version and bring it up to date, in one transaction."""
        from psycopg import sql

        with self.reader() as db, db.transaction():
            # One at a time: two processes may find that there is no schema yet.
            db.execute("select pg_advisory_xact_lock(hashtext(%s))", (f"themis schema {self.schema}",))
            if value_of(db.execute("show server_encoding")) != "UTF8":
                raise StoreError(f"postgres:{self.name} is not in UTF-8: create the database with encoding 'UTF8'")
            version = self._version(db)
            if version is None:
                db.execute(sql.SQL("create schema if not exists {}").format(sql.Identifier(self.schema)))
                for name in _TABLES.values():
                    db.execute(read_schema(name).encode())
                db.execute(_views().encode())
                db.execute("insert into store values (%s)", (SCHEMA_VERSION,))
            elif version > SCHEMA_VERSION:
                raise newer(f"postgres:{self.name}", "schema", version, SCHEMA_VERSION)
            elif version < SCHEMA_VERSION:
                for made, name in _TABLES.items():
                    if made > version:
                        db.execute(read_schema(name).encode())
                # Views hold no data of their own.
                views = "select table_name::text from information_schema.views where table_schema = %s"
                for (name,) in db.execute(views, (self.schema,)).fetchall():
                    db.execute(sql.SQL("drop view if exists {} cascade").format(sql.Identifier(name)))
                db.execute(_views().encode())
                db.execute("update store set version = %s", (SCHEMA_VERSION,))

    def _version(self, db: Connection) -> int | None:
        tables = {
            row[0]
            for row in db.execute(
                "select table_name::text from information_schema.tables where table_schema = %s", (self.schema,)
            ).fetchall()
        }
        if not tables:
            return None
        if "store" not in tables:
            raise StoreError(f"postgres:{self.name} holds tables of something else: name another schema for the store")
        version = int(value_of(db.execute("select version from store")))
        made = "\n".join(read_schema(name) for number, name in _TABLES.items() if number <= version)
        made += _views() if version == SCHEMA_VERSION else ""
        missing = {*_MADE.findall(made)} - tables
        if missing and version <= SCHEMA_VERSION:
            raise StoreError(
                f"postgres:{self.name} is damaged: it has no {', '.join(sorted(missing))}; restore the schema from a "
                "dump. Nothing was changed"
            )
        return version


def _says_more(record: logging.LogRecord) -> bool:
    """Tell whether a warning of psycopg is more than the echo of an error that it raises at the same time."""
    return not str(record.msg).startswith("error ignored")


_TABLES: Final = {1: "postgres_schema.sql", 5: "postgres_5.sql"}
"""What makes the tables of a version of those of the versions before."""
_MADE: Final = re.compile(r"^create (?:table|view) (\w+)", re.MULTILINE)
_SPELLED: Final = {
    r"(\w+\.)?(payload|header)(?= ->)": r"as_json(\g<0>)",
    r"cast\(b\.content as text\)": "as_json(convert_from(b.content, 'UTF8'))",
    r"\bid\b": "sequence",
    r"(?<=ed)_id\b": "_at",
    "json_each": "jsonb_array_elements",
    "json_type": "jsonb_typeof",
}
"""What the views say in SQLite's words, and how PostgreSQL says it."""


def _views() -> str:
    text = read_schema("views.sql")
    for word, spelled in _SPELLED.items():
        text = re.sub(word, spelled, text)
    return text
