"""Inspection: looking into a stored run without running anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

import attrs

from themis.api.arguments import checked
from themis.api.runs.view import RunView
from themis.api.stores import Storage, at_hand
from themis.effects.stores.counting import Counted
from themis.pure.case_view import CaseView
from themis.pure.errors import SpecError, nearest
from themis.pure.json import JSONValue, freeze_mapping, thaw
from themis.pure.pipeline.table import happy_path
from themis.pure.plan import candidate_count, metric_slots, total_cases
from themis.pure.projections import Tallies, asked_for, timeline, trace_view
from themis.pure.protocols import RunStore
from themis.pure.records.base import HashableModel
from themis.pure.records.fields import sequence
from themis.pure.records.judging import EvaluationExecution
from themis.pure.records.results import RunStatus, TimelineView, TraceView
from themis.pure.records.snapshot import RunSnapshot
from themis.pure.report.failures import failures_of
from themis.pure.state import CaseState, ExecutionState, StoredRun, answer_state, fold, has_failures
from themis.pure.stopping import Stop
from themis.pure.text import one_line


@checked
def get_run_snapshot(store: RunStore | Storage, run_id: str) -> RunSnapshot:
    """Return a run's compiled identity and provenance; its cases are read from the store as needed.

    Args:
        store: where the run is.
        run_id: the run.

    Raises:
        RunNotFoundError: the store has no such run.
    """
    return at_hand(store).load_snapshot(run_id)


@checked
def get_stored_run(store: RunStore | Storage, run_id: str) -> StoredRun:
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


@checked
def get_timeline(store: RunStore | Storage, run_id: str) -> TimelineView:
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


@checked
def get_traces(store: RunStore | Storage, run_id: str) -> TraceView:
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


@checked
def get_execution_state(store: RunStore | Storage, run_id: str) -> ExecutionState:
    """Return the state of a run, case by case: what is there, what failed and why.

    It holds the whole run; `quickcheck` sums up one that does not fit into memory.

    Arguments and errors as for `get_run_snapshot`.
    """
    view = RunView.of(store, run_id)
    state = fold(run_id, view.events())
    return state.evolve(status=view.status(bool)) if state.status == RunStatus.RUNNING else state


@checked
def get_evaluation_execution(
    store: RunStore | Storage,
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


@checked
def get_case_view(
    store: RunStore | Storage, run_id: str, case_id: str, *, dataset_id: str | None = None, case_key: str | None = None
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
    """One metric at a glance: of the answers planned, how many were scored and how, are errors, or not done yet.

    `mean` is over scored answers only, and `None` if there are none.
    """

    metric_id: str
    planned: int
    scored: int
    errors: int
    correct: int
    incorrect: int
    not_reached: int = 0
    mean: float | None = None


@attrs.frozen(kw_only=True)
class QuickCheck(HashableModel):
    """A run at a glance.

    Attributes:
        status: `partial_failure` when the run went through and some cases lack a score; `interrupted` when it has no
            end, and no process writes it any more.
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
        if self.status == RunStatus.INTERRUPTED:
            why = ": its process ended before it did; run it again to go on from there"
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
            left = f", {metric.not_reached} not done yet" if metric.not_reached else ""
            lines.append(
                f"{metric.metric_id}: mean {mean} over {metric.scored} scored {what}, {metric.errors} errors{left}"
            )
        return "\n".join(map(one_line, lines))


