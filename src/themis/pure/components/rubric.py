"""Point-weighted rubrics, scored by a judge with HealthBench's rule."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

import attrs

from themis.pure.components.judging.verdicts import read_label
from themis.pure.components.judging.workflows import PointsWorkflow, mean, option, plan_judge_calls
from themis.pure.errors import SpecError, WorkflowBuildError
from themis.pure.records.contexts import EvalScoreContext
from themis.pure.records.judging import AggregationResult, JudgeCall, JudgeResponse, ParsedJudgment, Subject
from themis.pure.records.scoring import Score

_TASK = "You are a careful and impartial judge."
_NUMBERED = re.compile(
    r"^[\s>#*_`\-]{0,20}Verdict[\s*_`]{1,8}(\d{1,4})[\s*_`]{0,8}:([^\n]{1,80})$", re.MULTILINE | re.I
)


def _batch(instance: Any, attribute: Any, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise SpecError(f"{instance.component_id}: batch must be a whole number from 1 up, found {value!r}")


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

    batch: int = attrs.field(default=1, validator=_batch)
    component_id: str = "builtin/rubric_points"
    version: str = "1"
    metric_family: ClassVar[str] = "llm"

    def build_workflow(self, subject: Subject, ctx: EvalScoreContext) -> PointsWorkflow:
        """Return the workflow: one call an item, or a batch of items."""
        items = rubric_of(ctx)
        size = option(ctx, "batch", self.batch)
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise WorkflowBuildError(f"workflow_overrides.batch: a whole number from 1 up expected, found {size!r}")
        kind = RubricWorkflow if size == 1 else BatchedRubricWorkflow
        names = [str(n) if size == 1 else f"{n}-{min(n + size, len(items)) - 1}" for n in range(0, len(items), size)]
        return kind(
            metric_id=self.component_id,
            calls=tuple(plan_judge_calls(ctx, [(name, (0,)) for name in names], 1)),
            task=f"{_TASK} Decide whether the answer meets {'the criterion' if size == 1 else 'each criterion'}.",
            ask="Explain briefly, then end with one line: `Verdict: met` or `Verdict: not met`."
            if size == 1
            else "Explain briefly, then end with one line for each criterion, N its number: `Verdict N: met` or "
            "`Verdict N: not met`.",
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
class RubricWorkflow(PointsWorkflow):
    """Asks for one item a call, and reports what was earned by tag."""

    def aggregate(
        self, judgments: Sequence[ParsedJudgment], scores: Sequence[Score], ctx: EvalScoreContext
    ) -> AggregationResult:
        """Add the points up, in all and by tag."""
        total = super().aggregate(judgments, scores, ctx)
        met = self.met(judgments)
        return total.evolve(details={**total.details, "tags": self._by_tag(met), "met": _shares(met)})

    def met(self, judgments: Sequence[ParsedJudgment]) -> dict[int, float]:
        """Return for each item that was judged the share of judgments that found it met."""
        found: dict[int, list[float]] = {}
        for judgment in judgments:
            found.setdefault(int(str(judgment.details["question"])), []).append(judgment.score or 0.0)
        return {index: mean(values) for index, values in found.items()}

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
        stated = {int(found[1]) - 1: found[2] for found in _NUMBERED.finditer(response.raw_response)}
        missing = [index + 1 for index in _indices(call) if index not in stated]
        if missing:
            raise ValueError(f"no verdict on criterion {', '.join(map(str, missing))}")
        labels = {str(index): read_label(stated[index], ("met", "not met")) for index in _indices(call)}
        details = {"question": call.dimension_id, "judge": call.judge_model_id, "verdicts": labels}
        share = mean([float(label == "met") for label in labels.values()])
        return ParsedJudgment(label=f"{share:g} met", score=share, details=details)

    def aggregate(
        self, judgments: Sequence[ParsedJudgment], scores: Sequence[Score], ctx: EvalScoreContext
    ) -> AggregationResult:
        """Take the batches apart, and add up."""
        single = [
            ParsedJudgment(label=label, score=float(label == "met"), details={**judgment.details, "question": index})
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


def _shares(met: Mapping[int, float]) -> dict[str, float]:
    return {str(index): share for index, share in sorted(met.items())}


def _clipped(value: float) -> float:
    return min(1.0, max(0.0, value))


RUBRIC_METRICS: Final = (RubricPoints,)
