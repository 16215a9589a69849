"""Kinds of values decide what can be equal; what no answer can equal is said before anything is paid for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from themis.pure.abilities import Components
from themis.pure.components.metrics import ExactMatch
from themis.pure.components.registry import make_builtin
from themis.pure.json import canonical_bytes
from themis.pure.records.contexts import ParseContext
from themis.pure.records.dataset import Case, CaseSource, Dataset
from themis.pure.records.generation import ParsedOutput, ReducedCandidate
from themis.pure.records.scoring import Score
from themis.pure.references import (
    CASES_LOOKED_AT,
    Shape,
    kind_of,
    kinds_made,
    reference_warnings,
)
from themis.testing.single import score_one
from themis.testing.strategies import json_values

TEXT_PARSERS = ("text", "regex", "choice_letter", "math_answer", "code_text")


@attrs.frozen
class Endpoint:
    """A model at an endpoint: it costs something, and answers with texts."""

    component_id: str = "tests/endpoint"
    version: str = "1"
    provider_key: str = "tests"

    async def generate(self, case: object, ctx: object) -> None: ...

    def request(self, case: object, ctx: object) -> str:
        return ""


@attrs.frozen
class OwnParser:
    component_id: str = "tests/parser"
    version: str = "1"

    def parse(self, candidate: ReducedCandidate, ctx: ParseContext) -> ParsedOutput:
        return ParsedOutput(value=1)


def parser(name: str) -> Any:
    return make_builtin(name, **({"pattern": "(.*)"} if name == "regex" else {}))


def components(*parsers: Any, generator: Any = None, metrics: tuple[str, ...] = ("exact_match",)) -> Components:
    return Components.of(
        generator=generator or Endpoint(), metrics=[make_builtin(name) for name in metrics], parsers=parsers
    )


def dataset(*expected: Any, name: str = "sums") -> Dataset:
    cases = [Case(case_id=str(n), input="q", expected_output=each) for n, each in enumerate(expected)]
    return Dataset(dataset_id=name, cases=cases)


# --- kinds ------------------------------------------------------------------------------------------------


@given(json_values(), json_values())
def test_equal_values_are_of_one_kind(one: Any, other: Any) -> None:
    for same in (one, 1.0 if one == 1 and not isinstance(one, bool) else one):
        assert kind_of(same) is kind_of(one)
    if canonical_bytes(one) == canonical_bytes(other):
        assert kind_of(one) is kind_of(other)


answers = json_values().filter(lambda value: value is not None)
related = st.tuples(answers, answers).flatmap(
    lambda pair: st.sampled_from([pair, (pair[0], pair[0]), (pair[0], list(pair)), (pair[0], [pair[0]])])
)


@given(related)
def test_what_exact_match_calls_right_is_of_a_kind_that_the_reference_accepts(pair: tuple[Any, Any]) -> None:
    answer, expected = pair
    outcome = score_one(ExactMatch(), answer, expected)
    assert isinstance(outcome, Score)
    if outcome.value:
        assert kind_of(answer) in Shape.of(expected).accepts


# --- the rule of exact_match ------------------------------------------------------------------------------


def old_rule(answer: Any, expected: Any) -> float:
    return float(canonical_bytes(answer) == canonical_bytes(expected))


@given(related)
def test_exact_match_of_a_reference_that_is_no_list_is_what_it_always_was(pair: tuple[Any, Any]) -> None:
    answer, expected = pair
    outcome, before = score_one(ExactMatch(), answer, expected), old_rule(answer, expected)
    assert isinstance(outcome, Score)
    if not isinstance(expected, list) or before:
        assert (outcome.value, dict(outcome.details)) == (before, {})


@given(st.lists(answers, min_size=1, max_size=4), answers)
def test_exact_match_of_a_list_is_the_best_of_its_items_and_of_the_whole(expected: list[Any], other: Any) -> None:
    for answer in (other, expected, *expected):
        outcome = score_one(ExactMatch(), answer, expected)
        assert isinstance(outcome, Score)
        by_item = [old_rule(answer, item) for item in expected]
        assert outcome.value == max(old_rule(answer, expected), *by_item)
        if "reference" in outcome.details:
            assert outcome.details["reference"] == by_item.index(1.0)
        assert ("reference" in outcome.details) == (
            len(expected) > 1 and bool(outcome.value) and not old_rule(answer, expected)
        )


# --- before a run -----------------------------------------------------------------------------------------

numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
words = st.text(st.sampled_from("abcdefgh"), min_size=2, max_size=8)
UNEQUAL: dict[str, tuple[st.SearchStrategy[Any], tuple[str, ...]]] = {
    "numbers": (numbers, ("numbers", "builtin/numeric_match", "str references")),
    "booleans": (st.booleans(), ("booleans", "builtin/json")),
    "objects": (st.dictionaries(words, words), ("objects", "builtin/json")),
    "lists of numbers": (st.lists(numbers, min_size=1), ("lists of numbers", "builtin/numeric_match")),
    "empty": (st.sampled_from(["", " ", "\n"]), ("empty texts", "leave expected_output out")),
}


def several(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(values, min_size=1, max_size=6)


@pytest.mark.parametrize("kind", UNEQUAL)
@given(data=st.data(), name=st.sampled_from([*TEXT_PARSERS, None]))
def test_references_that_no_text_equals_are_told_of_in_one_message(kind: str, data: Any, name: str | None) -> None:
    values, said = UNEQUAL[kind]
    if kind == "empty":
        name = "text"
    expected = data.draw(several(values))
    found = reference_warnings(components(*([parser(name)] if name else [])), [dataset(*expected)])
    assert len(found) == 1
    for word in ("builtin/exact_match", "dataset sums", f"all {len(expected)} references", *said):
        assert word in found[0]


@given(several(words.map(lambda word: f"{word}\n")))
def test_a_line_break_after_a_reference_is_told_of_where_the_parser_strips(expected: list[str]) -> None:
    (message,) = reference_warnings(components(parser("text")), [dataset(*expected)])
    assert "strip the references" in message
    assert reference_warnings(components(parser("regex")), [dataset(*expected)]) == []


@given(
    several(words | st.lists(words, min_size=1)),
    st.lists(st.one_of(*(values for values, _ in UNEQUAL.values())), max_size=3),
    st.sampled_from([*TEXT_PARSERS, None]),
)
def test_one_reference_that_can_be_right_is_enough_to_say_nothing(
    right: list[Any], others: list[Any], name: str | None
) -> None:
    run = components(*([parser(name)] if name else []))
    assert reference_warnings(run, [dataset(*others, *right)]) == []


@pytest.mark.parametrize(
    "run",
    [
        components(parser("json")),
        components(parser("text"), parser("json")),
        components(OwnParser()),
        components(generator=make_builtin("demo_model")),
        components(parser("text"), metrics=("exact_match_normalized", "numeric_match", "f1")),
    ],
    ids=["json", "a chain with json", "an own parser", "an own generator", "metrics that read numbers"],
)
def test_nothing_is_said_where_answers_may_be_anything_or_the_metric_reads_numbers(run: Components) -> None:
    assert reference_warnings(run, [dataset(1, 2, 3)]) == []


@pytest.mark.parametrize("name", TEXT_PARSERS)
@given(text=st.text(max_size=20) | st.sampled_from(["Answer: B", r"\boxed{4}", "```python\nx = 1\n```", "  4 \n"]))
def test_a_parser_makes_what_it_is_known_to_make(name: str, text: str) -> None:
    ctx = ParseContext(run_id="r", case_id="1", dataset_id="d", case_key="k", candidate_id="c")
    read = parser(name).parse(ReducedCandidate(candidate_id="c", final_output=text), ctx)
    made = kinds_made(components(parser(name)))
    assert made is not None
    if read.usable:
        assert kind_of(read.value) in made


@given(st.integers(1, 5))
def test_missing_references_are_told_of_once_for_each_metric(count: int) -> None:
    run = components(OwnParser(), metrics=("exact_match", "f1", "json_schema"))
    found = reference_warnings(run, [dataset(*[None] * count), dataset(*[None] * count, name="other")])
    assert [message.split(",")[0] for message in found] == ["builtin/exact_match", "builtin/f1"]
    for message in found:
        assert "sums, other" in message
    assert reference_warnings(run, [dataset(*[None] * count, "x")]) == []


class Counted(CaseSource):
    """A lazy dataset that counts what is read of it."""

    def __init__(self) -> None:
        self.read = self.passes = 0

    def __iter__(self) -> Iterator[Case]:
        self.passes += 1
        for number in range(1_000_000):
            self.read += 1
            yield Case(case_id=str(number), input="q", expected_output=number)

    def __len__(self) -> int:
        return 1_000_000


def test_of_a_lazy_dataset_the_first_cases_are_read_once_and_no_more() -> None:
    source = Counted()
    run = components(parser("text"), metrics=("exact_match", "f1"))
    (message,) = reference_warnings(run, [Dataset(dataset_id="lazy", cases=source)])
    assert f"all {CASES_LOOKED_AT} references are numbers" in message
    assert (source.read, source.passes) == (CASES_LOOKED_AT, 1)
    none = components(parser("text"), metrics=("json_schema",))
    assert reference_warnings(none, [Dataset(dataset_id="lazy", cases=source)]) == []
    assert source.passes == 1
