"""Verification: whether what a run stored follows from what it rests on (law 7).

Every event that a case's outcome rests on is made again, by the program that made it, from the state that was stored
before it and the answers that are recorded; then the two are held against each other. The circumstances of an event
(times, attempts, which run an answer was taken from) and the words of an error are not: they differ between two honest
runs. Neither is an error that a machine decides, such as a recursion too deep; it is named as not verified.
"""

from __future__ import annotations

import itertools
import operator
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal

import attrs

from themis.pure.chain import header_hash
from themis.pure.events import (
    EVENT_TYPES,
    RUN_ENDS,
    CaseRunEvent,
    FailedEvent,
    RunCompletedEvent,
    RunEvent,
    RunStartedEvent,
    ScoreFailedEvent,
)
from themis.pure.human_labels import is_label, label_misfit
from themis.pure.identity import misnamed
from themis.pure.json import EMPTY, encode
from themis.pure.pipeline.effects import Program
from themis.pure.pipeline.recorded import from_record
from themis.pure.pipeline.run import Run
from themis.pure.pipeline.step import Step
from themis.pure.pipeline.table import is_reached, next_steps, settled_steps, step_of, step_program
from themis.pure.plan import CaseItem, RunPlan
from themis.pure.projections import reproducible_part
from themis.pure.records.base import HashableModel
from themis.pure.records.fields import sequence
from themis.pure.records.generation import GenerationResult
from themis.pure.records.judging import EvaluationExecution
from themis.pure.records.scoring import ScoreError
from themis.pure.records.snapshot import DatasetRef, RunSnapshot
from themis.pure.records.stored import StoredEvent
from themis.pure.state import CaseState, apply, new_state

Verdict = Literal["verified", "verified in part", "not verified"]


@attrs.frozen(kw_only=True)
class Difference(HashableModel):
    """A stored record that does not follow from what it rests on."""

    case_key: str
    stage: str
    metric_id: str = ""
    stored: str
    expected: str

    def __str__(self) -> str:
        what = f"{self.stage} of metric {self.metric_id}" if self.metric_id else self.stage
        return f"case {self.case_key}, {what}: stored {self.stored}, recomputed {self.expected}"


@attrs.frozen(kw_only=True)
class Verification(HashableModel):
    """What verifying a run found.

    Attributes:
        run_id: the run.
        cases: how many cases were looked at.
        recomputed: how many stored records were recomputed, by stage.
        broken_links: what is wrong with the event chain.
        altered: what of the header, the cases or the store's own columns is not what the run was made of.
        differences: records that differ, the first ones first; at most the number asked for.
        not_verified: what could not be checked, why, and what would make it possible.
    """

    run_id: str
    cases: int = 0
    recomputed: Mapping[str, int] = EMPTY
    broken_links: tuple[str, ...] = attrs.field(default=(), converter=sequence)
    altered: tuple[str, ...] = attrs.field(default=(), converter=sequence)
    differences: tuple[Difference, ...] = attrs.field(default=(), converter=sequence)
    not_verified: tuple[str, ...] = attrs.field(default=(), converter=sequence)

    @property
    def verdict(self) -> Verdict:
        """Whether everything was checked and found to be as it must be, or a part of it, or something is wrong."""
        if self.broken_links or self.altered or self.differences:
            return "not verified"
        return "verified in part" if self.not_verified else "verified"

    @property
    def ok(self) -> bool:
        """Whether the verdict is `verified`: everything was checked, and nothing is wrong."""
        return self.verdict == "verified"


