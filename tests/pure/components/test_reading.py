"""SQuAD 2.0 and DROP as their own scripts score them; numbers at the end of worked solutions."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.pure.components.reading import Drop, Squad, drop_exact, drop_f1
from themis.pure.components.worked_numbers import WorkedNumber, worked_number
from themis.pure.records.contexts import ScoreContext
from themis.pure.records.dataset import Case
from themis.pure.records.generation import GenerationResult, ParsedOutput
from themis.pure.records.scoring import Score, ScoreError


def outcome(metric: Any, answer: Any, expected: Any, output: Any = None) -> Score | ScoreError:
    case, parsed = Case(case_id="a", input="x", expected_output=expected), ParsedOutput(value=answer)
    ctx = ScoreContext(
        run_id="r",
        case=case,
        parsed_output=parsed,
        dataset_id="d",
        case_key="d/a",
        candidate=None if output is None else GenerationResult(candidate_id="a:0", final_output=output),
    )
    found: Score | ScoreError = metric.score(parsed, case, ctx)
    return found


def value(metric: Any, answer: Any, expected: Any, output: Any = None) -> float:
    found = outcome(metric, answer, expected, output)
    assert isinstance(found, Score), found
    return found.value


# --- SQuAD ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "expected", "f1", "exact"),
    [
        ("The Bears", ["bears", "the team"], 1.0, 1.0),
        ("nine points", ["nine"], 2 / 3, 0.0),
        ("unanswerable", [], 1.0, 1.0),
        ("Unanswerable.", ["unanswerable"], 1.0, 1.0),
        ("nine", [], 0.0, 0.0),
        ("it is unanswerable", [""], 0.0, 0.0),  # without an answer F1 is all or nothing
        ("unanswerable", ["nine"], 0.0, 0.0),
    ],
)
def test_squad(answer: str, expected: list[str], f1: float, exact: float) -> None:
    assert value(Squad(), answer, expected) == pytest.approx(f1)
    assert value(Squad(measure="exact"), answer, expected) == exact


@given(st.text(), st.lists(st.text(), min_size=1, max_size=3))
def test_an_exact_squad_answer_has_an_f1_of_one(answer: str, expected: list[str]) -> None:
    f1, exact = value(Squad(), answer, expected), value(Squad(measure="exact"), answer, expected)
    assert exact <= f1 <= 1
    assert (exact == 1) <= (f1 == 1)


# --- DROP -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "reference", "f1", "exact"),
    [
        ("12", ["12"], 1.0, 1.0),
        ("12.0", ["12"], 1.0, 1.0),
        ("12 yards", ["12"], 0.67, 0.0),
        ("13 yards", ["12 yards"], 0.0, 0.0),  # another number: the words do not count
        ("yards", ["12 yards"], 0.0, 0.0),
        ("Jones; Smith", ["Smith", "Jones"], 1.0, 1.0),
        ("Smith", ["Smith", "Jones"], 0.5, 0.0),
        ("Smith; Jones; Lee", ["Smith", "Jones"], 0.67, 0.0),
        ("sky-blue", ["sky blue"], 1.0, 1.0),
        ("the $1,200", ["1200"], 1.0, 1.0),
        ("4 May 1900", ["4 May 1900"], 1.0, 1.0),
    ],
)
def test_drop(answer: str, reference: list[str], f1: float, exact: float) -> None:
    assert value(Drop(), answer, [reference]) == f1
    assert value(Drop(measure="exact"), answer, [reference]) == exact


def test_halves_are_rounded_as_the_script_does() -> None:
    """Three spans against four come to 0.225, which NumPy rounds to the even hundredth."""
    answer = ["4 1,200 12 $5", "12 $5 $5 yards", "sky-blue"]
    assert drop_f1(answer, ["May 1,200", "Rome yards May the", "$5", "a 12.0"]) == 0.22


def test_the_best_of_several_references_counts() -> None:
    found = outcome(Drop(), "12 yards", [["12"], ["12 yards"]])
    assert isinstance(found, Score)
    assert (found.value, found.details["reference"]) == (1.0, 1)
    assert isinstance(outcome(Drop(), "12", []), ScoreError)
    assert isinstance(outcome(Drop(), "12", None), ScoreError)


WORDS = st.lists(st.sampled_from(["a", "red", "blue", "4", "5", "dog", "-", "The"]), max_size=4).map(" ".join)
SPANS = st.lists(WORDS, min_size=1, max_size=4)


@given(SPANS, SPANS)
def test_spans_are_paired_in_the_best_way(answer: list[str], reference: list[str]) -> None:
    """As all pairings tried one by one."""

    def one(first: str, second: str) -> float:
        return drop_f1([first], [second])  # of one span each, to hundredths

    longer = max(len(answer), len(reference))
    filled = [*answer, *[None] * (longer - len(answer))]
    best = max(
        sum(one(said, known) for said, known in zip(order, reference, strict=False) if said is not None)
        for order in itertools.permutations(filled)
    )
    assert drop_f1(answer, reference) == pytest.approx(best / longer, abs=0.011)


@given(SPANS, st.randoms())
def test_the_order_of_spans_means_nothing(spans: list[str], random: Any) -> None:
    other = [*spans]
    random.shuffle(other)
    assert drop_f1(other, spans) == 1.0
    assert drop_exact(other, spans)


# --- worked solutions -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "strict", "flexible"),
    [
        ("2 + 3 = <<2+3=5>>5\n#### 5", "5", "5"),
        ("It is 1,203 dollars.\n#### 1,203", "1203", "1203"),
        ("So he pays $1,203.", None, "1203"),
        ("#### 7\nQuestion: 9?", "7", "9"),
        ("#### -4", "-4", "-4"),
        ("no number", None, None),
        ("It is 18.0", None, "18.0"),
    ],
)
def test_worked_numbers(answer: str, strict: str | None, flexible: str | None) -> None:
    assert (worked_number(answer, "strict"), worked_number(answer, "flexible")) == (strict, flexible)


@given(st.integers(-(10**6), 10**6), st.text(alphabet="abc .,", max_size=20))
def test_a_solution_with_the_mark_is_found_by_both(number: int, before: str) -> None:
    solution = f"{before}\n#### {number:,}"
    for how in ("strict", "flexible"):
        assert value(WorkedNumber(filter=how), "whatever", f"work\n#### {number}", output=solution) == 1.0
        assert value(WorkedNumber(filter=how), "whatever", str(number + 1), output=solution) == 0.0
