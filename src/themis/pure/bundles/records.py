"""What a bundle holds: the records of one stage, and case by case the earlier stages that they rest on.

A bundle is whole: what it holds can be reported, replayed and verified by whoever has nothing else. A record has an
artifact, or the failure that stands in its place, and keeps what the store keeps beside it (time, cache key), so that
an imported run is in every respect like a local one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Final, Literal, TypeAlias, get_args

import attrs

from themis.pure.errors import DataError, InvalidRecordError, SchemaVersionError, nearest
from themis.pure.json import EMPTY, JSONValue
from themis.pure.plan import STAGE_ORDER, MetricSlot
from themis.pure.records.base import HashableModel
from themis.pure.records.fields import json_object, json_objects, named_fields, sequence, texts
from themis.pure.records.generation import GenerationResult, ParsedOutput, ReducedCandidate
from themis.pure.records.judging import EvaluationExecution
from themis.pure.records.scoring import Score, ScoreError
from themis.pure.records.snapshot import RunSnapshot

BUNDLE_SCHEMA: Final = 1
"""The version of the bundle records. A newer one is refused, never half-read."""

BundleKind = Literal["generation", "reduction", "parse", "score", "evaluation"]
KINDS: Final[tuple[BundleKind, ...]] = get_args(BundleKind)


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class BundledFailure(HashableModel):
    """Why a step failed: what its failure event says."""

    error_message: str
    component_id: str = ""
    error_type: str = ""
    traceback_digest: str = ""
    retryable: bool = False
    retry_history: tuple[Mapping[str, JSONValue], ...] = attrs.field(default=(), converter=json_objects)
    occurred_at: datetime | None = None


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class BundledStep(HashableModel):
    """One judge call or sandbox run of a workflow: the answer, from which judging replays, or why there is none."""

    step_id: str
    step_type: str
    output: Mapping[str, JSONValue] = attrs.field(default=EMPTY, converter=json_object)
    failure: BundledFailure | None = None
    metadata: Mapping[str, JSONValue] = attrs.field(default=EMPTY, converter=json_object)
    occurred_at: datetime | None = None
    cache_key: str | None = None
    cache_hit: bool = False
    source_run_id: str | None = None


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class BundledSelection(HashableModel):
    """What a selector chose, or why it failed, with the answers of its judges if it asked some."""

    candidate_ids: tuple[str, ...] | None = attrs.field(default=None, converter=attrs.converters.optional(texts))
    metadata: Mapping[str, JSONValue] = attrs.field(default=EMPTY, converter=json_object)
    execution: EvaluationExecution | None = None
    failure: BundledFailure | None = None
    steps: tuple[BundledStep, ...] = attrs.field(default=(), converter=sequence)
    workflow_id: str = ""
    occurred_at: datetime | None = None


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class BundleRecord(HashableModel):
    """What every record of a bundle says.

    Attributes:
        case_id, dataset_id, case_key: the case.
        candidate_id: the candidate; empty where there is none yet.
        occurred_at: when it happened; the time of the import if not given.
        cache_key: the name of everything the step read, so that other runs can reuse the outcome.
        cache_hit, source_run_id: whether another run's outcome was reused, and whose.
    """

    case_id: str
    dataset_id: str
    case_key: str
    candidate_id: str = ""
    occurred_at: datetime | None = None
    cache_key: str | None = None
    cache_hit: bool = False
    source_run_id: str | None = None


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class GenerationBundleRecord(BundleRecord):
    """One candidate of a case: its result, or why there is none.

    `result_blob_ref` is the SHA-256 of the result's JSON where the store keeps it as a blob; it is checked.
    """

    candidate_index: int
    seed: int | None = None
    provider_key: str | None = None
    result: GenerationResult | None = None
    result_blob_ref: str | None = None
    retry_history: tuple[Mapping[str, JSONValue], ...] = attrs.field(default=(), converter=json_objects)
    failure: BundledFailure | None = None


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class ReductionBundleRecord(BundleRecord):
    """The one answer of a case, and what its selector chose before; or why there is none."""

    result: ReducedCandidate | None = None
    result_blob_ref: str | None = None
    failure: BundledFailure | None = None
    selection: BundledSelection | None = None


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class ParseBundleRecord(BundleRecord):
    """What a parser read, or why none could; `parser_id` names the one of the chain that did."""

    parser_id: str = ""
    result: ParsedOutput | None = None
    result_blob_ref: str | None = None
    failure: BundledFailure | None = None


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class ScoreBundleRecord(BundleRecord):
    """A pure metric's score, or why it made none."""

    score: Score | ScoreError

    @property
    def metric_id(self) -> str:
        """The metric."""
        return self.score.metric_id


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class EvaluationBundleRecord(BundleRecord):
    """A metric's workflow: how it went and what was answered, or why it came to nothing.

    A workflow that was interrupted has its answered `steps` alone.
    """

    metric_id: str
    execution: EvaluationExecution | None = None
    execution_blob_ref: str | None = None
    failure: BundledFailure | None = None
    steps: tuple[BundledStep, ...] = attrs.field(default=(), converter=sequence)


