"""What is done with a stored run, each step in a process of its own: `python -m benchmarks.steps STEP CASES FOLDER`.

`prepare` makes the run: a generated JSONL file through generate, parse and one metric into SQLite, and of its
cases the last one fails, so that a resume has all the others behind it and one to do. Steps that write work on a
copy of the store, which is not timed.

`resume` ends at the first new call: what it takes is the time until the model is asked again. `fold` folds decoded
events in memory, `read` decodes and folds what is stored, `project` is that and the benchmark result.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.processes import measured, peak_mb
from themis import EvaluationConfig, Experiment, GenerationConfig, Reporter, RunResult, SqliteRunStore, verify
from themis.api.bundles.files import import_bundle_file, write_bundle
from themis.core import Case, GenerateContext, GenerationResult
from themis.effects.reading import read_cases, read_events
from themis.effects.sources.files import file_dataset
from themis.pure.state import fold

CASES_FILE, STORE_FILE, BUNDLE_FILE = "cases.jsonl", "runs.sqlite3", "score.bundle"


class UnreadyError(Exception):
    """What the model says of one case until it is asked again."""


class ResumedModel:
    """Answers at once with what is expected, but for one case; notes when it was first asked."""

    component_id = "benchmark/resumed"
    version = "1"

    def __init__(self, unready: str | None = None) -> None:
        self.unready = unready
        self.asked_at: float | None = None

    def fingerprint(self) -> str:
        return "whether it is ready is no part of what it is"

    async def generate(self, case: Case, ctx: GenerateContext) -> GenerationResult:
        if self.asked_at is None:
            self.asked_at = time.perf_counter()
        if case.case_id == self.unready:
            raise UnreadyError
        return GenerationResult(candidate_id=ctx.candidate_id, final_output=case.expected_output)


def experiment(folder: Path, model: ResumedModel | None = None) -> Experiment:
    return Experiment(
        generation=GenerationConfig(generator=model or ResumedModel()),
        evaluation=EvaluationConfig(parsers="builtin/text", metrics=["builtin/exact_match"]),
        datasets=file_dataset(folder / CASES_FILE),
    )


def prepare(folder: Path, cases: int) -> None:
    with (folder / CASES_FILE).open("w", encoding="utf-8") as file:
        for i in range(cases):
            row = {"case_id": f"case-{i}", "input": f"What is {i} + {i}?", "expected_output": f"The sum is {2 * i}."}
            file.write(json.dumps(row) + "\n")
    with SqliteRunStore(folder / STORE_FILE) as store:
        result = experiment(folder, ResumedModel(unready=f"case-{cases - 1}")).run(store=store)
        write_bundle(store, result.run_id, "score", folder / BUNDLE_FILE)


def resume(folder: Path, store: SqliteRunStore, run_id: str) -> float:
    """Return the seconds until the model is asked anew; compiling the experiment is part of them."""
    model, started = ResumedModel(), time.perf_counter()
    experiment(folder, model).run(store=store)
    assert model.asked_at is not None
    return model.asked_at - started


def read_all(folder: Path, store: SqliteRunStore, run_id: str) -> None:
    for _ in read_cases(store, store.load_snapshot(run_id)):
        pass


def project(folder: Path, store: SqliteRunStore, run_id: str) -> None:
    result = RunResult(snapshot=store.load_snapshot(run_id), store=store)
    assert result.benchmark.failed_cases == 1


def digest(folder: Path, store: SqliteRunStore, run_id: str) -> None:
    assert RunResult(snapshot=store.load_snapshot(run_id), store=store).digest


def replay(folder: Path, store: SqliteRunStore, run_id: str) -> None:
    experiment(folder).replay(stage="score", store=store)


def check(folder: Path, store: SqliteRunStore, run_id: str) -> None:
    assert verify(store, run_id, experiment=experiment(folder)).ok


def export(folder: Path, store: SqliteRunStore, run_id: str) -> None:
    write_bundle(store, run_id, "score", folder / "exported.bundle")


def take_in(folder: Path, store: SqliteRunStore, run_id: str) -> None:
    with SqliteRunStore(folder / "imported.sqlite3") as other:
        assert import_bundle_file(other, folder / BUNDLE_FILE).new_events > 0


def markdown(folder: Path, store: SqliteRunStore, run_id: str) -> None:
    Reporter(store).export_markdown(run_id)


def csv(folder: Path, store: SqliteRunStore, run_id: str) -> None:
    Reporter(store).write_csv(run_id, folder / "scores.csv")


def html(folder: Path, store: SqliteRunStore, run_id: str) -> None:
    Reporter(store).write_html(run_id, folder / "report.html")


Step = Callable[[Path, SqliteRunStore, str], None]

TIMED: Mapping[str, Step] = {
    "read": read_all,
    "project": project,
    "digest": digest,
    "replay": replay,
    "verify": check,
    "export": export,
    "import": take_in,
    "markdown": markdown,
    "csv": csv,
    "html": html,
}
STEPS = ("fold", *TIMED, "resume")
WRITING = ("replay", "resume")


def measure(step: str, cases: int, folder: Path) -> dict[str, float]:
    """Return what a step took over a run that `prepare` made."""
    if step == "prepare":
        return measured(lambda: prepare(folder, cases), cases)
    used = folder / STORE_FILE
    if step in WRITING:
        used = Path(shutil.copy(used, folder / "copy.sqlite3"))
    (folder / "imported.sqlite3").unlink(missing_ok=True)
    with SqliteRunStore(used) as store:
        (line,) = store.list_runs()
        return _measured(step, cases, folder, store, line.run_id)


def _measured(step: str, cases: int, folder: Path, store: SqliteRunStore, run_id: str) -> dict[str, float]:
    if step == "fold":
        events = list(read_events(store, run_id))
        return measured(lambda: fold(run_id, events), cases)
    if step == "replay":
        experiment(folder).run(store=store)  # a replay needs every generation
    if step == "resume":
        used, seconds = time.process_time(), resume(folder, store, run_id)
        busy = time.process_time() - used
        return {"seconds": seconds, "cpu_s": busy, "per_s": cases / seconds, "peak_mb": peak_mb()}
    return measured(lambda: TIMED[step](folder, store, run_id), cases)


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))))
