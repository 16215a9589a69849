"""What components are tried on: any JSON, and often what breaks them, such as nothing, blanks and near misses."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Final

from hypothesis import strategies as st

from themis.pure.records.dataset import Case
from themis.pure.records.generation import GenerationResult, ParsedOutput, ReducedCandidate
from themis.testing.lawbook import Input
from themis.testing.laws import generate_input, parse_input, reduce_input, score_input
from themis.testing.strategies import json_values

_TELLING: Final = (
    *("", " ", "\n", "0", "-1", "1.0", "nan", "a", "A", "a b", "b a", "é", "\u0130", "(B)", "{}", "[1]", "```"),
)
"""Texts that tell good components from bad ones."""

_TELLING_JSON: Final[tuple[Any, ...]] = (
    0,
    1,
    -1.5,
    True,
    [],
    {},
    [""],
    ["b", "a"],
    {"b": 1, "a": "x"},
    {"a": {}},
    [[1], None],
)


@functools.cache
def answers() -> st.SearchStrategy[Any]:
    """Answers as models give them: telling ones, any text, any JSON."""
    texts = st.sampled_from(_TELLING) | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
    return texts | st.sampled_from(_TELLING_JSON) | json_values(6)


def scored(cases: st.SearchStrategy[Case] | None, outputs: st.SearchStrategy[Any] | None) -> st.SearchStrategy[Input]:
    """Calls of a metric: usable outputs, and cases whose references are of every kind."""
    usable = (outputs if outputs is not None else answers()).map(_parsed).filter(lambda parsed: parsed.usable)
    if cases is not None:
        return st.builds(score_input, usable, cases)
    return st.builds(_near, usable, st.sampled_from(_REFERENCES), answers(), _inputs())


def _parsed(value: Any) -> ParsedOutput:
    return value if isinstance(value, ParsedOutput) else ParsedOutput(value=value)


_REFERENCES: Final[tuple[Callable[[Any, Any], Any], ...]] = (
    lambda answer, other: None,
    lambda answer, other: answer,
    lambda answer, other: other,
    lambda answer, other: [answer],
    lambda answer, other: [answer, other],
    lambda answer, other: [other, answer],
)
"""What a case's reference is, made of the answer and of something else."""


def _near(parsed: ParsedOutput, refer: Callable[[Any, Any], Any], other: Any, given: Any) -> Input:
    return score_input(parsed, Case(case_id="1", input=given, expected_output=refer(parsed.value, other)))


def _inputs() -> st.SearchStrategy[Any]:
    return st.just("?") | answers().filter(lambda value: value is not None)


def parsed(outputs: st.SearchStrategy[Any] | None) -> st.SearchStrategy[Input]:
    return (outputs if outputs is not None else answers()).map(_candidate).map(parse_input)


def _candidate(value: Any) -> ReducedCandidate:
    if isinstance(value, ReducedCandidate):
        return value
    return ReducedCandidate(candidate_id="1-0", source_candidate_ids=["1-0"], final_output=value)


def reduced(candidates: st.SearchStrategy[Sequence[GenerationResult]] | None) -> st.SearchStrategy[Input]:
    """Calls of a reducer: one candidate or more, whose answers often agree."""
    if candidates is not None:
        return candidates.map(reduce_input)
    few = st.lists(answers(), min_size=1, max_size=3)
    return few.flatmap(lambda known: st.lists(st.sampled_from(known), min_size=1, max_size=5)).map(_candidates)


def _candidates(outputs: Sequence[Any]) -> Input:
    results = [GenerationResult(candidate_id=f"1-{i}", final_output=output) for i, output in enumerate(outputs)]
    return reduce_input(results)


def generated(cases: st.SearchStrategy[Case] | None) -> st.SearchStrategy[Input]:
    """Calls of a generator."""
    any_case = st.builds(Case, case_id=st.just("1"), input=_inputs(), expected_output=answers())
    return st.builds(generate_input, cases if cases is not None else any_case, st.integers(0, 3))
