"""A run to be interrupted: `python interrupted_child.py URL STORE [stubborn]`.

It prints `stopping` when a call is cancelled; with `stubborn` one component call can't be cancelled at all.
"""

from __future__ import annotations

import sys
from typing import Any

import trio

from themis import adapters, evaluate
from themis.pure.records.config import StorageConfig
from themis.pure.records.contexts import GenerateContext
from themis.pure.records.dataset import Case
from themis.pure.records.generation import GenerationResult

CASES = 120


class Model:
    """The adapter, and what a test needs to know of it."""

    component_id = "tests/interrupted"
    version = "1"

    def __init__(self, url: str, stubborn: bool) -> None:
        self._model = adapters.openai("tiny", base_url=url)
        self._stubborn = stubborn

    def fingerprint(self) -> str:
        return "the same in every process"

    def session(self) -> Any:
        return self._model.session()

    async def generate(self, case: Case, ctx: GenerateContext) -> GenerationResult:
        if self._stubborn and case.case_id == "c1":
            with trio.CancelScope(shield=True):
                await trio.sleep_forever()
        try:
            return await self._model.generate(case, ctx)
        except trio.Cancelled:
            print("stopping", flush=True)
            raise


def main(url: str, path: str, *words: str) -> None:
    rows = [{"case_id": f"c{i}", "input": f"q {i}", "expected_output": f"echo: q {i}"} for i in range(CASES)]
    result = evaluate(
        model=Model(url, "stubborn" in words),
        data=rows,
        metric="builtin/exact_match",
        storage=StorageConfig(store="sqlite", parameters={"path": path}),
    )
    print(result.benchmark.outcome_counts["builtin/exact_match"]["correct"])


if __name__ == "__main__":
    main(*sys.argv[1:])
