"""The smallest builtins: models for demos and tests, and the majority vote."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final

import attrs

from themis.pure.errors import NoAnswerError
from themis.pure.records.contexts import GenerateContext, ReduceContext
from themis.pure.records.dataset import Case
from themis.pure.records.generation import GenerationResult, ParsedOutput, ReducedCandidate
from themis.pure.voting import ballot, majority


@attrs.frozen
class DemoGenerator:
    """Answers with the case's expected output, or with its input where there is none: a model that is always right."""

    component_id: str = "builtin/demo_generator"
    version: str = "1"

    async def generate(self, case: Case, ctx: GenerateContext) -> GenerationResult:
        """Return the expected answer."""
        answer = case.expected_output if case.expected_output is not None else case.input
        return GenerationResult(candidate_id=ctx.candidate_id, final_output=answer)


@attrs.frozen
class DemoModel:
    """A model that errs: in about `error_rate` of the cases, chosen by seed, it answers beside the point.

    The same seed gives the same answers everywhere, so that a demo has something to show and a test can rely on it.
    """

    error_rate: float = 0.25
    component_id: str = "builtin/demo_model"
    version: str = "1"

    async def generate(self, case: Case, ctx: GenerateContext) -> GenerationResult:
        """Return the expected answer, or a wrong one."""
        answer = case.expected_output if case.expected_output is not None else case.input
        # The golden-ratio step spreads neighbouring seeds evenly over [0, 1) (Knuth, TAOCP 6.4).
        wrong = ((ctx.seed or 0) * 2654435769 % 2**32) / 2**32 < self.error_rate
        usage = {"prompt_tokens": len(str(case.input).split()), "completion_tokens": 1}
        return GenerationResult(
            candidate_id=ctx.candidate_id,
            final_output=_beside(answer) if wrong else answer,
            token_usage={**usage, "total_tokens": sum(usage.values())},
        )


def _beside(answer: Any) -> Any:
    if isinstance(answer, bool):
        return not answer
    if isinstance(answer, int | float):
        return answer + 1
    if isinstance(answer, str) and answer.lstrip("-").isdigit():
        return str(int(answer) + 1)
    return "I don't know"


@attrs.frozen
class MajorityVote:
    """Reduces to the first candidate with the commonest answer, as the run's parsers read it.

    Answers are compared as canonical JSON once they are parsed; of equally common ones, the one that came first wins. A
    candidate without a usable answer has no vote; where none has one, the reduction fails. The result's metadata says
    how many `candidates` there were, how many were `usable`, how many `votes` the winner has, and how many answers
    `tied` for it.

    Source: Wang et al. (2023), arXiv 2203.11171 (self-consistency: a vote over final answers, not over texts).
    """

    component_id: str = "builtin/majority_vote"
    version: str = "2"
    reads_parsed: ClassVar[bool] = True

    def reduce(self, candidates: Sequence[GenerationResult], ctx: ReduceContext) -> ReducedCandidate:
        """Return the first candidate with the commonest answer.

        Raises:
            NoAnswerError: no candidate has a usable answer.
        """
        given = ctx.parsed_outputs
        parsed = given if given is not None else [ParsedOutput(value=one.final_output) for one in candidates]
        vote = majority([ballot(one) for one in parsed])
        if vote.winner is None:
            raise NoAnswerError(f"none of the {len(candidates)} candidates has an answer that can be used")
        chosen = candidates[vote.winner]
        return ReducedCandidate(
            candidate_id=chosen.candidate_id,
            source_candidate_ids=[candidate.candidate_id for candidate in candidates],
            final_output=chosen.final_output,
            metadata={"candidates": len(candidates), "usable": vote.cast, "votes": vote.votes, "tied": vote.tied},
        )


@attrs.frozen
class FirstCandidate:
    """Reduces to the first candidate: for selectors that have put the best one first."""

    component_id: str = "builtin/first"
    version: str = "1"

    def reduce(self, candidates: Sequence[GenerationResult], ctx: ReduceContext) -> ReducedCandidate:
        """Return the first candidate."""
        first = candidates[0]
        return ReducedCandidate(
            candidate_id=first.candidate_id,
            source_candidate_ids=[candidate.candidate_id for candidate in candidates],
            final_output=first.final_output,
        )


GENERATORS: Final = (DemoGenerator, DemoModel)
REDUCERS: Final = (MajorityVote, FirstCandidate)
