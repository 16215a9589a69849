"""Many runs compared: `python -m benchmarks.leaderboard [RUNS] [CASES] [FOLDER]`, 50 runs of 10,000 cases by default.

The runs are of models that differ in skill, over one set of cases, and lie in a SQLite file, which is made once. Then,
in a process of its own for each metric (right or wrong, and graded), they are read and every two of them are compared.
What is quoted are that process's CPU seconds, which neighbours on a busy machine change least, and its peak memory.
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from themis import Case, Dataset, SqliteRunStore, evaluate, generator, leaderboard

METRICS = ("builtin/exact_match", "builtin/f1")
STORE_FILE = "runs.sqlite3"
WORDS = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"]


def model(number: int, skill: float, references: list[str], hardness: list[float]) -> Any:
    """Return a model that gets a case right the likelier the more skilled it is and the easier the case, or parts."""
    rng = random.Random(number)
    given = [
        text if rng.random() < skill * (1.2 - hard) else " ".join(_or_another(word, rng) for word in text.split())
        for text, hard in zip(references, hardness, strict=True)
    ]

    @generator(component_id=f"lab/m{number:02d}")
    def answer(case: Case) -> str:
        return given[int(case.case_id)]

    return answer


def _or_another(word: str, rng: random.Random) -> str:
    return word if rng.random() < 0.6 else rng.choice(WORDS)


def prepare(folder: Path, runs: int, cases: int) -> None:
    """Make the runs."""
    rng = random.Random(1)
    references = [" ".join(rng.choice(WORDS) for _ in range(6)) for _ in range(cases)]
    hardness = [rng.random() for _ in range(cases)]
    data = Dataset(
        dataset_id="qa",
        cases=[Case(case_id=str(i), input=f"question {i}", expected_output=text) for i, text in enumerate(references)],
    )
    with SqliteRunStore(folder / STORE_FILE) as store:
        for number in range(runs):
            made = model(number, 0.3 + 0.6 * number / runs, references, hardness)
            evaluate(model=made, data=data, metric=METRICS, store=store)


def measure(folder: Path, metric: str) -> dict[str, float]:
    """Return what a leaderboard takes: CPU seconds, seconds, the peak memory of this process; and what it found."""
    began, cpu = time.perf_counter(), time.process_time()
    board = leaderboard(store=folder / STORE_FILE, metrics=[metric])
    (column,) = board.columns
    return {
        "cpu_s": time.process_time() - cpu,
        "seconds": time.perf_counter() - began,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "pairs": len(column.differences),
        "apart": sum(each.apart for each in column.differences),
    }


def measured(folder: Path, metric: str) -> dict[str, float]:
    """Return what `measure` does, from a process of its own."""
    command = [sys.executable, "-m", "benchmarks.leaderboard", "--metric", metric, str(folder)]
    found: dict[str, float] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return found


def main(runs: int, cases: int, folder: Path) -> None:
    if not (folder / STORE_FILE).exists():
        prepare(folder, runs, cases)
    print(f"{'metric':<20} {'CPU s':>7} {'seconds':>8} {'peak MB':>8} {'pairs':>6} {'apart':>6}")
    for metric in METRICS:
        found = measured(folder, metric)
        print(
            f"{metric:<20} {found['cpu_s']:>7.1f} {found['seconds']:>8.1f} {found['peak_mb']:>8.0f} "
            f"{found['pairs']:>6} {found['apart']:>6}",
            flush=True,
        )


if __name__ == "__main__":
    if "--metric" in sys.argv:
        print(json.dumps(measure(Path(sys.argv[3]), sys.argv[2])))
    else:
        given = sys.argv[1:]
        size = int(given[0]) if given else 50, int(given[1]) if len(given) > 1 else 10_000
        if len(given) > 2:
            main(*size, Path(given[2]))
        else:
            with tempfile.TemporaryDirectory() as name:
                main(*size, Path(name))
