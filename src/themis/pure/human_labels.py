"""Labels that people give answers: what one must be like, and the events that it is kept as.

Nothing rests on a label: no stage, no result, no cache. It names an answer by its content, so that a run that makes the
answer anew, and another one of it, is not held against what was said of the old one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeGuard

from themis.pure.errors import nearest
from themis.pure.events import LabelGivenEvent, RunCompletedEvent, RunEvent, RunFailedEvent
from themis.pure.json import content_hash
from themis.pure.plan import CaseItem, MetricSlot, RunPlan
from themis.pure.records.human_label import HumanLabel, LabelValue, label_score
from themis.pure.state import CaseState, candidates_of
from themis.pure.stats.arguments import LARGEST

LABEL_EVENTS: Final = (LabelGivenEvent,)
"""The events that are of no stage: what people say of a case."""


def is_label(event: object) -> TypeGuard[LabelGivenEvent]:
    return isinstance(event, LABEL_EVENTS)


def current_labels(plan: RunPlan, state: CaseState) -> Iterator[HumanLabel]:
    """Yield the labels of a case that were not taken back, in the order they were given."""
    for event in state.labels.values():
        if event.value is not None:
            yield HumanLabel(
                case_id=event.case_id,
                dataset_id=event.dataset_id,
                candidate_id=event.candidate_id,
                metric_id=event.metric_id,
                value=event.value,
                who=event.who,
                note=event.note,
                probability=event.probability,
                given_at=event.occurred_at,
                outdated=event.answer != _answer(plan, state, event.metric_id, event.candidate_id),
            )


def _slot(plan: RunPlan, metric_id: str) -> MetricSlot | None:
    return next((metric for metric in plan.metrics if metric.metric_id == metric_id), None)


def labelled_outputs(plan: RunPlan, state: CaseState, metric_id: str, candidate_id: str | None) -> list[Any]:
    """Return what a metric scores of an answer; nothing if there is none."""
    metric = _slot(plan, metric_id)
    if metric is None or (plan.is_reduced and candidate_id is not None):
        return []
    if plan.is_reduced:
        return [] if state.reduced is None else [state.reduced.final_output]
    if metric.is_of_answers:
        return [each.final_output for each in candidates_of(state) if each.candidate_id == candidate_id]
    return [] if candidate_id else [each.final_output for each in candidates_of(state)]


def _answer(plan: RunPlan, state: CaseState, metric_id: str, candidate_id: str | None) -> str | None:
    """Return the content hash of an answer; `None` if there is none."""
    outputs = labelled_outputs(plan, state, metric_id, candidate_id)
    return content_hash(outputs) if outputs else None


def label_misfit(plan: RunPlan, state: CaseState, event: LabelGivenEvent) -> str | None:
    """Say why a case in this state can't have a label; `None` if it can."""
    problem = _value_fault(plan, event.metric_id, event.value)
    if problem is not None:
        return problem
    answer = _answer(plan, state, event.metric_id, event.candidate_id)
    if answer is None:
        return _no_answer(plan, state, event.candidate_id)
    return None if event.answer == answer else "it is of another answer than the one that the case had then"


def _no_answer(plan: RunPlan, state: CaseState, candidate_id: str | None) -> str:
    names = [each.candidate_id for each in candidates_of(state)]
    if not names:
        return "the case has no answer to label"
    if candidate_id is not None and not plan.is_reduced:
        return f"the case has no answer {candidate_id!r}; {nearest(candidate_id, names)}"
    if candidate_id is not None:
        return f"the case has one answer, so no candidate is named; found {candidate_id!r}"
    if plan.is_reduced:
        return "the case has no answer to label: its candidates were not made one"
    return f"the case has several answers; say which: {', '.join(names)}"


def _value_fault(plan: RunPlan, metric_id: str, value: LabelValue) -> str | None:
    metric = _slot(plan, metric_id)
    if metric is None:
        return f"the run has no metric {metric_id!r}; {nearest(metric_id, [each.metric_id for each in plan.metrics])}"
    score = label_score(value)
    if score is None:
        return "value: a number, right or wrong, or words expected" if value is not None and not value else None
    low, high = metric.score_range or ((0.0, 1.0) if isinstance(value, bool) else (-LARGEST, LARGEST))
    if isinstance(value, bool) and (low, high) != (0.0, 1.0):
        return f"value: {metric_id} scores from {low:g} to {high:g}; a number expected, found right or wrong"
    return None if low <= score <= high else f"value: {metric_id} scores from {low:g} to {high:g}; found {score:g}"


# --- taking labels in -------------------------------------------------------------------------------------


def label_events(
    plan: RunPlan, item: CaseItem, state: CaseState, labels: Sequence[HumanLabel], now: datetime
) -> tuple[list[LabelGivenEvent], list[tuple[HumanLabel, str]]]:
    """Return the events that keep labels of a case, and what is wrong with those that can't be kept.

    A label that says what the case has already makes no event; neither does one that is older than what the case has,
    or that takes back what was never said.
    """
    events: list[LabelGivenEvent] = []
    faults: list[tuple[HumanLabel, str]] = []
    known = {(each.who, each.metric_id, each.candidate_id): each for each in state.labels.values()}
    for label in labels:
        answer = _one_answer(plan, state, label)
        event = LabelGivenEvent(
            run_id=plan.run_id,
            occurred_at=now if label.given_at is None else label.given_at.astimezone(UTC),
            case_id=item.case.case_id,
            dataset_id=item.dataset_id,
            case_key=item.case_key,
            candidate_id=answer,
            metric_id=label.metric_id,
            who=label.who,
            value=label.value,
            note=label.note,
            probability=label.probability,
            answer=_answer(plan, state, label.metric_id, answer),
        )
        problems = [*_own_faults(label), *filter(None, [label_misfit(plan, state, event)])]
        faults += ((label, problem) for problem in problems)
        name = (event.who, event.metric_id, event.candidate_id)
        if not problems and _is_new(known.get(name), event):
            known[name] = event
            events.append(event)
    return events, faults


def _one_answer(plan: RunPlan, state: CaseState, label: HumanLabel) -> str | None:
    """Return the answer that a label names; a case's one answer may be named, too."""
    if plan.is_reduced and state.reduced is not None and label.candidate_id == state.reduced.candidate_id:
        return None
    return label.candidate_id


def _own_faults(label: HumanLabel) -> Iterator[str]:
    if not label.who.strip():
        yield "who: the name of whoever labelled expected"
    if label.probability is not None and not 1e-9 <= label.probability <= 1.0:
        yield f"probability: a number from 1e-9 to 1 expected, found {label.probability:g}"
    if label.given_at is not None and label.given_at.tzinfo is None:
        yield "when: a time with its zone expected"


def _is_new(known: LabelGivenEvent | None, event: LabelGivenEvent) -> bool:
    if known is None:
        return event.value is not None
    if event.occurred_at < known.occurred_at:
        return False
    return _said(known) != _said(event)


def _said(event: LabelGivenEvent) -> tuple[object, ...]:
    # 1 and True are equal in Python, and are two different things to say.
    return type(event.value), event.value, event.note, event.probability, event.answer


def ending_again(last: RunEvent | None, count: int) -> RunEvent | None:
    """Return how a run ended, to be said again behind the labels: how many events it has is part of that.

    Args:
        last: the last event of the whole run.
        count: how many events the run has with the labels.
    """
    if isinstance(last, RunCompletedEvent):
        return last.evolve(event_count=count + 1)
    return last if isinstance(last, RunFailedEvent) else None
