"""What a bundle is: the events of one stage, with the earlier ones that they rest on, under a header and a snapshot.

A bundle is whole: what it holds can be reported, replayed and verified without anything else. As plain data its
records are chained like those of a store, each with the digest over the one before it, so that a line that was cut,
changed, dropped or swapped is found, and found by its place.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, Self, TypeAlias, get_args, get_type_hints

import attrs

from themis._stages import STAGE_ORDER
from themis.pure.chain import chain_digest
from themis.pure.errors import DataError, InvalidRecordError, SchemaVersionError, nearest
from themis.pure.events import (
    CaseRunEvent,
    EvaluationCompletedEvent,
    EvaluationFailedEvent,
    GenerationCompletedEvent,
    GenerationFailedEvent,
    LabelGivenEvent,
    ParseCompletedEvent,
    ParseFailedEvent,
    ReductionCompletedEvent,
    ReductionFailedEvent,
    ScoreCompletedEvent,
    ScoreFailedEvent,
    StepEvent,
    event_from_dict,
)
from themis.pure.json import EMPTY, decode, encode
from themis.pure.plan import MetricSlot, case_items
from themis.pure.records.base import HashableModel
from themis.pure.records.fields import named_fields, sequence, text_mapping, texts
from themis.pure.records.snapshot import RunSnapshot
from themis.pure.records.stored import CHAIN_START

_BUNDLE_SCHEMA: Final = 2
"""The version of the document. A newer one is refused, never half-read; so is 1, which was never released."""

BundleKind = Literal["generation", "reduction", "parse", "score", "evaluation"]
KINDS: Final[tuple[BundleKind, ...]] = get_args(BundleKind)

Keyed: TypeAlias = tuple[CaseRunEvent, str | None]
"""An event and its cache key, which stores keep beside it."""


def _readable_schema(value: int) -> int:
    """Return a bundle's schema version if it can be read.

    Raises:
        SchemaVersionError: another Themis wrote the bundle.
    """
    if value > _BUNDLE_SCHEMA:
        raise SchemaVersionError(
            f"bundle of schema version {value}; this Themis reads up to {_BUNDLE_SCHEMA}: upgrade it to read the bundle"
        )
    if value < 1:
        raise InvalidRecordError("bundle", [f"schema_version: a whole number from 1 up expected, found {value!r}"])
    if value < _BUNDLE_SCHEMA:
        raise SchemaVersionError(
            f"bundle of schema version {value}, which a Themis from before the first release wrote; this one reads "
            f"version {_BUNDLE_SCHEMA}: export the run again, with this Themis, from the store that it is in"
        )
    return value


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class Bundle(HashableModel):
    """What every bundle has; each kind is a class of its own.

    Attributes:
        run_id: the run; the hash of the snapshot's identity, or the bundle is refused.
        snapshot: the compiled experiment with its cases, so that a store need not know the run.
        records: the stage's events, in the order of the cases. Each has `case_id`,
            `dataset_id` and `case_key`, and its artifact (`result`, `score` or `execution`) or what went wrong.
        upstream: the events that the records rest on: those of earlier stages, selections, and a workflow's steps; and
            the labels that people gave, from parse bundles on.
        cache_keys: the names under which other runs find outcomes to reuse, by `event_name`.
        completed_through_stage: the last stage that the run went through for all cases, as far as the bundle goes.
        error_message: why the run's last attempt ended early, if it did.
        name, tags: what the run is called.
        started_at, ended_at: when the last attempt began and ended.
        schema_version: of the document.
    """

    run_id: str
    snapshot: RunSnapshot
    records: tuple[CaseRunEvent, ...] = attrs.field(converter=sequence)
    upstream: tuple[CaseRunEvent, ...] = attrs.field(default=(), converter=sequence)
    cache_keys: Mapping[str, str] = attrs.field(default=EMPTY, converter=text_mapping)
    completed_through_stage: str | None = None
    error_message: str | None = None
    name: str | None = None
    tags: tuple[str, ...] = attrs.field(default=(), converter=texts)
    started_at: datetime | None = None
    ended_at: datetime | None = None
    schema_version: int = attrs.field(default=_BUNDLE_SCHEMA, converter=_readable_schema)
    kind: BundleKind = attrs.field(init=False)

    def events(self) -> Iterator[Keyed]:
        """Yield all events with their cache keys, case by case in the order of the run; strangers come last."""
        cases: dict[str, list[Keyed]] = {item.case_key: [] for item in case_items(self.snapshot)}
        for event in (*self.upstream, *self.records):
            cases.setdefault(event.case_key, []).append((event, self.cache_keys.get(event_name(event))))
        return itertools.chain.from_iterable(cases.values())

    def with_events(self, events: Iterable[Keyed]) -> Self:
        """Return the bundle, of the same kind, with these events as its records and what they rest on."""
        parts: tuple[list[CaseRunEvent], list[CaseRunEvent]] = [], []
        keys: dict[str, str] = {}
        for event, key in events:
            parts[isinstance(event, RECORD_TYPES[self.kind])].append(event)
            if key is not None:
                keys[event_name(event)] = key
        return self.evolve(upstream=parts[False], records=parts[True], cache_keys=keys)

    def to_dict(self) -> dict[str, Any]:
        """Return the document: what a bundle file holds. Its `records` are all events, case by case, chained."""
        data: dict[str, Any] = decode(b"".join(document(self, [self.events()])))
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Build the bundle from its document, as `bundle_from_dict` does."""
        bundle = bundle_from_dict(data)
        if not isinstance(bundle, cls):
            raise DataError(f"{cls.__name__} expected, {type(bundle).__name__} found")
        return bundle


