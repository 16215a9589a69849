"""The floor: the least that one process must do to run N trivial cases and keep them.

Four events a case are built, encoded, hashed and committed to SQLite in batches of 1,000, by 32 trio workers with
one checkpoint a case. There is no planning, no state, no types to check, no projections: with these parts nothing
that does the whole job can be faster, and machines differ, so speeds are quoted as ratios to this.

    python -m benchmarks.floor [CASES]     prints: floor CASES SECONDS CASES_PER_SECOND
"""

from __future__ import annotations

import hashlib
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

import attrs
import orjson
import trio

STAGES = ("generation_completed", "reduction_completed", "parse_completed", "score_completed")
BATCH, WORKERS = 1_000, 32


@attrs.frozen(kw_only=True)
class FloorEvent:
    """One event, as bare as it can be."""

    run_id: str
    case_key: str
    kind: str
    payload: dict[str, object]


class Floor:
    """Writes events straight to SQLite."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._rows: list[tuple[str, str, str, bytes, bytes]] = []

    def keep(self, event: FloorEvent) -> None:
        body = orjson.dumps(event.payload, option=orjson.OPT_SORT_KEYS)
        self._rows.append((event.run_id, event.case_key, event.kind, body, hashlib.sha256(body).digest()))

    def flush(self, at_least: int = 1) -> None:
        if len(self._rows) >= at_least:
            with self._database:
                self._database.executemany("insert into event values (null, ?, ?, ?, ?, ?)", self._rows)
            self._rows.clear()

    async def work(self, numbers: range) -> None:
        waiting = iter(numbers)

        async def worker() -> None:
            for number in waiting:
                await trio.lowlevel.checkpoint()
                answer: dict[str, object] = {"candidate_id": f"{number}-candidate-0", "metadata": {}}
                answer["final_output"] = {"answer": str(number)}
                for kind in STAGES:
                    self.keep(FloorEvent(run_id="0" * 64, case_key=f"1:d:{number}", kind=kind, payload=answer))
                self.flush(BATCH)

        async with trio.open_nursery() as nursery:
            for _ in range(WORKERS):
                nursery.start_soon(worker)
        self.flush()


def measure(cases: int) -> float:
    """Return the cases per second of the floor."""
    with tempfile.TemporaryDirectory() as folder:
        database = sqlite3.connect(Path(folder) / "floor.sqlite3")
        database.executescript(
            "pragma journal_mode=wal; pragma synchronous=normal; create table event"
            "(id integer primary key, run_id text, case_key text, kind text, payload blob, digest blob)"
        )
        started = time.perf_counter()
        trio.run(Floor(database).work, range(cases))
        seconds = time.perf_counter() - started
        database.close()
    return cases / seconds


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    speed = measure(count)
    print(f"floor {count} {count / speed:.3f} {speed:.0f}")
