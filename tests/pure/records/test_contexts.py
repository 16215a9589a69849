"""A component's own unit test needs no more of a context than a run, a case, and what the component reads."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
import trio

from themis import Case, ParsedOutput, ReducedCandidate
from themis.pure.components.basic import DemoGenerator
from themis.pure.components.registry import make_builtin
from themis.pure.records.contexts import (
    EvalScoreContext,
    GenerateContext,
    ParseContext,
    ReduceContext,
    ScoreContext,
    SelectContext,
)

CASE = Case(case_id="c", input="1+1", expected_output="2")
OF_A_CASE = {"run_id": "r", "case_id": "c"}
OF_A_SCORE = {"run_id": "r", "case": CASE, "parsed_output": ParsedOutput(value="2")}
NEEDED: list[tuple[type[Any], dict[str, Any]]] = [
    (GenerateContext, OF_A_CASE),
    (SelectContext, OF_A_CASE),
    (ReduceContext, OF_A_CASE),
    (ParseContext, OF_A_CASE),
    (ScoreContext, OF_A_SCORE),
    (EvalScoreContext, OF_A_SCORE),
]


@pytest.mark.parametrize(("kind", "given"), NEEDED)
def test_no_more_is_needed_and_what_is_made_is_a_whole_context(kind: type[Any], given: dict[str, Any]) -> None:
    made = kind(**given)
    assert made.case_key == "c"
    assert kind.from_dict(made.to_dict()) == made
    for name in given:
        with pytest.raises(TypeError):
            kind(**{key: value for key, value in given.items() if key != name})
    stated = kind(**given, dataset_id="d", case_key="d/c")
    assert (stated.dataset_id, stated.case_key) == ("d", "d/c")
    assert attrs.evolve(made, dataset_id="d", case_key="d/c") == stated


def test_components_are_called_with_them() -> None:
    answer = trio.run(DemoGenerator().generate, CASE, GenerateContext(run_id="r", case_id="c"))
    reduced = ReducedCandidate(candidate_id="1", source_candidate_ids=["1"], final_output=answer.final_output)
    parsed = make_builtin("builtin/text").parse(reduced, ParseContext(run_id="r", case_id="c"))
    score = make_builtin("builtin/exact_match").score(
        parsed, CASE, ScoreContext(run_id="r", case=CASE, parsed_output=parsed)
    )
    assert score.value == 1.0
