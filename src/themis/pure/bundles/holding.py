"""What of a case's state an event stands for: one table, from which exports pick and to which imports are held.

An event that a later one superseded stands for nothing any more and is left out. Folding the events of a bundle gives
the very state that the stored ones fold into.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import attrs

from themis.pure.bundles.records import KINDS, BundleKind, Keyed, event_name
from themis.pure.chain import BlobOf, read_event
from themis.pure.events import (
    EVENT_TYPES,
    CaseRunEvent,
    EvaluationCompletedEvent,
    EvaluationFailedEvent,
    GenerationCompletedEvent,
    GenerationFailedEvent,
    ParseCompletedEvent,
    ParseFailedEvent,
    ReductionCompletedEvent,
    ReductionFailedEvent,
    RunCompletedEvent,
    RunEvent,
    RunFailedEvent,
    RunStartedEvent,
    ScoreCompletedEvent,
    ScoreFailedEvent,
    SelectionCompletedEvent,
    SelectionFailedEvent,
    StepCompletedEvent,
    StepEvent,
    StepFailedEvent,
    StepStartedEvent,
)
from themis.pure.identity import candidate_id
from themis.pure.plan import CaseItem, RunPlan, make_plan
from themis.pure.records.snapshot import RunSnapshot
from themis.pure.records.stored import StoredEvent
from themis.pure.state import CaseState, apply, new_state, step_key


@attrs.frozen
class RunShape:
    """What a run's events must agree with: its plan, and the workflow of its selector, if it has one."""

    plan: RunPlan
    selector_id: str | None

    def workflow_of(self, event: CaseRunEvent) -> str | None:
        """Return the workflow whose outcome an event is."""
        if isinstance(event, SelectionCompletedEvent | SelectionFailedEvent):
            return self.selector_id
        return event.metric_id if isinstance(event, EvaluationCompletedEvent | EvaluationFailedEvent) else None

    def is_in(self, event: CaseRunEvent, kind: BundleKind) -> bool:
        """Tell whether bundles of a kind hold an event; steps come with the outcome of their workflow."""
        is_judged = isinstance(event, StepEvent) and event.workflow_id != self.selector_id
        return kind == "evaluation" if is_judged else type(event) in _held_by(kind)


def shape_of(snapshot: RunSnapshot) -> RunShape:
    """Return what a run's events must agree with."""
    selector = snapshot.identity.selector_ref
    return RunShape(make_plan(snapshot), selector.component_id if selector is not None else None)


@attrs.frozen
class Held:
    """What an event stands for.

    Attributes:
        kind: the first kind of bundle that has it.
        has: what the state has in its place.
        says: what the event says is there.
        misfit: why a run in this state can't have the event; `None` if it can.
        failed_for: of a failure, the event that the step would have made.
    """

    kind: BundleKind
    has: Callable[[CaseState, Any], Any]
    says: Callable[[Any], Any]
    misfit: Callable[[RunShape, CaseState, Any], str | None]
    failed_for: type[CaseRunEvent] | None = None


# --- what an event must agree with ------------------------------------------------------------------------


def _candidate(run: RunShape, state: CaseState, event: Any) -> str | None:
    index, plan = event.candidate_index, run.plan
    if not 0 <= index < plan.candidate_count:
        return f"the run has {plan.candidate_count} candidate(s) a case, counted from 0"
    expected, result = candidate_id(state.case_id, index), getattr(event, "result", None)
    for found in (event.candidate_id, result.candidate_id if result is not None else expected):
        if found != expected:
            return f"candidate {index} of this case is named {expected!r}, and {found!r} was found"
    seed = getattr(event, "seed", None)
    if plan.seeds and seed is not None and seed != plan.seeds[index]:
        return f"candidate {index} has seed {plan.seeds[index]}, and {seed} was found"
    return None


def _selection(run: RunShape, state: CaseState, event: Any) -> str | None:
    if not run.plan.selects:
        return "the run has no selector"
    missing = _all_candidates(run, state)
    if missing or isinstance(event, SelectionFailedEvent):
        return missing
    chosen, offered = event.candidate_ids, {c.candidate_id for c in state.candidates.values()}
    if strangers := {*chosen} - offered:
        return f"no such candidates: {', '.join(sorted(strangers))}"
    return None if chosen and len({*chosen}) == len(chosen) else "it must choose a candidate, and none of them twice"


