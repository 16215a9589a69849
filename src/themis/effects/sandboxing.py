"""Runs what execution metrics plan: several programs at once, each result handed back as it comes."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import trio

from themis.pure.records.judging import WorkflowFailure
from themis.pure.records.sandbox import SandboxRequest, SandboxResult
from themis.pure.stages.execute import SANDBOX_STEP

if TYPE_CHECKING:
    from themis.effects.sandboxes import Sandbox

Finished = Callable[[int, SandboxResult], None]


class SandboxPool:
    """Opens the sandbox when the first program is to be run, and runs as many at once as there are cores."""

    def __init__(self, sandbox: Sandbox | None = None) -> None:
        self._sandbox = sandbox
        self._turns = trio.Semaphore(max(1, os.cpu_count() or 1))

    async def run_all(
        self, requests: Sequence[SandboxRequest], *, known: Mapping[int, SandboxResult], finished: Finished
    ) -> tuple[dict[int, SandboxResult], list[WorkflowFailure]]:
        """Run what is not known yet; return the results by number, and what the sandbox could not do."""
        results = {number: result for number, result in known.items() if number < len(requests)}
        failures: list[WorkflowFailure] = []

        async def run(number: int) -> None:
            async with self._turns:
                result = await self._open().run(requests[number])
            if result.status == "sandbox_error":
                failures.append(_failure(number, result))
            else:
                results[number] = result
                finished(number, result)

        async with trio.open_nursery() as nursery:
            for number in range(len(requests)):
                if number not in results:
                    nursery.start_soon(run, number)
        return results, sorted(failures, key=lambda failure: int(failure.call_id or 0))

    def _open(self) -> Sandbox:
        if self._sandbox is None:
            from themis.effects.sandboxes import open_sandbox

            self._sandbox = open_sandbox()
        return self._sandbox


def _failure(number: int, result: SandboxResult) -> WorkflowFailure:
    return WorkflowFailure(
        call_id=str(number),
        step_id=str(number),
        step_type=SANDBOX_STEP,
        error_message=result.stderr or "the sandbox could not run the program",
    )
