"""Taking bundle records into a run: which of their events it lacks, and what is wrong with them.

What the run has already is passed over, so that importing twice is importing once. What contradicts the run, or rests
on something that neither the run nor the bundle has, is a fault: the bundle is then refused whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from themis.pure.bundles.expanding import RecordEvent, record_events
from themis.pure.bundles.records import KINDS, CaseRecords, StageBundle
from themis.pure.chain import Entry
from themis.pure.events import (
    EvaluationCompletedEvent,
    EvaluationFailedEvent,
    GenerationCompletedEvent,
    GenerationFailedEvent,
    ParseCompletedEvent,
    ParseFailedEvent,
    ReductionCompletedEvent,
    ReductionFailedEvent,
    RunCompletedEvent,
    RunFailedEvent,
    RunStartedEvent,
    ScoreCompletedEvent,
    ScoreFailedEvent,
    SelectionCompletedEvent,
    SelectionFailedEvent,
    StepCompletedEvent,
    StepFailedEvent,
)
from themis.pure.identity import candidate_id
from themis.pure.json import encode
from themis.pure.plan import STAGE_ORDER, CaseItem, RunPlan
from themis.pure.projections import steady
from themis.pure.records.judging import EvaluationExecution
from themis.pure.state import CaseState, apply, step_key


class CaseMerge:
    """Takes one case's records into a run: `entries` is what the run lacks, `faults` why it takes none of them."""

    def __init__(self, plan: RunPlan, item: CaseItem, before: CaseState, records: CaseRecords, now: datetime) -> None:
        self.faults: list[str] = [*_record_faults(item, records)]
        self.entries: list[Entry] = []
        self._plan = plan
        self._before = before
        self._after = before
        self._taken = {*_taken_workflows(before, records)}
        for made in record_events(plan.run_id, records, now):
            if not self.faults:  # what comes after a fault rests on it
                self._take(item, made)

    def _take(self, item: CaseItem, made: RecordEvent) -> None:
        problem = _MISSING[type(made.event)](self._plan, self._after, made.event)
        if problem is not None:
            self.faults.append(f"{made.name}: {problem}")
            return
        known = self._known(made.event)
        if known is None:
            self.faults.append(f"{made.name}: {_CONTRADICTS}")
        elif not known:
            self._after = apply(self._after, made.event)
            self.entries.append(Entry(item.case_no, made.event, made.cache_key))

    def _known(self, event: Any) -> bool | None:
        """Tell whether the run has this already; `None` if it has something else in its place."""
        if isinstance(event, StepFailedEvent):
            return event.workflow_id not in self._taken
        if isinstance(event, StepCompletedEvent):
            has = self._before.steps.get(step_key(event.workflow_id, event.step_id))
            return has is not None and (event.workflow_id not in self._taken or has.output == event.output)
        if isinstance(event, EvaluationCompletedEvent):
            return _execution_known(self._before.executions.get(event.metric_id), event.execution)
        if isinstance(event, ScoreFailedEvent):
            return event.metric_id in self._before.scores or event.metric_id in self._before.score_failures
        if type(event) in _FAILURES:
            result, failure = _FAILURES[type(event)](self._before, event)
            return result is not None or failure is not None
        has, new = _ARTIFACTS[type(event)](self._before, event)
        return False if has is None else True if has == new or _same(has, new) else None


_CONTRADICTS: Final = (
    "the store has another result in its place, and an import changes no result; "
    "import into a store without this run, or clear the run first"
)


def _same(has: Any, new: Any) -> bool:
    """Tell whether two results differ in nothing but times and transport facts."""
    return bool(hasattr(has, "latency_ms") and steady(has) == steady(new))


def _execution_known(has: EvaluationExecution | None, new: EvaluationExecution | None) -> bool | None:
    if has is None or new is None:
        return False
    if has == new or steady(has) == steady(new) or new.status != "completed":
        return True
    return False if has.status != "completed" else None


def _taken_workflows(before: CaseState, records: CaseRecords) -> Iterator[str]:
    """Yield the workflows that are taken over, with their own answers: they would not follow from others."""
    for record in records.evaluation:
        has = before.executions.get(record.metric_id)
        if record.execution is not None and _execution_known(has, record.execution) is False:
            yield record.metric_id
    for reduction in records.reduction:
        if reduction.selection is not None and before.selection is None and before.selection_failure is None:
            yield reduction.selection.workflow_id


_ARTIFACTS: Final[Mapping[type, Callable[[CaseState, Any], tuple[Any, Any]]]] = {
    GenerationCompletedEvent: lambda state, event: (state.candidates.get(event.candidate_index), event.result),
    SelectionCompletedEvent: lambda state, event: (
        state.selection and state.selection.candidate_ids,
        event.candidate_ids,
    ),
    ReductionCompletedEvent: lambda state, event: (state.reduced, event.result),
    ParseCompletedEvent: lambda state, event: (state.parsed, event.result),
    ScoreCompletedEvent: lambda state, event: (state.scores.get(event.metric_id), event.score),
}
_FAILURES: Final[Mapping[type, Callable[[CaseState, Any], tuple[Any, Any]]]] = {
    GenerationFailedEvent: lambda state, event: (
        state.candidates.get(event.candidate_index),
        state.generation_failures.get(event.candidate_index),
    ),
    SelectionFailedEvent: lambda state, event: (state.selection, state.selection_failure),
    ReductionFailedEvent: lambda state, event: (state.reduced, state.reduction_failure),
    ParseFailedEvent: lambda state, event: (state.parsed, state.parse_failure),
    EvaluationFailedEvent: lambda state, event: (
        state.executions.get(event.metric_id),
        state.evaluation_failures.get(event.metric_id),
    ),
}