GenerationBundleRecord = GenerationCompletedEvent
ReductionBundleRecord = ReductionCompletedEvent
ParseBundleRecord = ParseCompletedEvent
ScoreBundleRecord = ScoreCompletedEvent
EvaluationBundleRecord = EvaluationCompletedEvent


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class GenerationBundle(Bundle):
    """A run's candidates."""

    records: tuple[GenerationCompletedEvent | GenerationFailedEvent, ...] = attrs.field(converter=sequence)
    kind: Literal["generation"] = "generation"


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class ReductionBundle(Bundle):
    """A run's reduced candidates, with what they were selected and reduced from upstream."""

    records: tuple[ReductionCompletedEvent | ReductionFailedEvent, ...] = attrs.field(converter=sequence)
    kind: Literal["reduction"] = "reduction"


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class ParseBundle(Bundle):
    """A run's parsed answers, with what they were read from upstream."""

    records: tuple[ParseCompletedEvent | ParseFailedEvent, ...] = attrs.field(converter=sequence)
    kind: Literal["parse"] = "parse"


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class ScoreBundle(Bundle):
    """A run's scores of pure metrics, with everything that they follow from upstream."""

    records: tuple[ScoreCompletedEvent | ScoreFailedEvent, ...] = attrs.field(converter=sequence)
    kind: Literal["score"] = "score"


@attrs.frozen(kw_only=True, field_transformer=named_fields)
class EvaluationBundle(Bundle):
    """A run's workflows (judges, code execution), with their steps and all the rest of the run upstream."""

    records: tuple[EvaluationCompletedEvent | EvaluationFailedEvent, ...] = attrs.field(converter=sequence)
    kind: Literal["evaluation"] = "evaluation"


BUNDLE_TYPES: Final[Mapping[BundleKind, type[Bundle]]] = dict(
    zip(KINDS, (GenerationBundle, ReductionBundle, ParseBundle, ScoreBundle, EvaluationBundle), strict=True)
)
RECORD_TYPES: Final[Mapping[BundleKind, tuple[type[CaseRunEvent], ...]]] = {
    kind: get_args(get_args(get_type_hints(bundle)["records"])[0]) for kind, bundle in BUNDLE_TYPES.items()
}
"""The events that are the records of each kind, as its class says."""


