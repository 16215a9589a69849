"""From a case's stored events to its bundle records: what counts now, with what the store keeps beside it.

An event that a later one superseded leaves no record. Folding the events that `merging` makes of the records gives
the very state that the stored events fold into.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import attrs

from themis.pure.bundles.records import (
    KINDS,
    BundledFailure,
    BundledSelection,
    BundledStep,
    BundleKind,
    CaseRecords,
    EvaluationBundleRecord,
    GenerationBundleRecord,
    ParseBundleRecord,
    ReductionBundleRecord,
    ScoreBundleRecord,
)
from themis.pure.chain import BlobOf, read_event
from themis.pure.events import (
    EvaluationCompletedEvent,
    FailedEvent,
    GenerationCompletedEvent,
    ParseCompletedEvent,
    ReductionCompletedEvent,
    RunCompletedEvent,
    RunEvent,
    RunFailedEvent,
    RunStartedEvent,
    ScoreCompletedEvent,
    ScoreFailedEvent,
    StepCompletedEvent,
    StepEvent,
)
from themis.pure.plan import CaseItem, MetricSlot
from themis.pure.records.stored import StoredEvent
from themis.pure.state import CaseState, apply, new_state

_FIRST_KIND: Final[Mapping[str, BundleKind]] = {
    "generation_completed": "generation",
    "generation_failed": "generation",
    "selection_completed": "reduction",
    "selection_failed": "reduction",
    "reduction_completed": "reduction",
    "reduction_failed": "reduction",
    "step_completed": "reduction",
    "step_failed": "reduction",
    "parse_completed": "parse",
    "parse_failed": "parse",
    "score_completed": "score",
    "score_failed": "score",
    "evaluation_completed": "evaluation",
    "evaluation_failed": "evaluation",
}
"""The first kind of bundle that an event counts for; what is not here, none needs."""


@attrs.frozen
class KeptEvent:
    """An event with what its store keeps beside it: the cache key, and the name of its artifact's blob."""

    event: RunEvent
    cache_key: str | None = None
    blob_ref: str | None = None


def kept_events(stored: Iterable[StoredEvent], blob_of: BlobOf, kind: BundleKind) -> Iterator[KeptEvent]:
    """Read what bundles of a kind are made of; events of later stages are not even decoded."""
    wanted = {name for name, first in _FIRST_KIND.items() if KINDS.index(first) <= KINDS.index(kind)}
    for item in stored:
        if item.event_type in wanted:
            blobs = _Noted(blob_of)
            event = read_event(item, blobs)
            yield KeptEvent(event, item.cache_key, blobs.ref)


@attrs.define
class _Noted:
    """Returns blobs and remembers the name of the last one."""

    blob_of: BlobOf
    ref: str | None = None

    def __call__(self, ref: str) -> bytes:
        self.ref = ref
        return self.blob_of(ref)


def case_records(item: CaseItem, events: Iterable[KeptEvent], metrics: Sequence[MetricSlot]) -> CaseRecords:
    """Return the records of one case.

    Args:
        item: the case.
        events: its events, in order.
        metrics: the run's metrics; the answers of other workflows belong to the selection.
    """
    state = new_state(item.case.case_id, item.dataset_id, item.case_key)
    latest: dict[tuple[Any, ...], KeptEvent] = {}
    for kept in events:
        state = apply(state, kept.event)
        latest[_name(kept.event)] = kept
    return _Collector(state, latest, [metric.metric_id for metric in metrics]).records()


def _name(event: Any) -> tuple[Any, ...]:
    """Name what an event tells of: a later event of the same name supersedes it."""
    kind = type(event)
    if kind is GenerationCompletedEvent:
        return kind, event.candidate_index
    if isinstance(event, StepEvent):
        return StepEvent, event.workflow_id, event.step_id, isinstance(event, StepCompletedEvent)
    return kind, getattr(event, "metric_id", None)


