"""The event family: all that ever happens to a run.

A run is the sequence of its events; everything else about it (state, results, timelines) is folded from them.
Events are plain records: they say what happened, never what comes next.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal, TypeVar

import attrs

from themis.pure.errors import InvalidRecordError, SchemaVersionError, nearest
from themis.pure.json import EMPTY, JSONValue
from themis.pure.records.base import HashableModel
from themis.pure.records.failure import StepFailure
from themis.pure.records.fields import json_object, json_objects, named_fields, texts
from themis.pure.records.generation import GenerationResult, ParsedOutput, ReducedCandidate
from themis.pure.records.human_label import LabelValue
from themis.pure.records.judging import EvaluationExecution
from themis.pure.records.labels import RunLabels
from themis.pure.records.scoring import Score, ScoreError

F = TypeVar("F", bound=StepFailure)

SCHEMA_VERSION: Final = 4
"""The newest version of the event records that is read. A newer one is refused, never half-read."""

_UNCHANGED_SINCE: Final = 2
"""The version that events state unless they say more: of version 3 are labels alone, of 4 what divides a run."""


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class RunEvent(HashableModel):
    """Something that happened to a run; `occurred_at` is an aware time in UTC."""

    run_id: str
    occurred_at: datetime
    schema_version: int = _UNCHANGED_SINCE
    event_type: str = ""


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class CaseRunEvent(RunEvent):
    """Something that happened to one case of a run."""

    case_id: str
    dataset_id: str
    case_key: str


@attrs.frozen(kw_only=True, field_transformer=named_fields, slots=False)
class FailedEvent(CaseRunEvent, StepFailure):
    """A step that failed: the event is the failure, and says when and of which case."""

    def described(self, kind: type[F]) -> F:
        """Return the failure by itself, as a record of this kind."""
        return kind(**{field.name: getattr(self, field.name) for field in attrs.fields(kind)})


# --- the run ----------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class RunStartedEvent(RunEvent):
    """An attempt at the run began; `header` is the hash of the run's stored header (`chain.header_hash`).

    Runs of event schema 1 did not record it. `name` and `tags` are what the attempt was told to call the run.
    """

    header: str | None = None
    name: str | None = None
    tags: tuple[str, ...] = attrs.field(default=(), converter=texts)
    event_type: Literal["run_started"] = "run_started"

    @property
    def labels(self) -> RunLabels:
        """What this attempt was told to call the run."""
        return RunLabels(name=self.name, tags=self.tags)


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class RunCompletedEvent(RunEvent):
    """An attempt went through all cases, up to and with `completed_through_stage`.

    `event_count` is how many events the run has with this one: an end that was cut off, or a gap, shows. Runs of event
    schema 1 did not record it. `planned_cases` is after how many cases a run stopped that its rule may end early.
    """

    completed_through_stage: str
    event_count: int | None = None
    planned_cases: int | None = None
    event_type: Literal["run_completed"] = "run_completed"


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class RunFailedEvent(RunEvent):
    """An attempt ended before it went through all cases."""

    error_message: str
    event_type: Literal["run_failed"] = "run_failed"


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class RunDividedEvent(RunEvent):
    """The run was divided into segments of `segment_size` cases, each with a chain that begins at this event."""

    schema_version: int = 4
    segment_size: int
    event_type: Literal["run_divided"] = "run_divided"


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class RunJoinedEvent(RunEvent):
    """When the run's own chain went on here, its `segments` ended in chains of the hash `heads` (`joined_digest`)."""

    schema_version: int = 4
    segments: int
    heads: str
    event_type: Literal["run_joined"] = "run_joined"


DIVISION_EVENTS: Final = (RunDividedEvent, RunJoinedEvent)
"""What is said of how a run is written: no more of it than where its events stand."""

RUN_ENDS: Final = frozenset({"run_completed", "run_failed"})
"""The types of the events with which an attempt ends."""


