"""What of a case's state an event stands for: what exports pick, and what imports are held to.

Nothing is listed here. What an event stands for is what it puts into a state that nothing has happened to, so the fold
says it; which bundle has it first, what it rests on and what else may be in its place, the stage table says. An event
that a later one superseded stands for nothing any more and is left out: folding the events of a bundle gives the very
state that the stored ones fold into.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import attrs

from themis._stages import STAGE_ORDER, Stage
from themis.pure.bundles.records import KINDS, RECORD_TYPES, BundleKind, Keyed, event_name
from themis.pure.chain import ARTIFACTS, BlobOf, read_event
from themis.pure.events import (
    DIVISION_EVENTS,
    EVENT_TYPES,
    CaseRunEvent,
    FailedEvent,
    RunCompletedEvent,
    RunEvent,
    RunFailedEvent,
    RunStartedEvent,
    StepEvent,
)
from themis.pure.human_labels import LABEL_EVENTS, is_label, label_misfit
from themis.pure.identity import candidate_id
from themis.pure.pipeline.step import Step
from themis.pure.pipeline.table import ROWS, STAGES, StageRow, rests_on, step_of
from themis.pure.plan import CaseItem, RunPlan, make_plan, workflow_stages
from themis.pure.records.labels import RunLabels, labels_of
from themis.pure.records.snapshot import RunSnapshot
from themis.pure.records.stored import StoredEvent
from themis.pure.state import CaseState, answer_state, apply, new_state, seen_by, step_key

# --- which bundle has it ----------------------------------------------------------------------------------


def _kinds() -> Iterator[tuple[type[CaseRunEvent], BundleKind]]:
    """Yield each stage's events with the first kind of bundle that has them, from the last stage to the first."""
    own = {event: kind for kind, records in RECORD_TYPES.items() for event in records}
    kind = KINDS[-1]
    for row in reversed(STAGES):
        for event in (*row.emits, *row.emits_on_failure):
            kind = own.get(event, kind)  # a stage without a bundle of its own comes with the next one
            yield event, kind
    yield from ((event, "parse") for event in LABEL_EVENTS)  # the first in which they come behind the answers


_KIND_OF: Final[Mapping[type[RunEvent], BundleKind]] = dict(_kinds())
_STEPS: Final = tuple(kind for kind in EVENT_TYPES.values() if issubclass(kind, StepEvent))


def _in_order() -> Iterator[type[RunEvent]]:
    """Yield the events of a case as a bundle has them: by stage, and a failure behind the outcome.

    Where a state holds both, the failure came later. A workflow's steps rest on nothing but candidates. Nothing rests
    on labels.
    """
    for row in STAGES:
        for pair in zip(row.emits, row.emits_on_failure, strict=True):
            yield from pair
        yield from _STEPS
    yield from LABEL_EVENTS


_ORDER: Final = {kind: number for number, kind in enumerate(dict.fromkeys(_in_order()))}

RUN_FIELDS: Final[Mapping[type[RunEvent], Callable[[Any], dict[str, Any]]]] = {
    RunStartedEvent: lambda e: {"started_at": e.occurred_at},
    RunCompletedEvent: lambda e: {"ended_at": e.occurred_at, "completed_through_stage": e.completed_through_stage},
    RunFailedEvent: lambda e: {"ended_at": e.occurred_at, "error_message": e.error_message},
    # How many processes wrote a run is no part of it: where a bundle goes, it is one chain again.
    **dict.fromkeys(DIVISION_EVENTS, lambda _: {}),
}
"""Every event of the run itself, with what a bundle's header says of it."""


def refuse_forgotten(known: Iterable[type[RunEvent]], kinds: Iterable[type[RunEvent]]) -> None:
    """Refuse to go on where an event is unknown: a bundle that leaves events out without a word is worth nothing."""
    if forgotten := {*kinds} - {*known}:
        names = ", ".join(sorted(kind.__name__ for kind in forgotten))
        raise TypeError(f"bundles know nothing of {names}: give each a stage in the table, or a row in RUN_FIELDS")


KNOWN: Final = frozenset({*_ORDER, *RUN_FIELDS})
refuse_forgotten(KNOWN, EVENT_TYPES.values())


@attrs.frozen
class RunShape:
    """What a run's events must agree with: its plan, and its workflows, each with the stage that carries it out."""

    plan: RunPlan
    workflows: Mapping[str, Stage]

    def kind_of(self, event: CaseRunEvent) -> BundleKind:
        """Return the first kind of bundle that has an event; steps come with the outcome of their workflow."""
        if isinstance(event, StepEvent):
            stage = self.workflows.get(event.workflow_id, STAGE_ORDER[-1])
            return _KIND_OF[ROWS[stage].emits[-1]]
        return _KIND_OF[type(event)]

    def is_in(self, event: CaseRunEvent, kind: BundleKind) -> bool:
        """Tell whether bundles of a kind hold an event."""
        return KINDS.index(self.kind_of(event)) <= KINDS.index(kind)

    def workflow_of(self, event: CaseRunEvent) -> str | None:
        """Return the workflow whose outcome an event is."""
        step = step_of(self.plan, event)
        ids = (
            workflow_id
            for workflow_id, stage in self.workflows.items()
            if step is not None and stage == step.stage and step.metric_id in ("", workflow_id)
        )
        return next(ids, None)


