"""What a label must be like, and of which answer it is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.pure.errors import InvalidRecordError
from themis.pure.events import (
    GenerationCompletedEvent,
    LabelGivenEvent,
    ReductionCompletedEvent,
    RunCompletedEvent,
    RunFailedEvent,
    RunStartedEvent,
    event_from_dict,
)
from themis.pure.human_labels import current_labels, ending_again, label_events, label_misfit
from themis.pure.json import decode, encode
from themis.pure.plan import CaseItem, MetricSlot, RunPlan
from themis.pure.records.dataset import Case
from themis.pure.records.generation import GenerationResult, ReducedCandidate
from themis.pure.records.human_label import HumanLabel, label_score, read_label_value
from themis.pure.records.snapshot import ComponentRef
from themis.pure.state import CaseState, apply, fold_case, new_state

NOW = datetime(2026, 1, 2, tzinfo=UTC)
ITEM = CaseItem(Case(case_id="c", input="?"), 0, "d", "1:d:c", {})
NAME: dict[str, Any] = {"run_id": "r", "occurred_at": NOW, "case_id": "c", "dataset_id": "d", "case_key": "1:d:c"}


def plan(candidates: int = 1, *, reduced: bool = True, score_range: tuple[float, float] | None = (0.0, 1.0)) -> RunPlan:
    return RunPlan(
        run_id="r",
        generator=ComponentRef(component_id="g", version="1", fingerprint="f"),
        candidate_count=candidates,
        seeds=(),
        selects=False,
        answers=(None,) if reduced else tuple(range(candidates)),
        metrics=(
            MetricSlot("m", "llm", "f", score_range),
            MetricSlot("best", "selection", "f"),
        ),
        until_stage="judge",
    )


def generated(answer: str, index: int = 0) -> GenerationCompletedEvent:
    name = f"c-candidate-{index}"
    result = GenerationResult(candidate_id=name, final_output=answer)
    return GenerationCompletedEvent(**NAME, candidate_id=name, candidate_index=index, result=result)


def reduced(answer: str) -> ReductionCompletedEvent:
    result = ReducedCandidate(candidate_id="x", source_candidate_ids=("c-candidate-0",), final_output=answer)
    return ReductionCompletedEvent(**NAME, candidate_id="x", result=result)


def state(*events: Any) -> CaseState:
    return fold_case(new_state("c", "d", "1:d:c"), events)


ONE = state(generated("4"), reduced("4"))
THREE = state(*(generated(str(index), index) for index in range(3)))


def taken(of: RunPlan, case: CaseState, *labels: HumanLabel) -> tuple[list[LabelGivenEvent], list[str]]:
    events, faults = label_events(of, ITEM, case, labels, NOW)
    return events, [problem for _, problem in faults]


def label(value: Any = True, **more: Any) -> HumanLabel:
    return HumanLabel(**{"case_id": "c", "metric_id": "m", "value": value, "who": "ada", **more})


def test_a_label_is_of_the_answer_that_it_was_given_to() -> None:
    (event,), _ = taken(plan(), ONE, label())
    before = apply(ONE, event)
    assert [each.outdated for each in current_labels(plan(), before)] == [False]
    other = fold_case(before, [generated("5"), reduced("5")])
    assert [each.outdated for each in current_labels(plan(), other)] == [True]
    assert label_misfit(plan(), other, event) == "it is of another answer than the one that the case had then"
    back = fold_case(other, [generated("4"), reduced("4")])
    assert [each.outdated for each in current_labels(plan(), back)] == [False]


def test_a_label_undoes_nothing() -> None:
    (event,), _ = taken(plan(), ONE, label())
    after = apply(ONE, event)
    assert {**vars(after), "labels": ONE.labels} == vars(ONE)
    assert after.without_failures().labels == after.labels


def test_of_several_answers_each_has_labels_of_its_own() -> None:
    several = plan(3, reduced=False)
    given_labels = [label(index == 1, candidate_id=f"c-candidate-{index}") for index in range(3)]
    events, faults = taken(several, THREE, *given_labels, label(metric_id="best"))
    assert faults == []
    found = fold_case(THREE, events)
    assert len(found.labels) == 4
    changed = apply(found, generated("new", 1))
    assert [(each.candidate_id, each.outdated) for each in current_labels(several, changed)] == [
        ("c-candidate-0", False),
        ("c-candidate-1", True),
        ("c-candidate-2", False),
        (None, True),  # what compares all of them is of none of them alone
    ]


def test_the_one_answer_may_be_named() -> None:
    (event,), faults = taken(plan(), ONE, label(candidate_id="x"))
    assert (event.candidate_id, faults) == (None, [])


@pytest.mark.parametrize(
    ("of", "case", "given_label", "said"),
    [
        (plan(), ONE, label(metric_id="n"), "the run has no metric 'n'"),
        (plan(), ONE, label(who=" "), "who: the name of whoever labelled expected"),
        (plan(), ONE, label(probability=0.0), "a number from 1e-9 to 1 expected, found 0"),
        (plan(), ONE, label(given_at=datetime(2026, 1, 1)), "when: a time with its zone expected"),  # noqa: DTZ001
        (plan(), ONE, label(2.0), "value: m scores from 0 to 1; found 2"),
        (plan(), ONE, label(float("nan")), "value: m scores from 0 to 1; found nan"),
        (plan(), ONE, label(""), "value: a number, right or wrong, or words expected"),
        (plan(score_range=(1.0, 5.0)), ONE, label(), "m scores from 1 to 5; a number expected, found right or wrong"),
        (plan(score_range=None), ONE, label(float("inf")), "found inf"),
        (plan(), ONE, label(candidate_id="y"), "the case has one answer, so no candidate is named; found 'y'"),
        (plan(), state(), label(), "the case has no answer to label"),
        (plan(3), THREE, label(), "its candidates were not made one"),
        (plan(3, reduced=False), THREE, label(), "several answers; say which: c-candidate-0, c-candidate-1"),
        (plan(3, reduced=False), THREE, label(candidate_id="c-candidate-7"), "no answer 'c-candidate-7'"),
    ],
)
def test_what_a_run_can_not_have_is_said(of: RunPlan, case: CaseState, given_label: HumanLabel, said: str) -> None:
    events, faults = taken(of, case, label(note="fine", who="bob", candidate_id=given_label.candidate_id), given_label)
    assert any(said in fault for fault in faults)
    assert all(event.who == "bob" for event in events)


def test_all_that_is_wrong_with_a_label_is_said_at_once() -> None:
    _, faults = taken(plan(), ONE, label(7, who="", probability=3.0))
    assert len(faults) == 3


def test_an_older_label_is_no_news() -> None:
    (event,), _ = taken(plan(), ONE, label())
    after = apply(ONE, event)
    assert taken(plan(), after, label(False, given_at=NOW - timedelta(1))) == ([], [])
    (newer,), _ = taken(plan(), after, label(False, given_at=NOW))
    assert newer.value is False


VALUES = st.none() | st.booleans() | st.floats(0, 1) | st.text(min_size=1)


@given(st.lists(st.tuples(st.sampled_from("ab"), VALUES), max_size=8))
def test_the_state_holds_the_last_that_each_said_and_giving_it_again_is_no_news(said: list[tuple[str, Any]]) -> None:
    labels = [label(value, who=who) for who, value in said]
    events, _ = taken(plan(), ONE, *labels)
    read = [event_from_dict(decode(encode(event))) for event in events]
    assert read == events
    found = fold_case(ONE, read)
    last = dict(said)
    kept = {each.who: each.value for each in current_labels(plan(), found)}
    assert kept == {who: value for who, value in last.items() if value is not None}
    assert {who: type(value) for who, value in kept.items()} == {who: type(last[who]) for who in kept}
    for one in {each.who: each for each in labels}.values():
        assert taken(plan(), found, one) == ([], [])


def test_an_ending_counts_the_labels_before_it() -> None:
    run: dict[str, Any] = {"run_id": "r", "occurred_at": NOW}
    completed = RunCompletedEvent(**run, completed_through_stage="judge", event_count=9)
    assert ending_again(completed, 11) == completed.evolve(event_count=12)
    failed = RunFailedEvent(**run, error_message="down")
    assert ending_again(failed, 11) == failed
    assert ending_again(RunStartedEvent(**run), 11) is None
    assert ending_again(None, 0) is None


def test_values_are_of_these_kinds_alone() -> None:
    (event,), _ = taken(plan(), ONE, label(1))
    assert event.value == 1.0
    data = event.to_dict()
    assert LabelGivenEvent.from_dict({**data, "value": 1}).value == 1.0
    with pytest.raises(InvalidRecordError, match="one of float, bool, str expected, list found"):
        LabelGivenEvent.from_dict({**data, "value": [1]})


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", 1.0), (" 0.25 ", 0.25), ("YES", True), ("incorrect", False), ("1_0", "1_0"), ("nan", "nan"), ("inf", "inf")],
)
def test_texts_are_read_as_what_they_state(text: str, value: Any) -> None:
    found = read_label_value(text)
    assert (type(found), found) == (type(value), value)


def test_words_are_no_score() -> None:
    assert [label_score(value) for value in (True, 0.5, "good", None)] == [1.0, 0.5, None, None]
