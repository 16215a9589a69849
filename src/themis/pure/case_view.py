"""One case of a run in full: the prompt, the answers, the scores, and every attempt that failed.

For people who look into a single result; a pure function of the case and its events. Model output is untrusted:
the text form shows control characters by their names, so that none reaches a terminal.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

import attrs

from themis.pure.events import CaseRunEvent, FailedEvent, RunEvent, StepCompletedEvent, StepEvent, StepFailedEvent
from themis.pure.json import JSONValue
from themis.pure.plan import CaseItem, RunPlan
from themis.pure.projections import Thresholds, case_result, score_rows
from themis.pure.records.base import HashableModel
from themis.pure.records.dataset import CaseName
from themis.pure.records.fields import json_objects, json_value, named_fields, sequence
from themis.pure.records.prompt import PromptSpec, text_of
from themis.pure.records.results import AnswerResult, BenchmarkScoreRow, CaseResult
from themis.pure.state import CaseState, fold_case, new_state
from themis.pure.text import printable

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
        prompt: the messages that the run's prompt makes of the input.
        result: candidates, the reduced and the parsed answer, executions with their judgments, scores.
        score_rows: one row per metric and answer, with its outcome.
        history: every attempt that failed, in order.
    """

    input: JSONValue = attrs.field(converter=json_value)
    expected_output: JSONValue = attrs.field(default=None, converter=json_value)
    metadata: Mapping[str, JSONValue] = attrs.field(factory=dict)
    prompt: tuple[Mapping[str, JSONValue], ...] = attrs.field(default=(), converter=json_objects)
    result: CaseResult
    score_rows: tuple[BenchmarkScoreRow, ...] = attrs.field(default=(), converter=sequence)
    history: tuple[FailedAttempt, ...] = attrs.field(default=(), converter=sequence)

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
    return CaseView(
        case_id=case.case_id,
        dataset_id=item.dataset_id,
        case_key=item.case_key,
        input=case.input,
        expected_output=case.expected_output,
        metadata=case.metadata,
        prompt=(prompt_spec or PromptSpec()).render_messages(case.input),
        result=case_result(plan, state),
        score_rows=tuple(score_rows(plan, state, thresholds)),
        history=tuple(_failed_attempts(events)),
    )


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


# --- text -------------------------------------------------------------------------------------------------


def _case_text(view: CaseView) -> str:
    """Return a case as text for a terminal; control characters are shown, never sent."""
    result = view.result
    lines = [f"case {printable(view.case_id)} of dataset {printable(view.dataset_id)} ({printable(view.case_key)})"]
    lines += [line for message in view.prompt for line in _block(f"prompt ({message['role']})", message["content"])]
    lines += _block("expected", view.expected_output)
    for candidate in result.generated_candidates:
        lines += _block(f"candidate {candidate.candidate_id}", candidate.final_output)
    for failure in result.generation_failures:
        lines += _block(f"candidate {failure.candidate_id} failed", f"{failure.error_type}: {failure.error_message}")
    if result.reduced_candidate is not None and len(result.generated_candidates) > 1:
        reduced = result.reduced_candidate
        lines += _block(f"reduced to {reduced.candidate_id}", reduced.final_output)
    if (error := result.reduction_error) is not None:
        lines += _block("reduction failed", f"{error.error_type}: {error.error_message}")
    for answer in (result, *result.answers):
        lines += _answer_text(answer, f"{answer.candidate_id} " if answer is not result else "")
    for row in view.score_rows:
        value = f"{row.value:g}" if row.value is not None else f"{row.error_category}: {row.error_message}"
        of = f"{row.candidate_id} " if result.answers and row.candidate_id is not None else ""
        lines += _block(f"{of}{row.metric_id} ({row.outcome})", value)
    for answer in (result, *result.answers):
        for execution in answer.evaluation_executions:
            lines += _judgments(execution, f"{answer.candidate_id} " if answer is not result else "")
    for attempt in view.history:
        what = f"{attempt.error_type}: {attempt.error_message}" if attempt.error_type else attempt.error_message
        lines += _block(f"failed attempt, {attempt.step}, {attempt.occurred_at.isoformat(timespec='seconds')}", what)
    return "\n".join(lines)


def _answer_text(answer: AnswerResult, of: str) -> Iterator[str]:
    if (error := answer.parse_error) is not None:
        yield from _block(f"{of}parsing failed", f"{error.error_type}: {error.error_message}")
    if answer.parsed_output is not None:
        unusable = "" if answer.parsed_output.usable else ", unusable"
        by = f" by {answer.parser_id}" if answer.parser_id else ""
        yield from _block(f"{of}parsed{by}{unusable}", answer.parsed_output.value)


def _judgments(execution: Any, of: str) -> Iterator[str]:
    for step, response in zip(execution.trace.steps, execution.judge_responses, strict=False):
        yield from _block(f"{of}judge {response.judge_model_id}, call {step.step_name}", response.raw_response)
    for failure in execution.failures:
        yield from _block(f"{failure.step_id} failed", failure.error_message)


def _block(title: str, value: JSONValue) -> list[str]:
    text = text_of(value)
    cut = f"... ({len(text)} characters)" if len(text) > _LONGEST_TEXT else ""
    return [f"{printable(title)}:", *(f"  {line}" for line in printable(text[:_LONGEST_TEXT] + cut).split("\n"))]
