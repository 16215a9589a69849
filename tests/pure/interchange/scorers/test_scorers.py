"""The rules of other tools' scorers, on answers that `tests/hardening/test_other_tools.py` has them score, too."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.pure.interchange.scorers.answered import Answered
from themis.pure.interchange.scorers.table import RULES, recomputed
from themis.pure.records.dataset import Case
from themis.testing.strategies import json_values

TAKE: list[dict[str, Any]] = [{"function": "take_first"}]
DIGITS: list[dict[str, Any]] = [{"function": "regex", "regex_pattern": r"(-?\d+)", "group_select": -1}, *TAKE]
CHOICES = ["red", "green", "blue"]


def score(name: str, answer: Any, expected: Any = None, *others: Any, metadata: Any = None, **options: Any) -> Any:
    case = Case(case_id="1", input="?", expected_output=expected, metadata=metadata or {})
    return recomputed({"name": name, "options": options}, Answered(case, [answer, *others]))


@pytest.mark.parametrize(
    ("answer", "expected", "options", "value"),
    [
        ("The answer is Paris.", "paris", {}, 1),
        ("Paris is the answer.", "Paris", {}, 0),
        ("Paris is the answer.", "Paris", {"location": "begin"}, 1),
        ("I say: Paris, of course", "Paris", {"location": "any"}, 1),
        (" *Paris*! ", "Paris", {"location": "exact"}, 1),
        ("Paris", "paris", {"ignore_case": False}, 0),
        ("Rome", ["Paris", "Rome"], {}, 1),
        ("25", "5", {}, 1),
        ("25", "5", {"numeric": True}, 0),
        ("It costs $1,234.50.", "1234.5", {"numeric": True}, 1),
        ("first 3, then 4 (four)", "4", {"numeric": True}, 1),
        ("first 3, then 4", "3", {"numeric": True, "location": "begin"}, 1),
        ("first 3, then 4", "3", {"numeric": True, "location": "any"}, 1),
        ("(42)", "42", {"numeric": True, "location": "exact"}, 0),
        ("**42**", "42", {"numeric": True, "location": "exact"}, 1),
        ("60%", "60", {"numeric": True}, 0),
        ("60%", ["60", "60%"], {"numeric": True}, 1),
        ("it is \u00bd", "0.5", {"numeric": True}, None),
        ("anything", None, {}, 1),
        ("x", "x", {"location": "middle"}, None),
    ],
)
def test_match_of_inspect(answer: str, expected: Any, options: dict[str, Any], value: float | None) -> None:
    assert score("inspect/match", answer, expected, **options) == value


@pytest.mark.parametrize(
    ("name", "answer", "expected", "options", "value"),
    [
        ("inspect/includes", "It is PARIS", "paris", {}, 1),
        ("inspect/includes", "It is PARIS", "paris", {"ignore_case": False}, 0),
        ("inspect/pattern", "Answer: b.", "B", {"pattern": r"answer: (\w)"}, 1),
        ("inspect/pattern", "Answer: b.", "B", {"pattern": r"Answer: (\w)", "ignore_case": False}, 0),
        ("inspect/pattern", "x=1 y=2", "2", {"pattern": r"x=(\d) y=(\d)"}, 1),
        ("inspect/pattern", "x=1 y=2", "2", {"pattern": r"x=(\d) y=(\d)", "match_all": True}, 0),
        ("inspect/pattern", "x=2 y=2", "2", {"pattern": r"x=(\d) y=(\d)", "match_all": True}, 1),
        ("inspect/pattern", "17", "17", {"pattern": r"\d+"}, 1),
        ("inspect/pattern", "none", "17", {"pattern": r"\d+"}, 0),
        ("inspect/pattern", "a" * 50, "a", {"pattern": r"(a+)+b"}, None),
        ("inspect/pattern", "a", "a", {"pattern": r"("}, None),
        ("inspect/answer", "So...\nANSWER: B", "b", {"pattern": "letter"}, 1),
        ("inspect/answer", "ANSWER: 42 apples", "42 apples", {"pattern": "line"}, 1),
        ("inspect/answer", "ANSWER: yes.", "Yes", {"pattern": "word"}, 1),
        ("inspect/exact", "The Answer!", "answer", {}, 1),
        ("inspect/exact", "(3.0)", "3", {}, 1),
        ("inspect/exact", "the", "the", {}, 0),
        ("lm-eval/exact_match", "so 4 and 5", "5", {"filters": DIGITS}, 1),
        ("lm-eval/exact_match", "none", "[invalid]", {"filters": DIGITS}, 1),
        ("lm-eval/exact_match", "Paris.", "paris", {"ignore_case": True, "ignore_punctuation": True}, 1),
        ("lm-eval/exact_match", "a, b", "a b", {"regexes_to_ignore": [","]}, 1),
        ("lm-eval/exact_match", "b", "['a', 'b']", {}, 1),
        ("lm-eval/exact_match", "b", "b", {"filters": [{"function": "own"}]}, None),
        ("promptfoo/assert", "Paris", "", {"type": "equals", "value": "Paris"}, 1),
        ("promptfoo/assert", "Paris", "", {"type": "not-equals", "value": "Paris"}, 0),
        ("promptfoo/assert", '{"a": [1]}', "", {"type": "equals", "value": {"a": [1]}}, 1),
        ("promptfoo/assert", "5", "", {"type": "equals", "value": 5.0}, 1),
        ("promptfoo/assert", "In PARIS", "", {"type": "icontains", "value": "paris"}, 1),
        ("promptfoo/assert", "In PARIS", "", {"type": "contains", "value": "paris"}, 0),
        ("promptfoo/assert", "a b", "", {"type": "contains-any", "value": "x, b"}, 1),
        ("promptfoo/assert", "a b", "", {"type": "contains-all", "value": ["a", "c"]}, 0),
        ("promptfoo/assert", "A b", "", {"type": "not-icontains-all", "value": ["a", "c"]}, 1),
        ("promptfoo/assert", "abc", "", {"type": "starts-with", "value": "ab"}, 1),
        ("promptfoo/assert", "abc", "", {"type": "regex", "value": "^a.c$"}, 1),
        ("promptfoo/assert", "abc", "", {"type": "not-regex", "value": "x"}, 1),
        ("promptfoo/assert", "[1, NaN]", "", {"type": "is-json"}, 0),
        ("promptfoo/assert", "[1]", "", {"type": "is-json"}, 1),
        ("promptfoo/assert", "[1]", "", {"type": "is-json", "value": {"type": "array"}}, None),
        ("promptfoo/assert", "abc", "", {"type": "similar", "value": "x"}, None),
        ("pydantic-evals/EqualsExpected", {"a": 1}, {"a": 1.0}, {}, 1),
        ("pydantic-evals/EqualsExpected", "1", 1, {}, 0),
        ("pydantic-evals/EqualsExpected", "1", None, {}, None),
        ("pydantic-evals/Equals", [1], None, {"value": [1]}, 1),
        ("pydantic-evals/Contains", "Hello", None, {"value": "ell"}, 1),
        ("pydantic-evals/Contains", "Hello", None, {"value": "ELL", "case_sensitive": False}, 1),
        ("deepeval/Exact Match", " a ", "a", {}, 1),
        ("another/scorer", "a", "a", {}, None),
    ],
)
def test_rules(name: str, answer: Any, expected: Any, options: dict[str, Any], value: float | None) -> None:
    assert score(name, answer, expected, **options) == value


@pytest.mark.parametrize(
    ("answer", "expected", "options", "value"),
    [
        ("ANSWER: B", "B", {}, 1),
        ("Thinking.\nANSWER: A\nANSWER: **b**", "B", {}, 1),
        ("I think the answer: (C).", "C", {}, 1),
        ("ANSWER: D", "A", {}, 0),
        ("B", "B", {}, 0),
        ("ANSWER: A, C", ["A", "C"], {"multiple_correct": True}, 1),
        ("ANSWER: AC", ["A", "C"], {"multiple_correct": True}, 1),
        ("ANSWER: A and C", "A,C", {"multiple_correct": True}, 1),
        ("ANSWER: A, C", ["A", "C"], {}, 0),
    ],
)
def test_choices_of_inspect(answer: str, expected: Any, options: dict[str, Any], value: float) -> None:
    assert score("inspect/choice", answer, expected, metadata={"choices": CHOICES}, **options) == value


def test_filters_of_lm_eval_read_all_answers() -> None:
    vote = [*DIGITS[:1], {"function": "majority_vote"}, *TAKE]
    assert score("lm-eval/exact_match", "1", "2", "two: 2", "2", filters=vote) == 1
    first = [{"function": "take_first_k", "k": 1}, {"function": "majority_vote"}, *TAKE]
    assert score("lm-eval/exact_match", "1", "2", "2", "2", filters=first) == 0


def test_the_likeliest_choice_of_lm_eval() -> None:
    found = [
        {"text": text, "logprob": logprob, "tokens": 1, "bytes": len(text), "is_greedy": False}
        for text, logprob in ((" no", -1.0), (" certainly", -1.5))
    ]
    assert score("lm-eval/acc", found, "no", per="") == 1
    assert score("lm-eval/acc", found, "1", per="characters") == 1
    assert score("lm-eval/acc", found, "0", metadata={"gold": 1}, gold="gold", per="bytes") == 1
    assert score("lm-eval/acc", found, "maybe", per="") is None
    assert score("lm-eval/acc", "no", "no") is None


@given(
    name=st.sampled_from(sorted(RULES)),
    answer=json_values(),
    expected=json_values(),
    options=st.dictionaries(
        st.sampled_from(["pattern", "location", "numeric", "type", "value", "filters", "regexes_to_ignore", "gold"]),
        json_values() | st.sampled_from(["contains", "line", "(", True, [{"function": "regex", "regex_pattern": "["}]]),
    ),
)
def test_odd_scorers_and_answers_have_a_score_or_none(name: str, answer: Any, expected: Any, options: Any) -> None:
    assert score(name, answer, expected, **{key: value for key, value in options.items() if key != "name"}) in (
        None,
        0.0,
        1.0,
    )
