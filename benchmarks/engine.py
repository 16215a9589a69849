"""The engine, in a process of its own so that peak memory is its own: `python -m benchmarks.engine STORE CASES`.

A trivial case: a model that answers at once, no parser, one deterministic metric. What is timed is the whole of
`evaluate`: naming every case, storing the data, running, and everything durable.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.processes import measured
from themis import Case, Dataset, InMemoryRunStore, RunStore, SqliteRunStore, evaluate, metric
from themis.core import GenerateContext, GenerationResult, JSONValue, ParsedOutput


class TrivialModel:
    """Answers at once, with what is expected."""

    component_id = "benchmark/trivial"
    version = "1"

    async def generate(self, case: Case, ctx: GenerateContext) -> GenerationResult:
        return GenerationResult(candidate_id=ctx.candidate_id, final_output=case.expected_output)


@metric(component_id="benchmark/equal")
def equal(parsed: ParsedOutput, case: Case) -> bool:
    return bool(parsed.value == case.expected_output)


def rows(cases: int) -> Dataset:
    def made() -> Iterator[dict[str, JSONValue]]:
        for i in range(cases):
            yield {"case_id": str(i), "input": f"{i} + {i}", "expected_output": {"answer": str(2 * i)}}

    return Dataset(dataset_id="d", cases=made())


def measure(store: RunStore, cases: int) -> dict[str, float]:
    """Return what evaluating took, and the process's peak memory."""
    data = rows(cases)
    evaluate(model=TrivialModel(), data=rows(1), metric=equal)  # what is imported late is imported now
    return measured(lambda: evaluate(model=TrivialModel(), data=data, metric=equal, store=store), cases)


def main(kind: str, cases: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = InMemoryRunStore() if kind == "memory" else SqliteRunStore(Path(folder) / "s.sqlite3")
        print(json.dumps(measure(store, cases)))
        store.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