@attrs.frozen(kw_only=True)
class Findings(HashableModel):
    """What verifying some consecutive cases of a run found.

    Attributes:
        cases: how many of them belong to the run.
        events: how many events are stored of them.
        recomputed: how many stored records were recomputed, by stage.
        altered: as for `Verification`.
        differences: as for `Verification`.
        not_verified: as for `Verification`.
        unreadable: why the rest of them could not be looked at; empty if all were.
    """

    cases: int = 0
    events: int = 0
    recomputed: Mapping[str, int] = EMPTY
    altered: tuple[str, ...] = attrs.field(default=(), converter=sequence)
    differences: tuple[Difference, ...] = attrs.field(default=(), converter=sequence)
    not_verified: tuple[str, ...] = attrs.field(default=(), converter=sequence)
    unreadable: str = ""

    def and_then(self, more: Findings, most: int) -> Findings:
        """Return what was found with what the cases after these came to; of the differences, the first `most`."""
        if self.unreadable:
            return self
        return Findings(
            cases=self.cases + more.cases,
            events=self.events + more.events,
            recomputed=Counter(self.recomputed) + Counter(more.recomputed),
            altered=self.altered + more.altered,
            differences=(self.differences + more.differences)[:most],
            not_verified=(self.not_verified + more.not_verified)[:MOST_NOTES],
            unreadable=more.unreadable,
        )


MOST_NOTES: Final = 100
"""So many cases are named at most of which something could not be checked."""


# --- one case ---------------------------------------------------------------------------------------------


@attrs.frozen
class Check:
    """A stored event, and the program that makes it again; or why there is none of the one or of the other."""

    step: Step
    stored: CaseRunEvent | None
    program: Program[CaseRunEvent] | None

    def unfounded(self, case_key: str, problem: str = "what it rests on is not stored before it") -> Difference:
        """Return the difference of a step that is not stored, or that what is stored can't have led to."""
        stored = "nothing" if self.stored is None else _short(encode(_comparable(self.stored)))
        expected = f"nothing: {problem}" if self.stored else "an outcome: the run went through this stage"
        step = self.step
        return Difference(
            case_key=case_key, stage=step.stage, metric_id=step.metric_id, stored=stored, expected=expected
        )


def case_checks(
    run: Run, item: CaseItem, events: Sequence[RunEvent], through: RunPlan | None = None
) -> Iterator[Check]:
    """Yield a check of every event that the outcome of a case rests on, and of every step that is not there.

    What a component would be needed for that is not at hand is passed over: whoever finds the components names those.

    Args:
        run: the run, with the components that are at hand.
        item: the case.
        events: what is stored of it, in order.
        through: the plan up to the stage that the run says it went through, if it does.
    """
    states = [*itertools.accumulate(events, apply, initial=_fresh(item))]
    last: dict[tuple[Step, bool], int] = {}
    for number, event in enumerate(events):
        if (step := step_of(run.plan, event)) is not None:
            last[step, isinstance(event, _FAILED)] = number
    for row, step, outcome in settled_steps(run.plan, states[-1]):
        number = last[step, isinstance(outcome, _FAILED)]
        event = events[number]
        if row.at_hand(run, step) and isinstance(event, CaseRunEvent):
            # The program sees what was there before it; failures that it met are recorded in what it left.
            before, after = states[number], states[number + 1]
            founded = is_reached(run.plan, before, step)
            program = from_record(step_program(run, item, before, step), after) if founded else None
            yield Check(step, event, program)
    if through is not None:
        yield from (Check(step, None, None) for step in next_steps(through, states[-1]))


def _fresh(item: CaseItem) -> CaseState:
    return new_state(item.case.case_id, item.dataset_id, item.case_key)


_FAILED: Final = (FailedEvent, ScoreFailedEvent, ScoreError)
"""What says of a step that it failed: its event, or what the state keeps of that."""


def compared(check: Check, case_key: str, again: CaseRunEvent) -> Difference | str | None:
    """Hold an event that was made again against the stored one.

    Returns:
        Nothing if they agree; the difference; or, in words, why it can't be told.
    """
    assert check.stored is not None  # it was made again from something
    if _plainly_equal(check.stored, again):
        return None
    stored, expected = _comparable(check.stored), _comparable(again)
    left, right = encode(stored), encode(expected)
    if left == right:
        return None
    step = check.step
    for told in (stored, expected):
        if error := _of_the_machine(told):
            what = f"{step.stage} of metric {step.metric_id}" if step.metric_id else step.stage
            return f"case {case_key}, {what}: ended with {error}, which depends on the machine"
    return Difference(
        case_key=case_key, stage=step.stage, metric_id=step.metric_id, stored=_short(left), expected=_short(right)
    )