def shape_of(snapshot: RunSnapshot) -> RunShape:
    """Return what a run's events must agree with."""
    return RunShape(make_plan(snapshot), workflow_stages(snapshot))


# --- what it stands for -----------------------------------------------------------------------------------


def standing(event: CaseRunEvent) -> Any:
    """Return what an event puts into a state; `None` if nothing."""
    put = _put(event)
    return None if put is None else _outcome(put[2])


def in_place(state: CaseState, event: CaseRunEvent) -> Any:
    """Return what a state has in the place where an event puts what it stands for."""
    put = _put(event)
    if put is None:
        return None
    found = getattr(seen_by(state, event), put[0])
    return _outcome(found.get(put[1]) if isinstance(found, Mapping) else found)


def _put(event: CaseRunEvent) -> tuple[str, object, Any] | None:
    """Return the field that an event changes, the key within it (a candidate, metric or step), and what it puts there.

    A state that nothing has happened to shares its fields with every other, so that identity tells a change.
    """
    for field, value in vars(apply(_BLANK, event)).items():
        if value is not vars(_BLANK)[field]:
            return (field, *next(iter(value.items()))) if isinstance(value, Mapping) else (field, None, value)
    return None


def _outcome(found: Any) -> Any:
    return next((getattr(found, name) for name in _OUTCOMES if hasattr(found, name)), found)


_BLANK: Final = new_state("", "", "")
_OUTCOMES: Final = ("candidate_ids", "output")
"""What counts of an outcome that the state holds as the event: not when it was, and the like."""


def is_settled(run: RunShape, state: CaseState, event: CaseRunEvent) -> bool:
    """Tell whether a state has an outcome of the step that an event is of, or a failure in its place."""
    if isinstance(event, StepEvent):
        key = step_key(event.workflow_id, event.step_id, event.candidate_id)
        return key in state.steps or key in state.failed_steps
    step = step_of(run.plan, event)
    return step is not None and ROWS[step.stage].settled(answer_state(state, step.answer), step) is not None


# --- what it must agree with ------------------------------------------------------------------------------


def misfit(run: RunShape, state: CaseState, event: CaseRunEvent) -> str | None:
    """Say why a run in this state can't have an event; `None` if it can."""
    if isinstance(event, StepEvent):
        return None if event.workflow_id in run.workflows else "the run has no such workflow"
    if is_label(event):
        return label_misfit(run.plan, state, event)
    step = step_of(run.plan, event)
    assert step is not None  # every other event of a case is a stage's
    row = ROWS[step.stage]
    return (
        _not_planned(run, row, step, event)
        or _too_early(run, state, step)
        or _misnamed(run, state, event)
        or _other_than_its_outcome(event)
    )


def _not_planned(run: RunShape, row: StageRow, step: Step, event: CaseRunEvent) -> str | None:
    plan, is_score = run.plan, run.kind_of(event) == "score"
    if step.metric_id:
        if any((m.metric_id, m.is_scored) == (step.metric_id, is_score) for m in plan.metrics):
            return None if step in row.planned(plan) else _no_answer(event)
        return f"the run has no {'pure metric' if is_score else 'metric that judges or runs code'} {step.metric_id!r}"
    if step in row.planned(plan):
        return None
    if row.stage == "generate":
        return f"the run has {plan.candidate_count} candidate(s) a case, counted from 0"
    if row.planned(plan):
        return _no_answer(event)
    return f"the run has no stage {row.stage}"


def _no_answer(event: Any) -> str:
    return f"the case has no answer {event.candidate_id!r}"


def _too_early(run: RunShape, state: CaseState, step: Step) -> str | None:
    row = ROWS[step.stage]
    if step.metric_id and not row.applies(run.plan, answer_state(state, step.answer), step):
        return f"it rests on a usable parsed answer, and there is none; {_IMPORT_FIRST}"
    for earlier in reversed(STAGES[: STAGE_ORDER.index(row.stage)]):
        steps = rests_on(run.plan, step, earlier.planned(run.plan)) if earlier.decides else ()
        missing = [
            one
            for one in steps
            if isinstance(earlier.settled(answer_state(state, one.answer), one), FailedEvent | None)
        ]
        if missing:
            which = f" (candidates {', '.join(str(one.candidate_index) for one in missing)})" if len(steps) > 1 else ""
            return f"it rests on a {earlier.span} that is missing{which}; {_IMPORT_FIRST}"
        if steps:
            break  # what that one rests on was asked when it came in
    return None


