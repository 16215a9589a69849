"""Stage `judge`: workflows as plain data.

A workflow plans calls and renders prompts, judges answer, the workflow parses, scores and aggregates. What came back
is kept call by call, so judging replays offline, and a crash repeats no call that was answered.

Rules: a judge whose verdict is unclear is asked once more, with a reminder of the form; that is a call of its own,
which is recorded, cached and limited like any other. A call that failed, or a verdict that still could not be read, is
a failure of that judgment, never a score.
An execution with any failure has status `partial_failure` and counts as an error of the case, unless the
judge configuration says `{"on_partial_failure": "aggregate"}`: then the judgments that are left are aggregated.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
from returns.result import Failure, Result, Success

from themis.pure.abilities import CallerAbilities, MetricAbilities, SelectorAbilities
from themis.pure.errors import UnclearVerdictError, UnknownComponentError, WorkflowBuildError, nearest
from themis.pure.events import (
    CaseRunEvent,
    EvaluationCompletedEvent,
    EvaluationFailedEvent,
    StepCompletedEvent,
)
from themis.pure.identity import content_hash, derive_seed, stage_key
from themis.pure.json import JSONValue
from themis.pure.pipeline.effects import Answer, Ask, Keep, Program, Recall, Recalled, Tell, Together
from themis.pure.pipeline.failures import (
    WorkflowStep,
    attempt,
    case_fields,
    checked,
    failed_fields,
    failed_step_event,
    failure_of,
    step_event,
)
from themis.pure.pipeline.names import answer_id, answer_key
from themis.pure.pipeline.run import Run
from themis.pure.pipeline.score import out_of_range
from themis.pure.pipeline.step import Step
from themis.pure.plan import CaseItem
from themis.pure.protocols import EvaluationWorkflow
from themis.pure.records.contexts import EvalScoreContext
from themis.pure.records.failure import StepFailure
from themis.pure.records.generation import ParsedOutput, TraceStep
from themis.pure.records.judging import (
    AGAIN,
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
from themis.pure.records.prompt import as_messages, text_of
from themis.pure.records.scoring import Score, ScoreError
from themis.pure.state import CaseState, answering_candidate, candidates_of, recorded_outputs

JUDGE_STEP = "judge_call"
SANDBOX_SUBJECT = "sandbox"
"""What an execution says that it is of, where code was run and nothing judged."""

SubjectOf = Callable[[CaseState], Result[Subject, StepFailure]]
"""Returns what a family's metrics judge of a case."""


def judge(subject_of: SubjectOf, run: Run, item: CaseItem, state: CaseState, step: Step) -> Program[CaseRunEvent]:
    """Judge the answer by one metric; what of the case is judged, its family says."""
    name, metric = step.metric_id, run.components.metric[step.metric_id]
    judged = yield from workflow(run, item, state, metric, step, subject_of(state))
    event = evaluation_event(run, item, state, name, judged.outcome)
    yield Keep(item.case_no, event)
    yield from judged.told(run)
    return event


# --- what is judged ---------------------------------------------------------------------------------------


def the_answer(state: CaseState) -> Result[Subject, StepFailure]:
    return Success(CandidateSetSubject(candidates=(answering_candidate(state),)))


def all_candidates(state: CaseState) -> Result[Subject, StepFailure]:
    """Family `selection`: all candidates, against each other."""
    candidates = candidates_of(state)
    if len(candidates) < 2:
        return Failure(_no_subject("a selection metric compares candidates, and this run makes one per case"))
    return Success(CandidateSetSubject(candidates=candidates))


def the_trace(state: CaseState) -> Result[Subject, StepFailure]:
    """Family `trace`: the steps or the conversation that led to the answer."""
    answer = answering_candidate(state)
    if answer.trace is not None:
        return Success(TraceSubject(trace=WorkflowTrace(trace_id=answer.candidate_id, steps=answer.trace)))
    if answer.conversation is not None:
        conversation = ConversationTrace(trace_id=answer.candidate_id, messages=answer.conversation)
        return Success(ConversationSubject(conversation=conversation))
    return Failure(_no_subject("a trace metric needs a generator that returns a trace or a conversation"))


def _no_subject(message: str) -> StepFailure:
    return StepFailure(component_id="", error_type="NoSubject", error_message=message)