_CIRCUMSTANCES: Final = frozenset(
    {"occurred_at", "run_id", "schema_version", "cache_hit", "source_run_id", "provider_key", "retry_history"}
)
_OF_A_FAILURE: Final = ("event_type", "component_id", "error_type", "candidate_id", "candidate_index", "metric_id")
_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{4,}")


def _plainly_equal(stored: CaseRunEvent, again: CaseRunEvent) -> bool:
    """Tell whether two events are field by field the same bytes: the quick way, and the way of nearly all of them."""
    kind = type(stored)
    if kind is not type(again) or isinstance(stored, _FAILED):
        return False
    fields = _COMPARED_OF[kind]
    for left, right in zip(fields(stored), fields(again), strict=True):
        # What a program handed on as it was recorded needs no second look, and neither does equal text.
        if left is not right and (left != right if type(left) is str else encode(left) != encode(right)):
            return False
    return True


_COMPARED: Final[Mapping[type, tuple[str, ...]]] = {
    kind: tuple(field.name for field in attrs.fields(kind) if field.name not in _CIRCUMSTANCES)
    for kind in EVENT_TYPES.values()
}
_COMPARED_OF: Final[Mapping[type, Callable[[object], tuple[Any, ...]]]] = {
    kind: operator.attrgetter(*names) for kind, names in _COMPARED.items()
}


def _comparable(event: CaseRunEvent) -> Mapping[str, Any]:
    """Return what two honest runs must agree on."""
    if isinstance(event, FailedEvent):
        return {name: getattr(event, name) for name in _OF_A_FAILURE if hasattr(event, name)}
    if isinstance(event, ScoreFailedEvent):
        told = {"error_type": event.error.details.get("error_type"), "retryable": event.error.retryable}
        return {"event_type": event.event_type, "metric_id": event.metric_id, **told}
    return {name: _without_circumstances(getattr(event, name)) for name in _COMPARED[type(event)]}


def _without_circumstances(value: Any) -> Any:
    """Return a field's value without times, and an execution's error messages without the addresses of objects."""
    if isinstance(value, GenerationResult):
        return reproducible_part(value)
    if not isinstance(value, EvaluationExecution):
        return value
    execution = reproducible_part(value)
    for told in (*execution["failures"], *(step["output"] for step in execution["trace"]["steps"])):
        for name in ("error_message", "error"):
            if isinstance(told.get(name), str):
                told[name] = _ADDRESS.sub("0x", told[name])
    return execution


_MACHINE: Final = ("RecursionError", "MemoryError")


def _of_the_machine(told: Mapping[str, Any]) -> str | None:
    execution = told.get("execution") or {"failures": ()}
    errors = [told.get("error_type"), *(failure["error_message"] for failure in execution["failures"])]
    return next((name for name in _MACHINE for error in errors if error and error.startswith(name)), None)


def _short(data: bytes) -> str:
    text = data.decode()
    return text if len(text) <= 300 else f"{text[:297]}..."


# --- the whole run ----------------------------------------------------------------------------------------


def misplaced(item: CaseItem, run_id: str, stored: StoredEvent, event: RunEvent) -> Iterator[str]:
    """Yield what a store's columns say of a case's event, and the event itself does not."""
    name = f"event {stored.sequence} ({stored.event_type})"
    if event.event_type != stored.event_type:
        yield f"{name}: it is stored under that type, and is a {event.event_type}"
    if event.run_id != run_id:
        yield f"{name}: it is of run {event.run_id}"
    if isinstance(event, CaseRunEvent) and event.case_key != item.case_key:
        yield f"{name}: it is stored under case {item.case_key}, and is of case {event.case_key}"


