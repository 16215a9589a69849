"""Stage `score`, metrics of family `execution`: the metric plans sandbox runs and scores what came of them, purely."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from returns.result import Failure, Result, Success

from themis.pure.abilities import MetricAbilities
from themis.pure.events import CaseRunEvent, StepCompletedEvent
from themis.pure.identity import stage_key
from themis.pure.json import EMPTY
from themis.pure.pipeline.effects import Execute, Keep, Program, Recall, Recalled, Tell, Together
from themis.pure.pipeline.failures import WorkflowStep, attempt, step_event
from themis.pure.pipeline.judge import SANDBOX_SUBJECT, evaluation_event, execution_score
from themis.pure.pipeline.names import answer_key
from themis.pure.pipeline.run import Run
from themis.pure.pipeline.score import score_context, score_or_error, scored
from themis.pure.pipeline.step import Step
from themis.pure.plan import CaseItem
from themis.pure.records.contexts import ScoreContext
from themis.pure.records.failure import StepFailure
from themis.pure.records.generation import ParsedOutput, TraceStep
from themis.pure.records.judging import EvaluationExecution, WorkflowFailure, WorkflowTrace
from themis.pure.records.sandbox import SandboxRequest, SandboxResult
from themis.pure.records.scoring import Score
from themis.pure.state import CaseState, recorded_outputs

SANDBOX_STEP: Final = "sandbox_run"

Results = Mapping[int, SandboxResult]
"""What came of a metric's requests, by their numbers."""


def execute(run: Run, item: CaseItem, state: CaseState, step: Step) -> Program[CaseRunEvent]:
    """Run the answer by one metric, and score what came of it."""
    metric, ctx = run.components.metric[step.metric_id], score_context(run, item, state, step)
    if run.listens:
        yield Tell("before_score", (ctx.parsed_output, ctx))
    outcome = yield from _executed(run, item, state, metric, ctx)
    event = evaluation_event(run, item, state, step.metric_id, outcome)
    yield Keep(item.case_no, event)
    if run.listens and isinstance(outcome, Success):
        yield Tell("after_score", (execution_score(outcome.unwrap(), step.metric_id), ctx))
    return event


def _executed(
    run: Run, item: CaseItem, state: CaseState, metric: MetricAbilities, ctx: ScoreContext
) -> Program[Result[EvaluationExecution, StepFailure]]:
    results: dict[int, SandboxResult] = {
        int(number): SandboxResult.from_dict(output)
        for number, output in recorded_outputs(state, metric.component_id, SANDBOX_STEP, ctx.candidate_id)
    }
    while True:
        planned = plan_sandbox(metric, ctx, results)
        if not isinstance(planned, Success):
            return Failure(planned.failure())
        requests = planned.unwrap()
        open_numbers = [number for number in range(len(requests)) if number not in results]
        if not open_numbers:
            return conclude_sandbox(metric, requests, results, (), ctx)
        made: tuple[SandboxResult, ...] = yield Together(
            tuple(_sandbox_run(run, item, metric, ctx, number, requests[number]) for number in open_numbers)
        )
        came = dict(zip(open_numbers, made, strict=True))
        results |= {number: result for number, result in came.items() if result.status != "sandbox_error"}
        failures = [_failure(number, result) for number, result in came.items() if result.status == "sandbox_error"]
        if failures:
            return conclude_sandbox(metric, requests, results, failures, ctx)


def _sandbox_run(
    run: Run, item: CaseItem, metric: MetricAbilities, ctx: ScoreContext, number: int, request: SandboxRequest
) -> Program[SandboxResult]:
    """Run one program, unless another run's result of the same request is there; keep what came of it."""
    step = WorkflowStep(metric.component_id, str(number), SANDBOX_STEP, ctx.candidate_id)
    key = stage_key("sandbox", request.compute_hash())
    found: Recalled | None = (yield Recall(key)) if run.recalls else None
    if found is not None and isinstance(found.event, StepCompletedEvent):
        output = found.event.output
        yield Keep(item.case_no, step_event(run, item, step, output, found.source_run_id), key)
        return SandboxResult.from_dict(output)
    result: SandboxResult = yield Execute(request, step.key)
    if result.status != "sandbox_error":
        yield Keep(item.case_no, step_event(run, item, step, result.to_dict()), key)
    return result


def _failure(number: int, result: SandboxResult) -> WorkflowFailure:
    return WorkflowFailure(
        call_id=str(number),
        step_id=str(number),
        step_type=SANDBOX_STEP,
        error_message=result.stderr or "the sandbox could not run the program",
    )


def plan_sandbox(
    metric: MetricAbilities, ctx: ScoreContext, results: Results
) -> Result[tuple[SandboxRequest, ...], StepFailure]:
    """Return what a metric wants to have run, as far as that can be known from what is there.

    Args:
        metric: an execution metric.
        ctx: the metric's context.
        results: what came of requests so far. Once every request has its result, the metric is asked for the ones
            that follow (`next_requests`), until it wants no more.
    """
    return attempt(metric.component_id, _planned, metric, ctx.parsed_output, ctx, results)


def _planned(
    metric: MetricAbilities, parsed: ParsedOutput, ctx: ScoreContext, results: Results
) -> tuple[SandboxRequest, ...]:
    first, follow = metric.sandbox_requests, metric.next_requests
    assert first is not None  # its family says so
    requests = tuple(first(parsed, ctx.case, ctx))
    while follow is not None and all(number in results for number in range(len(requests))):
        so_far = [results[number] for number in range(len(requests))]
        more = tuple(follow(parsed, ctx.case, so_far, ctx))
        if not more:
            break
        requests += more
    return requests


def conclude_sandbox(
    metric: MetricAbilities,
    requests: Sequence[SandboxRequest],
    results: Results,
    failures: Sequence[WorkflowFailure],
    ctx: ScoreContext,
) -> Result[EvaluationExecution, StepFailure]:
    """Score what came of the runs. A run that the sandbox itself could not do leaves the case unscored."""
    name = metric.component_id
    steps = tuple(
        TraceStep(step_name=str(i), step_type=SANDBOX_STEP, input=_in_short(requests[i]), output=results[i].to_dict())
        for i in sorted(results)
        if i < len(requests)
    )
    problems = list(failures)
    scores: tuple[Score, ...] = ()
    if not problems:
        assert metric.score_results is not None  # its family says so
        came = [results[i] for i in range(len(requests))]
        outcome = scored(metric, metric.score_results, ctx.parsed_output, ctx.case, came, ctx)
        made = score_or_error(outcome)
        if isinstance(made, Score):
            scores = (made,)
        elif not made.retryable:
            return Failure(StepFailure(component_id=name, error_type="ScoreError", error_message=made.reason))
        else:
            problems.append(
                WorkflowFailure(step_id="score_results", step_type="score_results", error_message=made.reason)
            )
    return Success(
        EvaluationExecution(
            execution_id=stage_key("execution", name, answer_key(ctx)),
            subject_kind=SANDBOX_SUBJECT,
            status="partial_failure" if problems else "completed",
            scores=scores,
            failures=problems,
            trace=WorkflowTrace(trace_id=f"{answer_key(ctx)}/{name}", steps=steps),
        )
    )


def _in_short(request: SandboxRequest) -> Mapping[str, Any]:
    """Return a request without its files and input: they follow from the case and the answer, and can be large."""
    return {"request": request.compute_hash(), **request.evolve(files=EMPTY, stdin="").to_dict()}
