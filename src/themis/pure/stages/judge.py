"""Stage `judge`, and code execution: workflows as plain data.

The core renders prompts and plans calls, the shell makes them, the core parses, scores and aggregates. What
came back is recorded call by call, so judging replays offline, and a crash repeats no call that was answered.

Rules: a call that failed, or a verdict that could not be read, is a failure of that judgment, never a score.
An execution with any failure has status `partial_failure` and counts as an error of the case, unless the
judge configuration says `{"on_partial_failure": "aggregate"}`: then the judgments that are left are aggregated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import attrs
from returns.result import Failure, Result, Success

from themis.pure.errors import WorkflowBuildError
from themis.pure.events import (
    CaseRunEvent,
    EvaluationCompletedEvent,
    EvaluationFailedEvent,
    StepCompletedEvent,
    StepFailedEvent,
)
from themis.pure.identity import content_hash, derive_seed, stage_key
from themis.pure.json import JSONValue
from themis.pure.plan import CaseItem, RunPlan
from themis.pure.protocols import EvaluationWorkflow
from themis.pure.records.contexts import EvalScoreContext
from themis.pure.records.generation import GenerationResult, ParsedOutput, TraceStep
from themis.pure.records.judging import (
    AggregationResult,
    CandidateSetSubject,
    ConversationSubject,
    ConversationTrace,
    EvaluationExecution,
    JudgeCall,
    JudgeResponse,
    ParsedJudgment,
    RenderedJudgePrompt,
    Subject,
    TraceSubject,
    WorkflowFailure,
    WorkflowTrace,
)
from themis.pure.records.scoring import Score, ScoreError
from themis.pure.records.snapshot import RunIdentity
from themis.pure.stages.outcome import StepFailure, attempt, case_fields, failure_fields
from themis.pure.stages.reduce import candidates_of
from themis.pure.state import CaseState


def eval_context(
    plan: RunPlan, item: CaseItem, identity: RunIdentity, parsed: ParsedOutput, metric_id: str
) -> EvalScoreContext:
    """Return what a workflow is told."""
    return EvalScoreContext(
        run_id=plan.run_id,
        case=item.case,
        parsed_output=parsed,
        dataset_id=item.dataset_id,
        case_key=item.case_key,
        dataset_metadata=item.dataset_metadata,
        judge_model_refs=identity.judge_model_refs,
        # The seed must not hold the run id: another run that asks the same question may reuse the answer.
        judge_seed=derive_seed(stage_key("judge", metric_id, item.case_key), 0),
        prompt_spec=identity.evaluation_prompt_spec,
        judge_config=identity.judge_config,
        eval_workflow_config=identity.workflow_overrides,
    )


def subject_for(family: str, state: CaseState) -> Result[Subject, StepFailure]:
    """Return what a metric of this family judges: the reduced answer, all candidates, or the trace."""
    candidates = candidates_of(state)
    if family == "selection":
        if len(candidates) < 2:
            return Failure(_no_subject("a selection metric compares candidates, and this run makes one per case"))
        return Success(CandidateSetSubject(candidates=candidates))
    answer = _answer(state, candidates)
    if family != "trace":
        return Success(CandidateSetSubject(candidates=(answer,)))
    if answer.trace is not None:
        return Success(TraceSubject(trace=WorkflowTrace(trace_id=answer.candidate_id, steps=answer.trace)))
    if answer.conversation is not None:
        conversation = ConversationTrace(trace_id=answer.candidate_id, messages=answer.conversation)
        return Success(ConversationSubject(conversation=conversation))
    return Failure(_no_subject("a trace metric needs a generator that returns a trace or a conversation"))


def _answer(state: CaseState, candidates: Sequence[GenerationResult]) -> GenerationResult:
    """Return the candidate that was reduced to, or one that carries the reduced output."""
    reduced = state.reduced
    assert reduced is not None  # judging comes after reduction
    for candidate in candidates:
        if candidate.candidate_id == reduced.candidate_id and candidate.final_output == reduced.final_output:
            return candidate
    return GenerationResult(candidate_id=reduced.candidate_id, final_output=reduced.final_output)


def _no_subject(message: str) -> StepFailure:
    return StepFailure(component_id="", error_type="NoSubject", error_message=message)


# --- judge workflows --------------------------------------------------------------------------------------


@attrs.frozen
class WorkflowPlan:
    """A metric's workflow on one case, ready to be carried out: calls and what each judge is shown."""

    workflow: EvaluationWorkflow
    subject: Subject
    calls: tuple[JudgeCall, ...]
    prompts: Mapping[str, RenderedJudgePrompt]
    failures: tuple[WorkflowFailure, ...]