@attrs.frozen
class _Collector:
    state: CaseState
    latest: Mapping[tuple[Any, ...], KeptEvent]
    metric_ids: Sequence[str]

    def records(self) -> CaseRecords:
        return CaseRecords(
            **self._case(),
            generation=tuple(self._generations()),
            reduction=tuple(self._reductions()),
            parse=tuple(self._parses()),
            score=tuple(self._scores()),
            evaluation=tuple(record for name in self.metric_ids for record in self._evaluations(name)),
        )

    def _case(self) -> dict[str, Any]:
        state = self.state
        return {"case_id": state.case_id, "dataset_id": state.dataset_id, "case_key": state.case_key}

    def _kept(self, kind: type, name: object = None) -> tuple[Any, dict[str, Any]]:
        """Return an event, and the fields that all records take from theirs."""
        kept = self.latest[kind, name]
        event: Any = kept.event
        fields = {
            **self._case(),
            "candidate_id": event.candidate_id,
            "occurred_at": event.occurred_at,
            "cache_key": kept.cache_key,
            "cache_hit": getattr(event, "cache_hit", False),
            "source_run_id": getattr(event, "source_run_id", None),
        }
        return event, fields

    def _blob_ref(self, kind: type, name: object = None) -> str | None:
        return self.latest[kind, name].blob_ref

    def _generations(self) -> Iterator[GenerationBundleRecord]:
        state = self.state
        for index in sorted({*state.candidates, *state.generation_failures}):
            failure = state.generation_failures.get(index)
            if index not in state.candidates:
                assert failure is not None  # there is one or the other
                yield GenerationBundleRecord(
                    **self._case(),
                    candidate_id=failure.candidate_id,
                    candidate_index=index,
                    failure=_failure(failure),
                )
                continue
            event, fields = self._kept(GenerationCompletedEvent, index)
            yield GenerationBundleRecord(
                **fields,
                candidate_index=index,
                seed=event.seed,
                provider_key=event.provider_key,
                result=event.result,
                result_blob_ref=self._blob_ref(GenerationCompletedEvent, index),
                retry_history=event.retry_history,
                failure=_failure(failure),
            )

    def _reductions(self) -> Iterator[ReductionBundleRecord]:
        state, failure = self.state, _failure(self.state.reduction_failure)
        selection = self._selection()
        if state.reduced is not None:
            event, fields = self._kept(ReductionCompletedEvent)
            ref = self._blob_ref(ReductionCompletedEvent)
            yield ReductionBundleRecord(
                **fields, result=event.result, result_blob_ref=ref, failure=failure, selection=selection
            )
        elif failure is not None or selection is not None:
            yield ReductionBundleRecord(**self._case(), failure=failure, selection=selection)

    def _selection(self) -> BundledSelection | None:
        state = self.state
        steps: list[Any] = [*self._steps(lambda workflow_id: workflow_id not in self.metric_ids)]
        if state.selection is None and state.selection_failure is None and not steps:
            return None
        made = state.selection
        return BundledSelection(
            candidate_ids=made.candidate_ids if made else None,
            metadata=made.metadata if made else {},
            execution=made.execution if made else None,
            failure=_failure(state.selection_failure),
            steps=tuple(self._step(kept) for kept in steps),
            workflow_id=steps[0].event.workflow_id if steps else "",
            occurred_at=made.occurred_at if made else None,
        )

    def _parses(self) -> Iterator[ParseBundleRecord]:
        state, failure = self.state, self.state.parse_failure
        if state.parsed is not None:
            event, fields = self._kept(ParseCompletedEvent)
            ref = self._blob_ref(ParseCompletedEvent)
            yield ParseBundleRecord(
                **fields,
                parser_id=event.parser_id,
                result=event.result,
                result_blob_ref=ref,
                failure=_failure(failure),
            )
        elif failure is not None:
            yield ParseBundleRecord(**self._case(), candidate_id=failure.candidate_id, failure=_failure(failure))

    def _scores(self) -> Iterator[ScoreBundleRecord]:
        state = self.state
        for name in self.metric_ids:
            if name in state.scores:
                yield ScoreBundleRecord(**self._kept(ScoreCompletedEvent, name)[1], score=state.scores[name])
            elif name in state.score_failures:
                yield ScoreBundleRecord(**self._kept(ScoreFailedEvent, name)[1], score=state.score_failures[name])

    def _evaluations(self, name: str) -> Iterator[EvaluationBundleRecord]:
        state = self.state
        steps = tuple(self._step(kept) for kept in self._steps(lambda workflow_id: workflow_id == name))
        failure = state.evaluation_failures.get(name)
        if name in state.executions:
            event, fields = self._kept(EvaluationCompletedEvent, name)
            ref = self._blob_ref(EvaluationCompletedEvent, name)
            yield EvaluationBundleRecord(
                **fields, metric_id=name, execution=event.execution, execution_blob_ref=ref, steps=steps
            )
        elif failure is not None or steps:
            yield EvaluationBundleRecord(
                **self._case(),
                candidate_id=failure.candidate_id if failure else "",
                metric_id=name,
                failure=_failure(failure),
                steps=steps,
            )

    def _steps(self, wanted: Callable[[str], bool]) -> Iterator[KeptEvent]:
        """Yield a workflow's steps: the answer, and a failure only where there is none."""
        for kept in self.latest.values():
            event: Any = kept.event
            if isinstance(event, StepEvent) and wanted(event.workflow_id):
                answered = (StepEvent, event.workflow_id, event.step_id, True)
                if isinstance(event, StepCompletedEvent) or answered not in self.latest:
                    yield kept

    def _step(self, kept: KeptEvent) -> BundledStep:
        step: Any = kept.event
        if isinstance(step, StepCompletedEvent):
            made: dict[str, Any] = {
                "output": step.output,
                "cache_hit": step.cache_hit,
                "source_run_id": step.source_run_id,
            }
        else:
            failure = BundledFailure(error_message=step.error_message, retry_history=step.retry_history)
            made = {"failure": failure}
        return BundledStep(
            step_id=step.step_id,
            step_type=step.step_type,
            metadata=step.metadata,
            occurred_at=step.occurred_at,
            cache_key=kept.cache_key,
            **made,
        )


def _failure(event: FailedEvent | None) -> BundledFailure | None:
    if event is None:
        return None
    return BundledFailure(
        error_message=event.error_message,
        component_id=event.component_id,
        error_type=event.error_type,
        traceback_digest=event.traceback_digest,
        retryable=event.retryable,
        retry_history=event.retry_history,
        occurred_at=event.occurred_at,
    )


def run_fields(events: Iterable[RunEvent]) -> dict[str, Any]:
    """Return what a bundle says of the whole run, from the run's events that are no case's, in order."""
    fields: dict[str, Any] = {}
    for event in events:
        if isinstance(event, RunStartedEvent):
            fields = {"started_at": event.occurred_at}
        elif isinstance(event, RunCompletedEvent):
            fields |= {"ended_at": event.occurred_at, "completed_through_stage": event.completed_through_stage}
        elif isinstance(event, RunFailedEvent):
            fields |= {"ended_at": event.occurred_at, "error_message": event.error_message}
    return fields