# --- what a record rests on -------------------------------------------------------------------------------


def _candidate(plan: RunPlan, state: CaseState, event: Any) -> str | None:
    index = event.candidate_index
    if not 0 <= index < plan.candidate_count:
        return f"the run has {plan.candidate_count} candidate(s) a case, counted from 0"
    expected, result = candidate_id(state.case_id, index), getattr(event, "result", None)
    for found in (event.candidate_id, result.candidate_id if result is not None else expected):
        if found != expected:
            return f"candidate {index} of this case is named {expected!r}, and {found!r} was found"
    return None


def _selection(plan: RunPlan, state: CaseState, event: Any) -> str | None:
    if not plan.selects:
        return "the run has no selector"
    chosen = set(getattr(event, "candidate_ids", ())) - {c.candidate_id for c in state.candidates.values()}
    return _all_candidates(plan, state) or (f"no such candidates: {', '.join(sorted(chosen))}" if chosen else None)


def _reduction(plan: RunPlan, state: CaseState, event: Any) -> str | None:
    if plan.selects and state.selection is None:
        return "it rests on a selection that is missing"
    return _all_candidates(plan, state)


def _all_candidates(plan: RunPlan, state: CaseState) -> str | None:
    missing = [str(index) for index in range(plan.candidate_count) if index not in state.candidates]
    return f"it rests on candidates that are missing: {', '.join(missing)}; {_IMPORT_FIRST}" if missing else None


def _parse(plan: RunPlan, state: CaseState, event: Any) -> str | None:
    return None if state.reduced is not None else f"it rests on a reduction that is missing; {_IMPORT_FIRST}"


def _metric(plan: RunPlan, state: CaseState, event: Any) -> str | None:
    families = {metric.metric_id: metric.family for metric in plan.metrics}
    family = families.get(event.metric_id)
    is_score = isinstance(event, ScoreCompletedEvent | ScoreFailedEvent)
    if family is None or (family == "pure") != is_score:
        kind = "pure metric" if is_score else "metric that judges or runs code"
        return f"the run has no {kind} {event.metric_id!r}"
    if state.parsed is None or not state.parsed.usable:
        return f"it rests on a usable parsed answer, and there is none; {_IMPORT_FIRST}"
    return None


_IMPORT_FIRST: Final = "import the bundle of the stage before first"

_MISSING: Final[Mapping[type, Callable[[RunPlan, CaseState, Any], str | None]]] = {
    GenerationCompletedEvent: _candidate,
    GenerationFailedEvent: _candidate,
    SelectionCompletedEvent: _selection,
    SelectionFailedEvent: _selection,
    ReductionCompletedEvent: _reduction,
    ReductionFailedEvent: _reduction,
    ParseCompletedEvent: _parse,
    ParseFailedEvent: _parse,
    ScoreCompletedEvent: _metric,
    ScoreFailedEvent: _metric,
    EvaluationCompletedEvent: _metric,
    EvaluationFailedEvent: _metric,
    StepCompletedEvent: lambda plan, state, event: None,
    StepFailedEvent: lambda plan, state, event: None,
}


def _record_faults(item: CaseItem, records: CaseRecords) -> Iterator[str]:
    """Yield records of another case than the run has, and records whose blob hash is not their artifact's."""
    case = (item.case.case_id, item.dataset_id, item.case_key)
    for kind in KINDS:
        field = "execution" if kind == "evaluation" else "result"
        for record in records.of(kind):
            name = f"{kind} record of case {item.case_key}"
            if (record.case_id, record.dataset_id, record.case_key) != case:
                found = f"{record.case_id!r} of dataset {record.dataset_id!r} (key {record.case_key!r})"
                yield f"{name}: it says that it is of case {found}"
            ref = getattr(record, f"{field}_blob_ref", None)
            if ref is not None and hashlib.sha256(encode(getattr(record, field))).hexdigest() != ref:
                yield f"{name}: its {field} is not what {field}_blob_ref ({ref}) names"


# --- the whole run ----------------------------------------------------------------------------------------


def opening_entries(bundle: StageBundle, stored: Mapping[str, Any]) -> list[Entry]:
    """Return how a run begins that the store knows nothing of, if the bundle says it."""
    if stored or bundle.started_at is None:
        return []
    return [Entry(None, RunStartedEvent(run_id=bundle.run_id, occurred_at=bundle.started_at))]


def closing_entries(bundle: StageBundle, stored: Mapping[str, Any], now: datetime) -> list[Entry]:
    """Return how a run ends that has taken a bundle in.

    Args:
        bundle: the bundle.
        stored: what the store said of the run before, as `run_fields` returns it.
        now: when it ended, if the bundle does not say.
    """
    stage, had = bundle.completed_through_stage, stored.get("completed_through_stage")
    common: dict[str, Any] = {"run_id": bundle.run_id, "occurred_at": bundle.ended_at or now}
    if stage is not None and (had is None or STAGE_ORDER.index(stage) > STAGE_ORDER.index(had)):
        return [Entry(None, RunCompletedEvent(**common, completed_through_stage=stage))]
    if bundle.error_message is not None and not stored:
        return [Entry(None, RunFailedEvent(**common, error_message=bundle.error_message))]
    return []
