"""Zeros that say nothing are told of with their reason; a model that is right, or honestly wrong, is not suspected."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis import InMemoryRunStore, RunResult, evaluate, generator, metric
from themis.api.runs.report import Reporter, result_data, result_table
from themis.core import Case, ParsedOutput, Score, ScoreError
from themis.pure.report.suspicions import FEWEST, Suspicion
from themis.testing.pipelines import Pipeline, ScriptedJudgeMetric

EXACT = "builtin/exact_match"

words = st.text(st.sampled_from("klmnopqrstuvw"), min_size=2, max_size=8)
numbers = st.integers(-1000, 1000)


@metric
def compares_parsed(parsed: ParsedOutput, case: Case) -> bool:
    return bool(parsed == case.expected_output)  # type: ignore[comparison-overlap]  # the mistake to be noticed


@metric
def compares_values(parsed: ParsedOutput, case: Case) -> bool:
    return bool(parsed.value == case.expected_output)


@metric
def reads_numbers(parsed: ParsedOutput, case: Case) -> Score | ScoreError:
    return Score(metric_id="reads_numbers", value=float(float(str(parsed.value)) == case.expected_output))


def run(
    pairs: Sequence[tuple[Any, Any]], scored_by: Any = EXACT, *, parser: Any = None, samples: int = 1, store: Any = None
) -> RunResult:
    """Run a model that gives to each reference the answer beside it."""
    rows = [{"input": n, "expected_output": expected} for n, (expected, _) in enumerate(pairs)]

    @generator(component_id="tests/given")
    def given_answers(case: Case) -> Any:
        return pairs[int(str(case.input))][1]

    return evaluate(model=given_answers, data=rows, metric=scored_by, parser=parser, samples=samples, store=store)


def suspicions(result: RunResult) -> tuple[Suspicion, ...]:
    return result.suspicions


def several(pair: st.SearchStrategy[tuple[Any, Any]], least: int = FEWEST) -> st.SearchStrategy[list[tuple[Any, Any]]]:
    return st.lists(pair, min_size=least, max_size=9)


letters = st.sampled_from("ABCD")
options = words.map(str.title)
RIGHT_BUT_FOR_THE_KIND: dict[str, tuple[Any, st.SearchStrategy[tuple[Any, Any]], str, tuple[str, ...]]] = {
    "numbers against texts": (
        EXACT,
        numbers.map(lambda n: (n, str(n))),
        "unequal",
        ("references are numbers", "answers texts", "builtin/numeric_match"),
    ),
    "texts against numbers": (
        EXACT,
        numbers.map(lambda n: (str(n), n)),
        "unequal",
        ("references are texts", "all answers numbers", "builtin/numeric_match"),
    ),
    "booleans against texts": (
        EXACT,
        st.booleans().map(lambda b: (b, str(b).lower())),
        "unequal",
        ("references are booleans", "builtin/json"),
    ),
    "objects against texts": (EXACT, words.map(lambda w: ({"city": w}, w)), "unequal", ("objects", "builtin/json")),
    "lists of numbers against texts": (
        EXACT,
        numbers.map(lambda n: ([n, n + 1], str(n))),
        "unequal",
        ("lists of numbers",),
    ),
    "a line break after the reference": (
        EXACT,
        words.map(lambda w: (f"{w}\n", w)),
        "unequal",
        ("line breaks around them", "strip the references"),
    ),
    "a line break after the answer": (EXACT, words.map(lambda w: (w, f"{w}\n")), "unequal", ("builtin/text",)),
    "an empty reference": (EXACT, words.map(lambda w: ("", w)), "unequal", ("empty texts", "give every case")),
    "letters against whole options": (
        EXACT,
        st.tuples(letters, options),
        "unequal",
        ("references are letters of options", "all answers texts", "builtin/choice_letter"),
    ),
    "whole options against letters": (
        EXACT,
        st.tuples(options, letters),
        "unequal",
        ("references are texts", "all answers letters of options", "give the letter"),
    ),
    "whole options against letters, as choices": (
        "builtin/choice_accuracy",
        st.tuples(st.sampled_from(["Paris", "Lyon", "Metz"]), letters),  # read as the letters P, A, R, I, S
        "unequal",
        ("references are texts", "give the letter"),
    ),
    "sentences where an option by its index is wanted": (
        "builtin/choice_accuracy",
        st.integers(0, 3).map(lambda n: (n, f"I think that it is {'ABCD'[n]}")),
        "unequal",
        ("references are numbers", "builtin/choice_letter"),
    ),
    "a text against an object that holds it": (
        EXACT,
        words.map(lambda w: (w, {"answer": w})),
        "unequal",
        ("all answers objects", "takes the one value"),
    ),
    "objects against texts, as texts": (
        "builtin/f1",
        words.map(lambda w: ({"zz": "yy"}, w)),
        "unequal",
        ("objects", "builtin/json"),
    ),
    "another case": (EXACT, words.map(lambda w: (w.upper(), w)), "nearly equal", ("exact_match_normalized",)),
    "sentences where numbers are wanted": (
        "builtin/numeric_match",
        numbers.map(lambda n: (n, f"I think that it may be {n} then")),
        "unequal",
        ("takes the number out", "builtin/math_answer"),
    ),
    "a parsed output that is compared with a text": (
        compares_parsed,
        words.map(lambda w: (w, w)),
        "equal",
        ("compares_parsed scored 0", "equal the reference", "parsed.value is the answer"),
    ),
    "a number that an own metric compares with a text": (
        compares_values,
        numbers.map(lambda n: (n, str(n))),
        "nearly equal",
        ("JSON type",),
    ),
}


@pytest.mark.parametrize("kind", RIGHT_BUT_FOR_THE_KIND)
@given(data=st.data())
def test_a_run_that_is_right_but_for_its_kind_is_noticed(kind: str, data: Any) -> None:
    scored_by, pair, reason, said = RIGHT_BUT_FOR_THE_KIND[kind]
    pairs = data.draw(several(pair))
    result = run(pairs, scored_by)
    (found,) = suspicions(result)
    assert (found.reason, found.scored, found.count) == (reason, len(pairs), len(pairs))
    for word in (found.metric_id, *said):
        assert word in found.message


@given(several(words.map(lambda w: (w, w)), 1), several(words.map(lambda w: (w, f"not {w}"))))
def test_some_answers_that_equal_their_reference_are_enough(right: list[Any], wrong: list[Any]) -> None:
    (found,) = suspicions(run([*wrong, *right], compares_parsed))
    assert (found.reason, found.scored, found.count) == ("equal", len(wrong) + len(right), len(right))


HONEST: dict[str, tuple[Any, st.SearchStrategy[tuple[Any, Any]]]] = {
    "texts": (EXACT, words.map(lambda w: (w, f"not {w}"))),
    "numbers": (EXACT, numbers.map(lambda n: (n, n + 1))),
    "number texts": (EXACT, numbers.map(lambda n: (str(n), str(n + 1)))),
    "letters": (EXACT, st.permutations("ABCD").map(lambda p: (p[0], p[1]))),
    "objects": (EXACT, words.map(lambda w: ({"a": w}, {"a": f"not {w}"}))),
    "lists": (EXACT, words.map(lambda w: ([w], [f"not {w}"]))),
    "several references": (EXACT, words.map(lambda w: ([w, w.upper()], f"not {w}"))),
    "as numbers": ("builtin/numeric_match", numbers.map(lambda n: (n, f"{n + 1}"))),
    "as choices": ("builtin/choice_accuracy", st.permutations("ABCD").map(lambda p: (p[0], p[1]))),
    "as choices in brackets": ("builtin/choice_accuracy", st.permutations("ABCD").map(lambda p: (p[0], f"({p[1]})"))),
    "as choices with references in brackets": (
        "builtin/choice_accuracy",
        st.permutations("ABCD").map(lambda p: (f"{p[0]}, {p[1]}", p[2])),
    ),
    "words as choices": (
        "builtin/choice_accuracy",
        st.permutations(["Paris", "Lyon", "Metz"]).map(lambda p: (p[0], p[1])),
    ),
    "as choices by index": (
        "builtin/choice_accuracy",
        st.permutations("ABCD").map(lambda p: ("ABCD".index(p[0]), p[1])),
    ),
    "numbers as texts": ("builtin/exact_match_normalized", numbers.map(lambda n: (n, str(n + 1)))),
    "words": ("builtin/f1", words.map(lambda w: (w, f"{w}x"))),
    "by an own metric": (compares_values, words.map(lambda w: (w, f"not {w}"))),
    "by an own metric that reads numbers": (reads_numbers, numbers.map(lambda n: (n, str(n + 1)))),
}


@pytest.mark.parametrize("kind", HONEST)
@given(data=st.data())
def test_a_model_that_is_honestly_wrong_is_not_suspected(kind: str, data: Any) -> None:
    scored_by, pair = HONEST[kind]
    result = run(data.draw(several(pair)), scored_by)
    assert {row.value for row in result.benchmark.score_rows} == {0.0}
    assert suspicions(result) == ()


@given(several(numbers.map(lambda n: (n, f"not {n}"))), several(words.map(lambda w: (w, f"not {w}")), 1))
def test_one_wrong_answer_of_the_right_form_clears_the_metric(unequal: list[Any], wrong: list[Any]) -> None:
    assert [each.reason for each in suspicions(run(unequal))] == ["unequal"]
    assert suspicions(run([*unequal, *wrong])) == ()


@pytest.mark.parametrize("answer", ["!?", " !?"])
def test_a_builtin_metric_that_finds_no_word_in_equal_texts_is_not_asked_what_it_compares(answer: str) -> None:
    result = run([("!?", answer)] * 6, "builtin/rouge_l")
    assert {row.value for row in result.benchmark.score_rows} == {0.0}
    assert suspicions(result) == ()


@pytest.mark.parametrize("kind", RIGHT_BUT_FOR_THE_KIND)
@given(data=st.data())
def test_one_answer_that_is_right_clears_the_metric(kind: str, data: Any) -> None:
    scored_by, pair, _, _ = RIGHT_BUT_FOR_THE_KIND[kind]
    if scored_by is compares_parsed:
        return  # it calls nothing right
    right = (1, "1") if scored_by == "builtin/numeric_match" else (1, 1) if scored_by is compares_values else ("A", "A")
    pairs = [*data.draw(several(pair)), right]
    result = run(data.draw(st.permutations(pairs)), scored_by)
    assert 1.0 in {row.value for row in result.benchmark.score_rows}
    assert suspicions(result) == ()


@given(several(st.tuples(words, st.booleans()).map(lambda p: (p[0], p[0] if p[1] else f"not {p[0]}"))))
def test_half_right_by_a_metric_that_works_is_not_suspected(pairs: list[Any]) -> None:
    if any(expected == answer for expected, answer in pairs):
        assert suspicions(run(pairs)) == ()
        assert suspicions(run(pairs, compares_values)) == ()


@given(st.lists(numbers.map(lambda n: (n, str(n))), min_size=1, max_size=FEWEST - 1), st.integers(2, 6))
def test_few_cases_are_not_suspected_however_many_answers_they_have(pairs: list[Any], samples: int) -> None:
    assert suspicions(run(pairs, samples=samples)) == ()


@given(several(numbers.map(lambda n: (n, str(n)))), st.integers(2, 3))
def test_each_of_several_answers_counts(pairs: list[Any], samples: int) -> None:
    (found,) = suspicions(run(pairs, samples=samples))
    assert (found.scored, found.count) == (samples * len(pairs),) * 2


def test_a_metric_that_compares_candidates_has_one_row_a_case_and_shifts_no_other_metric() -> None:
    pipeline = Pipeline(
        cases=6, samples=3, generator=("right",), reducer=None, parser=None, metrics=(), judge=("right",)
    )
    first = ScriptedJudgeMetric(metric_family="selection")
    experiment = pipeline.experiment()
    metrics = [first, compares_parsed, "builtin/exact_match"]
    (found,) = experiment.evolve(evaluation=experiment.evaluation.evolve(metrics=metrics)).run().suspicions
    assert (found.metric_id, found.reason, found.scored, found.count) == ("compares_parsed", "equal", 18, 18)


def test_a_constant_that_is_no_zero_is_not_suspected() -> None:
    @metric
    def constant(parsed: ParsedOutput) -> float:
        return 0.5

    assert suspicions(run([("x", "x")] * 9, constant)) == ()


# --- where it is shown ------------------------------------------------------------------------------------

NUMBERS = [(n, str(n)) for n in range(6)]


def test_every_report_and_the_terminal_say_it() -> None:
    store = InMemoryRunStore()
    result, reporter = run(NUMBERS, store=store), Reporter(store)
    (found,) = suspicions(result)
    assert "use builtin/numeric_match" in found.message
    written = {
        "html": reporter.export_html(result.run_id),
        "markdown": reporter.export_markdown(result.run_id).replace("\\", ""),
        "latex": reporter.export_latex(result.run_id).replace("\\_", "_").replace("{,}", ","),
        "terminal": result_table(result),
    }
    for text in written.values():
        assert "Warnings" in text
        assert found.message in text
    for data in (json.loads(reporter.export_json(result.run_id)), result_data(result)):
        assert data["suspicions"] == [found.to_dict()]


def test_a_report_of_a_run_without_a_suspicion_has_no_word_of_it() -> None:
    result = run([(str(n), str(n)) for n in range(6)])
    assert "Warnings" not in result_table(result)
    assert result_data(result)["suspicions"] == []
