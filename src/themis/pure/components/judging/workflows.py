"""The workflows behind the builtin judges, sans I/O: calls, prompts, what an answer means, what it adds up to."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median
from typing import Any, Final, TypeVar

import attrs

from themis.pure.components.judging.prompts import judge_prompt, subject_parts
from themis.pure.components.judging.verdicts import read_label, read_score
from themis.pure.components.options import is_count
from themis.pure.errors import WorkflowBuildError
from themis.pure.identity import derive_seed, stage_key
from themis.pure.json import JSONValue, freeze
from themis.pure.records.contexts import EvalScoreContext
from themis.pure.records.judging import (
    AggregationResult,
    JudgeCall,
    JudgeResponse,
    ParsedJudgment,
    RenderedJudgePrompt,
    Subject,
)
from themis.pure.records.scoring import Score

T = TypeVar("T")


OPTIONS: Final = ("rubric", "dimensions", "scale", "method", "rubrics", "batch")
"""What the builtin workflows read of an experiment's `workflow_overrides`."""

CONFIG: Final = ("repeats", "on_partial_failure")
"""What is read of its `judge_config`."""


def option(ctx: EvalScoreContext, name: str, default: Any) -> Any:
    """Return a workflow's option: the experiment's override, else the component's own."""
    assert name in OPTIONS
    return ctx.eval_workflow_config.get(name, default)


def count_of(name: str, value: object) -> int:
    """Return what an experiment states as a whole number from 1 up."""
    if not is_count(value):
        raise WorkflowBuildError(f"{name}: a whole number from 1 up expected, found {value!r}")
    return value


def plan_judge_calls(
    ctx: EvalScoreContext, questions: Iterable[tuple[str, Sequence[int]]], most_judges: int | None = None
) -> list[JudgeCall]:
    """Plan every question for every judge and repeat; seeds differ by question and repeat."""
    judges = ctx.judge_model_refs[:most_judges]
    if not judges:
        raise WorkflowBuildError("no judge model: give the experiment one")
    repeats = count_of("judge_config.repeats", ctx.judge_config.get("repeats", 1))
    calls = []
    for (name, indices), judge, repeat in itertools.product(questions, judges, range(repeats)):
        call_id = f"{name}/{judge.component_id}/{repeat}"
        seed = derive_seed(stage_key("judge call", str(ctx.judge_seed), call_id), repeat)
        calls.append(
            JudgeCall(
                call_id=call_id,
                judge_model_id=judge.component_id,
                dimension_id=name,
                repeat_index=repeat,
                candidate_indices=indices,
                effective_seed=seed,
            )
        )
    return calls


def by_question(judgments: Sequence[ParsedJudgment], read: Callable[[ParsedJudgment], T]) -> dict[str, list[T]]:
    """Return what is read of each judgment, by the question that was asked."""
    groups: dict[str, list[T]] = {}
    for judgment in judgments:
        groups.setdefault(str(judgment.details["question"]), []).append(read(judgment))
    return groups


def score_of(judgment: ParsedJudgment) -> float:
    return judgment.score or 0.0


def label_of(judgment: ParsedJudgment) -> JSONValue:
    return judgment.label


def agreement(
    judgments: Sequence[ParsedJudgment], read: Callable[[ParsedJudgment], JSONValue] = label_of
) -> float | None:
    """Return the share of pairs of judgments of the same question that agree; `None` without such a pair."""
    groups = by_question(judgments, read).values()
    agree = [left == right for group in groups for left, right in itertools.combinations(group, 2)]
    return sum(agree) / len(agree) if agree else None


def mean(values: Sequence[float]) -> float:
    """Return the mean of at least one value."""
    return sum(values) / len(values)


@attrs.frozen(kw_only=True)
class Workflow:
    """What the builtin workflows share: the metric's name, the calls, and the shape of a prompt."""

    metric_id: str
    calls: tuple[JudgeCall, ...]
    task: str
    ask: str

    def judge_calls(self) -> Sequence[JudgeCall]:
        return self.calls

    def parts(self, call: JudgeCall, subject: Subject, ctx: EvalScoreContext) -> list[tuple[str, JSONValue]]:
        """Return the material that a judge is shown."""
        material: list[tuple[str, JSONValue]] = [("question", ctx.case.input)]
        if ctx.case.expected_output is not None:
            material.append(("reference answer", ctx.case.expected_output))
        return [*material, *subject_parts(subject, call.candidate_indices or (0,))]

    def render_prompt(self, call: JudgeCall, subject: Subject, ctx: EvalScoreContext) -> RenderedJudgePrompt:
        return judge_prompt(call, ctx, self.task_of(call), self.parts(call, subject, ctx), self.ask)

    def task_of(self, call: JudgeCall) -> str:
        return self.task

    def score_judgment(self, call: JudgeCall, judgment: ParsedJudgment, ctx: EvalScoreContext) -> Score | None:
        if judgment.score is None:
            return None
        return Score(metric_id=self.metric_id, value=judgment.score, details={"call_id": call.call_id})


