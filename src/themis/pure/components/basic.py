"""The smallest builtins: models for demos and tests, and the majority vote."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import attrs

from themis.pure.json import canonical_bytes
from themis.pure.records.contexts import GenerateContext, ReduceContext
from themis.pure.records.dataset import Case
from themis.pure.records.generation import GenerationResult, ReducedCandidate


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
    """Reduces to the commonest answer; of equally common ones, to the one that came first (by candidate index).

    Answers are compared as canonical JSON (Wang et al. 2023, arXiv 2203.11171, vote over final answers).
    """

    component_id: str = "builtin/majority_vote"
    version: str = "1"

    def reduce(self, candidates: Sequence[GenerationResult], ctx: ReduceContext) -> ReducedCandidate:
        """Return the commonest answer with its share of the votes."""
        votes = [canonical_bytes(candidate.final_output) for candidate in candidates]
        winner, count = Counter(votes).most_common(1)[0]
        chosen = candidates[votes.index(winner)]
        return ReducedCandidate(
            candidate_id=chosen.candidate_id,
            source_candidate_ids=[candidate.candidate_id for candidate in candidates],
            final_output=chosen.final_output,
            metadata={"votes": count, "candidates": len(candidates)},
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