_IMPORT_FIRST: Final = "import the bundle of the stage before first"


def _other_than_its_outcome(event: CaseRunEvent) -> str | None:
    made = standing(event)
    for name in ("candidate_id", "source_candidate_ids", "metric_id"):
        if hasattr(event, name) and getattr(made, name, getattr(event, name)) != getattr(event, name):
            return f"its {name} is {getattr(event, name)!r}, and its outcome says {getattr(made, name)!r}"
    return None


def _misnamed(run: RunShape, state: CaseState, event: Any) -> str | None:
    """Say which name or seed of an event is not the run's or the case's."""
    if hasattr(event, "candidate_index"):
        return _not_the_candidate(run.plan, state, event)
    if hasattr(event, "candidate_ids"):
        return _not_a_choice(state, event.candidate_ids)
    # A reduction names the answer, and every later event is of that answer.
    if state.reduced is None or not hasattr(event, "candidate_id") or hasattr(event, "source_candidate_ids"):
        return None
    answer = state.reduced.candidate_id
    return None if event.candidate_id == answer else f"the answer is {answer!r}, and it is of {event.candidate_id!r}"


def _not_the_candidate(plan: RunPlan, state: CaseState, event: Any) -> str | None:
    index, seed = event.candidate_index, getattr(event, "seed", None)
    if event.candidate_id != (expected := candidate_id(state.case_id, index)):
        return f"candidate {index} of this case is named {expected!r}, and {event.candidate_id!r} was found"
    if plan.seeds and seed is not None and seed != plan.seeds[index]:
        return f"candidate {index} has seed {plan.seeds[index]}, and {seed} was found"
    return None


def _not_a_choice(state: CaseState, chosen: tuple[str, ...]) -> str | None:
    if strangers := {*chosen} - {candidate.candidate_id for candidate in state.candidates.values()}:
        return f"no such candidates: {', '.join(sorted(strangers))}"
    return None if chosen and len({*chosen}) == len(chosen) else "it must choose a candidate, and none of them twice"


# --- what a bundle takes ----------------------------------------------------------------------------------


def held_events(
    run: RunShape, item: CaseItem, stored: Iterable[StoredEvent], blob_of: BlobOf, kind: BundleKind
) -> list[Keyed]:
    """Return what a case's state holds, as the events it comes from, in the order of the stages.

    An event that had a large artifact names it in its `..._blob_ref`. Events of later stages than those of the
    bundle's kind are not even decoded.
    """
    state = new_state(item.case.case_id, item.dataset_id, item.case_key)
    latest: dict[tuple[str, int | None], Keyed] = {}
    for one in stored:
        if one.event_type in _held_by(kind):
            event = _read(one, blob_of)
            state = apply(state, event)
            step = step_of(run.plan, event)
            latest[event_name(event), step.answer if step is not None else None] = event, one.cache_key
    held = [
        (event, key)
        for event, key in latest.values()
        if run.is_in(event, kind)
        and (made := standing(event)) is not None
        and in_place(state, event) == made
        and not (is_label(event) and label_misfit(run.plan, state, event))  # of an earlier answer
    ]
    return sorted(held, key=lambda keyed: _place(keyed[0]))


@functools.cache
def _held_by(kind: BundleKind) -> frozenset[str]:
    """Return the types of the events that bundles of a kind may have; those of the first have no workflow's steps."""
    held, first = KINDS[: KINDS.index(kind) + 1], dict.fromkeys(_STEPS, KINDS[1]) | dict(_KIND_OF)
    return frozenset(name for name, event in EVENT_TYPES.items() if first.get(event) in held)


def _place(event: CaseRunEvent) -> tuple[int, int, str, str]:
    index, answer = getattr(event, "candidate_index", 0), getattr(event, "candidate_id", None) or ""
    return _ORDER[type(event)], index, event_name(event), answer


def _read(stored: StoredEvent, blob_of: BlobOf) -> Any:
    refs: list[str] = []

    def noted(ref: str) -> bytes:
        refs.append(ref)
        return blob_of(ref)

    event = read_event(stored, noted)
    return event.evolve(**{ARTIFACTS[type(event)].ref_field: refs[-1]}) if refs else event


def run_fields(events: Iterable[RunEvent]) -> dict[str, Any]:
    """Return what a bundle's header says of the run, from the run's events that are no case's, in order."""
    fields: dict[str, Any] = {}
    attempts: list[RunLabels] = []
    for event in events:
        if isinstance(event, RunStartedEvent):
            fields = {}  # each attempt tells of itself
            attempts.append(event.labels)
        fields |= RUN_FIELDS[type(event)](event)
    labels = labels_of(attempts)
    return {**fields, "name": labels.name, "tags": labels.tags} if attempts else fields