def bundle_kind(name: object) -> BundleKind:
    """Return a bundle kind by its name.

    Raises:
        DataError: there is none of that name.
    """
    for kind in KINDS:
        if kind == name:
            return kind
    raise DataError(f"bundle kind {name!r} is unknown; {nearest(str(name), KINDS)}")


# --- what an event is called ------------------------------------------------------------------------------

_DETAILS: Final = {
    "candidate_index": "candidate",
    "metric_id": "metric",
    "workflow_id": "workflow",
    "step_id": "step",
    "who": "by",
}


def event_name(event: CaseRunEvent) -> str:
    return f"{event.event_type} of {_subject(event)}"


def record_name(event: CaseRunEvent) -> str:
    return f"{event.event_type.rpartition('_')[0]} record of {_subject(event)}"


def _subject(event: CaseRunEvent) -> str:
    details = [f", {word} {getattr(event, field)}" for field, word in _DETAILS.items() if hasattr(event, field)]
    if isinstance(event, StepEvent | LabelGivenEvent) and event.candidate_id is not None:
        details.append(f", answer {event.candidate_id}")
    return f"case {event.case_key}{''.join(details)}"


# --- the document -----------------------------------------------------------------------------------------


# Between what stands on lines of its own: by these a file is read line by line.
DATASETS: Final = b'"datasets":['
_CASES: Final = b'"cases":['
END: Final = b"]}"
RECORDS: Final = b']},"records":['
HEAD: Final = b'],"head":"'


def document(header: Bundle, cases: Iterable[Iterable[Keyed]]) -> Iterator[bytes]:
    """Yield a bundle's document in pieces; each case of its datasets, and each event of `cases`, has its own line."""
    held = {"snapshot": header.snapshot.evolve(datasets=()), "records": (), "upstream": (), "cache_keys": {}}
    data = super(Bundle, header.evolve(**held)).to_dict()
    for name in ("records", "upstream", "cache_keys"):
        del data[name]
    del data["snapshot"]["datasets"]
    head = _header_digest(data)  # what the first event is chained to
    snapshot = data.pop("snapshot")
    yield encode({**data, "digest": head})[:-1] + b',"snapshot":' + encode(snapshot)[:-1] + b"," + DATASETS + b"\n"
    last = len(header.snapshot.datasets) - 1
    for number, dataset in enumerate(header.snapshot.datasets):
        fields = dataset.evolve(cases=()).to_dict()
        del fields["cases"]
        yield encode(fields)[:-1] + b"," + _CASES + b"\n"
        yield from _lines(map(encode, dataset.cases))
        yield END + (b",\n" if number < last else b"\n")
    yield RECORDS + b"\n"

    def records() -> Iterator[bytes]:
        nonlocal head
        for keyed in itertools.chain.from_iterable(cases):
            record, head = _chained(head, *keyed)
            yield record

    yield from _lines(records())
    yield HEAD + head.encode() + b'"}\n'


