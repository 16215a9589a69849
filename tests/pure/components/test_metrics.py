"""The builtin pure metrics: each rule on examples, the official ones where there are any, and what is an error."""

# ruff: noqa: RUF001  # signs that models write

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.pure.components.metrics import (
    F1,
    ChoiceAccuracy,
    Contains,
    ExactMatch,
    ExactMatchNormalized,
    NumericMatch,
    ProcBenchFinalAccuracy,
    RougeL,
)
from themis.pure.components.registry import builtins, component_ids, make_builtin
from themis.pure.components.schema import JsonSchema
from themis.pure.components.text.rouge import common_subsequence
from themis.pure.components.translation import Bleu, Chrf, corpus_score
from themis.pure.errors import MissingExtraError, SpecError
from themis.pure.records.scoring import Score, ScoreError
from themis.testing.single import score_one

CASES: list[tuple[Any, Any, Any, float]] = [
    (ExactMatch(), 1, 1.0, 1.0),
    (ExactMatch(), {"a": 1, "b": 2}, {"b": 2, "a": 1}, 1.0),
    (ExactMatch(), "1", 1, 0.0),
    (ExactMatch(), "a", ["a", "b"], 1.0),
    (ExactMatch(), "c", ["a", "b"], 0.0),
    (ExactMatch(), ["a", "b"], ["a", "b"], 1.0),
    (ExactMatch(), ["b", "a"], ["a", "b"], 0.0),
    (ExactMatch(), "a", [["a", "b"]], 0.0),
    (ExactMatch(), ["a", "b"], [["a", "b"]], 1.0),
    (ExactMatch(), 4, ["4", 4.0], 1.0),
    (ExactMatch(), "a", [], 0.0),
    # SQuAD's dev set, question 56be4db0acb8001400a502ec, and the paper's rules
    (ExactMatchNormalized(), "the Denver Broncos!", ["Denver Broncos", "Broncos"], 1.0),
    (ExactMatchNormalized(), "Broncos of Denver", ["Denver Broncos"], 0.0),
    (ExactMatchNormalized(), "A  gold-themed", "gold themed", 0.0),
    (ExactMatchNormalized(), "3.14", "314", 0.0),
    (ExactMatchNormalized(), "(3.14).", "3.14", 1.0),
    (ExactMatchNormalized(), "-5", "5", 0.0),
    (ExactMatchNormalized(squad=True), "3.14", "314", 1.0),
    (ExactMatchNormalized(normalization="squad"), "-5", "5", 1.0),
    (ExactMatchNormalized(normalization="casefold"), " STRASSE. ", "Straße", 1.0),
    (ExactMatchNormalized(normalization="casefold"), "the end", "end", 0.0),
    (ExactMatchNormalized(normalization="unicode"), "\uff21 b", "A  b", 1.0),
    (ExactMatchNormalized(normalization="unicode"), "a", "A", 0.0),
    (F1(), "Denver Broncos", ["Denver Broncos"], 1.0),
    (F1(), "The Denver Broncos won", ["Denver Broncos"], 0.8),
    (F1(), "Carolina Panthers", ["Denver Broncos"], 0.0),
    (F1(), "gold gold gold", ["gold"], 0.5),
    (F1(), "the", "a", 1.0),
    (F1(), "the", "gold", 0.0),
    (Contains(), "It is Paris, of course.", "paris", 1.0),
    (Contains(), "Comparison", "paris", 0.0),
    (Contains(whole_words=False), "Comparison", "paris", 1.0),
    (Contains(ignore_case=False), "PARIS", "Paris", 0.0),
    (Contains(), "it costs $5.", ["$5", "5 dollars"], 1.0),
    (Contains(), "1234", "123", 0.0),
    (NumericMatch(), "1,234.50", 1234.5, 1.0),
    (NumericMatch(), "$1234.5", "1234.50", 1.0),
    (NumericMatch(), "3/4", "0.75", 1.0),
    (NumericMatch(), "2 1/2", 2.5, 1.0),
    (NumericMatch(), r"\frac{3}{4}", 0.75, 1.0),
    (NumericMatch(), "50%", "0.5", 1.0),
    (NumericMatch(), "50%", 50, 1.0),
    (NumericMatch(), "50%", "5%", 0.0),
    (NumericMatch(), "1.5e3", 1500, 1.0),
    (NumericMatch(), "12 apples", 12, 1.0),
    (NumericMatch(), "many", 12, 0.0),
    (NumericMatch(), "1.5 billion", "1.5 million", 0.0),
    (NumericMatch(), r"\$9{,}500", 9500, 1.0),
    (NumericMatch(), "x = 5", 5, 1.0),
    (NumericMatch(), r"5 \text{ cm}", 5, 1.0),
    (NumericMatch(), "5 cm", "5 m", 0.0),
    (NumericMatch(), r"1\frac{1}{2}", 1.5, 1.0),
    (NumericMatch(), "3,5", 3.5, 1.0),
    (NumericMatch(), "10000001", "10000000", 0.0),
    (NumericMatch(rel_tol=1e-6), "10000001", "10000000", 1.0),
    (NumericMatch(), "3x", "3", 0.0),
    (NumericMatch(), "2^5", "2", 0.0),
    (NumericMatch(), "1,000,000", "1 million", 1.0),
    (NumericMatch(), "2.5 billones", "2500000000000", 1.0),
    (NumericMatch(), "3 mil", "3000", 1.0),
    (NumericMatch(), "5 тысяч", "5000", 1.0),
    (NumericMatch(), "12万", "120000", 1.0),
    (NumericMatch(), "1 lakh", "100000", 1.0),
    (NumericMatch(), "7 Milliarden Euro", "7000000000", 1.0),
    (NumericMatch(), "3 millones", "3 mil", 0.0),
    (NumericMatch(), "\\frac{7}{8}", "0.875", 1.0),
    (NumericMatch(), "7½", "7.5", 1.0),
    (NumericMatch(), "-\\$3{,}200.50", "-3200.5", 1.0),
    (NumericMatch(), "$\\frac{1}{4}$ cup", "0.25", 1.0),
    (NumericMatch(), "y = -2.5", "-2.5", 1.0),
    (NumericMatch(), "n = 12 \\text{ sides}", "12", 1.0),
    (NumericMatch(), "1\\,234\\,567", "1234567", 1.0),
    (NumericMatch(), "1.234.567,89", "1234567.89", 1.0),
    (NumericMatch(), "100 thousand", "100000", 1.0),
    (NumericMatch(), "5 × 10^3", "5000", 1.0),
    (NumericMatch(), "5*10**3", "5000", 1.0),
    (NumericMatch(), "~42", "42", 1.0),
    (NumericMatch(), "42%", "0.42", 1.0),
    (NumericMatch(), "(42)", "42", 1.0),
    (NumericMatch(), "$10k", "10000", 1.0),
    (NumericMatch(), "x≈3.14", "3.14", 1.0),
    (NumericMatch(), "1.5 مليون", "1500000", 1.0),
    (NumericMatch(), "150만", "1500000", 1.0),
    (NumericMatch(), "3.5 trillion dollars", "3.5 billion dollars", 0.0),
    (NumericMatch(), "5\\%", "5", 1.0),
    (NumericMatch(), "1e6", "1 million", 1.0),
    (NumericMatch(), "\\dfrac{22}{7}", "22/7", 1.0),
    (NumericMatch(), "\\text{12}", "12", 1.0),
    (NumericMatch(), "12.0", "12", 1.0),
    (NumericMatch(), "0.1", "0.10", 1.0),
    (NumericMatch(), "1/3", "0.333333", 1.0),
    (NumericMatch(), "1/3", "0.33", 0.0),
    (NumericMatch(), "½", "0.5", 1.0),
    (NumericMatch(), "10⁶", "1000000", 1.0),
    (NumericMatch(), "2.9999999999999996", "3", 1.0),
    (NumericMatch(), "0.30000000000000004", "0.3", 1.0),
    (NumericMatch(), "1.0000001", "1", 0.0),
    (NumericMatch(), "0.666666", "2/3", 1.0),
    (NumericMatch(), "1234567.1", "1234567.2", 0.0),
    (NumericMatch(), "$12{,}750", "12750", 1.0),
    (NumericMatch(), "₹2 crore", "₹2 lakh", 0.0),
    (NumericMatch(), "$4.2 million", "$4.2 billion", 0.0),
    (NumericMatch(), "150", "15", 0.0),
    (NumericMatch(), "9007199254740992", "9007199254740993", 0.0),
    (NumericMatch(), "(42).", "42", 1.0),
    (NumericMatch(), "60%", "60", 1.0),
    (NumericMatch(), "1.1e-19", "1.2e-19", 0.0),
    (NumericMatch(), "3.14", 3.14159, 0.0),
    (NumericMatch(rel_tol=0.01), "3.14", 3.14159, 1.0),
    (NumericMatch(abs_tol=0.5, rel_tol=0), "3", 3.4, 1.0),
    (NumericMatch(abs_tol=0.5, rel_tol=0), "3", 3.6, 0.0),
    (NumericMatch(), "9007199254740993", "9007199254740993", 1.0),
    (ChoiceAccuracy(), "C", "C", 1.0),
    (ChoiceAccuracy(), "C", 2, 1.0),
    (ChoiceAccuracy(), "AC", ["C", "A"], 1.0),
    (ChoiceAccuracy(), "A", "AC", 0.0),
    (ChoiceAccuracy(), "B", "(C)", 0.0),
    (ProcBenchFinalAccuracy(), "[1, 2]", [1, 2], 1.0),
    (ProcBenchFinalAccuracy(), {"final": "abc", "intermediate": []}, {"final": "abc"}, 1.0),
    (ProcBenchFinalAccuracy(), '"abc"', "abc", 1.0),
    (ProcBenchFinalAccuracy(), "12", 12, 1.0),
    (ProcBenchFinalAccuracy(), [2, 1], [1, 2], 0.0),
    # Lin 2004, section 3.1: the reference is "police killed the gunman"
    (RougeL(), "police kill the gunman", "police killed the gunman", 0.75),
    (RougeL(), "the gunman kill police", "police killed the gunman", 0.5),
    (RougeL(), "", "police", 0.0),
    (JsonSchema(schema={"type": "object", "required": ["a"]}), {"a": 1}, None, 1.0),
    (JsonSchema(schema={"type": "object", "required": ["a"]}), {"b": 1}, None, 0.0),
    (JsonSchema(), [1], {"schema": {"type": "array"}}, 1.0),
    (JsonSchema(), "x", {"type": "array"}, 0.0),
]


