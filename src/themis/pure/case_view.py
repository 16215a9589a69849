"""One case of a run in full: what was sent, the answers, the scores, and every attempt that failed.

For people who look into a single result; a pure function of the case and its events. Model output is untrusted:
the text form shows control characters by their names, so that none reaches a terminal.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeAlias, cast

import attrs

from themis.pure.components.execution_verdicts import told_tests
from themis.pure.components.judging.prompts import without_media
from themis.pure.events import CaseRunEvent, FailedEvent, RunEvent, StepCompletedEvent, StepEvent, StepFailedEvent
from themis.pure.human_labels import current_labels
from themis.pure.json import EMPTY, JSONValue
from themis.pure.judged_calls import judged_calls, other_failures
from themis.pure.plan import CaseItem, RunPlan
from themis.pure.projections import Thresholds, case_result, score_rows
from themis.pure.records.base import HashableModel
from themis.pure.records.dataset import CaseName
from themis.pure.records.fields import json_objects, json_value, named_fields, sequence
from themis.pure.records.generation import GenerationResult, Message, TraceStep
from themis.pure.records.human_label import HumanLabel
from themis.pure.records.judging import EvaluationExecution
from themis.pure.records.prompt import PromptSpec, text_of
from themis.pure.records.results import AnswerResult, BenchmarkScoreRow, CaseResult
from themis.pure.state import CaseState, candidates_of, fold_case, new_state
from themis.pure.text import one_line, printable

_LONGEST_TEXT = 4000
"""Characters of one value that the text form shows."""


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class FailedAttempt(HashableModel):
    """One attempt that failed, whether or not a later one made it good."""

    step: str
    occurred_at: datetime
    error_message: str
    error_type: str = ""
    component_id: str = ""


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class CaseView(CaseName):
    """One case of a run.

    Attributes:
        prompt: the messages that the model was sent: system message, examples, prefix and suffix with them. Files in
            them stand by type and hash.
        prompt_recorded: whether `prompt` is what the model's adapter recorded; else nothing is recorded of what was
            sent, and `prompt` is what the run's prompt makes of the input.
        result: candidates, the reduced and the parsed answer, executions with their judgments, scores.
        score_rows: one row per metric and answer, with its outcome.
        graded: metrics whose score here is neither 0 nor 1, and that state no threshold: neither right nor wrong.
        history: every attempt that failed, in order.
        labels: what people said an answer should score.
    """

    input: JSONValue = attrs.field(converter=json_value)
    expected_output: JSONValue = attrs.field(default=None, converter=json_value)
    metadata: Mapping[str, JSONValue] = attrs.field(factory=dict)
    prompt: tuple[Mapping[str, JSONValue], ...] = attrs.field(default=(), converter=json_objects)
    prompt_recorded: bool = False
    result: CaseResult
    score_rows: tuple[BenchmarkScoreRow, ...] = attrs.field(default=(), converter=sequence)
    graded: tuple[str, ...] = attrs.field(default=(), converter=sequence)
    history: tuple[FailedAttempt, ...] = attrs.field(default=(), converter=sequence)
    labels: tuple[HumanLabel, ...] = attrs.field(default=(), converter=sequence)

    def __str__(self) -> str:
        return _case_text(self)


def case_view(
    item: CaseItem,
    events: Sequence[RunEvent],
    plan: RunPlan,
    thresholds: Thresholds,
    prompt_spec: PromptSpec | None = None,
    state: CaseState | None = None,
) -> CaseView:
    """Return one case in full.

    Args:
        item: the case.
        events: its events, in order.
        plan: the run's shape.
        thresholds: of each metric, from which value a score counts as correct.
        prompt_spec: the run's prompt.
        state: what the events fold into, if that is at hand.
    """
    case = item.case
    state = state or fold_case(new_state(case.case_id, item.dataset_id, item.case_key), events)
    recorded = next(filter(None, map(_recorded_prompt, candidates_of(state))), None)
    rows = tuple(score_rows(plan, state, thresholds))
    return CaseView(
        case_id=case.case_id,
        dataset_id=item.dataset_id,
        case_key=item.case_key,
        input=case.input,
        expected_output=case.expected_output,
        metadata=case.metadata,
        prompt=recorded or (prompt_spec or PromptSpec()).render_messages(case),
        prompt_recorded=recorded is not None,
        result=case_result(plan, state),
        score_rows=rows,
        graded=tuple(dict.fromkeys(row.metric_id for row in rows if is_graded(row.value, row.metric_id, thresholds))),
        history=tuple(_failed_attempts(events)),
        labels=tuple(current_labels(plan, state)),
    )


def is_graded(value: float | None, metric_id: str, thresholds: Thresholds) -> bool:
    """Tell whether a score is neither right nor wrong: it is neither 0 nor 1, and nothing says where right begins."""
    return value not in (None, 0.0, 1.0) and metric_id not in thresholds.by_metric


def _recorded_prompt(candidate: GenerationResult) -> list[dict[str, JSONValue]] | None:
    """Return the messages of the request that an adapter recorded; `None` without one.

    Of the request nothing else is shown; of headers nothing is recorded.
    """
    return messages_of_request((candidate.artifacts or EMPTY).get("request"))


def messages_of_request(request: Any) -> list[dict[str, JSONValue]] | None:
    """Return the messages of a request, whichever protocol it is in; `None` if none can be told."""
    if not isinstance(request, Mapping):
        return None
    asked: Any = request.get("messages") or request.get("input") or request.get("prompt")
    if isinstance(asked, str):
        asked = [{"role": "user", "content": asked}]
    if not isinstance(asked, Sequence) or not all(isinstance(message, Mapping) for message in asked):
        return None
    system = request.get("system")  # Anthropic's place for it
    opening = [{"role": "system", "content": system}] if system else []
    return [_message(message) for message in (*opening, *asked)] or None


def _message(message: Mapping[str, JSONValue]) -> dict[str, JSONValue]:
    role = str(message.get("role") or message.get("type") or "message")
    rest = {name: item for name, item in message.items() if name != "role" and item is not None}
    return {"role": role, "content": rest["content"] if [*rest] == ["content"] else rest}


def _failed_attempts(events: Iterable[RunEvent]) -> Iterator[FailedAttempt]:
    for event in events:
        if not isinstance(event, CaseRunEvent):
            continue
        attempt = functools.partial(FailedAttempt, step=_step(event), occurred_at=event.occurred_at)
        has_failed = isinstance(event, FailedEvent | StepFailedEvent)
        history = _retries(event)
        for entry in history[:-1] if has_failed else history:  # the last attempt is the failure itself
            yield attempt(error_message=str(entry.get("reason", "")), error_type=str(entry.get("kind", "")))
        if isinstance(event, FailedEvent):
            yield attempt(
                error_message=event.error_message, error_type=event.error_type, component_id=event.component_id
            )
        elif isinstance(event, StepFailedEvent):
            yield attempt(error_message=event.error_message)


def _retries(event: Any) -> Sequence[Mapping[str, Any]]:
    """Return the attempts before the last; an answered step keeps them with its answer."""
    if isinstance(event, StepCompletedEvent):
        return cast("Sequence[Mapping[str, Any]]", event.output.get("retry_history") or ())
    history: Sequence[Mapping[str, Any]] = getattr(event, "retry_history", ())
    return history


def _step(event: CaseRunEvent) -> str:
    stage = event.event_type.rpartition("_")[0]
    if isinstance(event, StepEvent):
        return f"{stage} {event.workflow_id}/{event.step_id}"
    names = [str(getattr(event, name)) for name in ("candidate_index", "metric_id") if hasattr(event, name)]
    return " ".join([stage, *names])


# --- what people read, passage by passage ----------------------------------------------------------------------------

Passage: TypeAlias = tuple[str, JSONValue]
"""A title, and what stands below it."""

MOST_STEPS: Final = 200
"""Steps and turns of a candidate that are shown one by one; the store has them all."""


def passages(view: CaseView) -> Iterator[Passage]:
    """Yield all that is told of a case to people, in the order in which it happened; what is data stays data."""
    result = view.result
    what = "sent" if view.prompt_recorded else "prompt"
    yield from ((f"{what} ({message['role']})", shown_content(message["content"])) for message in view.prompt)
    yield "expected", view.expected_output
    for candidate in result.generated_candidates:
        yield from _candidate(candidate, view.prompt)
    for failure in result.generation_failures:
        yield f"candidate {failure.candidate_id} failed", f"{failure.error_type}: {failure.error_message}"
    if result.reduced_candidate is not None and len(result.generated_candidates) > 1:
        yield f"reduced to {result.reduced_candidate.candidate_id}", result.reduced_candidate.final_output
    if (error := result.reduction_error) is not None:
        yield "reduction failed", f"{error.error_type}: {error.error_message}"
    for answer in (result, *result.answers):
        yield from _answer(answer, f"{answer.candidate_id} " if answer is not result else "")
    for row in view.score_rows:
        yield from _score(row, view, f"{row.candidate_id} " if result.answers and row.candidate_id is not None else "")
    yield from map(_label, view.labels)
    for answer in (result, *result.answers):
        of = f"{answer.candidate_id} " if answer is not result else ""
        for metric_id, execution in zip(answer.judged, answer.evaluation_executions, strict=True):
            yield from _judged(execution, f"{of}{metric_id}")
    for attempt in view.history:
        what = f"{attempt.error_type}: {attempt.error_message}" if attempt.error_type else attempt.error_message
        yield f"failed attempt, {attempt.step}, {attempt.occurred_at.isoformat(timespec='seconds')}", what


def shown_content(content: JSONValue) -> JSONValue:
    """Return a message's content for people: one that is a single text part as that text, files by their type."""
    if isinstance(content, Sequence) and not isinstance(content, str) and len(content) == 1:
        part = content[0]
        if isinstance(part, Mapping) and "text" in part and {*part} <= {"type", "text"}:  # Converse states no type
            content = part["text"]
    return without_media(content)


