"""Inspection: looking into a stored run without running anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import attrs

from themis.api.runs.result import RunResult, threshold_of
from themis.effects.reading import read_case, read_state
from themis.pure.case_view import CaseView, case_view
from themis.pure.chain import read_event
from themis.pure.errors import DataError, SpecError, listed, nearest
from themis.pure.events import RunCompletedEvent, RunFailedEvent, RunStartedEvent
from themis.pure.json import JSONValue, freeze_mapping, thaw
from themis.pure.plan import CaseItem, RunPlan, candidate_count, case_items, make_plan, metric_slots, total_cases
from themis.pure.projections import CORRECT_FROM, Tallies
from themis.pure.protocols import RunStore
from themis.pure.records.base import HashableModel
from themis.pure.records.fields import sequence
from themis.pure.records.judging import EvaluationExecution
from themis.pure.records.results import RunStatus
from themis.pure.records.snapshot import RunSnapshot
from themis.pure.state import ExecutionState

MOST_NAMES = 2000
"""Case ids that are searched for one that a misspelt one may mean."""


def get_run_snapshot(store: RunStore, run_id: str) -> RunSnapshot:
    """Return a run's compiled identity and provenance; its cases are read from the store as needed.

    Args:
        store: where the run is.
        run_id: the run.

    Raises:
        RunNotFoundError: the store has no such run.
    """
    return store.load_snapshot(run_id)


def get_execution_state(store: RunStore, run_id: str) -> ExecutionState:
    """Return the state of a run, case by case: what is there, what failed and why.

    It holds the whole run; `quickcheck` sums up one that does not fit into memory.

    Args:
        store: where the run is.
        run_id: the run.

    Raises:
        RunNotFoundError: the store has no such run.
    """
    store.load_snapshot(run_id)  # a run that was never started has a state too, and an unknown one has not
    return read_state(store, run_id)


def get_evaluation_execution(
    store: RunStore,
    run_id: str,
    case_id: str,
    metric_id: str,
    *,
    dataset_id: str | None = None,
    case_key: str | None = None,
) -> EvaluationExecution | None:
    """Return how a metric's workflow went on a case; `None` if it has not come to it, or the metric has none.

    Args:
        store: where the run is.
        run_id: the run.
        case_id: the case.
        metric_id: a metric that judges or runs code.
        dataset_id: which dataset's case, where two have one of this id.
        case_key: the case's key within the run, which says both.

    Raises:
        RunNotFoundError: the store has no such run.
        DataError: the run has no such case, or several: the error lists them.
        SpecError: the run has no such metric.
    """
    snapshot = store.load_snapshot(run_id)
    known = [metric.metric_id for metric in metric_slots(snapshot)]
    if metric_id not in known:
        raise SpecError(f"metric_id: the run has no metric {metric_id!r}; {nearest(metric_id, known)}")
    item = find_case(snapshot, case_id, dataset_id, case_key)
    return read_case(store, run_id, item).executions.get(metric_id) if store.head(run_id).count else None


def find_case(
    snapshot: RunSnapshot, case_id: str, dataset_id: str | None = None, case_key: str | None = None
) -> CaseItem:
    """Return a case of a run by its id.

    Raises:
        DataError: there is none, or there are several: the error lists them.
    """
    found = [
        item
        for item in case_items(snapshot)
        if item.case.case_id == case_id and dataset_id in (None, item.dataset_id) and case_key in (None, item.case_key)
    ]
    if len(found) == 1:
        return found[0]
    if found:
        choices = [f"dataset_id={item.dataset_id!r} (case_key {item.case_key!r})" for item in found]
        raise DataError(listed(f"case_id {case_id!r} is in {len(found)} datasets; say which", choices))
    given = {"dataset_id": dataset_id, "case_key": case_key}
    narrowed = "".join(f" with {name} {value!r}" for name, value in given.items() if value is not None)
    raise DataError(f"the run has no case {case_id!r}{narrowed}; {_near(snapshot, case_id)}")


def _near(snapshot: RunSnapshot, case_id: str) -> str:
    total = total_cases(snapshot)
    if total > MOST_NAMES:
        return f"it has {total:,} cases, of datasets {', '.join(d.dataset_id for d in snapshot.datasets)}"
    return nearest(case_id, {item.case.case_id for item in case_items(snapshot)})


def get_case_view(
    store: RunStore, run_id: str, case_id: str, *, dataset_id: str | None = None, case_key: str | None = None
) -> CaseView:
    """Return one case, whole: prompt, candidates, parsed answer, scores, judgments, and every try that failed.

    `str()` of it is for a terminal, `to_dict()` for programs. Arguments and errors as for
    `get_evaluation_execution`.
    """
    snapshot = store.load_snapshot(run_id)
    item = find_case(snapshot, case_id, dataset_id, case_key)
    stored = store.case_events(run_id, item.case_no) if store.head(run_id).count else ()
    events = [read_event(event, store.blob) for event in stored]
    prompt = snapshot.identity.generation_prompt_spec
    return case_view(item, events, metric_slots(snapshot), threshold_of(snapshot), prompt)


# --- summaries --------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class MetricCheck(HashableModel):
    """One metric at a glance: of the cases planned, how many were scored and how; the rest are errors.

    `mean` is over scored cases only, and `None` if there are none.
    """

    metric_id: str
    planned: int
    scored: int
    errors: int
    correct: int
    incorrect: int
    mean: float | None = None


@attrs.frozen(kw_only=True)
class QuickCheck(HashableModel):
    """A run at a glance.

    Attributes:
        status: `partial_failure` when the run went through and some cases lack a score.
        attempts: how often the run was begun.
        started_cases: cases of which anything is stored.
    """

    run_id: str
    status: RunStatus
    completed_through_stage: str | None = None
    error_message: str | None = None
    attempts: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None
    generator_id: str = ""
    dataset_ids: tuple[str, ...] = attrs.field(default=(), converter=sequence)
    total_cases: int = 0
    started_cases: int = 0
    event_count: int = 0
    metrics: tuple[MetricCheck, ...] = attrs.field(default=(), converter=sequence)

    def __str__(self) -> str:
        through = f", through {self.completed_through_stage}" if self.completed_through_stage else ""
        why = f": {self.error_message}" if self.error_message else ""
        lines = [
            f"run {self.run_id}",
            f"{self.status}{through}{why}; attempts: {self.attempts}",
            f"{self.generator_id} on {', '.join(self.dataset_ids)}: {self.started_cases} of {self.total_cases} cases",
        ]
        for metric in self.metrics:
            mean = "-" if metric.mean is None else f"{metric.mean:.4f}"
            lines.append(f"{metric.metric_id}: mean {mean} over {metric.scored} scored cases, {metric.errors} errors")
        return "\n".join(lines)


def quickcheck(store: RunStore, run_id: str) -> QuickCheck:
    """Sum a run up: where it stands, and every metric's counts and mean. Nothing is written.

    A store that can count by itself (SQLite) does so; of others, and where metrics judge or run code, every case is
    read.

    Args:
        store: where the run is.
        run_id: the run.

    Raises:
        RunNotFoundError: the store has no such run.
    """
    snapshot = store.load_snapshot(run_id)
    head = store.head(run_id)
    total = total_cases(snapshot)
    ending = _ending(store, run_id) if head.count else {}
    started, metrics, has_failures = _counts(store, snapshot, total) if head.count else _nothing(snapshot, total)
    status = ending.pop("status", RunStatus.PENDING)
    if status is RunStatus.COMPLETED and (has_failures or any(metric.errors for metric in metrics)):
        status = RunStatus.PARTIAL_FAILURE
    return QuickCheck(
        run_id=run_id,
        status=status,
        **ending,
        generator_id=snapshot.identity.generator_ref.component_id,
        dataset_ids=[dataset.dataset_id for dataset in snapshot.datasets],
        total_cases=total,
        started_cases=started,
        event_count=head.count,
        metrics=metrics,
    )


def _ending(store: RunStore, run_id: str) -> dict[str, Any]:
    """Return where the last attempt stands."""
    attempts, last = 0, None
    first = None
    for stored in store.run_events(run_id):
        event = read_event(stored, store.blob)
        last, first = event, first or event
        attempts += isinstance(event, RunStartedEvent)
    fields: dict[str, Any] = {"attempts": attempts, "started_at": first and first.occurred_at}
    if isinstance(last, RunCompletedEvent):
        fields |= {"status": RunStatus.COMPLETED, "completed_through_stage": last.completed_through_stage}
    elif isinstance(last, RunFailedEvent):
        fields |= {"status": RunStatus.FAILED, "error_message": last.error_message}
    elif last is not None:
        fields |= {"status": RunStatus.RUNNING}
    if last is not None and not isinstance(last, RunStartedEvent):
        fields["ended_at"] = last.occurred_at
    return fields


Counts = tuple[int, list[MetricCheck], bool]
"""How many cases are begun, every metric's counts, and whether a case failed that no metric shows."""