# --- a workflow -------------------------------------------------------------------------------------------


@attrs.frozen
class Judged:
    """What a workflow came to on a case, or why it could not even begin; `ctx` is what it was told, if it began."""

    outcome: Result[EvaluationExecution, StepFailure]
    ctx: EvalScoreContext | None = None

    def told(self, run: Run) -> Program[None]:
        """Tell who listens, once what it came to is kept."""
        if run.listens and isinstance(self.outcome, Success):
            yield Tell("after_judge", (self.outcome.unwrap(), self.ctx))


def workflow(
    run: Run,
    item: CaseItem,
    state: CaseState,
    of: MetricAbilities | SelectorAbilities,
    step: Step,
    subject: Result[Subject, StepFailure],
) -> Program[Judged]:
    """Carry a metric's or a selector's workflow out, with the answers that are recorded and those that are not."""
    if not isinstance(subject, Success):
        return Judged(Failure(subject.failure()))
    workflow_id = of.component_id
    ctx, build = _context(run, item, state, step, workflow_id), of.build_workflow
    assert build is not None  # its family says so
    planned = attempt(of.component_id, build, subject.unwrap(), ctx).bind(
        lambda built: plan_calls(of.component_id, built, subject.unwrap(), ctx)
    )
    if not isinstance(planned, Success):
        return Judged(Failure(planned.failure()))
    if run.listens:
        yield Tell("before_judge", (subject.unwrap(), ctx))
    recorded = {} if run.asks_again else dict(recorded_outputs(state, workflow_id, JUDGE_STEP, ctx.candidate_id))

    def answer(call: JudgeCall, prompt: RenderedJudgePrompt) -> Program[_Answered]:
        if call.call_id in recorded:
            return Success(JudgeResponse.from_dict(recorded[call.call_id]))
        asked = WorkflowStep(workflow_id, call.call_id, JUDGE_STEP, ctx.candidate_id)
        return (yield from _answered(run, item, asked, call, prompt))

    execution = yield from judged(workflow_id, planned.unwrap(), ctx, answer)
    return Judged(Success(execution), ctx)


def _context(run: Run, item: CaseItem, state: CaseState, step: Step, workflow_id: str) -> EvalScoreContext:
    identity = run.identity
    parsed = state.parsed if step.stage == "judge" else None  # what compares candidates is told of no parsed answer
    # The seed must not hold the run id: another run that asks the same question may reuse the answer.
    seed = derive_seed(stage_key("judge", workflow_id, item.case_key), step.answer or 0)
    return EvalScoreContext(
        run_id=run.plan.run_id,
        case=item.case,
        parsed_output=parsed or ParsedOutput(value=None),
        dataset_id=item.dataset_id,
        case_key=item.case_key,
        candidate_id=answer_id(item, step),
        dataset_metadata=item.dataset_metadata,
        seed=seed,
        judge_model_refs=identity.judge_model_refs,
        judge_seed=seed,
        prompt_spec=identity.evaluation_prompt_spec,
        judge_config=identity.judge_config,
        eval_workflow_config=identity.workflow_overrides,
    )


_Answered = Result[JudgeResponse, StepFailure]


def _answered(
    run: Run, item: CaseItem, step: WorkflowStep, call: JudgeCall, prompt: RenderedJudgePrompt
) -> Program[_Answered]:
    """Return the answer to a call, from the stage cache or the judge, and keep it or why there is none."""
    key = _key(run, call, prompt)
    found: Recalled | None = (yield Recall(key)) if run.recalls and not run.asks_again else None
    if found is not None and isinstance(found.event, StepCompletedEvent):
        output = found.event.output
        yield Keep(item.case_no, step_event(run, item, step, output, found.source_run_id), key)
        return Success(JudgeResponse.from_dict(output))
    answer = yield from ask_judge(run.components.judge, call, prompt, step.key, key)
    if isinstance(answer, Success):
        yield Keep(item.case_no, step_event(run, item, step, answer.unwrap().to_dict()), key)
    else:
        failure = _step_failure(call.call_id, JUDGE_STEP, answer.failure())
        yield Keep(item.case_no, failed_step_event(run, item, step, failure))
    return answer


