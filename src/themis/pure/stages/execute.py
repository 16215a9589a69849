"""Code execution, a part of stage `score`: the metric plans sandbox runs and scores what came of them, purely."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from returns.result import Failure, Result, Success

from themis.pure.identity import stage_key
from themis.pure.records.contexts import ScoreContext
from themis.pure.records.generation import ParsedOutput, TraceStep
from themis.pure.records.judging import EvaluationExecution, WorkflowFailure, WorkflowTrace
from themis.pure.records.sandbox import SandboxRequest, SandboxResult
from themis.pure.records.scoring import Score, ScoreError
from themis.pure.stages.outcome import StepFailure, attempt
from themis.pure.stages.score import accept_score, error_score
from themis.pure.state import CaseState

SANDBOX_STEP = "sandbox_run"


def plan_sandbox(
    metric: Any, parsed: ParsedOutput, ctx: ScoreContext
) -> Result[tuple[SandboxRequest, ...], StepFailure]:
    """Return what a metric wants to have run."""
    outcome = attempt(metric.component_id, metric.sandbox_requests, parsed, ctx.case, ctx)
    return Success(tuple(outcome.unwrap())) if isinstance(outcome, Success) else Failure(outcome.failure())


def sandbox_key(request: SandboxRequest) -> str:
    """Return the cache key of a sandbox run: all of the request."""
    return stage_key("sandbox", request.compute_hash())


def conclude_sandbox(
    metric: Any,
    parsed: ParsedOutput,
    requests: Sequence[SandboxRequest],
    results: Mapping[int, SandboxResult],
    failures: Sequence[WorkflowFailure],
    ctx: ScoreContext,
) -> Result[EvaluationExecution, StepFailure]:
    """Score what came of the runs. A run that the sandbox itself could not do leaves the case unscored."""
    name = metric.component_id
    steps = tuple(
        TraceStep(step_name=str(i), step_type=SANDBOX_STEP, input=requests[i].to_dict(), output=results[i].to_dict())
        for i in sorted(results)
    )
    problems = list(failures)
    scores: tuple[Score, ...] = ()
    if not problems:
        outcome = _scored(metric, parsed, [results[i] for i in range(len(requests))], ctx)
        if isinstance(outcome, Score):
            scores = (outcome,)
        elif not outcome.retryable:
            message = outcome.reason
            return Failure(StepFailure(component_id=name, error_type="ScoreError", error_message=message))
        else:
            problems.append(
                WorkflowFailure(step_id="score_results", step_type="score_results", error_message=outcome.reason)
            )
    return Success(
        EvaluationExecution(
            execution_id=stage_key("execution", name, ctx.case_key),
            subject_kind="sandbox",
            status="partial_failure" if problems else "completed",
            scores=scores,
            failures=problems,
            trace=WorkflowTrace(trace_id=f"{ctx.case_key}/{name}", steps=steps),
        )
    )


def _scored(
    metric: Any, parsed: ParsedOutput, results: Sequence[SandboxResult], ctx: ScoreContext
) -> Score | ScoreError:
    try:
        value = metric.score_results(parsed, ctx.case, results, ctx)
    except Exception as error:
        return error_score(metric.component_id, error)
    return accept_score(metric.component_id, value)


def recorded_results(state: CaseState, metric_id: str) -> dict[int, SandboxResult]:
    """Return the sandbox results that are stored for a metric, by the number of the request."""
    return {
        int(event.step_id): SandboxResult.from_dict(event.output)
        for event in state.steps.values()
        if event.workflow_id == metric_id and event.step_type == SANDBOX_STEP
    }