@checked
def quickcheck(store: RunStore | Storage, run_id: str) -> QuickCheck:
    """Sum a run up: its status, and every metric's counts and mean. Nothing is written.

    A store that can count by itself (SQLite) does so; of others, and where metrics judge or run code, every case is
    read.

    Arguments and errors as for `get_run_snapshot`.
    """
    view = RunView.of(store, run_id)
    begun, tallies, counted = _counts(view)
    metrics = metric_checks(view, tallies, counted)
    ending = attrs.asdict(view.ending, filter=lambda field, _: field.name not in ("event_type", "labels"))
    return QuickCheck(
        run_id=run_id,
        status=status_by(view, metrics, tallies.failed + counted.failed),
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


def _counts(view: RunView) -> tuple[int, Tallies, Counted]:
    """Return how many cases are begun, the tallies of the cases that were read, and the counts of all others.

    A store that counts by itself leaves out the cases that did not go through at once; only these are read then.
    """
    tallies = view.no_tallies()
    usual, count = happy_path(view.plan), getattr(view.store, "count_scores", None)
    if not view.event_count:
        return 0, tallies, Counted()
    if count is not None and usual and view.metrics and view.stop is None:
        thresholds = {metric.metric_id: view.thresholds.of(metric.metric_id) for metric in view.metrics}
        counted: Counted = count(view.run_id, thresholds, len(usual))
        for _, state in view.numbered({*counted.unclear}):
            tallies.add(view.rows_of(state), failed=has_failures(state))
        return counted.begun, tallies, counted
    begun = 0
    for case in view.scored():
        begun += case.begun
        tallies.add(case.rows, failed=case.failed)
    return begun, tallies, Counted()


def metric_checks(view: RunView, tallies: Tallies, counted: Counted) -> list[MetricCheck]:
    """Return each metric at a glance, from the cases that were read and the counts of all others."""
    return [
        _check(metric.metric_id, view.total_cases * len(view.plan.answers_of(metric)), tallies, counted)
        for metric in view.metrics
    ]


def status_by(view: RunView, checks: Sequence[MetricCheck], failed: int) -> RunStatus:
    """Return a run's status, as its metrics and so many failed cases tell."""
    missing = {check.metric_id for check in checks if check.not_reached}
    asked = {metric.metric_id for metric in asked_for(view.metrics, view.ending.completed_through_stage)}
    return view.status(lambda: failed > 0 or not missing.isdisjoint(asked))


def _check(metric_id: str, planned: int, tallies: Tallies, counted: Counted) -> MetricCheck:
    scored, correct, total = counted.scores.get(metric_id, (0, 0, 0.0))
    outcomes = tallies.outcomes_of(metric_id)
    errors = outcomes["error"] + counted.failed
    correct += outcomes["correct"]
    scored += outcomes["correct"] + outcomes["incorrect"]
    return MetricCheck(
        metric_id=metric_id,
        planned=planned,
        scored=scored,
        errors=errors,
        correct=correct,
        incorrect=scored - correct,
        not_reached=planned - scored - errors,
        mean=(total + tallies.sum_of(metric_id)) / scored if scored else None,
    )


_LISTED: Final = 10
"""Cases that a summary names for each thing that happened to them."""


@attrs.frozen(kw_only=True)
class FailedCases(HashableModel):
    """What failed and was not made good, the first cases that it happened to, and of how many it did."""

    what: str
    cases: tuple[str, ...] = attrs.field(converter=sequence)
    count: int

    def __str__(self) -> str:
        more = f" and {self.count - len(self.cases)} more" if self.count > len(self.cases) else ""
        return f"{one_line(self.what)}: {', '.join(map(one_line, self.cases))}{more}"


@attrs.frozen(kw_only=True)
class StateSummary(HashableModel):
    """How far a run's cases are.

    Attributes:
        check: the run at a glance.
        stages: how many cases are `generated`, `parsed` and `scored`: all that is planned of each.
        failures: what failed.
    """

    check: QuickCheck
    stages: Mapping[str, int]
    failures: tuple[FailedCases, ...] = attrs.field(default=(), converter=sequence)

    def __str__(self) -> str:
        total = self.check.total_cases
        lines = [str(self.check), "", *(f"{stage}: {count} of {total} cases" for stage, count in self.stages.items())]
        if self.failures:
            lines += ["", "failed:"]
        lines += [f"  {failed}" for failed in self.failures]
        return "\n".join([*lines, "", "--all shows every case in full; themis inspect case RUN CASE shows one"])


def state_summary(store: RunStore, run_id: str) -> StateSummary:
    """Sum up the state of a run's cases, reading one at a time: how many came through each stage, and what failed.

    Arguments and errors as for `get_run_snapshot`.
    """
    view = RunView.of(store, run_id)
    stages = Counter(dict.fromkeys((*_CAME_THROUGH, "scored"), 0))
    cases: dict[str, list[str]] = {}
    counts = Counter[str]()
    for _, state in view.cases():
        seen = [answer_state(state, index) for index in view.plan.answers]
        stages.update(stage for stage, is_there in _CAME_THROUGH.items() if all(map(is_there, seen)))
        rows = view.rows_of(state)
        stages["scored"] += bool(rows) and all(row.value is not None for row in rows)
        for what in dict.fromkeys(
            f"{what} ({how})" for what, how in failures_of(state, is_reduced=view.plan.is_reduced)
        ):
            counts[what] += 1
            if counts[what] <= _LISTED:
                cases.setdefault(what, []).append(state.case_id)
    return StateSummary(
        check=quickcheck(store, run_id),
        stages=stages,
        failures=[FailedCases(what=what, cases=found, count=counts[what]) for what, found in cases.items()],
    )


_CAME_THROUGH: Final[Mapping[str, Callable[[CaseState], bool]]] = {
    "generated": lambda state: bool(state.candidates) and not state.generation_failures,
    "parsed": lambda state: state.parsed is not None,
}


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