def _key(run: Run, call: JudgeCall, prompt: RenderedJudgePrompt) -> str:
    """Return the cache key of a judge call: who is asked, what is shown, which seed, which repeat."""
    refs = run.identity.judge_model_refs
    fingerprint = next((ref.fingerprint for ref in refs if ref.component_id == call.judge_model_id), "")
    shown = content_hash(prompt.content)
    return stage_key("judge", fingerprint, shown, str(call.effective_seed), str(call.repeat_index))


def ask_judge(
    judges: Mapping[str, CallerAbilities], call: JudgeCall, prompt: RenderedJudgePrompt, place: str = "", key: str = ""
) -> Program[_Answered]:
    """Ask the judge that a call names."""
    name = call.judge_model_id
    of = judges.get(name)
    if of is None:
        missing = UnknownComponentError(f"no judge model {name!r} in this run; {nearest(name, judges)}")
        return Failure(failure_of(name, missing))
    asked = Ask(
        stage="judge",
        of=of,
        method=of.call,
        args=(text_of(prompt.content) if of.reads_text else prompt,),
        keywords={"seed": call.effective_seed} if of.takes_seed else {},
        place=place,
        request={"prompt": prompt.content},
        key=key,
    )
    answer: Result[Answer, StepFailure] = yield asked
    if not isinstance(answer, Success):
        return Failure(answer.failure())
    history, value = answer.unwrap().retry_history, answer.unwrap().value
    response: Result[JudgeResponse, StepFailure]
    if isinstance(value, str):
        made = functools.partial(JudgeResponse, judge_model_id=name, effective_seed=call.effective_seed)
        response = attempt(name, lambda: made(raw_response=value))
    else:
        response = checked(name, value, JudgeResponse, "judge")
    return response.map(lambda found: found.evolve(retry_history=history) if history else found)


# --- from calls to an execution ---------------------------------------------------------------------------


@attrs.frozen
class _Plan:
    """A metric's workflow on one case, ready to be carried out: calls and what each judge is shown."""

    workflow: EvaluationWorkflow
    subject: Subject
    calls: tuple[JudgeCall, ...]
    prompts: Mapping[str, RenderedJudgePrompt]
    failures: tuple[WorkflowFailure, ...]


def plan_calls(
    metric_id: str, workflow: EvaluationWorkflow, subject: Subject, ctx: EvalScoreContext
) -> Result[_Plan, StepFailure]:
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
            failures.append(_step_failure(call.call_id, "render_prompt", outcome.failure()))
    return Success(_Plan(workflow, subject, planned.unwrap(), prompts, tuple(failures)))


def _distinct(calls: Sequence[JudgeCall]) -> tuple[JudgeCall, ...]:
    if len({call.call_id for call in calls}) < len(calls):
        raise WorkflowBuildError(f"judge_calls() gave call ids twice: {[call.call_id for call in calls]}")
    return tuple(calls)


def _step_failure(call_id: str, step_type: str, failure: StepFailure) -> WorkflowFailure:
    return WorkflowFailure(
        call_id=call_id,
        step_id=f"{call_id}/{step_type}",
        step_type=step_type,
        error_message=f"{failure.error_type}: {failure.error_message}",
        retry_history=failure.retry_history,
    )


def judged(
    metric_id: str,
    plan: _Plan,
    ctx: EvalScoreContext,
    answer: Callable[[JudgeCall, RenderedJudgePrompt], Program[_Answered]],
) -> Program[EvaluationExecution]:
    """Make a plan's calls, all side by side, and conclude.

    Args:
        metric_id: the metric whose workflow it is.
        plan: calls and prompts.
        ctx: what the workflow is told.
        answer: the program that comes by the answer to a call.
    """
    shown = [(call, plan.prompts[call.call_id]) for call in plan.calls if call.call_id in plan.prompts]
    exchanges = yield Together(tuple(_exchange(metric_id, plan, ctx, call, prompt, answer) for call, prompt in shown))
    return _conclude(metric_id, plan, exchanges, ctx)


@attrs.frozen
class _Asked:
    """A call that was made.

    Attributes:
        read: what the workflow reads in the answer, if there is one.
        unclear: what was asked for, where the verdict is unclear.
    """

    call: JudgeCall
    prompt: RenderedJudgePrompt
    answer: _Answered
    read: Result[ParsedJudgment, StepFailure] | None = None
    unclear: str | None = None