AnyRecord: TypeAlias = (
    GenerationBundleRecord | ReductionBundleRecord | ParseBundleRecord | ScoreBundleRecord | EvaluationBundleRecord
)
RECORD_TYPES: Final[Mapping[BundleKind, type[AnyRecord]]] = {
    "generation": GenerationBundleRecord,
    "reduction": ReductionBundleRecord,
    "parse": ParseBundleRecord,
    "score": ScoreBundleRecord,
    "evaluation": EvaluationBundleRecord,
}


@attrs.frozen(kw_only=True)
class CaseRecords(HashableModel):
    """The records of one case, by stage."""

    case_id: str
    dataset_id: str
    case_key: str
    generation: tuple[GenerationBundleRecord, ...] = attrs.field(default=(), converter=sequence)
    reduction: tuple[ReductionBundleRecord, ...] = attrs.field(default=(), converter=sequence)
    parse: tuple[ParseBundleRecord, ...] = attrs.field(default=(), converter=sequence)
    score: tuple[ScoreBundleRecord, ...] = attrs.field(default=(), converter=sequence)
    evaluation: tuple[EvaluationBundleRecord, ...] = attrs.field(default=(), converter=sequence)

    def of(self, kind: BundleKind) -> tuple[AnyRecord, ...]:
        """Return one stage's records."""
        records: tuple[AnyRecord, ...] = getattr(self, kind)
        return records

    def before(self, kind: BundleKind) -> CaseRecords | None:
        """Return the earlier stages' records, or `None` if there are none."""
        earlier = KINDS[: KINDS.index(kind)]
        if not any(self.of(name) for name in earlier):
            return None
        return self.evolve(**{name: () for name in KINDS if name not in earlier})

    def joined(self, kind: BundleKind, records: Sequence[AnyRecord]) -> CaseRecords:
        """Return these with one stage's records set."""
        return self.evolve(**{kind: records})


def bundle_schema(value: int) -> int:
    """Return a bundle's schema version if it can be read.

    Raises:
        SchemaVersionError: a newer Themis wrote the bundle.
    """
    if value > BUNDLE_SCHEMA:
        raise SchemaVersionError(
            f"bundle of schema version {value}; this Themis reads up to {BUNDLE_SCHEMA}: upgrade it to read the bundle"
        )
    if value < 1:
        raise InvalidRecordError("bundle", [f"schema_version: a whole number from 1 up expected, found {value!r}"])
    return value


def _refuse_newer(data: Mapping[str, Any]) -> None:
    version = data.get("schema_version")
    if type(version) is int:
        bundle_schema(version)


