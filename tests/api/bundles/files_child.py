"""Imports or exports a bundle and kills itself: `python files_child.py import|export STORE FILE WHERE NUMBER`.

WHERE is how an SQL statement begins: when the NUMBERth of its kind does; `committing`: NUMBER microseconds after the
commit began; or `event`: when the NUMBERth event was read.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import threading
from collections.abc import Iterator

from themis.api.bundles import transfer
from themis.api.bundles.files import import_bundle_file, write_bundle
from themis.effects.stores.sqlite import SqliteRunStore
from themis.pure.records.stored import StoredEvent

BATCH = 100


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class DyingStore(SqliteRunStore):
    where = "nothing yet"
    number = 0

    def _connect(self) -> sqlite3.Connection:
        connection = super()._connect()
        connection.set_trace_callback(self._watch)
        return connection

    def _watch(self, statement: str) -> None:
        statement = statement.strip().lower()
        if statement.startswith(self.where):
            self.number -= 1
            if self.number <= 0:
                die()
        elif self.where == "committing" and statement == "commit":
            timer = threading.Timer(self.number / 1e6, die)
            timer.daemon = True
            timer.start()

    def events_by_case(self, run_id: str) -> Iterator[StoredEvent]:
        for count, event in enumerate(super().events_by_case(run_id), 1):
            if self.where == "event" and count == self.number:
                die()
            yield event


def main(what: str, path: str, file: str, where: str, number: str) -> None:
    transfer.BATCH = BATCH
    store = DyingStore(path)
    store.initialize()
    store.where, store.number = where, int(number)
    if what == "import":
        import_bundle_file(store, file)
    else:
        write_bundle(store, store.list_runs()[0].run_id, "evaluation", file)
    store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
