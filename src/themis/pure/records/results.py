"""A run's results: its status, and the records that projections and estimates return."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Generic, Literal, TypeVar, overload

import attrs

from themis.pure.json import EMPTY, JSONValue
from themis.pure.records.base import HashableModel
from themis.pure.records.dataset import Case, CaseName
from themis.pure.records.failure import StepFailure
from themis.pure.records.fields import json_object, named_fields, sequence
from themis.pure.records.generation import GenerationResult, ParsedOutput, ReducedCandidate
from themis.pure.records.judging import ConversationTrace, EvaluationExecution, WorkflowTrace
from themis.pure.records.scoring import Score, ScoreError

T = TypeVar("T", covariant=True)

Outcome = Literal["correct", "incorrect", "error", "not_reached"]
ErrorCategory = Literal[
    "generation_failure",
    "reduction_failure",
    "parse_failure",
    "parse_null",
    "parse_invalid",
    "evaluation_failure",
    "evaluation_partial_failure",
    "score_failure",
    "not_reached",
]


class RunStatus(StrEnum):
    """How far a run has got, and whether it succeeded."""

    PENDING = "pending"
    RUNNING = "running"
    INTERRUPTED = "interrupted"
    COMPLETED = "completed"
    FAILED = "failed"
    PARTIAL_FAILURE = "partial_failure"


@attrs.frozen(kw_only=True)
class ProgressSnapshot(HashableModel):
    """How far a run is: cases planned, cases through without an error, cases with one; the rest are not done yet."""

    total_cases: int
    completed_cases: int = 0
    failed_cases: int = 0


@attrs.frozen(kw_only=True)
class GenerationWorkItem(CaseName):
    """One candidate to generate."""

    run_id: str
    case: Case
    candidate_index: int
    candidate_id: str
    seed: int | None = None


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class GenerationFailure(StepFailure):
    """A candidate that could not be generated."""

    candidate_id: str
    candidate_index: int


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class EvaluationFailure(StepFailure):
    """A metric's workflow that failed."""

    metric_id: str


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class AnswerResult(CaseName):
    """What became of one answer of a case: how it was read, judged and scored.

    `candidate_id` names the answer; `judged` names the metric of each of the executions.
    """

    candidate_id: str | None = None
    parsed_output: ParsedOutput | None = None
    parser_id: str | None = None
    parse_error: StepFailure | None = None
    evaluation_executions: tuple[EvaluationExecution, ...] = attrs.field(default=(), converter=sequence)
    judged: tuple[str, ...] = attrs.field(default=(), converter=sequence)
    evaluation_failures: tuple[EvaluationFailure, ...] = attrs.field(default=(), converter=sequence)
    scores: tuple[Score | ScoreError, ...] = attrs.field(default=(), converter=sequence)


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class CaseResult(AnswerResult):
    """Everything that is known of one case: its candidates, its answer, scores, failures.

    Where every candidate is an answer of its own, `answers` has them in the candidates' order; of the case itself there
    are the candidates then, and what compares them with each other.
    """

    generated_candidates: tuple[GenerationResult, ...] = attrs.field(default=(), converter=sequence)
    generation_failures: tuple[GenerationFailure, ...] = attrs.field(default=(), converter=sequence)
    selected_candidate_ids: tuple[str, ...] | None = None
    reduced_candidate: ReducedCandidate | None = None
    reduction_error: StepFailure | None = None
    answers: tuple[AnswerResult, ...] = attrs.field(default=(), converter=sequence)


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class BenchmarkScoreRow(CaseName):
    """One metric on one answer of a case: a value, or the error that keeps it from having one.

    An answer that could not be parsed and counts as incorrect has both: the lowest score, and why it was not parsed.
    What the run has not come to, since it was not asked to or was interrupted, is no error: it is `not_reached`.
    `candidate_id` names the answer; it is `None` where there is none, and where the metric compares all candidates.
    """

    metric_id: str
    value: float | None = None
    candidate_id: str | None = None
    outcome: Outcome
    error_category: ErrorCategory | None = None
    error_message: str | None = None
    details: Mapping[str, JSONValue] = attrs.field(default=EMPTY, converter=json_object)


