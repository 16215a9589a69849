"""A run that kills itself: `python child.py STORE LOGS ATTEMPT KILL`; KILL is `call:N:SECONDS`, `commit:N` or `never`.

It logs every call that it makes, and every generation that was acknowledged as durable, a line each.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import threading
from pathlib import Path

import trio

from themis import (
    Dataset,
    EvaluationConfig,
    Experiment,
    GenerationConfig,
    RuntimeConfig,
    SqliteRunStore,
    metric,
)
from themis.pure.events import GenerationCompletedEvent, RunEvent
from themis.pure.records.contexts import GenerateContext
from themis.pure.records.dataset import Case
from themis.pure.records.generation import GenerationResult, ParsedOutput

CASES = 120
UNTIL = "crash/metric<0.35, every=5, alpha=1e-9"
"""Decided after some 80 cases, in blocks so short that kills meet their ends."""


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Log:
    """Lines that survive a SIGKILL: each is one write to the operating system."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def line(self, *words: object) -> None:
        os.write(self._file, (" ".join(map(str, words)) + "\n").encode())


class Acknowledgements:
    def __init__(self, log: Log, attempt: str) -> None:
        self._log = log
        self._attempt = attempt

    def on_event(self, event: RunEvent) -> None:
        if isinstance(event, GenerationCompletedEvent):
            self._log.line(self._attempt, event.candidate_id)


class Answer:
    """A generator that logs its calls; which attempt it runs in must not change what it is."""

    component_id = "crash/generator"
    version = "1"

    def __init__(self, log: Log, attempt: str, die_at: int, die_later: float) -> None:
        self._log = log
        self._attempt = attempt
        self._calls_left = die_at
        self._die_later = die_later

    def fingerprint(self) -> str:
        return "the same in every attempt"

    async def generate(self, case: Case, ctx: GenerateContext) -> GenerationResult:
        self._log.line(self._attempt, ctx.candidate_id)
        self._calls_left -= 1
        if self._calls_left == 0:
            timer = threading.Timer(self._die_later, die)
            timer.daemon = True
            timer.start()
        await trio.sleep(0.002 * (1 + (ctx.seed or 0) % 3))
        return GenerationResult(candidate_id=ctx.candidate_id, final_output=f"{case.case_id}: {ctx.seed}")


class CrashingStore(SqliteRunStore):
    """Dies a moment after its Nth commit began."""

    commits_left = -1

    def _connect(self) -> sqlite3.Connection:
        connection = super()._connect()
        connection.set_trace_callback(self._watch)
        return connection

    def _watch(self, statement: str) -> None:
        if statement.lower() == "commit" and self.commits_left >= 0:
            self.commits_left -= 1
            if self.commits_left < 0:
                die()


def main(store_path: str, logs: str, attempt: str, kill: str, answers: str) -> None:
    how, *numbers = kill.split(":")
    die_at, die_later = (int(numbers[0]), float(numbers[1])) if how == "call" else (-1, 0.0)

    @metric(component_id="crash/metric", score_range=(0.0, 1.0))
    def score(parsed: ParsedOutput) -> float:
        return len(str(parsed.value)) / 100

    experiment = Experiment(
        generation=GenerationConfig(
            generator=Answer(Log(Path(logs) / "calls"), attempt, die_at, die_later),
            candidate_policy={"num_samples": 2},
            reducer="builtin/majority_vote" if answers != "several" else None,
        ),
        evaluation=EvaluationConfig(metrics=score, until=UNTIL if answers == "until" else None),
        datasets=Dataset(dataset_id="d", cases=[{"case_id": str(i), "input": i} for i in range(CASES)]),
        runtime=RuntimeConfig(max_concurrent_tasks=4),
    )
    store = CrashingStore(store_path)
    store.initialize()
    store.commits_left = int(numbers[0]) if how == "commit" else -1
    result = experiment.run(store=store, subscribers=[Acknowledgements(Log(Path(logs) / "acknowledged"), attempt)])
    sys.stdout.write(f"{result.status} {result.digest} {result.progress.total_cases}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