def plan_workflow(metric: Any, subject: Subject, ctx: EvalScoreContext) -> Result[WorkflowPlan, StepFailure]:
    """Build a metric's workflow, plan its calls and render their prompts."""
    name = metric.component_id
    built = attempt(name, metric.build_workflow, subject, ctx)
    if not isinstance(built, Success):
        return Failure(built.failure())
    return plan_calls(name, built.unwrap(), subject, ctx)


def plan_calls(
    metric_id: str, workflow: EvaluationWorkflow, subject: Subject, ctx: EvalScoreContext
) -> Result[WorkflowPlan, StepFailure]:
    """Plan a workflow's calls and render their prompts; a prompt that can't be rendered fails its call alone."""
    planned = attempt(metric_id, lambda: _distinct(workflow.judge_calls()))
    if not isinstance(planned, Success):
        return Failure(planned.failure())
    prompts: dict[str, RenderedJudgePrompt] = {}
    failures = []
    for call in planned.unwrap():
        outcome = attempt(metric_id, workflow.render_prompt, call, subject, ctx)
        if isinstance(outcome, Success):
            prompts[call.call_id] = outcome.unwrap()
        else:
            failures.append(step_failure(call.call_id, "render_prompt", outcome.failure()))
    return Success(WorkflowPlan(workflow, subject, planned.unwrap(), prompts, tuple(failures)))


def _distinct(calls: Sequence[JudgeCall]) -> tuple[JudgeCall, ...]:
    if len({call.call_id for call in calls}) < len(calls):
        raise WorkflowBuildError(f"judge_calls() gave call ids twice: {[call.call_id for call in calls]}")
    return tuple(calls)


def step_failure(call_id: str, step_type: str, failure: StepFailure) -> WorkflowFailure:
    """Return a failed step of a workflow as its record."""
    return WorkflowFailure(
        call_id=call_id,
        step_id=f"{call_id}/{step_type}",
        step_type=step_type,
        error_message=f"{failure.error_type}: {failure.error_message}",
        retry_history=failure.retry_history,
    )


def judge_key(judge_fingerprint: str, call: JudgeCall, prompt: RenderedJudgePrompt) -> str:
    """Return the cache key of a judge call: who is asked, what is shown, which seed, which repeat."""
    shown = content_hash(prompt.content)
    return stage_key("judge", judge_fingerprint, shown, str(call.effective_seed), str(call.repeat_index))


def conclude(
    metric_id: str,
    plan: WorkflowPlan,
    responses: Mapping[str, JudgeResponse],
    failures: Sequence[WorkflowFailure],
    ctx: EvalScoreContext,
) -> EvaluationExecution:
    """Parse, score and aggregate what the judges answered; deterministic, whatever order they answered in."""
    verdicts = [
        _verdict(metric_id, plan, call, responses[call.call_id], ctx)
        for call in plan.calls
        if call.call_id in responses
    ]
    judgments = tuple(v.judgment for v in verdicts if v.judgment is not None)
    scores = tuple(v.score for v in verdicts if v.score is not None)
    problems = [*plan.failures, *failures, *(v.failure for v in verdicts if v.failure is not None)]
    aggregate: AggregationResult | None = None
    if judgments and (not problems or ctx.judge_config.get("on_partial_failure") == "aggregate"):
        outcome = attempt(metric_id, plan.workflow.aggregate, judgments, scores, ctx)
        if isinstance(outcome, Success):
            aggregate = outcome.unwrap()
        else:
            problems.append(step_failure("aggregate", "aggregate", outcome.failure()))
    order = {call.call_id: i for i, call in enumerate(plan.calls)}
    problems.sort(key=lambda failure: (order.get(failure.call_id or "", len(order)), failure.step_type))
    return EvaluationExecution(
        execution_id=stage_key("execution", metric_id, ctx.case_key),
        subject_kind=_KINDS[type(plan.subject)],
        status="partial_failure" if problems else "completed",
        judge_calls=plan.calls,
        rendered_prompts=tuple(plan.prompts[c.call_id] for c in plan.calls if c.call_id in plan.prompts),
        judge_responses=tuple(responses[c.call_id] for c in plan.calls if c.call_id in responses),
        parsed_judgments=judgments,
        scores=scores,
        failures=tuple(problems),
        aggregation_output=aggregate,
        trace=WorkflowTrace(trace_id=f"{ctx.case_key}/{metric_id}", steps=tuple(v.step for v in verdicts)),
    )


_KINDS: Mapping[type, str] = {
    CandidateSetSubject: "candidate_set",
    TraceSubject: "trace",
    ConversationSubject: "conversation",
}


@attrs.frozen(kw_only=True)
class _Verdict:
    step: TraceStep
    judgment: ParsedJudgment | None = None
    score: Score | None = None
    failure: WorkflowFailure | None = None


