"""The majority vote, as part of a run: over what the parsers read, the first candidate of the winning answer."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
from hypothesis import given
from hypothesis import strategies as st

from themis import Case, Dataset, EvaluationConfig, Experiment, GenerationConfig, RunResult
from themis.pure.components.registry import make_builtin
from themis.pure.records.contexts import GenerateContext
from themis.pure.records.generation import GenerationResult


@attrs.frozen
class Says:
    """A model whose candidates are given."""

    texts: tuple[str, ...]
    component_id: str = "tests/says"
    version: str = "1"

    def fingerprint(self) -> str:
        return repr(self.texts)

    async def generate(self, case: Case, ctx: GenerateContext) -> GenerationResult:
        return GenerationResult(candidate_id=ctx.candidate_id, final_output=self.texts[ctx.candidate_index])


def voted(texts: Sequence[str]) -> RunResult:
    return Experiment(
        generation=GenerationConfig(
            generator=Says(tuple(texts)),
            candidate_policy={"num_samples": len(texts)},
            reducer="builtin/majority_vote",
        ),
        evaluation=EvaluationConfig(
            parsers=make_builtin("builtin/regex", pattern=r"(-?\d+)"), metrics="builtin/exact_match"
        ),
        datasets=Dataset(dataset_id="d", cases=[Case(case_id="1", input="?", expected_output="4")]),
    ).run()


def test_texts_that_differ_vote_for_one_answer() -> None:
    case = voted(["I think 5.", "It is 4", "4!", "nothing"]).cases[0]
    reduced = case.reduced_candidate
    assert reduced is not None
    assert reduced.candidate_id == "1-candidate-1"
    assert reduced.final_output == "It is 4"
    assert reduced.metadata == {"candidates": 4, "usable": 3, "votes": 2, "tied": 1}
    assert case.scores[0].value == 1.0  # type: ignore[union-attr]  # a score


def test_no_usable_answer_is_a_stated_failure() -> None:
    case = voted(["nothing", "at all"]).cases[0]
    assert case.reduced_candidate is None
    assert case.reduction_error is not None
    assert case.reduction_error.error_type == "NoAnswerError"
    assert "none of the 2 candidates has an answer that can be used" in case.reduction_error.error_message


@given(st.lists(st.sampled_from(["4", "five", "I say 5", "so 5", "x 4 y"]), min_size=1, max_size=6))
def test_the_winner_is_the_commonest_number_and_of_ties_the_first(texts: list[str]) -> None:
    numbers = ["".join(c for c in text if c.isdigit()) for text in texts]
    usable = [number for number in numbers if number]
    reduced = voted(texts).cases[0].reduced_candidate
    if not usable:
        assert reduced is None
        return
    assert reduced is not None
    winner = max(usable, key=lambda number: (usable.count(number), -usable.index(number)))
    assert reduced.candidate_id == f"1-candidate-{numbers.index(winner)}"
    assert reduced.metadata["votes"] == usable.count(winner)
    assert reduced.metadata["usable"] == len(usable)
