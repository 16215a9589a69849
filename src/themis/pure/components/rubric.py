"""Point-weighted rubrics, scored by a judge with HealthBench's rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

import attrs

from themis.pure.components.judging.prompts import ROLE, subject_parts
from themis.pure.components.judging.verdicts import read_numbered
from themis.pure.components.judging.workflows import (
    VoteWorkflow,
    agreement,
    by_question,
    count_of,
    mean,
    option,
    plan_judge_calls,
    score_of,
)
from themis.pure.components.options import count
from themis.pure.errors import WorkflowBuildError
from themis.pure.json import JSONValue
from themis.pure.records.contexts import EvalScoreContext
from themis.pure.records.judging import AggregationResult, JudgeCall, JudgeResponse, ParsedJudgment, Subject
from themis.pure.records.scoring import Score


@attrs.frozen
class RubricPoints:
    """A judge decides each item of the case's point-weighted rubric; earned over possible points, clipped to 0 to 1.

    The rubric is a list of `{"criterion": text, "points": number, "tags": [text]}`: in the case's expected output under
    `rubrics` (or as the expected output itself), else in `workflow_overrides["rubrics"]` for all cases. Points may be
    negative, and count when the fault that they name is met. The first judge of the run is asked, once for each item;
    option `batch` (here or in `workflow_overrides`) asks for so many items in one call, which costs less and lets the
    items colour each other. The details hold the points and, by tag, the share that was earned.

    Source: Arora et al. 2025, "HealthBench" (arXiv 2505.08775), section 3: the sum of the points of the criteria that
    are met, over the sum of the positive points, clipped to 0 to 1.
    """

    batch: int = attrs.field(default=1, validator=count)
    component_id: str = "builtin/rubric_points"
    version: str = "2"
    metric_family: ClassVar[str] = "llm"
    score_range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def build_workflow(self, subject: Subject, ctx: EvalScoreContext) -> RubricWorkflow:
        """Return the workflow: one call an item, or a batch of items."""
        items = rubric_of(ctx)
        size = count_of("workflow_overrides.batch", option(ctx, "batch", self.batch))
        kind = RubricWorkflow if size == 1 else BatchedRubricWorkflow
        names = [str(n) if size == 1 else f"{n}-{min(n + size, len(items)) - 1}" for n in range(0, len(items), size)]
        return kind(
            metric_id=self.component_id,
            calls=tuple(plan_judge_calls(ctx, [(name, (0,)) for name in names], 1)),
            task=f"{ROLE} Decide whether the answer meets {'the criterion' if size == 1 else 'each criterion'}.",
            ask="Explain briefly, then end with one line: `Verdict: met` or `Verdict: not met`."
            if size == 1
            else "Explain briefly, then end with one line for each criterion, N its number: `Verdict N: met` or "
            "`Verdict N: not met`.",
            labels={"met": 1.0, "not met": 0.0},
            items=items,
        )


def rubric_of(ctx: EvalScoreContext) -> tuple[Mapping[str, Any], ...]:
    """Return the rubric that a case is judged by: its own, else the one of the experiment."""
    expected = ctx.case.expected_output
    own = expected.get("rubrics") if isinstance(expected, Mapping) else expected
    if isinstance(own, Sequence) and not isinstance(own, str) and own:
        return rubric_items(own, f"case {ctx.case.case_id!r}: rubrics")
    return rubric_items(option(ctx, "rubrics", None), "workflow_overrides.rubrics")


def rubric_items(items: Any, where: str) -> tuple[Mapping[str, Any], ...]:
    """Return a rubric's items, checked.

    Raises:
        WorkflowBuildError: there are none, an item lacks a criterion or points, or no item has positive points.
    """
    if not isinstance(items, Sequence) or isinstance(items, str) or not items:
        raise WorkflowBuildError(
            f"{where}: no rubric; a list of {{criterion, points}} is needed in the case's expected_output under "
            "'rubrics', or in workflow_overrides"
        )
    for number, item in enumerate(items):
        points = item.get("points") if isinstance(item, Mapping) else None
        numeric = isinstance(points, int | float) and not isinstance(points, bool)
        if not numeric or not isinstance(item.get("criterion"), str):
            raise WorkflowBuildError(f"{where}[{number}]: {{criterion: text, points: number}} expected, found {item!r}")
    if not any(item["points"] > 0 for item in items):
        raise WorkflowBuildError(
            f"{where}: no item of the rubric has positive points, so that there is nothing to earn"
        )
    return tuple(items)


@attrs.frozen(kw_only=True)
class RubricWorkflow(VoteWorkflow):
    """Asks of each item of a rubric whether it is met, one item a call; adds points up, in all and by tag."""

    items: tuple[Mapping[str, Any], ...]

    def task_of(self, call: JudgeCall) -> str:
        """Return the task with the item under judgment."""
        criterion = self.items[int(call.dimension_id or 0)]["criterion"]
        return f"{self.task}\n\nCriterion: {criterion}"

    def parts(self, call: JudgeCall, subject: Subject, ctx: EvalScoreContext) -> list[tuple[str, JSONValue]]:
        """Show the question and the answer; the rubric is in the task."""
        return [("question", ctx.case.input), *subject_parts(subject)]

    def aggregate(
        self, judgments: Sequence[ParsedJudgment], scores: Sequence[Score], ctx: EvalScoreContext
    ) -> AggregationResult:
        """Return earned points over the positive ones; an item that judgments disagree on earns its share."""
        met = {int(item): mean(found) for item, found in by_question(judgments, score_of).items()}
        earned = sum(float(self.items[index]["points"]) * share for index, share in met.items())
        possible = sum(max(0.0, float(item["points"])) for item in self.items)
        return AggregationResult(
            method="rubric_points",
            value=_clipped(earned / possible),
            details={
                "earned": earned,
                "possible": possible,
                "agreement": agreement(judgments),
                "tags": self._by_tag(met),
                "met": {str(index): share for index, share in sorted(met.items())},
            },
        )

    def _by_tag(self, met: Mapping[int, float]) -> dict[str, float]:
        """Return the score over the items of each tag that has positive points to earn."""
        earned: dict[str, float] = {}
        possible: dict[str, float] = {}
        for index, share in met.items():
            points = float(self.items[index]["points"])
            for tag in self.items[index].get("tags") or ():
                earned[str(tag)] = earned.get(str(tag), 0.0) + points * share
                possible[str(tag)] = possible.get(str(tag), 0.0) + max(0.0, points)
        return {tag: _clipped(earned[tag] / total) for tag, total in sorted(possible.items()) if total > 0}


@attrs.frozen(kw_only=True)
class BatchedRubricWorkflow(RubricWorkflow):
    """Asks for several items a call; a judgment that leaves one of them out can't be read."""

    def task_of(self, call: JudgeCall) -> str:
        """Return the task with the items under judgment, numbered as in the rubric from 1 on."""
        listed = "\n".join(f"{index + 1}. {self.items[index]['criterion']}" for index in _indices(call))
        return f"{self.task}\n\nCriteria:\n{listed}"

    def parse_judgment(self, call: JudgeCall, response: JudgeResponse, ctx: EvalScoreContext) -> ParsedJudgment:
        """Read one verdict an item; of several for the same one the last counts."""
        read = read_numbered(response.raw_response, tuple(self.labels), [index + 1 for index in _indices(call)])
        labels = {str(number - 1): label for number, label in read.items()}
        details = {"question": call.dimension_id, "judge": call.judge_model_id, "verdicts": labels}
        share = mean([self.labels[label] for label in labels.values()])
        return ParsedJudgment(label=f"{share:g} met", score=share, details=details)

    def aggregate(
        self, judgments: Sequence[ParsedJudgment], scores: Sequence[Score], ctx: EvalScoreContext
    ) -> AggregationResult:
        """Take the batches apart, and add up."""
        single = [
            ParsedJudgment(label=label, score=self.labels[label], details={**judgment.details, "question": index})
            for judgment in judgments
            for index, label in _verdicts(judgment).items()
        ]
        return super().aggregate(single, scores, ctx)


def _verdicts(judgment: ParsedJudgment) -> Mapping[str, str]:
    found = judgment.details["verdicts"]
    assert isinstance(found, Mapping)  # written by `parse_judgment`
    return {str(index): str(label) for index, label in found.items()}


def _indices(call: JudgeCall) -> range:
    first, _, last = (call.dimension_id or "0-0").partition("-")
    return range(int(first), int(last) + 1)


def _clipped(value: float) -> float:
    return min(1.0, max(0.0, value))


RUBRIC_METRICS: Final = (RubricPoints,)
