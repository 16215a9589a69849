"""A process of its own that uses a store: `python store_process.py COMMAND STORE_JSON RUN_FILE [ARGUMENTS]`."""

from __future__ import annotations

import json
import os
import pickle
import signal
import sqlite3
import sys
from pathlib import Path

from themis.api.stores import open_store
from themis.effects.stores.sqlite import SqliteRunStore
from themis.pure.chain import broken_links
from themis.pure.errors import RunNotFoundError
from themis.pure.protocols import RunStore
from themis.pure.records.config import StorageConfig
from themis.testing.stores import MadeRun


def say(word: object) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def hold(store: RunStore, run: MadeRun) -> None:
    """Hold the run until killed."""
    store.acquire(run.run_id)
    say(f"holding {os.getpid()}")
    sys.stdin.read()


def read(store: RunStore, run: MadeRun) -> None:
    """Read over and over until the run is whole: every reading is a whole beginning of it."""
    seen = readings = 0
    say("reading")
    while seen < len(run.events):
        try:
            count = store.head(run.run_id).count
            events = tuple(store.events(run.run_id))
            cases = sum(1 for _ in store.events_by_case(run.run_id))
        except RunNotFoundError:
            continue
        assert events == run.events[: len(events)], "a reading that is no beginning of the run"
        assert len(events) >= count >= seen
        assert cases >= sum(event.case_no is not None for event in events)
        assert not list(broken_links(events))
        seen, readings = len(events), readings + 1
    say(readings)


def write(store: RunStore, run: MadeRun) -> None:
    """Write the run, an event a batch, saying what is acknowledged."""
    store.acquire(run.run_id)
    store.persist_snapshot(run.snapshot)
    done = store.head(run.run_id).count
    for events, blobs in run.batches([1]):
        if events[-1].sequence > done:
            store.append(run.run_id, events, blobs)
            say(events[-1].sequence)


def write_at_once(store: RunStore, run: MadeRun) -> None:
    """Write the run in one transaction, saying how far it is."""
    store.acquire(run.run_id)
    with store.transaction(run.run_id):
        store.persist_snapshot(run.snapshot)
        for events, blobs in run.batches([3]):
            store.append(run.run_id, events, blobs)
            say(events[-1].sequence)
        say("leaving")
    say("kept")


class DyingStore(SqliteRunStore):
    """Kills its process when its Nth statement begins, of those that may change something."""

    statements_left = 0

    def _connect(self) -> sqlite3.Connection:
        connection = super()._connect()
        connection.set_trace_callback(self._watch)
        return connection

    def _watch(self, statement: str) -> None:
        DyingStore.statements_left -= not statement.startswith("select")
        if DyingStore.statements_left < 0:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    command, place, *arguments = sys.argv[1:]
    if command == "migrate":
        DyingStore.statements_left = int(arguments[0])
        DyingStore(place).initialize()
        say("open")
    else:
        with Path(arguments[0]).open("rb") as file:
            made: MadeRun = pickle.load(file)
        globals()[command](open_store(StorageConfig.from_dict(json.loads(place))), made)
