"""A million cases on a laptop: `python -m benchmarks.million [CASES] [FOLDER]`, 1,000,000 by default.

A generated JSONL file runs through generate, reduce, parse and two metrics into SQLite, and is then reported,
replayed and verified. Each step is a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.engine import TrivialModel
from themis import EvaluationConfig, Experiment, GenerationConfig, Reporter, RunResult, SqliteRunStore, verify
from themis.effects.sources.files import file_dataset

STEPS = ("run", "resume", "report", "digest", "replay", "verify")


def write_cases(path: Path, cases: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        for i in range(cases):
            row = {"case_id": f"case-{i}", "input": f"What is {i} + {i}?", "expected_output": f"The sum is {2 * i}."}
            file.write(json.dumps(row) + "\n")


def experiment(folder: Path) -> Experiment:
    return Experiment(
        generation=GenerationConfig(generator=TrivialModel(), reducer="builtin/majority_vote"),
        evaluation=EvaluationConfig(parsers="builtin/text", metrics=["builtin/exact_match", "builtin/f1"]),
        datasets=file_dataset(folder / "cases.jsonl"),
    )


def do(step: str, folder: Path) -> str:
    """Do one step; return what it came to, in a few words."""
    made = experiment(folder)
    with SqliteRunStore(folder / "runs.sqlite3") as store:
        if step in ("run", "resume"):
            return str(made.run(store=store).run_id)[:12]
        (line,) = store.list_runs()
        result = RunResult(snapshot=store.load_snapshot(line.run_id), store=store)
        if step == "report":
            return f"{len(Reporter(store).export_markdown(line.run_id))} characters of Markdown"
        if step == "digest":
            return result.digest[:12]
        if step == "replay":
            return str(made.replay(stage="score", store=store).run_id)[:12]
        return str(verify(store, line.run_id, experiment=made).ok)


def main(cases: int, folder: Path) -> None:
    write_cases(folder / "cases.jsonl", cases)
    print(f"{'step':<8} {'seconds':>8} {'cases/s':>9} {'peak MB':>8}  result")
    for step in STEPS:
        command = [sys.executable, "-m", "benchmarks.million", "--step", step, str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found = json.loads(done.stdout)
        print(
            f"{step:<8} {found['seconds']:>8.1f} {cases / found['seconds']:>9.0f} {found['peak_mb']:>8.0f}  "
            f"{found['result']}",
            flush=True,
        )


def measured(step: str, folder: Path) -> None:
    started = time.perf_counter()
    result = do(step, folder)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "peak_mb": peak, "result": result}))


if __name__ == "__main__":
    if "--step" in sys.argv:
        measured(sys.argv[2], Path(sys.argv[3]))
    elif len(sys.argv) > 2:
        main(int(sys.argv[1]), Path(sys.argv[2]))
    else:
        with tempfile.TemporaryDirectory() as made:
            main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000, Path(made))