def _ask(
    metric_id: str,
    plan: _Plan,
    ctx: EvalScoreContext,
    call: JudgeCall,
    prompt: RenderedJudgePrompt,
    answer: Callable[[JudgeCall, RenderedJudgePrompt], Program[_Answered]],
) -> Program[_Asked]:
    """Ask a judge, and read its answer."""
    found: _Answered = yield from answer(call, prompt)
    if not isinstance(found, Success):
        return _Asked(call, prompt, found)
    try:
        judgment = plan.workflow.parse_judgment(call, found.unwrap(), ctx)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        unclear = error.asked if isinstance(error, UnclearVerdictError) else None
        return _Asked(call, prompt, found, Failure(failure_of(metric_id, error)), unclear)
    return _Asked(call, prompt, found, Success(judgment))


def _exchange(
    metric_id: str,
    plan: _Plan,
    ctx: EvalScoreContext,
    call: JudgeCall,
    prompt: RenderedJudgePrompt,
    answer: Callable[[JudgeCall, RenderedJudgePrompt], Program[_Answered]],
) -> Program[tuple[_Asked, ...]]:
    """Ask a judge, and once more if its verdict is unclear; the last answer counts."""
    first = yield from _ask(metric_id, plan, ctx, call, prompt, answer)
    again = call.evolve(call_id=f"{call.call_id}{AGAIN}")
    if first.unclear is None or any(again.call_id == other.call_id for other in plan.calls):
        return (first,)
    content = _reminded(prompt.content, first.unclear)
    if content is None:
        return (first,)
    prompt = prompt.evolve(prompt_id=f"{prompt.prompt_id}{AGAIN}", content=content)
    return first, (yield from _ask(metric_id, plan, ctx, again, prompt, answer))


def _reminded(content: JSONValue, asked: str) -> JSONValue:
    """Return a prompt with a reminder behind it, or `None` for one that is neither text nor messages.

    What was wrong with the answer is not repeated: it may be the candidate that speaks in it.
    """
    reminder = (
        "Your last answer to this held no clear verdict. Judge again, and end with exactly one line in the form that "
        f"is asked for above ({asked}); write nothing behind it, and no other line of this form."
    )
    if isinstance(content, str):
        return f"{content}\n\n{reminder}"
    messages = None if isinstance(content, Mapping) else as_messages(content)
    if messages is None:
        return None
    last = messages[-1]
    if isinstance(last["content"], str) and last["role"] == "user":
        return [*messages[:-1], {**last, "content": f"{last['content']}\n\n{reminder}"}]
    return [*messages, {"role": "user", "content": reminder}]


def _conclude(
    metric_id: str, plan: _Plan, exchanges: Sequence[tuple[_Asked, ...]], ctx: EvalScoreContext
) -> EvaluationExecution:
    """Score and aggregate what the judges answered; deterministic, whatever order they answered in."""
    asked = [one for exchange in exchanges for one in exchange]
    last = {exchange[-1].call.call_id for exchange in exchanges}
    answered = [(one, one.answer.unwrap()) for one in asked if isinstance(one.answer, Success)]
    verdicts = [_verdict(metric_id, plan, one, response, ctx) for one, response in answered]
    counted = [v for v, (one, _) in zip(verdicts, answered, strict=True) if one.call.call_id in last]
    judgments = tuple(v.judgment for v in counted if v.judgment is not None)
    scores = tuple(v.score for v in counted if v.score is not None)
    failed = [(one.call, one.answer.failure()) for one in asked if not isinstance(one.answer, Success)]
    problems = [*plan.failures, *(v.failure for v in counted if v.failure is not None)]
    problems += [_step_failure(call.call_id, JUDGE_STEP, failure) for call, failure in failed]
    aggregate: AggregationResult | None = None
    if judgments and (not problems or ctx.judge_config.get("on_partial_failure") == "aggregate"):
        outcome = attempt(metric_id, plan.workflow.aggregate, judgments, scores, ctx)
        if isinstance(outcome, Success):
            aggregate = outcome.unwrap()
        else:
            problems.append(_step_failure("aggregate", "aggregate", outcome.failure()))
    calls = _with_repeated(plan.calls, exchanges)
    order = {call.call_id: i for i, call in enumerate(calls)}
    problems.sort(key=lambda failure: (order.get(failure.call_id or "", len(order)), failure.step_type))
    return EvaluationExecution(
        execution_id=stage_key("execution", metric_id, answer_key(ctx)),
        subject_kind=_KINDS[type(plan.subject)],
        status="partial_failure" if problems else "completed",
        judge_calls=calls,
        rendered_prompts=tuple(one.prompt for one in asked),
        judge_responses=tuple(response for _, response in answered),
        parsed_judgments=judgments,
        scores=scores,
        failures=tuple(problems),
        aggregation_output=aggregate,
        trace=WorkflowTrace(trace_id=f"{answer_key(ctx)}/{metric_id}", steps=tuple(v.step for v in verdicts)),
    )


