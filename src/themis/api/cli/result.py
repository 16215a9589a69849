"""Printing a run's result, and its exit code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from themis._stages import STAGE_ORDER
from themis.api.cli import DONE, GATE_FAILED, INCOMPLETE
from themis.api.cli.output import say, write, write_json
from themis.api.runs.gates import write_junit
from themis.api.runs.report import result_data, result_table
from themis.api.runs.result import RunResult, first_failures
from themis.effects.stores.memory import InMemoryRunStore
from themis.pure.json import EMPTY
from themis.pure.records.results import RunStatus
from themis.pure.stats.gates import GateResult
from themis.pure.text import one_line
from themis.pure.usage import Prices


def show_result(
    result: RunResult,
    *,
    as_json: bool,
    gates: Sequence[GateResult] = (),
    junit: Path | None = None,
    at: Sequence[int] | None = None,
    by: Sequence[str] | None = None,
    prices: Prices = EMPTY,
    emit: Callable[[dict[str, Any]], None] = write_json,
) -> int:
    """Print a run's result and its gates, and return the exit code; as JSON it is emitted."""
    if as_json:
        data = result_data(result, at, by, prices)
        emit({**data, "gates": [gate.to_dict() for gate in gates]} if gates else data)
    else:
        write(_result_text(result, at, by, prices))
        for gate in gates:
            write(one_line(f"{'passed' if gate.passed else 'FAILED'}: {gate.gate}: {gate.reason}"))
    if junit is not None:
        write_junit(junit, f"themis run {result.run_id[:12]}", gates, result)
    if isinstance(result.store, InMemoryRunStore):
        say("themis: the run was kept in memory and ends with this command; --store runs/themis.sqlite3 keeps it")
    if result.status != RunStatus.COMPLETED:
        return INCOMPLETE  # before a failed gate, as the run's numbers may still change
    return DONE if all(gate.passed for gate in gates) else GATE_FAILED


def _result_text(result: RunResult, at: Sequence[int] | None, by: Sequence[str] | None, prices: Prices) -> str:
    place = result.store.location.removeprefix("sqlite:")
    name = result.view.ending.labels.name
    called = f"run {result.run_id}" + (f" ({one_line(name)})" if name is not None else "")
    lines = [called, f"stored in {one_line(place)}"]
    if result.error_message:
        lines.append(f"ended early: {one_line(result.error_message)}")
    if result.completed_through_stage not in (None, STAGE_ORDER[-1]):
        lines.append(f"completed through stage '{result.completed_through_stage}', as it was asked to")
    if result.status != RunStatus.COMPLETED:
        failed, total = result.progress.failed_cases, result.progress.total_cases
        done = result.progress.completed_cases
        lines.append(f"{result.status.value}: {done} of {total} cases done, {failed} with errors")
        lines += [f"  {one_line(text)}" for text in first_failures(result)]
    return "\n".join([result_table(result, at, by, prices), "", *lines])
