"""What changed between two runs: every case is of one kind, and the kinds add up to what a comparison counts."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.pure.changes import (
    CHANGED,
    KINDS,
    OPPOSITE,
    UNCHANGED,
    ChangeCounts,
    ChangeKind,
    Standing,
    State,
    first_of_each,
    kind_of,
    standing_of,
)
from themis.pure.projections import UNPARSED, Thresholds
from themis.pure.records.results import BenchmarkScoreRow
from themis.pure.stats import StatsEngine

NO_THRESHOLDS = Thresholds()


def row(value: float | None, category: str | None = None, *, case: int = 0, answer: int = 0) -> BenchmarkScoreRow:
    outcome: Any = "incorrect" if value is not None else "not_reached" if category == "not_reached" else "error"
    return BenchmarkScoreRow(
        case_id=str(case),
        dataset_id="d",
        case_key=f"1:d:{case}",
        metric_id="m",
        value=value,
        candidate_id=str(answer),
        outcome="correct" if value == 1.0 else outcome,
        error_category=category,  # type: ignore[arg-type]  # drawn from those there are
    )


scored = st.sampled_from([0.0, 0.25, 0.5, 1.0]).map(row)
unparsed = st.builds(row, st.sampled_from([0.0, None]), st.sampled_from(UNPARSED))
without = st.sampled_from(["generation_failure", "score_failure", "not_reached"]).map(lambda why: row(None, why))
one = st.one_of(scored, unparsed, without)
several = st.lists(one, min_size=1, max_size=3)
standings = several.map(lambda rows: standing_of(rows, NO_THRESHOLDS))


@pytest.mark.parametrize(
    ("a", "b", "kind"),
    [
        (row(1.0), row(0.0), "right_to_wrong"),
        (row(0.0), row(1.0), "wrong_to_right"),
        (row(1.0), row(0.5), "score_fell"),
        (row(0.25), row(0.5), "score_rose"),
        (row(0.0), row(0.5), "score_rose"),
        (row(1.0), row(0.0, "parse_null"), "parsed_to_unparsed"),
        (row(0.0), row(None, "parse_failure"), "parsed_to_unparsed"),
        (row(0.0, "parse_invalid"), row(0.0), "unparsed_to_parsed"),
        (row(1.0), row(None, "generation_failure"), "answer_to_error"),
        (row(0.0, "parse_null"), row(None, "score_failure"), "answer_to_error"),
        (row(None, "evaluation_failure"), row(0.5), "error_to_answer"),
        (row(1.0), row(None, "not_reached"), "reached_to_not_reached"),
        (row(None, "not_reached"), row(0.0, "parse_null"), "not_reached_to_reached"),
        (row(None, "not_reached"), row(None, "score_failure"), "without_answer"),
        (row(None, "score_failure"), row(None, "generation_failure"), "without_answer"),
        (row(0.0, "parse_null"), row(0.0, "parse_failure"), "same"),
        (row(0.5), row(0.5), "same"),
    ],
)
def test_each_change_has_its_name(a: BenchmarkScoreRow, b: BenchmarkScoreRow, kind: ChangeKind) -> None:
    assert kind_of(standing_of([a], NO_THRESHOLDS), standing_of([b], NO_THRESHOLDS)) == kind
    assert kind_of(standing_of([b], NO_THRESHOLDS), standing_of([a], NO_THRESHOLDS)) == OPPOSITE[kind]


def test_the_same_score_for_another_parsed_value_is_a_change_of_its_own() -> None:
    wrong, right, nothing = Standing("wrong", 0.0), Standing("right", 1.0), Standing("error", None)
    assert kind_of(wrong, wrong, parsed_alike=False) == "parsed_differently"
    assert kind_of(wrong, right, parsed_alike=False) == "wrong_to_right"
    assert kind_of(nothing, nothing, parsed_alike=False) == "without_answer"


def test_a_score_that_a_threshold_makes_right_or_wrong_is_not_graded() -> None:
    graded = row(0.6)
    assert standing_of([graded], NO_THRESHOLDS).state == "graded"
    assert standing_of([graded], Thresholds({"m": 0.7})).state == "wrong"
    assert standing_of([row(0.6).evolve(outcome="correct")], Thresholds({"m": 0.5})).state == "right"


def test_several_answers_that_came_out_otherwise_are_between_right_and_wrong() -> None:
    assert standing_of([row(1.0), row(1.0)], NO_THRESHOLDS) == Standing("right", 1.0)
    assert standing_of([row(1.0), row(0.0)], NO_THRESHOLDS) == Standing("graded", 0.5)
    assert standing_of([row(1.0), row(None, "score_failure")], NO_THRESHOLDS) == Standing("graded", 1.0)
    assert standing_of([row(None, "not_reached"), row(None, "score_failure")], NO_THRESHOLDS) == Standing("error", None)


@given(standings, standings, st.booleans())
def test_swapping_the_runs_swaps_the_kinds(a: Standing, b: Standing, alike: bool) -> None:
    forth, back = kind_of(a, b, parsed_alike=alike), kind_of(b, a, parsed_alike=alike)
    assert back == OPPOSITE[forth]
    assert OPPOSITE[back] == forth
    if a == b and alike:
        assert forth in UNCHANGED


@given(st.lists(st.tuples(several, several, st.booleans()), min_size=1, max_size=12))
def test_no_case_is_of_two_kinds_and_the_kinds_add_up_to_the_comparison(
    cases: list[tuple[list[BenchmarkScoreRow], list[BenchmarkScoreRow], bool]],
) -> None:
    counts, rows_a, rows_b = ChangeCounts("m"), list[BenchmarkScoreRow](), list[BenchmarkScoreRow]()
    kinds = []
    for number, (of_a, of_b, alike) in enumerate(cases):
        key = f"1:d:{number}"
        rows_a += [each.evolve(case_key=key) for each in of_a]
        rows_b += [each.evolve(case_key=key) for each in of_b]
        a, b = (standing_of(rows, NO_THRESHOLDS) for rows in (of_a, of_b))
        kinds.append(counts.add(key, a, b, parsed_alike=alike))
    found = counts.result()
    named = [key for each in found.kinds for key in each.case_keys]
    assert len(named) == len({*named}) == found.changed
    assert {each.kind: each.count for each in found.kinds} == Counter(kinds)
    assert [each.kind for each in found.kinds] == sorted({*kinds}, key=KINDS.index)
    assert found.total == len(cases)
    [compared] = StatsEngine().paired_compare(rows_a, rows_b).comparisons
    sums = [sum(getattr(each, name) for each in found.kinds) for name in ("better", "worse", "equal")]
    assert sums == [compared.wins, compared.losses, compared.ties]
    assert sum(sums) == compared.pairs
    assert found.total - compared.pairs == compared.unscored
    directed: tuple[tuple[ChangeKind, bool], ...] = (
        ("right_to_wrong", True),
        ("score_fell", True),
        ("wrong_to_right", False),
    )
    for kind, worse in directed:
        of = found.of_kind(kind)
        assert (of.worse if worse else of.better) == of.count


def test_the_first_cases_of_each_kind_and_metric_are_chosen_once() -> None:
    rose, fell = {"m": "score_rose", "n": "score_fell"}, {"n": "score_fell"}
    cases: list[tuple[int, dict[str, ChangeKind]]] = [(1, {"m": "score_rose"}), (2, fell), (3, rose), (4, rose)]  # type: ignore[list-item]  # kinds
    wanted = frozenset(CHANGED)
    assert [*first_of_each(cases, 1, wanted)] == [1, 2]
    assert [*first_of_each(cases, 2, wanted)] == [1, 2, 3]
    assert [*first_of_each(cases, None, wanted)] == [1, 2, 3, 4]
    assert [*first_of_each(cases, 0, wanted)] == []
    assert [*first_of_each([cases[1], cases[2]], 1, wanted)] == [2, 3]
    assert [*first_of_each(cases, 1, frozenset[ChangeKind]({"score_fell"}))] == [2]


def test_every_pair_of_states_has_a_kind() -> None:
    states: tuple[State, ...] = ("right", "wrong", "graded", "unparsed", "error", "not_reached")
    values = {"right": 1.0, "wrong": 0.0, "graded": 0.5, "unparsed": 0.0}
    for a in states:
        for b in states:
            kind = kind_of(Standing(a, values.get(a)), Standing(b, values.get(b)))
            assert (kind in UNCHANGED) == (a == b or {a, b} == {"error", "not_reached"}), (a, b, kind)
