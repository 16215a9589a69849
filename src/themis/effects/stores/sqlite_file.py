"""The SQLite store's file: what it must look like, and how it is made, checked and brought up to date.

Nothing is written to a file that is not ours, is damaged, or was written by a newer Themis: its header is read
before SQLite opens it. A new schema and every migration is one transaction, so that a crash leaves the file as
before or as after. Both run the same steps: a new file all of them, an older one those that came since.
"""

from __future__ import annotations

import contextlib
import datetime
import functools
import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from themis.effects.stores.base import newer
from themis.effects.stores.tables import read_schema
from themis.pure.errors import StoreError

if TYPE_CHECKING:
    from sqlite_utils import Database

_STEPS: Final = ("sqlite_1.sql", "sqlite_2.sql", "sqlite_3.sql", "sqlite_4.sql", "sqlite_5.sql")
_VIEWS: Final = "views.sql"
SCHEMA_VERSION: Final = len(_STEPS)
_APPLICATION_ID: Final = 0x7468656D  # "them", so that `file` and we ourselves know the format
_MAGIC: Final = b"SQLite format 3\0"
_MADE: Final = re.compile(r"^create (?:table|index) (\w+)", re.MULTILINE)
_VIEW: Final = re.compile(r"^create view (\w+) as\n(.+?);$", re.MULTILINE | re.DOTALL)


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
    # With a log beside it, from a crash or another process, SQLite will bring the file up to date.
    logs = [path.with_name(f"{path.name}{suffix}") for suffix in ("-wal", "-journal")]
    has_log = any(log.exists() and log.stat().st_size > 0 for log in logs)
    if len(header) < 100 or (is_counted and size < page * pages and not has_log):
        raise StoreError(
            f"{path} is cut off: {size} bytes of {page * pages}; restore it from a copy. Nothing was changed"
        )
    _check_version(path, int.from_bytes(header[60:64]), int.from_bytes(header[68:72]))


def _check_version(path: Path, version: int, application: int) -> None:
    if application not in (0, _APPLICATION_ID) or (version and application != _APPLICATION_ID):
        raise StoreError(f"{path} is a SQLite file of something else: name another path for the store")
    if version > SCHEMA_VERSION:
        raise newer(path, "schema", version, SCHEMA_VERSION)