def _nothing(snapshot: RunSnapshot, total: int) -> Counts:
    metrics = [
        MetricCheck(metric_id=metric.metric_id, planned=total, scored=0, errors=total, correct=0, incorrect=0)
        for metric in metric_slots(snapshot)
    ]
    return 0, metrics, False


def _counts(store: RunStore, snapshot: RunSnapshot, total: int) -> Counts:
    plan = make_plan(snapshot)
    count = getattr(store, "count_scores", None)
    if count is not None and plan.metrics and all(metric.family == "pure" for metric in plan.metrics):
        return _counted(count, store, snapshot, plan, total)
    result = RunResult(snapshot=snapshot, store=store)
    benchmark = result.benchmark
    metrics = []
    for name in benchmark.metric_ids:
        outcomes = benchmark.outcome_counts[name]
        metrics.append(
            MetricCheck(
                metric_id=name,
                planned=total,
                scored=outcomes["correct"] + outcomes["incorrect"],
                errors=outcomes["error"],
                correct=outcomes["correct"],
                incorrect=outcomes["incorrect"],
                mean=benchmark.metric_means.get(name),
            )
        )
    numbers = {stored.case_no for stored in store.events_by_case(snapshot.run_id)}
    return len(numbers), metrics, benchmark.failed_cases > 0