def _reduction(run: RunShape, state: CaseState, event: Any) -> str | None:
    if run.plan.selects and state.selection is None:
        return "it rests on a selection that is missing"
    if missing := _all_candidates(run, state):
        return missing
    made = getattr(event, "result", event)
    for name in ("candidate_id", "source_candidate_ids"):
        if getattr(made, name, None) != getattr(event, name, None):
            return f"its {name} is not that of its result"
    return None


def _all_candidates(run: RunShape, state: CaseState) -> str | None:
    missing = [str(index) for index in range(run.plan.candidate_count) if index not in state.candidates]
    return f"it rests on candidates that are missing: {', '.join(missing)}; {_IMPORT_FIRST}" if missing else None


def _parse(run: RunShape, state: CaseState, event: Any) -> str | None:
    if state.reduced is None:
        return f"it rests on a reduction that is missing; {_IMPORT_FIRST}"
    return _of_the_answer(state, event)


def _of_the_answer(state: CaseState, event: Any) -> str | None:
    answer = state.reduced.candidate_id if state.reduced is not None else None
    return None if event.candidate_id == answer else f"the answer is {answer!r}, and it is of {event.candidate_id!r}"


def _score(run: RunShape, state: CaseState, event: Any) -> str | None:
    made = event.score if isinstance(event, ScoreCompletedEvent) else event.error
    if made.metric_id != event.metric_id:
        return f"it is a score of {made.metric_id!r}"
    return _metric(run, state, event, "pure metric", is_score=True)


def _evaluation(run: RunShape, state: CaseState, event: Any) -> str | None:
    return _metric(run, state, event, "metric that judges or runs code", is_score=False)


def _metric(run: RunShape, state: CaseState, event: Any, kind: str, *, is_score: bool) -> str | None:
    if not any((m.metric_id, m.is_scored) == (event.metric_id, is_score) for m in run.plan.metrics):
        return f"the run has no {kind} {event.metric_id!r}"
    if state.parsed is None or not state.parsed.usable:
        return f"it rests on a usable parsed answer, and there is none; {_IMPORT_FIRST}"
    return _of_the_answer(state, event)


def _step(run: RunShape, state: CaseState, event: Any) -> str | None:
    workflows = {metric.metric_id for metric in run.plan.metrics if not metric.is_scored} | {run.selector_id}
    return None if event.workflow_id in workflows else "the run has no such workflow"


_IMPORT_FIRST: Final = "import the bundle of the stage before first"


# --- the table --------------------------------------------------------------------------------------------


def _itself(event: CaseRunEvent) -> CaseRunEvent:
    return event


def _result(event: Any) -> Any:
    return event.result


def _answer(state: CaseState, event: Any) -> Any:
    step = state.steps.get(step_key(event.workflow_id, event.step_id))
    return None if step is None else step.output


def _failed_step(state: CaseState, event: Any) -> Any:
    return state.failed_steps.get(step_key(event.workflow_id, event.step_id))


HOLDS: Final[Mapping[type[RunEvent], Held | None]] = {
    # In the order of the stages, and a failure behind the outcome: where a state holds both, it came after.
    GenerationCompletedEvent: Held("generation", lambda s, e: s.candidates.get(e.candidate_index), _result, _candidate),
    GenerationFailedEvent: Held(
        "generation",
        lambda s, e: s.generation_failures.get(e.candidate_index),
        _itself,
        _candidate,
        GenerationCompletedEvent,
    ),
    StepCompletedEvent: Held("reduction", _answer, lambda e: e.output, _step),
    StepFailedEvent: Held(
        "reduction",
        lambda s, e: s.failed_steps.get(step_key(e.workflow_id, e.step_id)),
        _itself,
        _step,
        StepCompletedEvent,
    ),
    StepStartedEvent: None,
    SelectionCompletedEvent: Held(
        "reduction", lambda s, e: s.selection and s.selection.candidate_ids, lambda e: e.candidate_ids, _selection
    ),
    SelectionFailedEvent: Held(
        "reduction", lambda s, e: s.selection_failure, _itself, _selection, SelectionCompletedEvent
    ),
    ReductionCompletedEvent: Held("reduction", lambda s, e: s.reduced, _result, _reduction),
    ReductionFailedEvent: Held(
        "reduction", lambda s, e: s.reduction_failure, _itself, _reduction, ReductionCompletedEvent
    ),
    ParseCompletedEvent: Held("parse", lambda s, e: s.parsed, _result, _parse),
    ParseFailedEvent: Held("parse", lambda s, e: s.parse_failure, _itself, _parse, ParseCompletedEvent),
    ScoreCompletedEvent: Held("score", lambda s, e: s.scores.get(e.metric_id), lambda e: e.score, _score),
    ScoreFailedEvent: Held(
        "score", lambda s, e: s.score_failures.get(e.metric_id), lambda e: e.error, _score, ScoreCompletedEvent
    ),
    EvaluationCompletedEvent: Held(
        "evaluation", lambda s, e: s.executions.get(e.metric_id), lambda e: e.execution, _evaluation
    ),
    EvaluationFailedEvent: Held(
        "evaluation",
        lambda s, e: s.evaluation_failures.get(e.metric_id),
        _itself,
        _evaluation,
        EvaluationCompletedEvent,
    ),
}
"""Every event of a case; `None` where it stands for nothing that a bundle must hold."""