@pytest.mark.parametrize(("metric", "answer", "reference", "expected"), CASES)
def test_scores(metric: Any, answer: Any, reference: Any, expected: float) -> None:
    outcome = score_one(metric, answer, reference)
    assert isinstance(outcome, Score), outcome
    assert outcome.value == pytest.approx(expected)


ERRORS: list[tuple[Any, Any, str]] = [
    (ExactMatch(), None, "no expected_output"),
    (F1(), [], "no expected_output"),
    (Contains(), " ", "text that is not empty"),
    (NumericMatch(), "many", "must be a number"),
    (NumericMatch(), ["1", "x"], "must be a number"),
    (ChoiceAccuracy(), "Paris is", "an option's letter"),
    (ChoiceAccuracy(), True, "an option's letter"),
    (ProcBenchFinalAccuracy(), {"final": None}, "no expected_output"),
    (Bleu(), None, "no expected_output"),
    (JsonSchema(), None, "no expected_output"),
    (JsonSchema(), "text", "a JSON schema"),
    (JsonSchema(), {"type": "nonsense"}, "no valid JSON schema"),
    (JsonSchema(), {"$ref": "http://127.0.0.1:9/schema.json"}, "nothing is fetched"),
]


@pytest.mark.parametrize(("metric", "reference", "reason"), ERRORS)
def test_a_reference_that_is_missing_or_unusable_is_an_error_and_no_zero(
    metric: Any, reference: Any, reason: str
) -> None:
    outcome = score_one(metric, "12", reference)
    assert isinstance(outcome, ScoreError), outcome
    assert reason in outcome.reason