# --- the stages of a case ---------------------------------------------------------------------------------


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class GenerationCompletedEvent(CaseRunEvent):
    """A generator returned a candidate; a large result is in the blob that `result_blob_ref` names."""

    candidate_id: str
    candidate_index: int
    seed: int | None = None
    provider_key: str | None = None
    result: GenerationResult | None
    result_blob_ref: str | None = None
    cache_hit: bool = False
    source_run_id: str | None = None
    retry_history: tuple[Mapping[str, JSONValue], ...] = attrs.field(default=(), converter=json_objects)
    event_type: Literal["generation_completed"] = "generation_completed"


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class GenerationFailedEvent(FailedEvent):
    """A generator failed for a candidate, after its retries."""

    candidate_id: str
    candidate_index: int
    event_type: Literal["generation_failed"] = "generation_failed"


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class SelectionCompletedEvent(CaseRunEvent):
    """A selector chose candidates, by their ids and in its order."""

    candidate_ids: tuple[str, ...] = attrs.field(converter=texts)
    metadata: Mapping[str, JSONValue] = attrs.field(default=EMPTY, converter=json_object)
    execution: EvaluationExecution | None = None
    execution_blob_ref: str | None = None
    event_type: Literal["selection_completed"] = "selection_completed"


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class SelectionFailedEvent(FailedEvent):
    """A selector failed."""

    event_type: Literal["selection_failed"] = "selection_failed"


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class ReductionCompletedEvent(CaseRunEvent):
    """The candidates were reduced to one."""

    candidate_id: str
    source_candidate_ids: tuple[str, ...] = attrs.field(default=(), converter=texts)
    result: ReducedCandidate | None
    result_blob_ref: str | None = None
    cache_hit: bool = False
    source_run_id: str | None = None
    event_type: Literal["reduction_completed"] = "reduction_completed"


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class ReductionFailedEvent(FailedEvent):
    """A reducer failed."""

    event_type: Literal["reduction_failed"] = "reduction_failed"


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class ParseCompletedEvent(CaseRunEvent):
    """A parser read the answer; `parser_id` names the one of the chain that won."""

    candidate_id: str
    parser_id: str = ""
    result: ParsedOutput | None
    result_blob_ref: str | None = None
    cache_hit: bool = False
    source_run_id: str | None = None
    event_type: Literal["parse_completed"] = "parse_completed"


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class ParseFailedEvent(FailedEvent):
    """Every parser of the chain failed."""

    candidate_id: str
    event_type: Literal["parse_failed"] = "parse_failed"


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class ScoreCompletedEvent(CaseRunEvent):
    """A pure metric made a score."""

    candidate_id: str
    metric_id: str
    score: Score
    cache_hit: bool = False
    source_run_id: str | None = None
    event_type: Literal["score_completed"] = "score_completed"


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class ScoreFailedEvent(CaseRunEvent):
    """A pure metric made no score, and says why."""

    candidate_id: str
    metric_id: str
    error: ScoreError
    event_type: Literal["score_failed"] = "score_failed"


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class EvaluationCompletedEvent(CaseRunEvent):
    """A metric's workflow (judges, or a sandbox) went through, perhaps with failures inside."""

    candidate_id: str
    metric_id: str
    execution: EvaluationExecution | None
    execution_blob_ref: str | None = None
    event_type: Literal["evaluation_completed"] = "evaluation_completed"


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class EvaluationFailedEvent(FailedEvent):
    """A metric's workflow could not be built, or failed."""

    candidate_id: str
    metric_id: str
    event_type: Literal["evaluation_failed"] = "evaluation_failed"


# --- the steps of a workflow ------------------------------------------------------------------------------


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class StepEvent(CaseRunEvent):
    """A step of a workflow: a judge call or a sandbox run.

    `candidate_id` names the answer that it was about where a case has several; it is `None` where it has one.
    """

    workflow_id: str
    step_id: str
    step_type: str
    candidate_id: str | None = None
    metadata: Mapping[str, JSONValue] = attrs.field(default=EMPTY, converter=json_object)


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class StepStartedEvent(StepEvent):
    """A workflow's step began."""

    event_type: Literal["step_started"] = "step_started"


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class StepCompletedEvent(StepEvent):
    """A workflow's step ended; `output` is what came back, so that nothing paid for is asked twice."""

    output: Mapping[str, JSONValue] = attrs.field(default=EMPTY, converter=json_object)
    output_blob_ref: str | None = None
    cache_hit: bool = False
    source_run_id: str | None = None
    event_type: Literal["step_completed"] = "step_completed"


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class StepFailedEvent(StepEvent):
    """A workflow's step failed, after its retries."""

    error_message: str
    retry_history: tuple[Mapping[str, JSONValue], ...] = attrs.field(default=(), converter=json_objects)
    event_type: Literal["step_failed"] = "step_failed"


# --- what people say of it --------------------------------------------------------------------------------


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class LabelGivenEvent(CaseRunEvent):
    """A person said what an answer should score. It is of no stage, and no result rests on it.

    It takes the place of an earlier label of the same person, metric and answer; without a `value` it takes that one
    back. `candidate_id` is `None` where a case has one answer, and where the metric compares all of them. `answer` is
    the content hash of the answer that was labelled: if that is made anew and differs, the label counts no more.
    `probability` is that with which the answer was chosen to be labelled; `None` in a simple random sample.
    """

    schema_version: int = 3
    candidate_id: str | None = None
    metric_id: str
    who: str
    value: LabelValue
    note: str = ""
    probability: float | None = None
    answer: str | None = None
    event_type: Literal["label_given"] = "label_given"


EVENT_TYPES: Final[Mapping[str, type[RunEvent]]] = {
    str(attrs.fields(kind).event_type.default): kind
    for kind in [*globals().values()]
    if isinstance(kind, type) and issubclass(kind, RunEvent) and attrs.fields(kind).event_type.default
}
"""The classes of this module that state a type; those that others inherit from state none."""


def event_from_dict(payload: Mapping[str, Any]) -> RunEvent:
    """Read any event back from its plain data.

    Raises:
        SchemaVersionError: a newer Themis wrote the event.
        InvalidRecordError: the type is unknown, or fields are missing, unknown or of the wrong type.
    """
    version = payload.get("schema_version")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise SchemaVersionError(
            f"event of schema version {version}; this Themis reads up to {SCHEMA_VERSION}: upgrade it to read the run"
        )
    name = payload.get("event_type")
    kind = EVENT_TYPES.get(name) if isinstance(name, str) else None
    if kind is None:
        raise InvalidRecordError("event", [f"event_type: {name!r} is unknown; {nearest(str(name), EVENT_TYPES)}"])
    return kind.from_dict(payload)
