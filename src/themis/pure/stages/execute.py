"""Code execution, a part of stage `score`: the metric plans sandbox runs and scores what came of them, purely."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from returns.result import Failure, Result, Success

from themis.pure.identity import stage_key
from themis.pure.json import EMPTY
from themis.pure.records.contexts import ScoreContext
from themis.pure.records.generation import ParsedOutput, TraceStep
from themis.pure.records.judging import EvaluationExecution, WorkflowFailure, WorkflowTrace
from themis.pure.records.sandbox import SandboxRequest, SandboxResult
from themis.pure.records.scoring import Score, ScoreError
from themis.pure.stages.outcome import StepFailure, attempt
from themis.pure.stages.score import accept_score, error_score
from themis.pure.state import CaseState

SANDBOX_STEP = "sandbox_run"
_NONE: Final[Mapping[int, SandboxResult]] = MappingProxyType({})


def plan_sandbox(
    metric: Any, parsed: ParsedOutput, ctx: ScoreContext, results: Mapping[int, SandboxResult] = _NONE
) -> Result[tuple[SandboxRequest, ...], StepFailure]:
    """Return what a metric wants to have run, as far as that can be known from what is there.

    Args:
        metric: an execution metric.
        parsed: the answer.
        ctx: the metric's context.
        results: what came of requests so far, by number. Once every request has its result, the metric is asked
            for the ones that follow (`next_requests`), until it wants no more.
    """
    return attempt(metric.component_id, _planned, metric, parsed, ctx, results)


def _planned(
    metric: Any, parsed: ParsedOutput, ctx: ScoreContext, results: Mapping[int, SandboxResult]
) -> tuple[SandboxRequest, ...]:
    requests = tuple(metric.sandbox_requests(parsed, ctx.case, ctx))
    follow = getattr(metric, "next_requests", None)
    while follow is not None and all(number in results for number in range(len(requests))):
        so_far = [results[number] for number in range(len(requests))]
        more = tuple(follow(parsed, ctx.case, so_far, ctx))
        if not more:
            break
        requests += more
    return requests


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
        TraceStep(step_name=str(i), step_type=SANDBOX_STEP, input=_in_short(requests[i]), output=results[i].to_dict())
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


def _in_short(request: SandboxRequest) -> Mapping[str, Any]:
    """Return a request without its files and input: they follow from the case and the answer, and can be large."""
    return {"request": request.compute_hash(), **request.evolve(files=EMPTY, stdin="").to_dict()}


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
