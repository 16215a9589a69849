"""Judging as data: what is judged, which calls are made, what came back, and what was made of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import attrs

from themis.pure.json import EMPTY, JSONValue
from themis.pure.records.base import HashableModel
from themis.pure.records.fields import (
    checked_texts,
    counts,
    json_object,
    json_objects,
    json_value,
    measured,
    non_empty,
    optional_object,
    sequence,
    summable,
)
from themis.pure.records.generation import GenerationResult, Message, TraceStep
from themis.pure.records.scoring import Score

AGAIN: Final = "/again"
"""What the id of a call ends with that asks a judge once more, since its first verdict was unclear."""


@attrs.frozen(kw_only=True, field_transformer=checked_texts)
class WorkflowTrace(HashableModel):
    """The steps of an agent or of a judge workflow, in order."""

    trace_id: str
    steps: tuple[TraceStep, ...] = attrs.field(default=(), converter=sequence)


@attrs.frozen(kw_only=True, field_transformer=checked_texts)
class ConversationTrace(HashableModel):
    """The messages of a conversation, in order."""

    trace_id: str
    messages: tuple[Message, ...] = attrs.field(default=(), converter=sequence)


@attrs.frozen(kw_only=True, field_transformer=checked_texts)
class CandidateSetSubject(HashableModel):
    """Candidates under judgment: one for `llm` metrics, two or more for `selection` metrics."""

    candidates: tuple[GenerationResult, ...] = attrs.field(converter=sequence)


@attrs.frozen(kw_only=True, field_transformer=checked_texts)
class TraceSubject(HashableModel):
    """An agent's trace under judgment."""

    trace: WorkflowTrace


@attrs.frozen(kw_only=True, field_transformer=checked_texts)
class ConversationSubject(HashableModel):
    """A conversation under judgment."""

    conversation: ConversationTrace


Subject = CandidateSetSubject | TraceSubject | ConversationSubject


@attrs.frozen(kw_only=True, field_transformer=checked_texts)
class JudgeCall(HashableModel):
    """One planned question to a judge.

    Attributes:
        call_id: names the call within its workflow; the same plan gives the same ids.
        judge_model_id: the `component_id` of the judge to ask.
        dimension_id: the aspect judged, where a workflow judges several.
        repeat_index: which of several identical questions this is.
        candidate_indices: the candidates shown, in the order shown.
        effective_seed: the seed the judge is asked with.
    """

    call_id: str = attrs.field(validator=non_empty)
    judge_model_id: str = attrs.field(validator=non_empty)
    dimension_id: str | None = None
    repeat_index: int = 0
    candidate_indices: tuple[int, ...] = attrs.field(default=(), converter=sequence)
    effective_seed: int | None = None
    metadata: Mapping[str, JSONValue] = attrs.field(default=EMPTY, converter=json_object)


@attrs.frozen(kw_only=True, field_transformer=checked_texts)
class RenderedJudgePrompt(HashableModel):
    """What a judge is shown: text, or a list of messages."""

    prompt_id: str = attrs.field(validator=non_empty)
    content: JSONValue = attrs.field(converter=json_value)
    metadata: Mapping[str, JSONValue] = attrs.field(default=EMPTY, converter=json_object)


@attrs.frozen(kw_only=True, field_transformer=checked_texts)
class JudgeResponse(HashableModel):
    """What a judge answered, before anything is read out of it.

    Attributes:
        artifacts: facts about the exchange, as a generation has them: the model that answered by its own name, why the
            answer ends, the request.
    """

    judge_model_id: str = attrs.field(validator=non_empty)
    judge_model_version: str = ""
    judge_model_fingerprint: str = ""
    effective_seed: int | None = None
    raw_response: str
    token_usage: Mapping[str, int] | None = attrs.field(default=None, converter=optional_object, validator=counts)
    latency_ms: float | None = attrs.field(default=None, converter=measured, validator=summable)
    provider_request_id: str | None = None
    retry_history: tuple[Mapping[str, JSONValue], ...] = attrs.field(default=(), converter=json_objects)
    conversation_trace: ConversationTrace | None = None
    artifacts: Mapping[str, JSONValue] | None = attrs.field(default=None, converter=optional_object)


@attrs.frozen(kw_only=True, field_transformer=checked_texts)
class ParsedJudgment(HashableModel):
    """A judge's verdict as read from its answer."""

    label: str = attrs.field(validator=non_empty)
    score: float | None = attrs.field(default=None, converter=measured, validator=summable)
    rationale: str | None = None
    details: Mapping[str, JSONValue] = attrs.field(default=EMPTY, converter=json_object)


@attrs.frozen(kw_only=True, field_transformer=checked_texts)
class AggregationResult(HashableModel):
    """The result of combining one workflow's judgments, and the method."""

    method: str = attrs.field(validator=non_empty)
    value: JSONValue = attrs.field(converter=json_value)
    details: Mapping[str, JSONValue] = attrs.field(default=EMPTY, converter=json_object)


@attrs.frozen(kw_only=True, field_transformer=checked_texts)
class WorkflowFailure(HashableModel):
    """A step of a workflow that failed; the rest of the workflow goes on."""

    call_id: str | None = None
    step_id: str
    step_type: str
    error_message: str
    retry_history: tuple[Mapping[str, JSONValue], ...] = attrs.field(default=(), converter=json_objects)


@attrs.frozen(kw_only=True, field_transformer=checked_texts)
class EvaluationExecution(HashableModel):
    """One metric's whole workflow on one case: every prompt, answer, judgment, score and failure."""

    execution_id: str = attrs.field(validator=non_empty)
    subject_kind: str
    status: Literal["completed", "partial_failure"]
    judge_calls: tuple[JudgeCall, ...] = attrs.field(default=(), converter=sequence)
    rendered_prompts: tuple[RenderedJudgePrompt, ...] = attrs.field(default=(), converter=sequence)
    judge_responses: tuple[JudgeResponse, ...] = attrs.field(default=(), converter=sequence)
    parsed_judgments: tuple[ParsedJudgment, ...] = attrs.field(default=(), converter=sequence)
    scores: tuple[Score, ...] = attrs.field(default=(), converter=sequence)
    failures: tuple[WorkflowFailure, ...] = attrs.field(default=(), converter=sequence)
    aggregation_output: AggregationResult | None = None
    trace: WorkflowTrace
