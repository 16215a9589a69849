"""Themis: keeps everything in SQLite, durably."""

import importlib.metadata
import tempfile
from pathlib import Path

from measuring import main

from themis import Case, Dataset, SqliteRunStore, evaluate, generator, metric
from themis.core import ParsedOutput


@generator(component_id="peers/echo")
def echo(case: Case) -> str:
    return str(case.input)


@metric(component_id="peers/equal")
def equal(parsed: ParsedOutput, case: Case) -> bool:
    return parsed.value == case.expected_output


def run(count: int) -> int:
    cases = [Case(case_id=str(i), input=f"question {i}", expected_output=f"question {i}") for i in range(count)]
    with tempfile.TemporaryDirectory() as folder, SqliteRunStore(Path(folder) / "runs.sqlite3") as store:
        result = evaluate(model=echo, data=Dataset(dataset_id="d", cases=cases), metric=equal, store=store)
        return result.benchmark.outcome_counts["peers/equal"]["correct"]


if __name__ == "__main__":
    main(run, importlib.metadata.version("themis-evals"))