RUN_FIELDS: Final[Mapping[type[RunEvent], Callable[[Any], dict[str, Any]]]] = {
    RunStartedEvent: lambda e: {"started_at": e.occurred_at},
    RunCompletedEvent: lambda e: {"ended_at": e.occurred_at, "completed_through_stage": e.completed_through_stage},
    RunFailedEvent: lambda e: {"ended_at": e.occurred_at, "error_message": e.error_message},
}
"""Every event of the run itself, with what a bundle's header says of it."""


def refuse_forgotten(known: Iterable[type[RunEvent]], kinds: Iterable[type[RunEvent]]) -> None:
    """Refuse to go on where an event has no row: a bundle that leaves events out without a word is worth nothing."""
    if forgotten := {*kinds} - {*known}:
        names = ", ".join(sorted(kind.__name__ for kind in forgotten))
        raise TypeError(f"bundles know nothing of {names}: give each a row in HOLDS, or in RUN_FIELDS")


refuse_forgotten({**HOLDS, **RUN_FIELDS}, EVENT_TYPES.values())

ARTIFACTS: Final[Mapping[type[RunEvent], str]] = {
    event: field.name.removesuffix("_blob_ref")
    for event in HOLDS
    for field in attrs.fields(event)
    if field.name.endswith("_blob_ref")
}
"""The field of an event that a store may keep as a blob: the one that has a `..._blob_ref` beside it."""

_ORDER: Final = {kind: number for number, kind in enumerate(HOLDS)}


# --- what a bundle takes ----------------------------------------------------------------------------------


def held_events(
    run: RunShape, item: CaseItem, stored: Iterable[StoredEvent], blob_of: BlobOf, kind: BundleKind
) -> list[Keyed]:
    """Return what a case's state holds, as the events it comes from, in the order of the stages.

    Args:
        run: the run.
        item: the case.
        stored: its events, in order.
        blob_of: returns large artifacts; an event that had one names it in its `..._blob_ref`.
        kind: the bundle's kind; events of later stages are not even decoded.
    """
    state = new_state(item.case.case_id, item.dataset_id, item.case_key)
    latest: dict[str, Keyed] = {}
    for one in stored:
        if EVENT_TYPES.get(one.event_type) in _held_by(kind):
            event = _read(one, blob_of)
            state = apply(state, event)
            latest[event_name(event)] = event, one.cache_key
    held = (keyed for keyed in latest.values() if _is_held(run, state, keyed[0], kind))
    return sorted(held, key=lambda keyed: _place(keyed[0]))


@functools.cache
def _held_by(kind: BundleKind) -> Mapping[type[RunEvent], Held]:
    held = KINDS[: KINDS.index(kind) + 1]
    return {event: row for event, row in HOLDS.items() if row is not None and row.kind in held}


def _is_held(run: RunShape, state: CaseState, event: CaseRunEvent, kind: BundleKind) -> bool:
    row = _held_by(kind)[type(event)]
    return run.is_in(event, kind) and bool(row.has(state, event) == row.says(event))


def _place(event: CaseRunEvent) -> tuple[int, int, str]:
    return _ORDER[type(event)], getattr(event, "candidate_index", 0), event_name(event)


def _read(stored: StoredEvent, blob_of: BlobOf) -> Any:
    refs: list[str] = []

    def noted(ref: str) -> bytes:
        refs.append(ref)
        return blob_of(ref)

    event = read_event(stored, noted)
    return event.evolve(**{f"{ARTIFACTS[type(event)]}_blob_ref": refs[-1]}) if refs else event


def run_fields(events: Iterable[RunEvent]) -> dict[str, Any]:
    """Return what a bundle's header says of the run, from the run's events that are no case's, in order."""
    fields: dict[str, Any] = {}
    for event in events:
        if isinstance(event, RunStartedEvent):
            fields = {}  # each attempt tells of itself
        fields |= RUN_FIELDS[type(event)](event)
    return fields