def _with_repeated(calls: Sequence[JudgeCall], exchanges: Sequence[tuple[_Asked, ...]]) -> tuple[JudgeCall, ...]:
    """Return the planned calls, each followed by the one that was made again."""
    again = {exchange[0].call.call_id: [one.call for one in exchange[1:]] for exchange in exchanges}
    return tuple(one for call in calls for one in (call, *again.get(call.call_id, ())))


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


def _verdict(metric_id: str, plan: _Plan, one: _Asked, response: JudgeResponse, ctx: EvalScoreContext) -> _Verdict:
    call, parsed = one.call, one.read
    assert parsed is not None  # it was answered

    def step(output: Mapping[str, JSONValue]) -> TraceStep:
        given = {"judge_model_id": call.judge_model_id, "raw_response": response.raw_response}
        return TraceStep(step_name=call.call_id, step_type=JUDGE_STEP, input=given, output=output)

    if not isinstance(parsed, Success):
        failure = _step_failure(call.call_id, "parse_judgment", parsed.failure())
        return _Verdict(step=step({"error": failure.error_message}), failure=failure)
    judgment = parsed.unwrap()
    scored = attempt(metric_id, plan.workflow.score_judgment, call, judgment, ctx)
    if not isinstance(scored, Success):
        failure = _step_failure(call.call_id, "score_judgment", scored.failure())
        return _Verdict(step=step({"error": failure.error_message}), failure=failure)
    score = scored.unwrap()
    if score is not None and score.metric_id != metric_id:
        score = score.evolve(metric_id=metric_id)
    verdict = {"label": judgment.label, "score": judgment.score}
    return _Verdict(step=step(verdict), judgment=judgment, score=score)


def execution_score(execution: EvaluationExecution, metric_id: str) -> Score | ScoreError:
    """Return the case's score from an execution, or why it has none.

    The aggregate's numeric value is the score; without an aggregate, the mean of the judgments' scores is. Code that
    was run has no judgments: its one score stands as the metric made it, with the verdicts of the tests in its details.
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
    if execution.subject_kind == SANDBOX_SUBJECT:
        return execution.scores[0]
    mean = sum(score.value for score in execution.scores) / len(execution.scores)
    return Score(metric_id=metric_id, value=mean, details={"method": "mean", "judgments": len(execution.scores)})


# --- events -----------------------------------------------------------------------------------------------


def evaluation_event(
    run: Run, item: CaseItem, state: CaseState, metric_id: str, outcome: Result[EvaluationExecution, StepFailure]
) -> CaseRunEvent:
    """Record a workflow that went through, or one that could not even be built."""
    about = state.reduced.candidate_id if state.reduced is not None else ""  # all candidates, and none of them
    what: dict[str, Any] = {"candidate_id": about, "metric_id": metric_id}
    if isinstance(outcome, Success):
        execution = _in_range(run.components.metric[metric_id], outcome.unwrap())
        return EvaluationCompletedEvent(**case_fields(run, item), **what, execution=execution)
    return EvaluationFailedEvent(**failed_fields(run, item, outcome.failure()), **what)


def _in_range(metric: MetricAbilities, execution: EvaluationExecution) -> EvaluationExecution:
    """Return an execution without its score where the metric's stated range rules that out; what was said stays."""
    score = execution_score(execution, metric.component_id)
    said = f"{metric.component_id}: its workflow came to"
    reason = out_of_range(metric, score.value, said) if isinstance(score, Score) else None
    if reason is None:
        return execution
    failure = WorkflowFailure(step_id="score_range", step_type="score_range", error_message=reason)
    failures = (*execution.failures, failure)
    return execution.evolve(status="partial_failure", scores=(), aggregation_output=None, failures=failures)
