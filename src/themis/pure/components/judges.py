"""The builtin judged metrics, selectors, and the demo judge."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

import attrs

from themis.pure.components.judging.prompts import FENCE, ROLE
from themis.pure.components.judging.workflows import (
    PairwiseWorkflow,
    PassFailWorkflow,
    ScaleWorkflow,
    VoteWorkflow,
    option,
    pair_questions,
    plan_judge_calls,
    win_shares,
)
from themis.pure.errors import WorkflowBuildError
from themis.pure.json import freeze_mapping
from themis.pure.records.contexts import EvalScoreContext
from themis.pure.records.generation import GenerationResult
from themis.pure.records.judging import (
    CandidateSetSubject,
    EvaluationExecution,
    JudgeResponse,
    RenderedJudgePrompt,
    Subject,
)
from themis.pure.records.prompt import text_of

RUBRIC = "The answer is correct, complete, and to the point."
_TASK = f"{ROLE} Judge the answer to the question."


BINARY: Final = "pass/fail"


@attrs.frozen
class LlmRubric:
    """A judge scores the answer against a rubric; the mean over dimensions and repeats, 0 to 1.

    Options, here or in `workflow_overrides`: `rubric` (text), `dimensions` (`{name: rubric}`, instead of one), `scale`
    (low and high end, or `pass/fail`: then the judge says whether the answer passes, and the score is the share of
    passes). The first judge of the run is asked.
    """

    rubric: str = RUBRIC
    scale: tuple[float, float] | str = (1.0, 5.0)
    dimensions: Mapping[str, str] | None = attrs.field(
        default=None, converter=attrs.converters.optional(freeze_mapping)
    )
    component_id: str = "builtin/llm_rubric"
    version: str = "2"
    metric_family: ClassVar[str] = "llm"
    score_range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def build_workflow(self, subject: Subject, ctx: EvalScoreContext) -> ScaleWorkflow:
        return self._workflow(ctx)

    def _workflow(self, ctx: EvalScoreContext, method: str = "mean", judges: int | None = 1) -> ScaleWorkflow:
        dimensions = _dimensions(option(ctx, "dimensions", self.dimensions), option(ctx, "rubric", self.rubric))
        scale = option(ctx, "scale", self.scale)
        shared: dict[str, Any] = {
            "metric_id": self.component_id,
            "calls": tuple(plan_judge_calls(ctx, [(name, (0,)) for name in dimensions], judges)),
            "task": _TASK,
            "dimensions": dimensions,
            "method": method,
        }
        if scale == BINARY:
            return PassFailWorkflow(
                ask="Explain briefly, then end with one line: `Verdict: pass` or `Verdict: fail`.", **shared
            )
        low, high = _ends(scale)
        ask = (
            f"Explain briefly, then end with one line: `Score: N`, N a number from {low:g} (worst) to {high:g} (best)."
        )
        return ScaleWorkflow(ask=ask, low=low, high=high, **shared)


def _dimensions(stated: Any, rubric: str) -> Mapping[str, str]:
    """Return what is judged, by name: the dimensions, or the one rubric."""
    if stated is None:
        return {"overall": rubric}
    if not isinstance(stated, Mapping) or not stated or not all(isinstance(text, str) for text in stated.values()):
        raise WorkflowBuildError(f"dimensions: {{name: rubric}} expected, with texts as rubrics; found {stated!r}")
    return stated


def _ends(scale: Any) -> tuple[float, float]:
    is_pair = isinstance(scale, Sequence) and not isinstance(scale, str) and len(scale) == 2
    if not is_pair or not all(isinstance(end, int | float) and not isinstance(end, bool) for end in scale):
        raise WorkflowBuildError(f"workflow_overrides.scale: [low, high] or {BINARY!r} expected, found {scale!r}")
    low, high = float(scale[0]), float(scale[1])
    if not low < high:
        raise WorkflowBuildError(
            f"workflow_overrides.scale: the low end must be below the high one, found {low:g}, {high:g}"
        )
    return low, high


@attrs.frozen
class PanelOfJudges(LlmRubric):
    """All judges of the run score the answer against a rubric; their mean or median, with their agreement."""

    method: str = "mean"
    component_id: str = "builtin/panel_of_judges"
    version: str = "2"

    def build_workflow(self, subject: Subject, ctx: EvalScoreContext) -> ScaleWorkflow:
        return self._workflow(ctx, option(ctx, "method", self.method), judges=None)


@attrs.frozen
class TraceRubric(LlmRubric):
    """A judge scores an agent's steps, or a conversation, against a rubric."""

    rubric: str = "The steps are sound, none is superfluous, and they lead to the result."
    component_id: str = "builtin/trace_rubric"
    version: str = "2"
    metric_family: ClassVar[str] = "trace"