@attrs.frozen(kw_only=True)
class ScaleWorkflow(Workflow):
    """Asks for a score on a scale, by dimension; the mean over all, as 0 to 1."""

    low: float
    high: float
    dimensions: Mapping[str, str]
    method: str = "mean"

    def task_of(self, call: JudgeCall) -> str:
        """Return the task, with the dimension under judgment."""
        rubric = self.dimensions[call.dimension_id or ""]
        return f"{self.task}\n\nRubric: {rubric}"

    def parse_judgment(self, call: JudgeCall, response: JudgeResponse, ctx: EvalScoreContext) -> ParsedJudgment:
        score = read_score(response.raw_response, self.low, self.high)
        details = {"question": call.dimension_id, "judge": call.judge_model_id, "raw_score": score}
        return ParsedJudgment(label=f"{score:g}", score=(score - self.low) / (self.high - self.low), details=details)

    def aggregate(
        self, judgments: Sequence[ParsedJudgment], scores: Sequence[Score], ctx: EvalScoreContext
    ) -> AggregationResult:
        """Average, or take the median; report each dimension and how far the judgments agree."""
        values = sorted(judgment.score for judgment in judgments if judgment.score is not None)
        return AggregationResult(
            method=self.method,
            value=median(values) if self.method == "median" else mean(values),
            details={
                "judgments": len(judgments),
                "dimensions": {name: mean(found) for name, found in by_question(judgments, score_of).items()},
                "agreement": agreement(judgments),
            },
        )


@attrs.frozen(kw_only=True)
class PassFailWorkflow(ScaleWorkflow):
    """Asks whether the answer passes, by dimension; the share of passes."""

    low: float = 0.0
    high: float = 1.0

    def parse_judgment(self, call: JudgeCall, response: JudgeResponse, ctx: EvalScoreContext) -> ParsedJudgment:
        label = read_label(response.raw_response, ("pass", "fail"))
        details = {"question": call.dimension_id, "judge": call.judge_model_id}
        return ParsedJudgment(label=label, score=float(label == "pass"), details=details)


@attrs.frozen(kw_only=True)
class VoteWorkflow(Workflow):
    """Asks for a label; the commonest one wins. A tie counts as half of what the tied labels are worth."""

    labels: Mapping[str, float]

    def parse_judgment(self, call: JudgeCall, response: JudgeResponse, ctx: EvalScoreContext) -> ParsedJudgment:
        label = read_label(response.raw_response, tuple(self.labels))
        details = {"question": call.dimension_id, "judge": call.judge_model_id}
        return ParsedJudgment(label=label, score=self.labels[label], details=details)

    def aggregate(
        self, judgments: Sequence[ParsedJudgment], scores: Sequence[Score], ctx: EvalScoreContext
    ) -> AggregationResult:
        votes = Counter(judgment.label for judgment in judgments)
        most = max(votes.values())
        winners = sorted(label for label, count in votes.items() if count == most)
        return AggregationResult(
            method="majority_vote",
            value=mean([self.labels[label] for label in winners]),
            details={
                "votes": dict(sorted(votes.items())),
                "tie": len(winners) > 1,
                "label": winners[0] if len(winners) == 1 else None,
                "agreement": agreement(judgments),
            },
        )


@attrs.frozen(kw_only=True)
class PairwiseWorkflow(Workflow):
    """Asks which of two answers is better, for every pair and in both orders."""

    candidates: int

    def parse_judgment(self, call: JudgeCall, response: JudgeResponse, ctx: EvalScoreContext) -> ParsedJudgment:
        """Read A, B or tie, and say which candidate that is."""
        label = read_label(response.raw_response, ("A", "B", "tie"))
        first, second = call.candidate_indices
        winner = None if label == "tie" else first if label == "A" else second
        pair = [min(first, second), max(first, second)]
        details = {"question": f"{pair[0]}-{pair[1]}", "winner": winner, "shown_first": first, "pair": pair}
        return ParsedJudgment(label=label, details=freeze(details))

    def aggregate(
        self, judgments: Sequence[ParsedJudgment], scores: Sequence[Score], ctx: EvalScoreContext
    ) -> AggregationResult:
        """Report each candidate's share of wins; the value is the first candidate's."""
        shares = win_shares(self.candidates, judgments)
        decided = [j for j in judgments if j.details["winner"] is not None]
        first = sum(j.details["winner"] == j.details["shown_first"] for j in decided)
        return AggregationResult(
            method="win_share",
            value=shares[0],
            details={
                "win_shares": shares,
                "comparisons": len(judgments),
                "ties": len(judgments) - len(decided),
                "first_shown_wins": first / len(decided) if decided else None,
                "agreement": agreement(judgments, lambda judgment: judgment.details["winner"]),
            },
        )


def win_shares(candidates: int, judgments: Sequence[ParsedJudgment]) -> list[float]:
    """Return each candidate's share of its comparisons that it won; a tie is half a win for both."""
    wins, played = [0.0] * candidates, [0] * candidates
    for judgment in judgments:
        first, second = (int(index) for index in judgment.details["pair"])  # type: ignore[union-attr, arg-type]  # ours
        winner = judgment.details["winner"]
        for index in (first, second):
            played[index] += 1
            wins[index] += 0.5 if winner is None else float(winner == index)
    return [won / count if count else 0.0 for won, count in zip(wins, played, strict=True)]


def pair_questions(candidates: int) -> list[tuple[str, tuple[int, int]]]:
    """Return every pair of candidates in both orders."""
    return [(f"{first}-vs-{second}", (first, second)) for first, second in itertools.permutations(range(candidates), 2)]
