"""From a case's bundle records to the events that they stand for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import attrs

from themis.pure.bundles.records import (
    BundledFailure,
    BundledStep,
    CaseRecords,
    EvaluationBundleRecord,
    GenerationBundleRecord,
    ParseBundleRecord,
    ReductionBundleRecord,
    ScoreBundleRecord,
)
from themis.pure.events import (
    CaseRunEvent,
    EvaluationCompletedEvent,
    EvaluationFailedEvent,
    GenerationCompletedEvent,
    GenerationFailedEvent,
    ParseCompletedEvent,
    ParseFailedEvent,
    ReductionCompletedEvent,
    ReductionFailedEvent,
    ScoreCompletedEvent,
    ScoreFailedEvent,
    SelectionCompletedEvent,
    SelectionFailedEvent,
    StepCompletedEvent,
    StepFailedEvent,
)
from themis.pure.records.scoring import Score


@attrs.frozen
class RecordEvent:
    """An event that a record stands for, with the record's cache key and a name for errors."""

    name: str
    event: CaseRunEvent
    cache_key: str | None = None


def record_events(run_id: str, records: CaseRecords, now: datetime) -> Iterator[RecordEvent]:
    """Yield the events that a case's records stand for, in the order of the stages.

    Args:
        run_id: the run.
        records: the case's records.
        now: when records without a time of their own happened.
    """
    return _Writer(run_id, records, now).events()


@attrs.frozen
class _Writer:
    run_id: str
    case: CaseRecords
    untimed_at: datetime

    def events(self) -> Iterator[RecordEvent]:
        for generation in self.case.generation:
            yield from self._generation(generation)
        for reduction in self.case.reduction:
            yield from self._reduction(reduction)
        for parse in self.case.parse:
            yield from self._parse(parse)
        for score in self.case.score:
            yield self._score(score)
        for evaluation in self.case.evaluation:
            yield from self._evaluation(evaluation)

    def _name(self, stage: str, *details: str) -> str:
        return ", ".join([f"{stage} record of case {self.case.case_key}", *details])

    def _fields(self, occurred_at: datetime | None) -> dict[str, Any]:
        return {
            "run_id": self.run_id,
            "occurred_at": occurred_at or self.untimed_at,
            "case_id": self.case.case_id,
            "dataset_id": self.case.dataset_id,
            "case_key": self.case.case_key,
        }

    def _failed(self, failure: BundledFailure) -> dict[str, Any]:
        return {
            **self._fields(failure.occurred_at),
            "component_id": failure.component_id,
            "error_type": failure.error_type,
            "error_message": failure.error_message,
            "traceback_digest": failure.traceback_digest,
            "retryable": failure.retryable,
            "retry_history": failure.retry_history,
        }

    def _generation(self, record: GenerationBundleRecord) -> Iterator[RecordEvent]:
        name = self._name("generation", f"candidate {record.candidate_index}")
        candidate: dict[str, Any] = {"candidate_id": record.candidate_id, "candidate_index": record.candidate_index}
        if record.result is not None:
            made = GenerationCompletedEvent(
                **self._fields(record.occurred_at),
                **candidate,
                seed=record.seed,
                provider_key=record.provider_key,
                result=record.result,
                cache_hit=record.cache_hit,
                source_run_id=record.source_run_id,
                retry_history=record.retry_history,
            )
            yield RecordEvent(name, made, record.cache_key)
        if record.failure is not None:
            yield RecordEvent(name, GenerationFailedEvent(**self._failed(record.failure), **candidate))

    def _reduction(self, record: ReductionBundleRecord) -> Iterator[RecordEvent]:
        if record.selection is not None:
            yield from self._selection(record)
        name = self._name("reduction")
        if record.result is not None:
            made = ReductionCompletedEvent(
                **self._fields(record.occurred_at),
                candidate_id=record.result.candidate_id,
                source_candidate_ids=record.result.source_candidate_ids,
                result=record.result,
                cache_hit=record.cache_hit,
                source_run_id=record.source_run_id,
            )
            yield RecordEvent(name, made, record.cache_key)
        if record.failure is not None:
            yield RecordEvent(name, ReductionFailedEvent(**self._failed(record.failure)))

    def _selection(self, record: ReductionBundleRecord) -> Iterator[RecordEvent]:
        selection, name = record.selection, self._name("selection")
        assert selection is not None  # asked for where there is one
        yield from self._steps(name, selection.workflow_id, selection.steps)
        if selection.candidate_ids is not None:
            made = SelectionCompletedEvent(
                **self._fields(selection.occurred_at),
                candidate_ids=selection.candidate_ids,
                metadata=selection.metadata,
                execution=selection.execution,
            )
            yield RecordEvent(name, made)
        if selection.failure is not None:
            yield RecordEvent(name, SelectionFailedEvent(**self._failed(selection.failure)))

    def _parse(self, record: ParseBundleRecord) -> Iterator[RecordEvent]:
        name = self._name("parse")
        if record.result is not None:
            made = ParseCompletedEvent(
                **self._fields(record.occurred_at),
                candidate_id=record.candidate_id,
                parser_id=record.parser_id,
                result=record.result,
                cache_hit=record.cache_hit,
                source_run_id=record.source_run_id,
            )
            yield RecordEvent(name, made, record.cache_key)
        if record.failure is not None:
            failed = self._failed(record.failure)
            yield RecordEvent(name, ParseFailedEvent(**failed, candidate_id=record.candidate_id))

    def _score(self, record: ScoreBundleRecord) -> RecordEvent:
        fields = {**self._fields(record.occurred_at), "candidate_id": record.candidate_id}
        name = self._name("score", f"metric {record.metric_id}")
        if not isinstance(record.score, Score):
            return RecordEvent(name, ScoreFailedEvent(**fields, metric_id=record.metric_id, error=record.score))
        made = ScoreCompletedEvent(
            **fields,
            metric_id=record.metric_id,
            score=record.score,
            cache_hit=record.cache_hit,
            source_run_id=record.source_run_id,
        )
        return RecordEvent(name, made, record.cache_key)

    def _evaluation(self, record: EvaluationBundleRecord) -> Iterator[RecordEvent]:
        name = self._name("evaluation", f"metric {record.metric_id}")
        what: dict[str, Any] = {"candidate_id": record.candidate_id, "metric_id": record.metric_id}
        yield from self._steps(name, record.metric_id, record.steps)
        if record.execution is not None:
            fields = self._fields(record.occurred_at)
            yield RecordEvent(name, EvaluationCompletedEvent(**fields, **what, execution=record.execution))
        if record.failure is not None:
            yield RecordEvent(name, EvaluationFailedEvent(**self._failed(record.failure), **what))

    def _steps(self, name: str, workflow_id: str, steps: tuple[BundledStep, ...]) -> Iterator[RecordEvent]:
        for step in steps:
            fields = {
                **self._fields(step.occurred_at),
                "workflow_id": workflow_id,
                "step_id": step.step_id,
                "step_type": step.step_type,
                "metadata": step.metadata,
            }
            made: CaseRunEvent
            if step.failure is None:
                made = StepCompletedEvent(
                    **fields, output=step.output, cache_hit=step.cache_hit, source_run_id=step.source_run_id
                )
            else:
                made = StepFailedEvent(
                    **fields, error_message=step.failure.error_message, retry_history=step.failure.retry_history
                )
            yield RecordEvent(f"{name}, step {step.step_id}", made, step.cache_key)
