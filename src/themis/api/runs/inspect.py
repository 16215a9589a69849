"""Inspection: looking into a stored run without running anything."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import attrs

from themis.api.runs.view import RunView
from themis.pure.case_view import CaseView
from themis.pure.errors import SpecError, nearest
from themis.pure.json import JSONValue, freeze_mapping, thaw
from themis.pure.pipeline.table import happy_path
from themis.pure.plan import candidate_count, metric_slots, total_cases
from themis.pure.projections import Tallies, timeline, trace_view
from themis.pure.protocols import RunStore
from themis.pure.records.base import HashableModel
from themis.pure.records.fields import sequence
from themis.pure.records.judging import EvaluationExecution
from themis.pure.records.results import RunStatus, TimelineView, TraceView
from themis.pure.records.snapshot import RunSnapshot
from themis.pure.state import ExecutionState, StoredRun, fold, has_failures
from themis.pure.stopping import Stop
from themis.pure.text import one_line


def get_run_snapshot(store: RunStore, run_id: str) -> RunSnapshot:
    """Return a run's compiled identity and provenance; its cases are read from the store as needed.

    Args:
        store: where the run is.
        run_id: the run.

    Raises:
        RunNotFoundError: the store has no such run.
    """
    return store.load_snapshot(run_id)


def get_stored_run(store: RunStore, run_id: str) -> StoredRun:
    """Return a run as it is stored: its snapshot and every event, in order.

    It holds the whole run, its cases included.

    Arguments and errors as for `get_run_snapshot`.

    >>> from themis import InMemoryRunStore, evaluate
    >>> store = InMemoryRunStore()
    >>> rows = [{"input": "1 + 1", "expected_output": "2"}]
    >>> result = evaluate(model="builtin/demo_generator", data=rows, metric="builtin/exact_match", store=store)
    >>> stored = get_stored_run(store, result.run_id)
    >>> stored.events[0].event_type, stored.execution_state.status == result.status
    ('run_started', True)
    """
    view = RunView.of(store, run_id)
    return StoredRun(snapshot=view.snapshot, events=view.events())


def get_timeline(store: RunStore, run_id: str) -> TimelineView:
    """Return when each thing happened, in order: every event's type, time, case, candidate and metric, as `entries`.

    Arguments and errors as for `get_run_snapshot`.

    >>> from themis import InMemoryRunStore, evaluate
    >>> store = InMemoryRunStore()
    >>> rows = [{"input": "1 + 1", "expected_output": "2"}]
    >>> result = evaluate(model="builtin/demo_generator", data=rows, metric="builtin/exact_match", store=store)
    >>> [entry.event_type for entry in get_timeline(store, result.run_id).entries][:2]
    ['run_started', 'generation_completed']
    """
    return timeline(run_id, RunView.of(store, run_id).events())


def get_traces(store: RunStore, run_id: str) -> TraceView:
    """Return the traces and conversations of a run's candidates and the traces of its judging and code execution.

    Each is with its case, and its candidate or metric, in `generation_traces`, `conversation_traces` and
    `evaluation_traces`; what recorded none is not listed.

    Arguments and errors as for `get_run_snapshot`.

    >>> from themis import InMemoryRunStore, evaluate
    >>> store = InMemoryRunStore()
    >>> rows = [{"input": "1 + 1", "expected_output": "2"}]
    >>> result = evaluate(model="builtin/demo_generator", data=rows, metric="builtin/exact_match", store=store)
    >>> len(get_traces(store, result.run_id).evaluation_traces)
    0
    """
    return trace_view(run_id, (state for _, state in RunView.of(store, run_id).cases()))


def get_execution_state(store: RunStore, run_id: str) -> ExecutionState:
    """Return the state of a run, case by case: what is there, what failed and why.

    It holds the whole run; `quickcheck` sums up one that does not fit into memory.

    Arguments and errors as for `get_run_snapshot`.
    """
    return fold(run_id, RunView.of(store, run_id).events())


def get_evaluation_execution(
    store: RunStore,
    run_id: str,
    case_id: str,
    metric_id: str,
    *,
    dataset_id: str | None = None,
    case_key: str | None = None,
) -> EvaluationExecution | None:
    """Return how a metric's workflow went on a case; `None` if it was not reached, or the metric has none.

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
    view = RunView.of(store, run_id)
    known = [metric.metric_id for metric in view.metrics]
    if metric_id not in known:
        raise SpecError(f"metric_id: the run has no metric {metric_id!r}; {nearest(metric_id, known)}")
    item = view.find(case_id, dataset_id, case_key)
    return view.state_of(item).executions.get(metric_id)


