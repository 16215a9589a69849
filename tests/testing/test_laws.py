"""The laws find what they are for: every planted bug within 200 examples, with a message that reads well."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Sequence
from typing import Any

import attrs
import pytest
from hypothesis import strategies as st
from returns.result import Failure, Result, Success

from themis import Case, GenerationResult, ParsedOutput, ReducedCandidate, Score, ScoreError
from themis import generator as as_generator
from themis import metric as as_metric
from themis import parser as as_parser
from themis import reducer as as_reducer
from themis.pure.errors import CallError, SpecError
from themis.testing import (
    BrokenLawError,
    assert_generator_contract,
    assert_metric_laws,
    assert_parser_laws,
    assert_reducer_laws,
)
from themis.testing.lawbook import LAWS

EXAMPLES = 200


def broken_metric(metric: Any, **options: Any) -> BrokenLawError:
    with pytest.raises(BrokenLawError) as caught:
        assert_metric_laws(metric, examples=EXAMPLES, **options)
    return caught.value


# --- metrics ----------------------------------------------------------------------------------------------


@attrs.frozen
class FirstSightings:
    """Depends on the order: an answer that was scored before gets nothing."""

    seen: set[str] = attrs.field(factory=set)
    component_id: str = "planted/first_sightings"
    version: str = "1"

    def fingerprint(self) -> str:
        return "first sightings"

    def score(self, parsed: ParsedOutput, case: Case, ctx: object) -> Score:
        new = str(parsed.value) not in self.seen
        self.seen.add(str(parsed.value))
        return Score(metric_id=self.component_id, value=float(new))


@attrs.frozen
class LongestSoFar:
    """Depends on the order: scores against the longest answer so far; the same call twice agrees."""

    longest: list[int] = attrs.field(factory=lambda: [0])
    component_id: str = "planted/longest_so_far"
    version: str = "1"

    def fingerprint(self) -> str:
        return "longest"

    def score(self, parsed: ParsedOutput, case: Case, ctx: object) -> Score:
        self.longest[0] = max(self.longest[0], len(str(parsed.value)))
        return Score(metric_id=self.component_id, value=float(self.longest[0]))


_SCORED: list[object] = []


@as_metric
def every_other(parsed: ParsedOutput) -> bool:
    """Depends on a global that each call changes."""
    _SCORED.append(parsed)
    return len(_SCORED) % 2 == 0


@as_metric
def coin(parsed: ParsedOutput) -> bool:
    return random.random() < 0.5


@as_metric
def marks_its_input(parsed: ParsedOutput) -> bool:
    """Changes its input behind the back of frozen JSON."""
    if isinstance(parsed.value, dict):
        dict.__setitem__(parsed.value, "scored", True)
    return True


@as_metric
def renames_the_case(parsed: ParsedOutput, case: Case) -> bool:
    object.__setattr__(case, "case_id", f"{case.case_id}!")
    return True


@as_metric
def sorts_in_place(parsed: ParsedOutput) -> bool:
    value: Any = parsed.value
    if isinstance(value, Sequence) and not isinstance(value, str):
        value.sort()  # type: ignore[attr-defined]  # the planted bug
    return True


@as_metric
def writes_into_it(parsed: ParsedOutput) -> bool:
    value: Any = parsed.value
    if isinstance(value, dict):
        value["scored"] = True
    return True


@as_metric
def mean_word_length(parsed: ParsedOutput) -> float:
    """Has no mean of no words."""
    words = str(parsed.value).split()
    return sum(map(len, words)) / len(words) if words else math.nan


@as_metric
def divides(parsed: ParsedOutput) -> float:
    return 1 / len(str(parsed.value))


@as_metric
def percent(parsed: ParsedOutput, case: Case) -> float:
    return 100.0 * (parsed.value == case.expected_output)


@as_metric
def first_key(parsed: ParsedOutput) -> bool:
    return isinstance(parsed.value, dict) and next(iter(parsed.value), None) == min(parsed.value, default=None)


@as_metric
def first_reference(parsed: ParsedOutput, case: Case) -> bool:
    known = case.expected_output
    return known[0] == parsed.value if isinstance(known, tuple) and known else known == parsed.value


@as_metric
def says_yes(parsed: ParsedOutput) -> str:
    return "yes"


@attrs.frozen
class Counting:
    """Keeps a count in its own fields, and so changes its fingerprint."""

    calls: list[int] = attrs.field(factory=list)
    component_id: str = "planted/counting"
    version: str = "1"

    def score(self, parsed: ParsedOutput, case: Case, ctx: object) -> Score:
        self.calls.append(1)
        return Score(metric_id=self.component_id, value=1.0)


@pytest.mark.parametrize(
    ("metric", "law", "options"),
    [
        (FirstSightings(), "determinism", {}),
        (LongestSoFar(), "order of calls", {}),
        (every_other, "determinism", {}),
        (marks_its_input, "no mutation", {}),
        (renames_the_case, "no mutation", {}),
        (sorts_in_place, "no mutation", {}),
        (writes_into_it, "no mutation", {}),
        (mean_word_length, "finite values", {}),
        (divides, "totality", {}),
        (percent, "range", {"value_range": (0.0, 1.0)}),
        (first_key, "order of keys", {}),
        (first_reference, "order independence", {"unordered_references": True}),
        (says_yes, "kind", {}),
        (Counting(), "fingerprint", {}),
    ],
    ids=lambda value: getattr(value, "component_id", None),
)
def test_a_planted_bug_in_a_metric_is_found(metric: Any, law: str, options: dict[str, Any]) -> None:
    assert broken_metric(metric, **options).law == law


def test_randomness_is_found() -> None:
    assert broken_metric(coin).law in ("determinism", "order of calls")  # whichever call happened to differ


def test_the_message_names_law_component_input_and_what_to_do() -> None:
    assert str(broken_metric(mean_word_length)) == (
        "mean_word_length breaks the law of finite values: a value is a finite number; NaN and infinity are no values\n"
        "  answer: ParsedOutput(value='')\n"
        "  case: Case(case_id='1', input='?')\n"
        "  found: raised InvalidRecordError: Score is not valid: value: a finite number expected, found nan\n"
        "  to do: return ScoreError(metric_id=..., reason=...) where there is no number, such as for an empty text"
    )


def test_what_hypothesis_says_itself_is_left_out() -> None:
    broken = broken_metric(divides)
    assert getattr(broken, "__notes__", []) == []
    assert isinstance(broken.__cause__, ZeroDivisionError)  # where it broke can be read


def test_a_bug_far_from_the_smallest_input_is_shrunk_to_it() -> None:
    @as_metric
    def long_words(parsed: ParsedOutput) -> float:
        return math.inf if isinstance(parsed.value, str) and len(parsed.value) >= 5 else 0.0

    assert re.fullmatch(r"answer: ParsedOutput\(value='(.)\1{4}'\)", broken_metric(long_words).example[0])


@attrs.frozen
class Cutoff:
    """States a fingerprint that leaves its configuration out."""

    at: float = 1.0
    component_id: str = "planted/cutoff"
    version: str = "1"

    def fingerprint(self) -> str:
        return "cutoff"

    def score(self, parsed: ParsedOutput, case: Case, ctx: object) -> Result[Score, ScoreError]:
        if not isinstance(parsed.value, int | float):
            return Failure(ScoreError(metric_id=self.component_id, reason="no number"))
        return Success(Score(metric_id=self.component_id, value=float(parsed.value >= self.at)))


@attrs.frozen
class HonestCutoff(Cutoff):
    def fingerprint(self) -> str:
        return f"cutoff {self.at}"


def test_one_fingerprint_for_two_behaviours_is_found() -> None:
    numbers = st.integers(0, 10)
    broken = broken_metric(Cutoff(), outputs=numbers, variants=[Cutoff(at=5.0)])
    assert broken.law == "fingerprint"
    assert "Cutoff(at=5.0" in broken.found
    assert_metric_laws(HonestCutoff(), outputs=numbers, variants=[HonestCutoff(at=5.0)])


_DRAWN: list[tuple[str, str]] = []


@as_metric
def watching(parsed: ParsedOutput, case: Case) -> bool:
    _DRAWN.append((repr(parsed.value), repr(case.input)))
    return True


def test_own_strategies_are_used() -> None:
    _DRAWN.clear()
    made = st.builds(Case, case_id=st.just("7"), input=st.sampled_from(["x", "y"]))
    assert_metric_laws(watching, cases=made, outputs=st.sampled_from(["no", "yes"]), examples=20)
    assert {answer for answer, _ in _DRAWN} == {"'no'", "'yes'"}
    assert {given for _, given in _DRAWN} == {"'x'", "'y'"}


def test_a_seed_draws_other_inputs_and_none_the_same_ones() -> None:
    def inputs(seed: int | None) -> list[tuple[str, str]]:
        _DRAWN.clear()
        assert_metric_laws(watching, examples=30, seed=seed)
        return list(_DRAWN)

    assert inputs(None) == inputs(None)
    assert inputs(1) != inputs(2)


def test_what_can_not_be_tried_is_refused_first() -> None:
    with pytest.raises(SpecError, match=r"is not a pure metric: it needs component_id and score\(\).*@themis\.metric"):
        assert_metric_laws(len)  # type: ignore[arg-type]  # the mistake
    with pytest.raises(SpecError, match="least, greatest"):
        assert_metric_laws(percent, value_range=(1.0, 0.0))

    @attrs.frozen
    class Lacking(Cutoff):
        def check(self) -> list[str]:
            return ["needs pip install x"]

    with pytest.raises(SpecError, match="planted/cutoff can't be tried: needs pip install x"):
        assert_metric_laws(Lacking())


# --- parsers ----------------------------------------------------------------------------------------------


@as_parser
def int_of(candidate: ReducedCandidate) -> int:
    """Is not total."""
    return int(str(candidate.final_output))


@as_parser
def set_of_words(candidate: ReducedCandidate) -> Any:
    """Returns what JSON has no place for."""
    return set(str(candidate.final_output).split())


@as_parser
def not_a_number(candidate: ReducedCandidate) -> float:
    return math.nan if candidate.final_output == "nan" else 0.0


@as_parser
def first_member(candidate: ReducedCandidate) -> Any:
    found: Any = candidate.final_output
    return next(iter(found.items()), None) if isinstance(found, dict) else None


@as_parser
def every_tail(candidate: ReducedCandidate) -> int:
    """Takes time by the square of the length."""
    text = str(candidate.final_output)
    return sum(text[start:].count("a ") for start in range(0, len(text), 20))


@pytest.mark.parametrize(
    ("parser", "law"),
    [
        (every_tail, "size"),
        (int_of, "totality"),
        (set_of_words, "JSON round trip"),
        (not_a_number, "JSON round trip"),
        (first_member, "order of keys"),
    ],
    ids=lambda value: getattr(value, "component_id", None),
)
def test_a_planted_bug_in_a_parser_is_found(parser: Any, law: str) -> None:
    with pytest.raises(BrokenLawError) as caught:
        assert_parser_laws(parser, examples=EXAMPLES)
    assert caught.value.law == law


# --- reducers ---------------------------------------------------------------------------------------------


@as_reducer
def last_one(candidates: Sequence[GenerationResult]) -> GenerationResult:
    """Claims below that the order does not matter."""
    return candidates[-1]


@as_reducer
def second_one(candidates: Sequence[GenerationResult]) -> GenerationResult:
    return candidates[1]


@as_reducer
def made_up(candidates: Sequence[GenerationResult]) -> ReducedCandidate:
    return ReducedCandidate(candidate_id="x", source_candidate_ids=["x"], final_output=None)


@as_reducer
def sorts_them(candidates: Sequence[GenerationResult]) -> GenerationResult:
    candidates.sort(key=str)  # type: ignore[attr-defined]  # the planted bug
    return candidates[0]


_REDUCED: list[object] = []


@as_reducer
async def takes_turns(candidates: Sequence[GenerationResult]) -> GenerationResult:
    _REDUCED.append(candidates)
    return candidates[len(_REDUCED) % len(candidates)]


@pytest.mark.parametrize(
    ("reducer", "law", "options"),
    [
        (last_one, "order independence", {"unordered": True}),
        (second_one, "totality", {}),
        (made_up, "sources", {}),
        (sorts_them, "no mutation", {}),
        (takes_turns, "determinism", {}),
    ],
    ids=lambda value: getattr(value, "component_id", None),
)
def test_a_planted_bug_in_a_reducer_is_found(reducer: Any, law: str, options: dict[str, Any]) -> None:
    with pytest.raises(BrokenLawError) as caught:
        assert_reducer_laws(reducer, examples=EXAMPLES, **options)
    assert caught.value.law == law


def test_a_reducer_that_claims_nothing_may_look_at_the_order() -> None:
    assert_reducer_laws(last_one)


# --- generators -------------------------------------------------------------------------------------------


@as_generator
def only_texts(case: Case) -> str:
    assert isinstance(case.input, str), "texts alone"
    return case.input


@as_generator
async def wordy(case: Case) -> Any:
    return {"answer": object()}


@as_generator
async def moody(case: Case) -> float:
    return random.random()


@attrs.frozen
class FreshRequests:
    """Renders another request each time, so that no answer is ever found in the cache."""

    made: list[int] = attrs.field(factory=list)
    component_id: str = "planted/fresh_requests"
    version: str = "1"

    def fingerprint(self) -> str:
        return "fresh"

    def request(self, case: Case, ctx: object) -> dict[str, int]:
        self.made.append(1)
        return {"id": len(self.made)}

    def generate(self, case: Case, ctx: Any) -> GenerationResult:
        return GenerationResult(candidate_id=ctx.candidate_id, final_output="hm")


@pytest.mark.parametrize(
    ("generator", "law", "options"),
    [
        (only_texts, "totality", {}),
        (wordy, "JSON round trip", {}),
        (moody, "determinism", {"deterministic": True}),
        (FreshRequests(), "determinism", {}),
    ],
    ids=lambda value: getattr(value, "component_id", None),
)
def test_a_planted_bug_in_a_generator_is_found(generator: Any, law: str, options: dict[str, Any]) -> None:
    with pytest.raises(BrokenLawError) as caught:
        assert_generator_contract(generator, examples=EXAMPLES, **options)
    assert caught.value.law == law


def test_a_generator_may_fail_and_differ_where_it_claims_nothing() -> None:
    @as_generator
    def down(case: Case) -> str:
        raise CallError("the endpoint is down")

    @as_generator
    def rude(case: Case) -> str:
        raise PermissionError("no")

    assert_generator_contract(moody)
    assert_generator_contract(down)
    assert_generator_contract(rude, expected_errors=(PermissionError,))


# --- the tests' power -------------------------------------------------------------------------------------


def test_every_law_is_broken_by_some_planted_bug() -> None:
    """A law that nothing here breaks would be a law that nothing shows to work."""
    broken: set[str] = set()
    for function in (
        test_a_planted_bug_in_a_metric_is_found,
        test_a_planted_bug_in_a_parser_is_found,
        test_a_planted_bug_in_a_reducer_is_found,
        test_a_planted_bug_in_a_generator_is_found,
    ):
        for mark in function.pytestmark:  # where pytest keeps parametrize
            broken.update(row[1] for row in mark.args[1])
    assert broken == set(LAWS)