def own_turns(candidate: GenerationResult, prompt: Sequence[Mapping[str, JSONValue]]) -> tuple[Message, ...]:
    """Return the turns of a candidate's conversation that are neither the prompt again nor the answer alone."""
    turns = candidate.conversation or ()
    is_repeated = [turn.role for turn in turns[: len(prompt)]] == [message["role"] for message in prompt]
    own = turns[len(prompt) :] if is_repeated else turns
    return () if len(own) == 1 and own[0].content == candidate.final_output else own


def step_content(step: TraceStep) -> JSONValue:
    """Return what a step got and what it gave; of these and the rest, what there is."""
    parts = {"input": step.input, "output": step.output, "metadata": step.metadata}
    return without_media({name: part for name, part in parts.items() if part})


def _candidate(candidate: GenerationResult, prompt: Sequence[Mapping[str, JSONValue]]) -> Iterator[Passage]:
    name = candidate.candidate_id
    turns, steps = own_turns(candidate, prompt), candidate.trace or ()
    for number, turn in enumerate(turns[:MOST_STEPS], 1):
        yield f"candidate {name}, turn {number} ({turn.role})", shown_content(turn.content)
    for number, step in enumerate(steps[:MOST_STEPS], 1):
        yield f"candidate {name}, step {number}: {step.step_name} ({step.step_type})", step_content(step)
    if (left := max(len(turns), len(steps)) - MOST_STEPS) > 0:
        yield f"candidate {name} went on", f"{left:,} more; the store has them"
    yield f"candidate {name}", candidate.final_output