@attrs.frozen
class MajorityVoteJudge:
    """All judges vote correct or incorrect; the majority decides, and a tie counts one half."""

    component_id: str = "builtin/majority_vote_judge"
    version: str = "2"
    metric_family: ClassVar[str] = "llm"
    score_range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def build_workflow(self, subject: Subject, ctx: EvalScoreContext) -> VoteWorkflow:
        return VoteWorkflow(
            metric_id=self.component_id,
            calls=tuple(plan_judge_calls(ctx, [("verdict", (0,))])),
            task=f"{_TASK} {option(ctx, 'rubric', RUBRIC)}",
            ask="Explain briefly, then end with one line: `Verdict: correct` or `Verdict: incorrect`.",
            labels={"correct": 1.0, "incorrect": 0.0},
        )


@attrs.frozen
class ReferenceGrader:
    """A judge grades the answer against the reference: correct, incorrect, or not attempted (SimpleQA's three grades).

    Source: Wei et al. 2024, arXiv 2411.04368. Correct is 1, the others are 0; the grade is in the details.
    """

    component_id: str = "builtin/reference_grader"
    version: str = "2"
    metric_family: ClassVar[str] = "llm"
    score_range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def build_workflow(self, subject: Subject, ctx: EvalScoreContext) -> VoteWorkflow:
        """Return the workflow; a case without a reference can't be graded."""
        if ctx.case.expected_output is None:
            raise WorkflowBuildError(f"case {ctx.case.case_id!r} has no expected_output to grade against")
        return VoteWorkflow(
            metric_id=self.component_id,
            calls=tuple(plan_judge_calls(ctx, [("grade", (0,))])),
            task=f"{_TASK} Compare it with the reference answer; wording does not matter, facts do.",
            ask="End with one line: `Grade: correct`, `Grade: incorrect` or `Grade: not attempted`.",
            labels={"correct": 1.0, "incorrect": 0.0, "not attempted": 0.0},
        )


class _Pairwise:
    """Asks which of two answers is better, of every pair."""

    __slots__ = ()
    component_id: str

    def build_workflow(self, subject: Subject, ctx: EvalScoreContext) -> PairwiseWorkflow:
        count = len(subject.candidates) if isinstance(subject, CandidateSetSubject) else 1
        return PairwiseWorkflow(
            metric_id=self.component_id,
            calls=tuple(plan_judge_calls(ctx, pair_questions(count))),
            task=f"{ROLE} Which answer is better? {option(ctx, 'rubric', RUBRIC)} Their order means nothing.",
            ask="Explain briefly, then end with one line: `Verdict: A`, `Verdict: B` or `Verdict: tie`.",
            candidates=count,
        )


@attrs.frozen
class PairwiseJudge(_Pairwise):
    """Judges compare every pair of a case's candidates in both orders; the value is the first candidate's win share.

    A tie is half a win. How often the answer shown first won is in the details: 0.5 means no position bias.
    """

    component_id: str = "builtin/pairwise_judge"
    version: str = "2"
    metric_family: ClassVar[str] = "selection"
    score_range: ClassVar[tuple[float, float]] = (0.0, 1.0)


