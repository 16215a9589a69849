"""The SQLite store, the default: one file, write-ahead log, one writer per run, readable with any SQLite tool.

Commits are synchronous (`synchronous=full`): what was acknowledged survives a crash of the machine too, not
of the process alone. The journal commits about twenty times a second, so this costs little.

sqlite-utils migrates older files and searches; a run needs none of it.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

from themis.effects.files import make_folder
from themis.effects.stores.counting import Counted, count_scores, count_values
from themis.effects.stores.locks import is_held, lock_run
from themis.effects.stores.sqlite_file import (
    check_current,
    check_file,
    prepare,
    read_only_address,
    unusable,
    with_sqlite_utils,
)
from themis.effects.stores.tables import Row, TableStore, stored_event
from themis.pure.errors import StoreError
from themis.pure.json import encode
from themis.pure.records.config import StorageConfig
from themis.pure.records.stored import FoundText, StoredEvent


class SqliteRunStore(TableStore[sqlite3.Connection]):
    """A store in one SQLite file.

    Args:
        path: the file; it and its folder are made if they are missing.

    Raises:
        StoreError: the path can't be written, or is no Themis store; nothing is changed.
        SchemaVersionError: a newer Themis wrote the file; nothing is changed.
    """

    _ROW: ClassVar[str] = "id"
    _SEQUENCE: ClassVar[str] = "id - (run_no << 40)"
    _OF_RUN: ClassVar[str] = "id between (:run_no << 40) and ((:run_no + 1) << 40) - 1"
    _NTH: ClassVar[str] = "{event}.id = (r.run_no << 40) + {n}"

    def __init__(self, path: str | Path) -> None:
        self.path: Path = Path(path)
        super().__init__(f"sqlite:{self.path}", f"; `themis list --store {self.path}` shows what is")
        self._local = threading.local()
        self._address: str | None = None  # of a file that may be read alone
        self._connections: list[sqlite3.Connection] = []
        # A result may be all that holds its store, and nobody closes a result.
        weakref.finalize(self, _close_all, self._connections)

    def __repr__(self) -> str:
        return f"SqliteRunStore({str(self.path)!r})"

    @property
    def storage(self) -> StorageConfig:
        return StorageConfig(store="sqlite", parameters={"path": str(self.path)})

    @property
    def place(self) -> StorageConfig:
        return StorageConfig(store="sqlite", parameters={"path": str(self.path.absolute())})

    def __reduce__(self) -> tuple[type[SqliteRunStore], tuple[str]]:
        return SqliteRunStore, (str(self.path.absolute()),)

    # --- connections --------------------------------------------------------------------------------------

    def _open(self) -> None:
        try:
            check_file(self.path)
            self._address = read_only_address(self.path)
            if self._address is not None:
                check_current(self._connect(), self.path)
                return
            make_folder(self.path.parent)
            prepare(self._connect(), self.path)
        except (OSError, sqlite3.Error) as error:
            self._close()
            raise unusable(self.path, error) from error
        except StoreError:
            self._close()
            raise

    def _close(self) -> None:
        _close_all(self._connections)
        self._local = threading.local()

    def _connect(self) -> sqlite3.Connection:
        address, is_uri = self._address or self.path, self._address is not None
        connection = sqlite3.connect(address, isolation_level=None, check_same_thread=False, timeout=30, uri=is_uri)
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

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        db = self._db
        if db.in_transaction:
            yield db
            return
        try:
            with db:  # commits, or rolls back
                db.execute("begin immediate")
                yield db
        except sqlite3.Error as error:
            raise StoreError(f"{self.path}: {error}") from error

    @contextlib.contextmanager
    def _reading(self, run_id: str | None = None) -> Iterator[sqlite3.Connection]:
        try:
            yield self._db
        except sqlite3.Error as error:
            raise unusable(self.path, error) from error

    def _exclude(self, db: sqlite3.Connection, tables: str) -> None:
        """Do nothing: the transaction is the file's only one."""

    # --- the one writer -----------------------------------------------------------------------------------

    def _lock(self, run_id: str) -> Callable[[], None]:
        return lock_run(self._lock_file(run_id), run_id)

    def _is_locked(self, run_id: str) -> bool:
        return is_held(self._lock_file(run_id))

    def _lock_file(self, run_id: str) -> Path:
        return self.path.with_name(f"{self.path.name}.{run_id[:16]}.lock")

    # --- statements ---------------------------------------------------------------------------------------

    def _execute(self, db: sqlite3.Connection, sql: str, parameters: Mapping[str, Any]) -> sqlite3.Cursor:
        return db.execute(sql, parameters)

    def _execute_many(self, db: sqlite3.Connection, sql: str, parameters: Sequence[Mapping[str, Any]]) -> None:
        db.executemany(sql, parameters)

    def _stream(self, sql: str, parameters: Mapping[str, Any]) -> Iterator[Row]:
        with self._reading() as db:
            for row in self._execute(db, sql, parameters):  # noqa: UP028  # `yield from` would close the cursor, late
                yield row

    def _insert_cases(self, db: sqlite3.Connection, rows: Iterable[Row]) -> None:
        db.executemany("insert into dataset_case values (?, ?, ?, ?)", rows)

    def _packed(self, events: Sequence[StoredEvent]) -> dict[str, bytes | str | int]:
        """Return four values: keys, texts and digests end to end, and where each event's parts are in them."""
        keys, texts, places = bytearray(), bytearray(), []
        for event in events:
            key, text = event.cache_key, event.payload.encode()
            places.append((event.case_no, event.event_type, len(keys) + 1 if key else 0, len(texts) + 1, len(text)))
            if key:
                keys += bytes.fromhex(key)
            texts += text
        digests = bytes.fromhex("".join(event.digest for event in events))
        return {"keys": bytes(keys), "texts": bytes(texts), "digests": digests, "places": encode(places).decode()}

    def _insert_events(
        self, db: sqlite3.Connection, run_no: int, first: int, batch: dict[str, bytes | str | int]
    ) -> None:
        db.execute(_INSERT, {"first": (run_no << 40) + first, "run_no": run_no, **batch})

    # --- what SQLite alone can do -------------------------------------------------------------------------

    def cached(self, keys: Sequence[str]) -> Mapping[str, tuple[str, StoredEvent]]:
        found: dict[str, tuple[str, StoredEvent]] = {}
        with self._reading() as db:
            for key in keys:
                row = db.execute(_CACHED, (bytes.fromhex(key),)).fetchone()
                if row is not None:
                    found[key] = (row[0], stored_event(row[1:]))
        return found

    def count_scores(self, run_id: str, thresholds: Mapping[str, float], events_a_case: int) -> Counted:
        """Count the scores of pure metrics in one pass, without reading the events out.

        Args:
            run_id: the run.
            thresholds: of each metric, from which value a score counts as correct.
            events_a_case: how many events a case has that went through at once.
        """
        with self._reading() as db:
            return count_scores(db, self._number(db, run_id), thresholds, events_a_case)

    def count_values(self, run_id: str, thresholds: Mapping[str, float], events_a_case: int) -> Counted:
        """Count as `count_scores` does, with each value of each metric, and what the generated candidates used."""
        with self._reading() as db:
            return count_values(db, self._number(db, run_id), thresholds, events_a_case)

    def find_text(self, query: str, run_id: str | None, limit: int) -> Sequence[FoundText]:
        """Return the best matches among prompts and outputs; the index is made and brought up to date first."""
        from themis.effects.stores import sqlite_search

        with self._reading() as db:
            number = self._number(db, run_id) if run_id is not None else None
            sqlite_search.catch_up(with_sqlite_utils(db), self._transaction)
            return sqlite_search.find(with_sqlite_utils(db), query, number, limit)

    def _forget(self, db: sqlite3.Connection, run_no: int) -> None:
        if db.execute("select 1 from sqlite_schema where name = 'search_done'").fetchone():
            from themis.effects.stores import sqlite_search

            sqlite_search.forget(with_sqlite_utils(db), run_no)


_CACHED: Final = """
    select run_id, id - (run_no << 40), case_no, event_type, cache_key, payload, digest
    from event join run using (run_no) where cache_key = ? order by id desc limit 1
"""
# One statement a batch, and not one a row: Python's lock is given up once for the whole batch, so that writing goes
# on beside the event loop. A statement a row would wait for the lock each time, for 5 ms where the loop is busy.
_INSERT: Final = """
    insert into event
    select :first + key, :run_no, value ->> 0, value ->> 1, iif(value ->> 2, substr(:keys, value ->> 2, 32), null),
        cast(substr(:texts, value ->> 3, value ->> 4) as text), substr(:digests, key * 32 + 1, 32)
    from json_each(:places)
"""


def _close_all(connections: list[sqlite3.Connection]) -> None:
    for connection in connections:
        connection.close()
    connections.clear()


def sqlite_store(path: str | Path = "runs/themis.sqlite3") -> SqliteRunStore:
    """Open the default kind of store.

    Args:
        path: the SQLite file; made if it is missing.
    """
    store = SqliteRunStore(path)
    store.initialize()
    return store