def read_only_address(path: Path) -> str | None:
    """Return the address of a file that may be read and not written (sqlite.org/uri.html); `None` for any other."""
    if not path.exists() or (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        return None
    # Beside a write-ahead log SQLite makes a file of its own, which it can't here; without one, nobody is writing.
    log = path.with_name(f"{path.name}-wal")
    mode = "mode=ro" if log.exists() and log.stat().st_size else "mode=ro&immutable=1"
    return f"file:{quote(str(path.absolute()))}?{mode}"


def check_current(db: sqlite3.Connection, path: Path) -> None:
    """Check a file that is opened to be read alone.

    Raises:
        StoreError: it is something else, damaged, or of an older version, which can't be brought up to date here.
        SchemaVersionError: a newer Themis wrote it.
    """
    version = _version(db, path)
    if version < SCHEMA_VERSION:
        what = f"of schema version {version}" if version else "no store"
        raise StoreError(
            f"{path} is {what}, and may not be written here: copy it to where it can be brought up to version "
            f"{SCHEMA_VERSION}"
        )
    _check_names(db, path, version)


def prepare(db: sqlite3.Connection, path: Path) -> None:
    """Make an open file a store of the current version: create, migrate and check it.

    Raises:
        StoreError: the file is something else, or a table of it is missing.
        SchemaVersionError: a newer Themis wrote it.
    """
    version = _version(db, path)
    if version == 0 and _names(db):
        raise StoreError(f"{path} is a SQLite file of something else: name another path for the store")
    if version:
        _check_names(db, path, version)
    if version < SCHEMA_VERSION:
        _bring_up_to_date(db, path)
        _check_names(db, path, SCHEMA_VERSION)
    db.execute("pragma journal_mode=wal")


def _version(db: sqlite3.Connection, path: Path) -> int:
    version = int(db.execute("pragma user_version").fetchone()[0])
    _check_version(path, version, db.execute("pragma application_id").fetchone()[0])
    return version


def _bring_up_to_date(db: sqlite3.Connection, path: Path) -> None:
    with db:  # commits, or rolls back
        db.execute("begin exclusive")
        version = _version(db, path)  # another process may have been at it while we waited for the lock
        if version:
            _migrate(with_sqlite_utils(db), version)
        else:
            for name in (*_STEPS, _VIEWS):
                for statement in _statements(read_schema(name)):
                    db.execute(statement)
        db.execute(f"pragma application_id={_APPLICATION_ID}")
        db.execute(f"pragma user_version={SCHEMA_VERSION}")


def with_sqlite_utils(db: sqlite3.Connection) -> Database:
    """Return sqlite-utils' view of a connection, without its plugins: a store is what its file says.

    It is imported when it is needed, which is for no run and no report: it imports pandas where that is installed, and
    this takes 80 MB and a third of a second.
    """
    from sqlite_utils import Database

    return Database(db, recursive_triggers=False, execute_plugins=False)


def _migrate(db: Database, version: int) -> None:
    """Apply the steps that come after a version, and make the views anew: they hold no data of their own."""
    from sqlite_utils import Migrations

    migrations = Migrations("themis")
    for name in _STEPS:
        migrations(name=name)(_step(name))
    migrations.ensure_migrations_table(db)
    listed = {migration.name for migration in migrations.applied(db)}
    now = str(datetime.datetime.now(datetime.UTC))
    db.table(migrations.migrations_table).insert_all(  # what a file was made with is not in its list
        {"migration_set": migrations.name, "name": name, "applied_at": now}
        for name in _STEPS[:version]
        if name not in listed
    )
    migrations.apply(db)
    for name in db.view_names():
        db.execute(f"drop view {name}")
    for name, query in _VIEW.findall(read_schema(_VIEWS)):
        db.create_view(name, query)


def _step(name: str) -> Callable[[Database], None]:
    def run(db: Database) -> None:
        db.executescript(read_schema(name))  # SQL, since sqlite-utils has no word for `without rowid` and comments

    return run


def _statements(script: str) -> Iterator[str]:
    """Yield a script's statements one by one: `executescript` would commit what is open."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _check_names(db: sqlite3.Connection, path: Path, version: int) -> None:
    expected = {name for step in _STEPS[:version] for name in _MADE.findall(read_schema(step))}
    if version == SCHEMA_VERSION:  # an older file's views are made anew
        expected.update(name for name, _ in _VIEW.findall(read_schema(_VIEWS)))
    missing = sorted(expected - _names(db))
    if missing:
        raise StoreError(
            f"{path} is damaged: it has no {', '.join(missing)}; restore it from a copy. Nothing was changed"
        )
    # What only has the names may be anything: a view that never ends, a trigger that changes what is written.
    made = _made(version)
    odd = [
        (name, kind)
        for name, kind, sql in db.execute(_SCHEMA)
        if made.get(name, (kind, sql)) != (kind, sql) or (kind == "trigger" and not _is_of_search(sql))
    ]
    if odd:
        named = ", ".join(f"{kind} {name}" for name, kind in sorted(odd))
        raise StoreError(
            f"{path} is no store that Themis made: its {named} is not one of a store; restore it from a copy. Nothing "
            "was changed"
        )


_SCHEMA: Final = "select name, type, sql from sqlite_schema"
_WRITES: Final = re.compile(
    r"(?i)\b(?:insert\s+(?:or\s+\w+\s+)?into|replace\s+into|delete\s+from|update)\s+[\[\"]?(\w+)"
)


def _is_of_search(trigger: str) -> bool:
    """Tell whether a trigger writes to the search index alone, which sqlite-utils keeps up to date by some."""
    return {*_WRITES.findall(trigger.partition("BEGIN")[2])} == {"search_text_fts"}


@functools.cache
def _made(version: int) -> dict[str, tuple[str, str | None]]:
    """Return the tables and indexes that a store of a version has, each with its kind and its definition."""
    with contextlib.closing(sqlite3.connect(":memory:")) as db:
        for name in _STEPS[:version]:
            db.executescript(read_schema(name))
        return {name: (kind, sql) for name, kind, sql in db.execute(_SCHEMA)}


def _names(db: sqlite3.Connection) -> set[str]:
    return {name for (name,) in db.execute("select name from sqlite_schema")}


def unusable(path: Path, error: Exception) -> StoreError:
    """Return what SQLite or the file system said as an error that says what to do."""
    if isinstance(error, sqlite3.DatabaseError) and "not a database" in str(error):
        return StoreError(f"{path} is not a SQLite file: name another path, or restore it from a copy")
    if isinstance(error, sqlite3.DatabaseError) and ("malformed" in str(error) or "no such" in str(error)):
        return StoreError(f"{path} is damaged ({error}): restore it from a copy; nothing was changed")
    return StoreError(f"{path} can't be used as a store: {error}; check the path, its permissions and the disk's space")
