"""The SQLite store's file: what it must look like, and how it is made, checked and brought up to date.

Nothing is written to a file that is not ours, is damaged, or was written by a newer Themis: its header is read
before SQLite opens it. A new schema and every migration is one transaction, so that a crash leaves the file as
before or as after.
"""

from __future__ import annotations

import importlib.resources
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from themis.pure.errors import SchemaVersionError, StoreError

SCHEMA_VERSION: Final = 2
_APPLICATION_ID: Final = 0x7468656D  # "them", so that `file` and we ourselves know the format
_MAGIC: Final = b"SQLite format 3\0"
_VIEW: Final = re.compile(r"^create view (\w+)", re.MULTILINE)
_NAME: Final = re.compile(r"^create (?:virtual )?(?:table|view|index) (\w+)", re.MULTILINE)


def check_file(path: Path) -> None:
    """Refuse what is no store of this or an older version, by its header alone (sqlite.org/fileformat2.html, 1.3).

    Raises:
        StoreError: the file is something else, or cut off.
        SchemaVersionError: a newer Themis wrote it.
    """
    if not path.exists():
        return
    size = path.stat().st_size
    with path.open("rb") as file:
        header = file.read(100)
    if not header:
        return
    if header[: len(_MAGIC)] != _MAGIC[: len(header)]:
        raise StoreError(f"{path} is not a SQLite file: name another path, or restore it from a copy")
    page, pages = int.from_bytes(header[16:18]), int.from_bytes(header[28:32])
    page = 65536 if page == 1 else page
    is_counted = header[24:28] == header[92:96]
    if len(header) < 100 or (is_counted and size < page * pages and not _has_log(path)):
        raise StoreError(
            f"{path} is cut off: {size} bytes of {page * pages}; restore it from a copy. Nothing was changed"
        )
    _check_version(path, int.from_bytes(header[60:64]), int.from_bytes(header[68:72]))


def _has_log(path: Path) -> bool:
    """Tell whether SQLite will bring the file up to date, from a log that a crash or another process left."""
    logs = [path.with_name(f"{path.name}{suffix}") for suffix in ("-wal", "-journal")]
    return any(log.exists() and log.stat().st_size > 0 for log in logs)


def _check_version(path: Path, version: int, application: int) -> None:
    if application not in (0, _APPLICATION_ID) or (version and application != _APPLICATION_ID):
        raise StoreError(f"{path} is a SQLite file of something else: name another path for the store")
    if version > SCHEMA_VERSION:
        raise SchemaVersionError(
            f"{path} has schema version {version}, and this Themis knows up to {SCHEMA_VERSION}: "
            "upgrade Themis to open it; nothing was changed"
        )


def prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Make an open file a store of the current version: create, migrate and check it.

    Raises:
        StoreError: the file is something else, or a table of it is missing.
        SchemaVersionError: a newer Themis wrote it.
    """
    version = _version(connection, path)
    if version == 0 and connection.execute("select count(*) from sqlite_schema").fetchone()[0]:
        raise StoreError(f"{path} is a SQLite file of something else: name another path for the store")
    if version:
        _check_tables(connection, path, version)
    if version < SCHEMA_VERSION:
        _bring_up_to_date(connection, path)
        _check_tables(connection, path, SCHEMA_VERSION)
    connection.execute("pragma journal_mode=wal")


def _version(connection: sqlite3.Connection, path: Path) -> int:
    version = int(connection.execute("pragma user_version").fetchone()[0])
    _check_version(path, version, connection.execute("pragma application_id").fetchone()[0])
    return version


def _bring_up_to_date(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("begin exclusive")
    try:
        # Another process may have been at it while we waited for the lock.
        version = _version(connection, path)
        names = [f"sqlite_{number}.sql" for number in range(version + 1, SCHEMA_VERSION + 1)]
        for name in names if version else ["schema.sql"]:
            for statement in statements(read_schema(name)):
                connection.execute(statement)
        if version:
            _make_views_anew(connection)
        connection.execute(f"pragma application_id={_APPLICATION_ID}")
        connection.execute(f"pragma user_version={SCHEMA_VERSION}")
        connection.execute("commit")
    except BaseException:
        if connection.in_transaction:
            connection.execute("rollback")
        raise


def _make_views_anew(connection: sqlite3.Connection) -> None:
    """Give an older file today's views: they hold no data of their own."""
    made = [(found[1], text) for text in statements(read_schema("schema.sql")) if (found := _VIEW.search(text))]
    for name, _ in reversed(made):
        connection.execute(f"drop view if exists {name}")
    for _, text in made:
        connection.execute(text)


def _check_tables(connection: sqlite3.Connection, path: Path, version: int) -> None:
    there = {row[0] for row in connection.execute("select name from sqlite_schema")}
    expected = set(_NAME.findall(read_schema("schema.sql")))
    for number in range(version + 1, SCHEMA_VERSION + 1):
        expected -= set(_NAME.findall(read_schema(f"sqlite_{number}.sql")))
    missing = sorted(expected - there)
    if missing:
        raise StoreError(
            f"{path} is damaged: it has no {', '.join(missing)}; restore it from a copy. Nothing was changed"
        )


def read_schema(name: str) -> str:
    """Return one of the SQL files beside this module."""
    return importlib.resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def statements(script: str) -> Iterator[str]:
    """Yield a script's statements one by one: `executescript` would commit what is open."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def unusable(path: Path, error: Exception) -> StoreError:
    """Return what SQLite or the file system said as an error that says what to do."""
    if isinstance(error, sqlite3.DatabaseError) and "not a database" in str(error):
        return StoreError(f"{path} is not a SQLite file: name another path, or restore it from a copy")
    if isinstance(error, sqlite3.DatabaseError) and ("malformed" in str(error) or "no such" in str(error)):
        return StoreError(f"{path} is damaged ({error}): restore it from a copy; nothing was changed")
    return StoreError(f"{path} can't be used as a store: {error}; check the path and its permissions")