@pytest.mark.parametrize("name", [name for name in component_ids("metric") if hasattr(builtins()[name].make, "score")])
def test_every_metric_calls_a_missing_reference_an_error(name: str) -> None:
    assert isinstance(score_one(make_builtin(name), "12", None), ScoreError)


def test_faults_of_a_schema_are_named() -> None:
    schema = {"properties": {"a": {"type": "integer"}, "b": {"type": "string"}}}
    outcome = score_one(JsonSchema(schema=schema), {"a": "x", "b": 1})
    assert isinstance(outcome, Score)
    assert outcome.details["fault_count"] == 2
    assert "$.a: 'x' is not of type 'integer'" in outcome.details["faults"]  # type: ignore[operator]  # a list
    assert JsonSchema(schema={"type": 5}).check()
    assert JsonSchema(schema=schema).check() == []


@given(st.lists(st.sampled_from("aabcd"), max_size=60), st.lists(st.sampled_from("aabcd"), max_size=60))
def test_the_longest_common_subsequence_is_that_of_the_table(first: list[str], second: list[str]) -> None:
    row = [0] * (len(second) + 1)
    for left in first:
        before = row
        row = [0]
        for place, right in enumerate(second):
            row.append(before[place] + 1 if left == right else max(row[-1], before[place + 1]))
    assert common_subsequence(first, second) == row[-1]