@attrs.frozen(kw_only=True)
class StageBundle(HashableModel):
    """What every bundle has.

    Attributes:
        run_id: the run; the hash of the snapshot's identity, or the bundle is refused.
        snapshot: the compiled experiment with its cases, so that a store need not know the run.
        upstream: the earlier stages' records, one entry a case, in the order of the cases.
        completed_through_stage: the last stage that the run went through for all cases, as far as the bundle goes.
        error_message: why the run's last attempt ended early, if it did.
        started_at, ended_at: when the last attempt began and ended.
        schema_version: of the records.
    """

    record_type: ClassVar[type[AnyRecord]]

    run_id: str
    snapshot: RunSnapshot
    upstream: tuple[CaseRecords, ...] = attrs.field(default=(), converter=sequence)
    completed_through_stage: str | None = None
    error_message: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    schema_version: int = attrs.field(default=BUNDLE_SCHEMA, converter=bundle_schema)

    def to_dict(self) -> dict[str, Any]:
        """Return the bundle as plain data, its cases included: what a bundle file holds."""
        no_cases = self.snapshot.evolve(datasets=[dataset.evolve(cases=()) for dataset in self.snapshot.datasets])
        return {
            **super(StageBundle, self.evolve(snapshot=no_cases)).to_dict(),
            "snapshot": self.snapshot.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Any:
        """Build the bundle from plain data; a newer schema's is refused before it is looked into."""
        _refuse_newer(data)
        return super().from_dict(data)


@attrs.frozen(kw_only=True)
class GenerationBundle(StageBundle):
    """A run's candidates."""

    record_type: ClassVar[type[AnyRecord]] = GenerationBundleRecord
    records: tuple[GenerationBundleRecord, ...] = attrs.field(converter=sequence)
    kind: Literal["generation"] = "generation"


@attrs.frozen(kw_only=True)
class ReductionBundle(StageBundle):
    """A run's reduced candidates, with what they were reduced from upstream."""

    record_type: ClassVar[type[AnyRecord]] = ReductionBundleRecord
    records: tuple[ReductionBundleRecord, ...] = attrs.field(converter=sequence)
    kind: Literal["reduction"] = "reduction"


@attrs.frozen(kw_only=True)
class ParseBundle(StageBundle):
    """A run's parsed answers, with what they were read from upstream."""

    record_type: ClassVar[type[AnyRecord]] = ParseBundleRecord
    records: tuple[ParseBundleRecord, ...] = attrs.field(converter=sequence)
    kind: Literal["parse"] = "parse"


@attrs.frozen(kw_only=True)
class ScoreBundle(StageBundle):
    """A run's scores of pure metrics, with everything that they follow from upstream."""

    record_type: ClassVar[type[AnyRecord]] = ScoreBundleRecord
    records: tuple[ScoreBundleRecord, ...] = attrs.field(converter=sequence)
    kind: Literal["score"] = "score"


@attrs.frozen(kw_only=True)
class EvaluationBundle(StageBundle):
    """A run's workflows (judges, code execution), with all the rest of the run upstream."""

    record_type: ClassVar[type[AnyRecord]] = EvaluationBundleRecord
    records: tuple[EvaluationBundleRecord, ...] = attrs.field(converter=sequence)
    kind: Literal["evaluation"] = "evaluation"


Bundle: TypeAlias = GenerationBundle | ReductionBundle | ParseBundle | ScoreBundle | EvaluationBundle
BUNDLE_TYPES: Final[Mapping[BundleKind, type[Bundle]]] = {
    "generation": GenerationBundle,
    "reduction": ReductionBundle,
    "parse": ParseBundle,
    "score": ScoreBundle,
    "evaluation": EvaluationBundle,
}


def bundle_kind(name: object) -> BundleKind:
    """Return a bundle kind by its name.

    Raises:
        DataError: there is none of that name.
    """
    for kind in KINDS:
        if kind == name:
            return kind
    raise DataError(f"bundle kind {name!r} is unknown; {nearest(str(name), KINDS)}")


def bundle_from_dict(data: Mapping[str, Any]) -> Bundle:
    """Read a bundle of any kind back from its plain data.

    Raises:
        SchemaVersionError: a newer Themis wrote the bundle.
        DataError: `kind` is missing or unknown.
        InvalidRecordError: fields are missing, unknown or of the wrong type; all at once, each with its path.
    """
    _refuse_newer(data)
    bundle: Bundle = BUNDLE_TYPES[bundle_kind(data.get("kind"))].from_dict(data)
    return bundle


def stage_reached(kind: BundleKind, stage: str | None, metrics: Iterable[MetricSlot]) -> str | None:
    """Return through which stage a run is complete, as far as a bundle of a kind holds it.

    Args:
        kind: the bundle's kind.
        stage: the stage that the run itself is complete through.
        metrics: the run's metrics: a bundle that holds all of them leaves nothing out.

    >>> stage_reached("parse", "judge", [MetricSlot("em", "pure", "")])
    'parse'
    >>> stage_reached("score", "judge", [MetricSlot("em", "pure", "")])
    'judge'
    """
    families = {metric.family for metric in metrics}
    left_out = families if kind not in ("score", "evaluation") else families - {"pure"} if kind == "score" else set()
    if stage is None or not (left_out or kind in ("generation", "reduction")):
        return stage
    last = {"generation": "generate", "reduction": "reduce", "parse": "parse", "score": "score"}[kind]
    if kind == "score" and "execution" in left_out:
        last = "parse"  # metrics that run code are of stage score, and stand in evaluation bundles
    reached: str = min(stage, last, key=[*map(str, STAGE_ORDER)].index)
    return reached