def _counted(count: Any, store: RunStore, snapshot: RunSnapshot, plan: RunPlan, total: int) -> Counts:
    names = [metric.metric_id for metric in plan.metrics]
    thresholds = {name: snapshot.metric_thresholds.get(name, CORRECT_FROM) for name in names}
    usual = plan.candidate_count + plan.selects + 2 + len(names)
    started, unclear, counts = count(snapshot.run_id, thresholds, usual)
    tallies = Tallies(plan.metrics, threshold_of(snapshot))
    for item in _numbered(snapshot, {*unclear}):
        tallies.add(read_case(store, snapshot.run_id, item))
    rest = tallies.result(snapshot.run_id, ())
    metrics = []
    for name in names:
        scored, correct, sum_of_scores = counts[name]
        outcomes = rest.outcome_counts[name]
        more = outcomes["correct"] + outcomes["incorrect"]
        correct, scored = correct + outcomes["correct"], scored + more
        sum_of_scores += rest.metric_means.get(name, 0.0) * more
        metrics.append(
            MetricCheck(
                metric_id=name,
                planned=total,
                scored=scored,
                errors=total - scored,
                correct=correct,
                incorrect=scored - correct,
                mean=sum_of_scores / scored if scored else None,
            )
        )
    return started, metrics, tallies.failed > 0


def _numbered(snapshot: RunSnapshot, numbers: set[int]) -> Iterator[CaseItem]:
    return (item for item in case_items(snapshot) if item.case_no in numbers) if numbers else iter(())


def snapshot_report(snapshot: RunSnapshot, run_metadata: Mapping[str, JSONValue] | None = None) -> dict[str, JSONValue]:
    """Return a summary of a compiled experiment as plain JSON: what is run on what, and where it was compiled.

    Args:
        snapshot: what `compile()` or `get_run_snapshot` returned.
        run_metadata: facts to put beside it, under `run_metadata`.

    Raises:
        JSONValueError: the metadata is not JSON.
    """
    identity, provenance, refs = snapshot.identity, snapshot.provenance, snapshot.component_refs
    report: dict[str, JSONValue] = {
        "run_id": snapshot.run_id,
        "total_cases": total_cases(snapshot),
        "candidates_per_case": candidate_count(identity.candidate_policy),
        "datasets": [
            {**ref.to_dict(), "cases": len(dataset.cases), "metadata": dict(dataset.metadata)}
            for ref, dataset in zip(identity.dataset_refs, snapshot.datasets, strict=True)
        ],
        "components": {
            "generator": _data(refs.generator),
            "selector": _data(refs.selector),
            "reducer": _data(refs.reducer),
            "parsers": [_data(ref) for ref in refs.parsers],
            "judge_models": [_data(ref) for ref in refs.judge_models],
        },
        "metrics": [
            {**ref.to_dict(), "family": slot.family, "threshold": snapshot.metric_thresholds.get(slot.metric_id)}
            for ref, slot in zip(refs.metrics, metric_slots(snapshot), strict=True)
        ],
        "seeds": list(identity.seeds),
        "generation_prompt_spec": _data(identity.generation_prompt_spec),
        "evaluation_prompt_spec": _data(identity.evaluation_prompt_spec),
        "provenance": provenance.to_dict(),
    }
    if run_metadata is not None:
        report["run_metadata"] = thaw(freeze_mapping(run_metadata, "run_metadata"))
    return report


def _data(record: HashableModel | None) -> JSONValue:
    return None if record is None else record.to_dict()
