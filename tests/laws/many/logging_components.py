"""Components of runs that many workers make, which leave a line in a log for each call that they get."""

from __future__ import annotations

import os

import attrs
import trio

from themis.core import Case, GenerateContext, GenerationResult, ParsedOutput, Score, ScoreContext
from themis.pure.records.judging import JudgeResponse, RenderedJudgePrompt


def note(log: str, *words: object) -> None:
    """Write a line that survives a kill: it is one write to the operating system."""
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        os.write(file, (" ".join(map(str, words)) + "\n").encode())
    finally:
        os.close(file)


@attrs.frozen
class Answers:
    """A generator that takes its time; where it logs and how long it takes does not change what it is."""

    log: str
    wait_s: float = 0.01
    component_id: str = "logging/answers"
    version: str = "1"

    def fingerprint(self) -> str:
        return "answers"

    async def generate(self, case: Case, ctx: GenerateContext) -> GenerationResult:
        note(self.log, "call", ctx.candidate_id)
        await trio.sleep(self.wait_s * (1 + (ctx.seed or 0) % 3))
        return GenerationResult(
            candidate_id=ctx.candidate_id,
            final_output=f"{case.case_id} {ctx.candidate_index}",
            token_usage={"prompt_tokens": 5, "completion_tokens": 5, "total_tokens": 10},
        )


@attrs.frozen
class Judge:
    """A judge that says yes to even cases, and logs what it is asked."""

    log: str
    component_id: str = "logging/judge"
    version: str = "1"

    def fingerprint(self) -> str:
        return "judge"

    async def judge(self, prompt: RenderedJudgePrompt, *, seed: int | None = None) -> JudgeResponse:
        await trio.sleep(0.005)
        return JudgeResponse(judge_model_id=self.component_id, raw_response='{"score": 1}', effective_seed=seed)


@attrs.frozen
class Length:
    """Scores an answer by its length."""

    component_id: str = "logging/length"
    version: str = "1"

    def score(self, parsed: ParsedOutput, case: Case, ctx: ScoreContext) -> Score:
        return Score(metric_id=self.component_id, value=float(len(str(parsed.value))))