class Lazy(Sequence[T], Generic[T]):
    """Items that are computed each time they are read, so that a million of them need not be held."""

    def __init__(self, length: int | Callable[[], int], read: Callable[[], Iterator[T]]) -> None:
        self._counted = length
        self._read = read

    @property
    def _length(self) -> int:
        """How many there are; they may have to be counted, once."""
        if not isinstance(self._counted, int):
            self._counted = self._counted()
        return self._counted

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[T]:
        return self._read()

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...

    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        if isinstance(index, slice):
            return tuple(self)[index]
        position = index if index >= 0 else self._length + index
        for i, item in enumerate(self):
            if i == position:
                return item
        raise IndexError(index)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    def __hash__(self) -> int:
        return hash(self._length)

    def __repr__(self) -> str:
        return f"<{self._length} items, read as needed>"


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class BenchmarkResult(HashableModel):
    """A run's scores as numbers.

    Attributes:
        metric_means: the mean over scored rows only, by metric; absent where nothing was scored. Never read
            one without `error_counts` beside it.
        outcome_counts: `{metric: {"correct": n, "incorrect": n, "error": n}}`, and `"not_reached": n` where there is
            any; they add up to the answers that were planned: `total_cases`, or as many for each candidate where each
            is an answer.
        error_counts: `{metric: {category: n}}`.
    """

    run_id: str
    dataset_ids: tuple[str, ...] = attrs.field(default=(), converter=sequence)
    metric_ids: tuple[str, ...] = attrs.field(default=(), converter=sequence)
    total_cases: int
    completed_cases: int
    failed_cases: int
    score_rows: Sequence[BenchmarkScoreRow] = ()
    metric_means: Mapping[str, float] = attrs.field(default=EMPTY, converter=json_object)
    outcome_counts: Mapping[str, Mapping[str, int]] = attrs.field(default=EMPTY, converter=json_object)
    error_counts: Mapping[str, Mapping[str, int]] = attrs.field(default=EMPTY, converter=json_object)


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class RunEstimate(HashableModel):
    """What a run would do; token figures are estimates, and `assumptions` says of what kind."""

    run_id: str
    total_cases: int
    candidate_count: int
    metric_count: int
    pure_metric_count: int
    workflow_metric_count: int
    planned_generation_tasks: int
    planned_reduction_tasks: int
    planned_parse_tasks: int
    planned_score_tasks: int
    estimated_generation_input_tokens: int
    estimated_generation_output_tokens: int
    estimated_judge_prompt_tokens: int
    estimated_judge_output_tokens: int
    estimated_total_tokens: int
    assumptions: tuple[str, ...] = attrs.field(default=(), converter=sequence)


@attrs.frozen(kw_only=True)
class TimelineEntry(HashableModel):
    """One event, without its content."""

    index: int
    event_type: str
    occurred_at: datetime
    case_id: str | None = None
    dataset_id: str | None = None
    case_key: str | None = None
    candidate_id: str | None = None
    metric_id: str | None = None


@attrs.frozen(kw_only=True)
class TimelineView(HashableModel):
    """What happened, in order."""

    run_id: str
    entries: Sequence[TimelineEntry] = ()


@attrs.frozen(kw_only=True)
class TracedItem(CaseName):
    """A trace with the case and candidate it belongs to."""

    candidate_id: str | None = None
    metric_id: str | None = None
    trace: WorkflowTrace | None = None
    conversation: ConversationTrace | None = None


@attrs.frozen(kw_only=True)
class TraceView(HashableModel):
    """Every trace of a run: of generations, of conversations, of evaluations."""

    run_id: str
    generation_traces: tuple[TracedItem, ...] = attrs.field(default=(), converter=sequence)
    conversation_traces: tuple[TracedItem, ...] = attrs.field(default=(), converter=sequence)
    evaluation_traces: tuple[TracedItem, ...] = attrs.field(default=(), converter=sequence)
