"""Where in the event files of a JSONL store each event stands: made from the files, kept by this process alone.

The index is a private SQLite database that SQLite keeps in memory while it is small and in an unnamed temporary
file when it is not. So the store's folder holds nothing but text, two processes can't disagree about it, and
there is nothing to repair. It is made when it is first asked for, and read on from there as the files grow.
"""

from __future__ import annotations

import functools
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from themis.effects.stores.jsonl_events import EventFile
from themis.effects.stores.tables import SETTLED, binary
from themis.pure.errors import StoreError

_SCHEMA: Final = """
    pragma journal_mode = off;
    pragma synchronous = off;
    create table run (
        run_no integer primary key, run_id text not null unique, stamp text not null, created_at text not null,
        size integer not null default 0, indexed integer not null default 0
    ) strict;
    create table event (
        run_no integer not null, sequence integer not null, offset integer not null, length integer not null,
        case_no integer, event_type text not null, cache_key blob, primary key (run_no, sequence, offset)
    ) strict, without rowid;
    create index event_by_case on event (run_no, case_no, sequence);
    create index event_by_cache_key on event (cache_key) where cache_key is not null;
"""
_PAGE: Final = 1_000
_BEGIN: Final = "insert into run (run_id, stamp, created_at) values (?, ?, ?) returning run_no, size, indexed"
_INSERT: Final = "insert into event values (?, ?, ?, ?, ?, ?, ?)"

Place = tuple[int, int]
"""A line's offset and length."""


class EventIndex:
    """Finds events by case and by cache key."""

    def __init__(self) -> None:
        self._lock = threading.RLock()

    @functools.cached_property
    def _db(self) -> sqlite3.Connection:
        db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        weakref.finalize(self, db.close)  # a store that nobody closed has an index all the same
        db.executescript(_SCHEMA)
        return db

    def close(self) -> None:
        """Forget everything."""
        if "_db" in vars(self):
            self._db.close()
            del self._db

    def _rows(self, query: str, *parameters: object) -> list[Any]:
        with self._lock:
            return self._db.execute(query, parameters).fetchall()

    def forget(self, run_id: str) -> None:
        with self._lock:
            self._rows("delete from event where run_no = (select run_no from run where run_id = ?)", run_id)
            self._rows("delete from run where run_id = ?", run_id)

    def keep_only(self, run_ids: set[str]) -> None:
        """Forget the runs that are not there any more."""
        for (run_id,) in self._rows("select run_id from run"):
            if run_id not in run_ids:
                self.forget(run_id)

    def catch_up(self, run_id: str, stamp: str, header: Callable[[], Any], file: EventFile) -> None:
        """Read what was appended since the last time; a run that was cleared and made again has another stamp."""
        with self._lock:
            known = "select run_no, size, indexed from run where run_id = ? and stamp = ?"
            row = self._db.execute(known, (run_id, stamp)).fetchone()
            if row is None:
                self.forget(run_id)
                row = self._db.execute(_BEGIN, (run_id, stamp, header()["created_at"])).fetchone()
            number, size, indexed = row
            now = file.path.stat().st_size
            if now == size:
                return
            end = file.tail().end
            rows = (
                (number, event.sequence, offset, length, event.case_no, event.event_type, binary(event.cache_key))
                for offset, length, event in file.places(indexed, end)
            )
            try:
                with self._db:  # commits, or rolls back
                    self._db.execute("begin")
                    self._db.executemany(_INSERT, rows)
                    # A file with a half-written end is looked at again, even if its size is the same.
                    self._db.execute("update run set size = ?, indexed = ? where run_no = ?", (end, end, number))
            except (sqlite3.Error, ValueError, TypeError) as error:  # a field of a wrong type, an event twice
                message = f"{file.path}: its lines are no run's events ({error}); restore the file from a copy"
                raise StoreError(message) from error

    def of_case(self, run_id: str, case_no: int | None) -> Sequence[Place]:
        """Return the places of a case's events, or of the events of the whole run."""
        return self._rows(
            "select offset, length from event join run using (run_no) "
            "where run_id = ? and case_no is ? order by sequence",
            run_id,
            case_no,
        )

    def by_case(self, run_id: str) -> Iterator[Sequence[Place]]:
        """Yield the places of all case events, case by case, some at a time."""
        case_no, sequence = -1, 0
        query = (
            "select case_no, sequence, offset, length from event where run_no = "
            "(select run_no from run where run_id = ?) and (case_no, sequence) > (?, ?) "
            "order by case_no, sequence limit ?"
        )
        while rows := self._rows(query, run_id, case_no, sequence, _PAGE):
            case_no, sequence = rows[-1][:2]
            yield [row[2:] for row in rows]

    def settled(self, run_id: str, scores: int) -> Sequence[int]:
        """Return the cases that have so many `score_completed` events, and none of a failure."""
        with self._lock:
            (run_no,) = self._db.execute("select run_no from run where run_id = ?", (run_id,)).fetchone()
            return [row[0] for row in self._db.execute(SETTLED, {"run_no": run_no, "scores": scores})]

    def of_key(self, key: str) -> tuple[str, Place] | None:
        """Return the run that has the newest event of a cache key, and the event's place."""
        rows = self._rows(
            "select run_id, offset, length from event join run using (run_no) where cache_key = ? "
            "order by created_at desc, run_no desc, sequence desc limit 1",
            binary(key),
        )
        return next(((run_id, (offset, length)) for run_id, offset, length in rows), None)