@attrs.frozen
class BestOfN(_Pairwise):
    """Selects by judged comparison: candidates in the order of their win shares, of equal ones the earlier first."""

    component_id: str = "builtin/best_of_n"
    version: str = "2"

    def choose(
        self, candidates: Sequence[GenerationResult], execution: EvaluationExecution
    ) -> Sequence[GenerationResult]:
        """Return the candidates, best first.

        Raises:
            ValueError: a comparison failed, so that the best can't be told.
        """
        if execution.status != "completed":
            raise ValueError(
                f"{len(execution.failures)} comparison(s) failed; first: {execution.failures[0].error_message}"
            )
        shares = win_shares(len(candidates), execution.parsed_judgments)
        order = sorted(range(len(candidates)), key=lambda index: (-shares[index], index))
        return [candidates[index] for index in order]


@attrs.frozen
class DemoJudge:
    """A judge without a model: it compares the words of answer and reference, and answers in the form asked for.

    For demos and tests. It is deterministic, and it can be wrong like any judge.
    """

    component_id: str = "builtin/demo_judge"
    version: str = "2"

    async def judge(self, prompt: RenderedJudgePrompt, *, seed: int | None = None) -> JudgeResponse:
        """Return a verdict in the form that the prompt asks for."""
        return JudgeResponse(
            judge_model_id=self.component_id,
            raw_response=_verdict(*_taken_apart(text_of(prompt.content))),
            effective_seed=seed,
        )


_FENCE: Final = re.compile(rf"^{FENCE}$", re.MULTILINE)


def _taken_apart(text: str) -> tuple[str, dict[str, str]]:
    """Return a prompt without its material, and the material: what stands between two equal fences, by its title."""
    last = {fence[0]: fence for fence in _FENCE.finditer(text)}
    outside, parts, at = [], {}, 0
    for fence in _FENCE.finditer(text):
        close = last[fence[0]]
        if fence.start() < at or close.start() == fence.start():
            continue  # within a part, or a fence without an equal one: it opens nothing
        title = text[at : fence.start()].rpartition("\n\n")[2].removesuffix(":\n")
        parts[title] = text[fence.end() + 1 : close.start() - 1]
        outside.append(text[at : fence.start()])
        at = close.end()
    return "".join([*outside, text[at:]]), parts


def _verdict(task: str, parts: Mapping[str, str]) -> str:
    """Return the verdict on the parts, in the form that the task asks for; what a part asks for is no concern."""
    reference = parts.get("reference answer", parts.get("question", ""))
    if "answer A" in parts:
        first, second = _overlap(parts["answer A"], reference), _overlap(parts.get("answer B", ""), reference)
        return f"Verdict: {'tie' if first == second else 'A' if first > second else 'B'}"
    likeness = _overlap(next((parts[name] for name in ("answer", "conversation") if name in parts), ""), reference)
    if "`Score: N`" in task:
        low, high = (float(end) for end in re.findall(r"from (-?[\d.]+) \(worst\) to (-?[\d.]+)", task)[-1])
        return f"Score: {low + likeness * (high - low):g}"
    for word, good, bad in _WORDS:
        if f"`{word}: {good}`" in task:
            return f"{word}: {good if likeness >= 0.5 else bad}"
    numbers = re.findall(r"^(\d{1,4})\. ", task, re.MULTILINE)
    return "\n".join(f"Verdict {number}: {'met' if likeness >= 0.5 else 'not met'}" for number in numbers)


_WORDS: Final = (
    ("Verdict", "met", "not met"),
    ("Verdict", "pass", "fail"),
    ("Grade", "correct", "incorrect"),
    ("Verdict", "correct", "incorrect"),
)


def _overlap(answer: str, reference: str) -> float:
    words, wanted = set(re.findall(r"\w+", answer.lower())), set(re.findall(r"\w+", reference.lower()))
    return len(words & wanted) / len(wanted) if wanted else 0.0


JUDGE_METRICS: Final = (LlmRubric, MajorityVoteJudge, PairwiseJudge, PanelOfJudges, ReferenceGrader, TraceRubric)
SELECTORS: Final = (BestOfN,)
JUDGE_MODELS: Final = (DemoJudge,)