def altered_labels(plan: RunPlan, item: CaseItem, events: Sequence[RunEvent]) -> Iterator[str]:
    """Yield what of a case's labels can't have been said of it: of no metric of the run, or no answer that it had."""
    if not any(is_label(event) for event in events):
        return
    state = _fresh(item)
    for event in events:
        if is_label(event) and (problem := label_misfit(plan, state, event)) is not None:
            yield f"case {item.case_key}, label of {event.metric_id} by {event.who}: {problem}"
        state = apply(state, event)


def altered_identity(snapshot: RunSnapshot) -> Iterator[str]:
    """Yield what of a run's identity is not what its id is the hash of."""
    fault = misnamed(snapshot.run_id, snapshot.identity, snapshot.identity_algorithm)
    if fault is not None:
        yield fault


def altered_cases(snapshot: RunSnapshot) -> Iterator[str]:
    """Yield what of a run's cases is not what its identity names, in one pass over them."""
    refs = snapshot.identity.dataset_refs
    if [dataset.dataset_id for dataset in snapshot.datasets] != [ref.dataset_id for ref in refs]:
        yield "datasets: they are not those that the run's identity names"
        return
    for dataset, ref in zip(snapshot.datasets, refs, strict=True):
        if DatasetRef.of(dataset) != ref:
            yield f"dataset {ref.dataset_id}: its cases are not those that the run was made of"
        elif len(dataset.cases) != sum(1 for _ in dataset.cases):
            yield f"dataset {ref.dataset_id}: it is stored as {len(dataset.cases)} cases, and has another number"


def misplaced_stop(recorded: RunEvent, planned: int) -> str | None:
    """Say what is wrong with where a run with a rule says that it ended; `None` if it follows from its scores.

    Args:
        recorded: the last event of the run as a whole.
        planned: how many cases are planned by what is stored.
    """
    if not isinstance(recorded, RunCompletedEvent) or recorded.planned_cases == planned:
        return None
    said = "does not say after how many" if recorded.planned_cases is None else f"says after {recorded.planned_cases:,}"
    return f"stop: by its scores the run ends after {planned:,} cases, and its last event {said}"


@attrs.frozen
class RunChecks:
    """What the events of the whole run show: what is wrong, what can't be told, and the stage that it went through."""

    altered: tuple[str, ...]
    not_verified: tuple[str, ...]
    through: str | None


def run_checks(snapshot: RunSnapshot, events: Sequence[tuple[int, RunEvent]], count: int) -> RunChecks:
    """Check a run's header and the number of its events against what its own events recorded.

    Args:
        snapshot: as it is stored.
        events: the events of the whole run (started, completed, failed), each with how many the run has with it.
        count: how many events are stored.
    """
    altered, unknown = [], []
    headers = {event.header for _, event in events if isinstance(event, RunStartedEvent)}
    if headers - {None, header_hash(snapshot)}:
        altered.append(
            "header: it is not the one that the run was begun with (provenance, thresholds, metric families)"
        )
    elif headers <= {None} and count:
        unknown.append("header: the run did not record its hash, as runs of earlier versions did not")
    for position, event in events:
        if isinstance(event, RunCompletedEvent) and event.event_count not in (None, position):
            altered.append(f"event {position} (run_completed): the run had {event.event_count} events with it")
    last = events[-1] if events else (0, None)
    if not count:
        unknown.append("events: none is stored; the run was never begun, or all of them were taken away")
    elif last[0] != count or last[1] is None or last[1].event_type not in RUN_ENDS:
        unknown.append("end: that of the last attempt is not stored, so what may be cut off is not known; run it again")
    through = last[1].completed_through_stage if isinstance(last[1], RunCompletedEvent) else None
    return RunChecks(tuple(altered), tuple(unknown), through)