def get_case_view(
    store: RunStore, run_id: str, case_id: str, *, dataset_id: str | None = None, case_key: str | None = None
) -> CaseView:
    """Return one case, whole: prompt, candidates, parsed answer, scores, judgments, and every try that failed.

    `str()` of it is for a terminal, `to_dict()` for programs. Arguments and errors as for
    `get_evaluation_execution`.
    """
    view = RunView.of(store, run_id)
    item = view.find(case_id, dataset_id, case_key)
    return view.in_full(item, view.events_of(item))


# --- summaries --------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class MetricCheck(HashableModel):
    """One metric at a glance: of the answers planned, how many were scored and how; the rest are errors.

    `mean` is over scored answers only, and `None` if there are none.
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
        total_cases: cases that are planned: all, or those up to where the run's rule ends it.
        started_cases: planned cases of which anything is stored.
        stop: where the rule ends it, if it has one.
    """

    run_id: str
    name: str | None = None
    tags: tuple[str, ...] = attrs.field(default=(), converter=sequence)
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
    stop: Stop | None = None

    def __str__(self) -> str:
        through = f", through {self.completed_through_stage}" if self.completed_through_stage else ""
        why = f": {self.error_message}" if self.error_message else ""
        named = ", ".join([*filter(None, [self.name]), *(f"#{tag}" for tag in self.tags)])
        lines = [
            f"run {self.run_id}",
            *([named] if named else []),
            f"{self.status}{through}{why}; attempts: {self.attempts}",
            f"{self.generator_id} on {', '.join(self.dataset_ids)}: {self.started_cases} of {self.total_cases} cases",
            *([] if self.stop is None else [str(self.stop)]),
        ]
        for metric in self.metrics:
            mean = "-" if metric.mean is None else f"{metric.mean:.4f}"
            what = "cases" if metric.planned == self.total_cases else "answers"
            lines.append(f"{metric.metric_id}: mean {mean} over {metric.scored} scored {what}, {metric.errors} errors")
        return "\n".join(map(one_line, lines))


def quickcheck(store: RunStore, run_id: str) -> QuickCheck:
    """Sum a run up: its status, and every metric's counts and mean. Nothing is written.

    A store that can count by itself (SQLite) does so; of others, and where metrics judge or run code, every case is
    read.

    Arguments and errors as for `get_run_snapshot`.
    """
    view = RunView.of(store, run_id)
    begun, tallies, counted = _counts(view)
    metrics = [
        _check(metric.metric_id, view.total_cases * len(view.plan.answers_of(metric)), tallies, counted)
        for metric in view.metrics
    ]
    ending = attrs.asdict(view.ending, filter=lambda field, _: field.name not in ("event_type", "labels"))
    return QuickCheck(
        run_id=run_id,
        status=view.ending.status(lambda: tallies.failed > 0 or any(_failed(m, tallies, counted) for m in metrics)),
        **ending,
        name=view.ending.labels.name,
        tags=view.ending.labels.tags,
        generator_id=view.snapshot.identity.generator_ref.component_id,
        dataset_ids=view.dataset_ids,
        total_cases=view.total_cases,
        started_cases=begun,
        event_count=view.event_count,
        metrics=metrics,
        stop=view.stop,
    )


