"""Work and memory grow with the cases, and no faster: counted in calls and database steps, not in seconds."""

from __future__ import annotations

import json
import sqlite3
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import attrs
import pytest

from themis import (
    Case,
    EvaluationConfig,
    Experiment,
    GenerationConfig,
    GenerationResult,
    InMemoryRunStore,
    RunResult,
    RuntimeConfig,
    SqliteRunStore,
    evaluate,
)
from themis.core import GenerateContext, StoredEvent
from themis.effects.sources.files import file_dataset

DATABASE_STEP = 1_000
"""SQLite instructions between two counts."""


class Model:
    component_id = "test/echo"
    version = "1"

    async def generate(self, case: Case, ctx: GenerateContext) -> GenerationResult:
        return GenerationResult(candidate_id=ctx.candidate_id, final_output=case.expected_output)


def experiment(folder: Path, cases: int) -> Experiment:
    path = folder / f"{cases}.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for i in range(cases):
            file.write(json.dumps({"case_id": f"case-{i:07}", "input": "?", "expected_output": f"{i:07}"}) + "\n")
    return Experiment(
        generation=GenerationConfig(generator=Model()),
        evaluation=EvaluationConfig(parsers="builtin/text", metrics="builtin/exact_match"),
        datasets=file_dataset(path, dataset_id="made"),
    )


@attrs.define
class Work:
    """Counts what Python calls and what SQLite executes, in all threads."""

    calls: int = 0
    database: int = 0

    def __enter__(self) -> Work:
        def count(*_: object) -> None:
            self.calls += 1

        threading.setprofile(count)
        sys.setprofile(count)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        threading.setprofile(None)

    def step(self) -> int:
        self.database += 1
        return 0


class CountedStore(SqliteRunStore):
    """A store whose database counts its steps."""

    work: Work

    def _connect(self) -> sqlite3.Connection:
        connection = super()._connect()
        connection.set_progress_handler(self.work.step, DATABASE_STEP)
        return connection


def run(made: Experiment, store: SqliteRunStore) -> None:
    made.run(store=store)


def read_again(made: Experiment, store: SqliteRunStore) -> None:
    """Run to the end of parsing, resume, read, and replay."""
    made.run(store=store, until_stage="parse")
    result = made.run(store=store)
    assert result.status == "completed"
    digest = result.digest
    assert made.replay(stage="score", store=store).digest == digest


def measured(do: Callable[[Experiment, SqliteRunStore], None], folder: Path, cases: int) -> tuple[float, float]:
    """Return calls and database steps per case."""
    made, work = experiment(folder, cases), Work()
    store = CountedStore(folder / f"{cases}.sqlite3")
    store.work = work
    with store, work:
        do(made, store)
    return work.calls / cases, work.database / cases


@pytest.mark.slow
@pytest.mark.parametrize(("do", "cases"), [(run, 2_000), (read_again, 300)])
def test_ten_times_the_cases_are_ten_times_the_work(
    do: Callable[[Experiment, SqliteRunStore], None], cases: int, tmp_path: Path
) -> None:
    measured(do, tmp_path, 10)  # what is imported late is imported now
    small, large = measured(do, tmp_path, cases), measured(do, tmp_path, 10 * cases)
    assert large[0] < 1.1 * small[0]
    assert large[1] < 1.3 * small[1] + 0.1


@pytest.mark.slow
def test_memory_does_not_grow_with_the_cases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("themis.effects.journal._LARGEST_BATCH", 500)  # so that few cases fill the journal

    def peak(cases: int) -> int:
        made = experiment(tmp_path, cases)
        with SqliteRunStore(tmp_path / f"{cases}.sqlite3") as store:
            tracemalloc.start()
            try:
                result: RunResult = made.run(store=store)
                assert result.status == "completed"
                return tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()

    peak(10)
    few, many = 1_000, 6_000
    growth = (peak(many) - peak(few)) / (many - few)
    # A mark of each case's id stays, some 70 bytes: that is how two cases of one id are noticed.
    assert growth < 150


def test_large_answers_on_a_slow_disk_are_not_gathered_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("themis.effects.journal._LARGEST_BYTES", 1 << 20)
    size, cases, waiting, most = 100_000, 200, 0, 0

    class Slow(InMemoryRunStore):
        """Drops what it is given, and takes its time."""

        def append(self, run_id: str, events: Sequence[StoredEvent], blobs: Mapping[str, bytes]) -> None:
            nonlocal waiting
            time.sleep(0.02)
            waiting -= sum(event.event_type == "generation_completed" for event in events)
            super().append(run_id, events, dict.fromkeys(blobs, b""))

    class Talkative:
        component_id, version = "tests/talkative", "1"

        def fingerprint(self) -> str:
            return "t"

        def generate(self, case: Case, ctx: GenerateContext) -> GenerationResult:
            nonlocal waiting, most
            waiting += 1
            most = max(most, waiting)
            return GenerationResult(candidate_id=ctx.candidate_id, final_output=f"{case.case_id} " + "x" * size)

    rows = [{"input": str(number), "expected_output": "x"} for number in range(cases)]
    runtime = RuntimeConfig(max_concurrent_tasks=4)
    evaluate(model=Talkative(), data=rows, metric="builtin/exact_match", store=Slow(), runtime=runtime)
    # Twice the bound in the journal, as much on its way to the disk, and what the workers hold.
    assert most <= (3 * (1 << 20)) // size + 8