def _answer(answer: AnswerResult, of: str) -> Iterator[Passage]:
    if (error := answer.parse_error) is not None:
        yield f"{of}parsing failed", f"{error.error_type}: {error.error_message}"
    if answer.parsed_output is not None:
        unusable = "" if answer.parsed_output.usable else ", unusable"
        by = f" by {answer.parser_id}" if answer.parser_id else ""
        yield f"{of}parsed{by}{unusable}", answer.parsed_output.value


def _score(row: BenchmarkScoreRow, view: CaseView, of: str) -> Iterator[Passage]:
    if row.value is None:
        category = "" if row.outcome == row.error_category else f"{row.error_category}: "
        yield f"{of}{row.metric_id} ({row.outcome.replace('_', ' ')})", f"{category}{row.error_message}"
        return
    outcome = "" if row.metric_id in view.graded else f" ({row.outcome})"
    yield f"{of}{row.metric_id}{outcome}", f"{row.value:g}"
    tests = [
        f"{tests}: {verdict}{': ' if message else ''}{message}" for tests, verdict, message in told_tests(row.details)
    ]
    if tests:
        yield f"{of}{row.metric_id}, tests", "\n".join(tests)


def _label(label: HumanLabel) -> Passage:
    of = f"{label.candidate_id} " if label.candidate_id is not None else ""
    outdated = ", of an answer that was made anew since" if label.outdated else ""
    said = {True: "right", False: "wrong"}[label.value] if isinstance(label.value, bool) else text_of(label.value)
    return f"{of}{label.metric_id}, label by {label.who}{outdated}", f"{said}{': ' if label.note else ''}{label.note}"


def _judged(execution: EvaluationExecution, metric: str) -> Iterator[Passage]:
    for call in judged_calls(execution):
        title = f"{metric}, {call.title()}"
        if call.prompt is not None:
            yield f"{title}: asked", call.prompt
        if call.response is not None:
            yield f"{title}: answered", call.response.raw_response
        if call.judgment is not None:
            rationale = f": {call.judgment.rationale}" if call.judgment.rationale else ""
            yield f"{title}: verdict", f"{call.verdict()}{rationale}"
        yield from ((f"{title}: failed", failure.error_message) for failure in call.failures)
    yield from ((f"{metric}, {failure.step_id} failed", failure.error_message) for failure in other_failures(execution))


def _case_text(view: CaseView) -> str:
    """Return a case as text for a terminal; control characters are shown, never sent."""
    lines = [one_line(f"case {view.case_id} of dataset {view.dataset_id} ({view.case_key})")]
    for title, value in passages(view):
        text = text_of(value)
        cut = f"... ({len(text)} characters)" if len(text) > _LONGEST_TEXT else ""
        lines += [f"{one_line(title)}:", *(f"  {line}" for line in printable(text[:_LONGEST_TEXT] + cut).split("\n"))]
    return "\n".join(lines)