_Counts = Mapping[str, tuple[int, int, float]]
"""By metric: scores, correct ones, their sum."""


def _counts(view: RunView) -> tuple[int, Tallies, _Counts]:
    """Return how many cases are begun, the tallies of the cases that were read, and the counts of all others.

    A store that counts by itself leaves out the cases that did not go through at once; only these are read then.
    """
    tallies = Tallies(view.metrics)
    usual, count = happy_path(view.plan), getattr(view.store, "count_scores", None)
    if not view.event_count:
        return 0, tallies, {}
    if count is not None and usual and view.metrics and view.stop is None:
        thresholds = {metric.metric_id: view.thresholds.of(metric.metric_id) for metric in view.metrics}
        begun, unclear, counts = count(view.run_id, thresholds, len(usual))
        for _, state in view.numbered({*unclear}):
            tallies.add(view.rows_of(state), failed=has_failures(state))
        return begun, tallies, counts
    begun = 0
    for case in view.scored():
        begun += case.begun
        tallies.add(case.rows, failed=case.failed)
    return begun, tallies, {}


def _failed(metric: MetricCheck, tallies: Tallies, counted: _Counts) -> bool:
    """Tell whether a case that was not read has no score: it failed before it came to be parsed."""
    return (
        metric.planned > counted.get(metric.metric_id, (0, 0, 0.0))[0] + tallies.outcomes_of(metric.metric_id).total()
    )


def _check(metric_id: str, planned: int, tallies: Tallies, counted: _Counts) -> MetricCheck:
    scored, correct, total = counted.get(metric_id, (0, 0, 0.0))
    outcomes = tallies.outcomes_of(metric_id)
    correct += outcomes["correct"]
    scored += outcomes["correct"] + outcomes["incorrect"]
    return MetricCheck(
        metric_id=metric_id,
        planned=planned,
        scored=scored,
        errors=planned - scored,
        correct=correct,
        incorrect=scored - correct,
        mean=(total + tallies.sum_of(metric_id)) / scored if scored else None,
    )


def snapshot_report(snapshot: RunSnapshot, run_metadata: Mapping[str, JSONValue] | None = None) -> dict[str, JSONValue]:
    """Return a summary of a compiled experiment as plain JSON: what is run on what, and where it was compiled.

    Args:
        snapshot: what `compile()` or `get_run_snapshot` returned.
        run_metadata: facts to put beside it, under `run_metadata`.

    Raises:
        JSONValueError: the metadata is not JSON.
    """
    identity, refs = snapshot.identity, snapshot.component_refs
    prompt, judging = identity.generation_prompt_spec, identity.evaluation_prompt_spec
    report: dict[str, JSONValue] = {
        "run_id": snapshot.run_id,
        "total_cases": total_cases(snapshot),
        "candidates_per_case": candidate_count(identity.candidate_policy),
        "datasets": [
            {**ref.to_dict(), "cases": len(dataset.cases), "metadata": dict(dataset.metadata)}
            for ref, dataset in zip(identity.dataset_refs, snapshot.datasets, strict=True)
        ],
        "components": {place: ref for place, ref in refs.to_dict().items() if place != "metrics"},
        "metrics": [
            {**ref.to_dict(), "family": slot.family, "threshold": snapshot.metric_thresholds.get(slot.metric_id)}
            for ref, slot in zip(refs.metrics, metric_slots(snapshot), strict=True)
        ],
        "settings": dict(snapshot.descriptions),
        "seeds": list(identity.seeds),
        "generation_prompt_spec": None if prompt is None else prompt.to_dict(),
        "evaluation_prompt_spec": None if judging is None else judging.to_dict(),
        "provenance": snapshot.provenance.to_dict(),
    }
    if run_metadata is not None:
        report["run_metadata"] = thaw(freeze_mapping(run_metadata, "run_metadata"))
    return report