# --- JSON schemas -----------------------------------------------------------------------------------------

values = st.recursive(
    st.sampled_from([None, True, 1, 1.0, 0, False, "1", "a"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from("ab"), inner),
    max_leaves=4,
)


@given(st.lists(values, max_size=5))
def test_items_are_unique_as_json_has_it(items: list[Any]) -> None:
    """One pass finds what a comparison of each with each does; 1 is 1.0, and not true."""
    pairs = itertools.combinations(map(jsonschema_equal, items), 2)
    expected = all(one != other for one, other in pairs)
    found = score_one(JsonSchema(schema={"uniqueItems": True}), items)
    assert isinstance(found, Score)
    assert found.value == float(expected)


def jsonschema_equal(value: Any) -> Any:
    """Return a value that is equal to others as JSON's values are."""
    if isinstance(value, bool | None | str):
        return repr(value)
    if isinstance(value, list):
        return [jsonschema_equal(each) for each in value]
    return {key: jsonschema_equal(each) for key, each in value.items()} if isinstance(value, dict) else value


def test_a_schema_check_is_bounded_in_values_and_faults() -> None:
    schema = {"items": {"type": "string"}, "uniqueItems": True}
    many = score_one(JsonSchema(schema=schema), [*range(5_000)])
    assert isinstance(many, Score)
    assert (many.value, many.details["fault_count"]) == (0.0, 1_000)
    assert isinstance(score_one(JsonSchema(schema=schema), [{"a": str(n)} for n in range(20_000)]), Score)
    refused = score_one(JsonSchema(schema=schema), [[str(n)] for n in range(30_000)])
    assert isinstance(refused, ScoreError)
    assert "an answer of more than 50,000 values is not checked" in refused.reason


# --- sacrebleu --------------------------------------------------------------------------------------------

ANSWERS = [
    "The dog bit the man.",
    "It wasn't surprising.",
    "The man had just bitten him.",
    "a cat sat on the mat",
    "Ein Hund läuft über die Straße.",
    "nothing in common",
    "Short",
]
REFERENCES = [
    ["The dog bit the man.", "It was not unexpected.", "The man bit him first.", "the cat sat on the mat",
     "Ein Hund rennt über die Straße.", "entirely other words here", "Short answers are short"],
    ["The dog had bit the man.", "No one was surprised.", "The man had bitten the dog.", "a cat was on the mat",
     "Der Hund läuft über die Strasse.", "so it is", "Short"],
]  # fmt: skip


def sacrebleu(folder: Path, references: list[list[str]], *options: str) -> list[float]:
    (folder / "answers").write_text("\n".join(ANSWERS) + "\n", encoding="utf-8")
    for number, lines in enumerate(references):
        (folder / f"reference{number}").write_text("\n".join(lines) + "\n", encoding="utf-8")
    names = [str(folder / f"reference{number}") for number in range(len(references))]
    command = [sys.executable, "-m", "sacrebleu", *names, "-i", str(folder / "answers"), "-b", "-w", "6", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True, encoding="utf-8")
    return [float(line) for line in done.stdout.split()]


@pytest.mark.parametrize(
    ("metric", "options"),
    [
        (Bleu(), ["-m", "bleu"]),
        (Bleu(lowercase=True, tokenize="intl"), ["-m", "bleu", "-lc", "-tok", "intl"]),
        (Chrf(), ["-m", "chrf"]),
        (Chrf(word_order=2), ["-m", "chrf", "--chrf-word-order", "2"]),
    ],
)
@pytest.mark.parametrize("count", [1, 2])
def test_equals_the_command_of_sacrebleu(metric: Any, options: list[str], count: int, tmp_path: Path) -> None:
    used = REFERENCES[:count]
    outcomes = [score_one(metric, answer, list(known)) for answer, *known in zip(ANSWERS, *used, strict=True)]
    scores = [outcome for outcome in outcomes if isinstance(outcome, Score)]
    assert [score.details["score"] for score in scores] == pytest.approx(
        sacrebleu(tmp_path, used, *options, "-sl"), abs=1e-5
    )
    assert corpus_score(metric, [score.details for score in scores]) == pytest.approx(
        sacrebleu(tmp_path, used, *options)[0], abs=1e-5
    )
    assert all(0 <= score.value <= 1 for score in scores)
    assert f"nrefs:{count}|" in str(scores[0].details["signature"])
    assert "version:" in str(scores[0].details["signature"])


def test_without_sacrebleu_it_is_said_before_anything_is_paid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    told = "BLEU and chrF need sacrebleu: pip install 'themis-evals[translation]'"
    for metric in (Bleu(), Chrf()):
        assert metric.check() == [told]
        with pytest.raises(MissingExtraError, match=re.escape(told)):
            corpus_score(metric, [{"statistics": [1, 1, 1]}])


def test_a_corpus_needs_cases() -> None:
    with pytest.raises(ValueError, match="at least one case"):
        corpus_score(Bleu(), [])


# --- options ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("numeric_match", {"rel_tolerance": 1}, "unknown argument 'rel_tolerance' (did you mean rel_tol"),
        ("f1", {"x": 1}, "builtin/f1: unknown argument 'x' (known names: squad); its options: squad"),
        ("rouge_l", {"x": 1}, "builtin/rouge_l: unknown argument 'x'; its options: none"),
        ("exact_match_normalized", {"normalization": "casefold", "squad": True}, "give one of them"),
        ("numeric_match", {"rel_tol": -1}, "rel_tol must be a number from 0 up, found -1"),
        ("exact_match_normalized", {"normalization": "squat"}, "did you mean squad"),
        ("bleu", {"tokenize": "nonsense"}, "tokenize"),
        ("regex", {}, "its options: pattern, group"),
        ("math_equivalence", {"max_steps": 0}, "max_steps must be a whole number"),
        ("rubric_points", {"batch": 0}, "batch must be a whole number"),
        ("json_schema", {"schema": "text"}, "schema must be a JSON schema"),
    ],
)
def test_wrong_options_are_refused_and_the_right_ones_named(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        make_builtin(name, **options)
    assert message in str(caught.value)