def _verdict(
    metric_id: str, plan: WorkflowPlan, call: JudgeCall, response: JudgeResponse, ctx: EvalScoreContext
) -> _Verdict:
    def step(output: Mapping[str, JSONValue]) -> TraceStep:
        given = {"judge_model_id": call.judge_model_id, "raw_response": response.raw_response}
        return TraceStep(step_name=call.call_id, step_type="judge_call", input=given, output=output)

    parsed = attempt(metric_id, plan.workflow.parse_judgment, call, response, ctx)
    if not isinstance(parsed, Success):
        failure = step_failure(call.call_id, "parse_judgment", parsed.failure())
        return _Verdict(step=step({"error": failure.error_message}), failure=failure)
    judgment = parsed.unwrap()
    scored = attempt(metric_id, plan.workflow.score_judgment, call, judgment, ctx)
    if not isinstance(scored, Success):
        failure = step_failure(call.call_id, "score_judgment", scored.failure())
        return _Verdict(step=step({"error": failure.error_message}), failure=failure)
    score = scored.unwrap()
    if score is not None and score.metric_id != metric_id:
        score = score.evolve(metric_id=metric_id)
    verdict = {"label": judgment.label, "score": judgment.score}
    return _Verdict(step=step(verdict), judgment=judgment, score=score)


def execution_score(execution: EvaluationExecution, metric_id: str) -> Score | ScoreError:
    """Return the case's score from an execution, or why it has none.

    The aggregate's numeric value is the score; without an aggregate, the mean of the judgments' scores is.
    """
    aggregate = execution.aggregation_output
    if execution.status != "completed" and aggregate is None:
        first = execution.failures[0].error_message if execution.failures else "a step failed"
        return ScoreError(
            metric_id=metric_id,
            reason=f"{len(execution.failures)} step(s) of the workflow failed; first: {first}",
            retryable=True,
        )
    if aggregate is not None:
        value = aggregate.value
        if isinstance(value, int | float) and not isinstance(value, bool):
            details = {"method": aggregate.method, **aggregate.details}
            return Score(metric_id=metric_id, value=float(value), details=details)
        if not execution.scores:
            return ScoreError(
                metric_id=metric_id, reason=f"the aggregate of method {aggregate.method!r} is no number: {value!r}"
            )
    if not execution.scores:
        return ScoreError(metric_id=metric_id, reason="the workflow made no score")
    mean = sum(score.value for score in execution.scores) / len(execution.scores)
    return Score(metric_id=metric_id, value=mean, details={"method": "mean", "judgments": len(execution.scores)})


def recorded_responses(state: CaseState, metric_id: str) -> dict[str, JudgeResponse]:
    """Return the judge's answers that are stored for a metric, by call id."""
    return {
        event.step_id: JudgeResponse.from_dict(event.output)
        for event in state.steps.values()
        if event.workflow_id == metric_id and event.step_type == "judge_call"
    }


def step_event(
    plan: RunPlan,
    item: CaseItem,
    workflow_id: str,
    step_id: str,
    step_type: str,
    output: Mapping[str, JSONValue],
    now: datetime,
    source_run_id: str | None = None,
) -> StepCompletedEvent:
    """Record one answered call or one sandbox run, so that it is never made twice."""
    return StepCompletedEvent(
        **case_fields(plan, item, now),
        workflow_id=workflow_id,
        step_id=step_id,
        step_type=step_type,
        output=output,
        cache_hit=source_run_id is not None,
        source_run_id=source_run_id,
    )


def failed_step_event(
    plan: RunPlan, item: CaseItem, workflow_id: str, step_id: str, failure: WorkflowFailure, now: datetime
) -> StepFailedEvent:
    """Record a call that failed for good in this attempt; the next one tries it again."""
    return StepFailedEvent(
        **case_fields(plan, item, now),
        workflow_id=workflow_id,
        step_id=step_id,
        step_type=failure.step_type,
        error_message=failure.error_message,
        retry_history=failure.retry_history,
    )


def evaluation_event(
    plan: RunPlan,
    item: CaseItem,
    candidate_id: str,
    metric_id: str,
    outcome: Result[EvaluationExecution, StepFailure],
    now: datetime,
) -> CaseRunEvent:
    """Record a workflow that went through, or one that could not even be built."""
    fields = case_fields(plan, item, now)
    if isinstance(outcome, Success):
        return EvaluationCompletedEvent(
            **fields, candidate_id=candidate_id, metric_id=metric_id, execution=outcome.unwrap()
        )
    return EvaluationFailedEvent(
        **fields, **failure_fields(outcome.failure()), candidate_id=candidate_id, metric_id=metric_id
    )