def _lines(items: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the items of a JSON array, a line each."""
    before = b""
    for item in items:
        yield before + item
        before = b",\n"
    if before:
        yield b"\n"


def _header_digest(fields: Mapping[str, Any]) -> str:
    snapshot = {name: value for name, value in fields["snapshot"].items() if name != "datasets"}
    return chain_digest(CHAIN_START, None, encode({**fields, "snapshot": snapshot}))


def header_from_dict(data: Mapping[str, Any]) -> Bundle:
    """Read a document's header, snapshot included, as a bundle without events.

    Raises:
        SchemaVersionError: another Themis wrote the bundle.
        DataError: `kind` is missing or unknown, or the header is not what was written.
        InvalidRecordError: fields are missing, unknown or of the wrong type; all at once, each with its path.
    """
    version = data.get("schema_version")
    if type(version) is int:
        _readable_schema(version)
    fields = {name: value for name, value in data.items() if name not in ("digest", "records", "head")}
    kind = BUNDLE_TYPES[bundle_kind(data.get("kind"))]
    # What a document has in another form is no field of it.
    foreign = [f"{name}: no field of a bundle's document" for name in ("upstream", "cache_keys") if name in data]
    if foreign:
        raise InvalidRecordError(kind.__name__, foreign)
    bundle: Bundle = super(Bundle, kind).from_dict({**fields, "records": ()})
    if data.get("digest") != _header_digest(fields):
        raise DataError(f"the bundle's header was changed: its digest does not match; {_DAMAGED}")
    return bundle


_DAMAGED: Final = "the file was changed or damaged: export the run again"


def _chained(previous: str, event: CaseRunEvent, cache_key: str | None) -> tuple[bytes, str]:
    """Return an event as a record of a document, in JSON, and its digest, which is the next one's `previous`."""
    body = encode(event)
    digest = chain_digest(previous, cache_key, body)
    beside = {"digest": digest} if cache_key is None else {"cache_key": cache_key, "digest": digest}
    return body[:-1] + b"," + encode(beside)[1:], digest


def read_record(previous: str, data: object) -> tuple[Keyed, str]:
    """Read a record of a document back; return its event and its digest.

    Raises:
        SchemaVersionError: a newer Themis wrote the event.
        InvalidRecordError: fields are missing, unknown or of the wrong type.
        DataError: it is no event of a case, or not what was written in its place.
    """
    if not isinstance(data, Mapping):
        raise InvalidRecordError("event", [f"(top level): an object expected, {type(data).__name__} found"])
    fields = dict(data)
    digest, key = fields.pop("digest", None), fields.pop("cache_key", None)
    if not isinstance(key, str | None):
        raise InvalidRecordError("event", [f"cache_key: str expected, {type(key).__name__} found"])
    event = event_from_dict(fields)
    if not isinstance(event, CaseRunEvent):
        raise DataError(f"an event of a case expected, {event.event_type} found")
    if digest != chain_digest(previous, key, encode(fields)):
        raise DataError(
            f"{record_name(event)}: its content or place was changed: its digest does not match; {_DAMAGED}"
        )
    return (event, key), digest


def check_head(data: object, head: str) -> None:
    """Check that a document ends with the record that it was written to end with."""
    if data != head:
        raise DataError(f"the bundle's last records are missing: its last digest does not match; {_DAMAGED}")


def bundle_from_dict(data: Mapping[str, Any]) -> Bundle:
    """Read a bundle of any kind back from its document.

    Raises:
        SchemaVersionError: another Themis wrote the bundle.
        DataError: `kind` is missing or unknown, or the document was changed or damaged.
        InvalidRecordError: fields are missing, unknown or of the wrong type; all at once, each with its path.
    """
    bundle = header_from_dict(data)
    records = data.get("records")
    if not isinstance(records, Sequence):
        raise InvalidRecordError(type(bundle).__name__, [f"records: a list expected, {type(records).__name__} found"])
    events: list[Keyed] = []
    faults: list[str] = []
    head = data["digest"]
    for number, record in enumerate(records):
        try:
            keyed, head = read_record(head, record)
            events.append(keyed)
        except InvalidRecordError as error:
            faults += [f"records[{number}].{fault}".replace(".(top level)", "") for fault in error.faults]
            head = record.get("digest") if isinstance(record, Mapping) else None  # the others' faults are said too
    if faults:
        raise InvalidRecordError(type(bundle).__name__, faults)
    check_head(data.get("head"), head)
    return bundle.with_events(events)


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
    stages = {metric.stage for metric in metrics if kind == "parse" or not metric.is_scored}
    last = "judge"
    if kind in ("generation", "reduction"):
        last = "generate" if kind == "generation" else "reduce"
    elif stages and kind != "evaluation":  # some metrics are left out
        last = "parse" if kind == "parse" or "score" in stages else "score"
    return None if stage is None else min(stage, last, key=[*map(str, STAGE_ORDER)].index)
