"""A judged metric for datasets whose rows bring the judge's instructions along."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

import attrs

from themis.pure.components.judging.prompts import subject_parts
from themis.pure.components.judging.workflows import ScaleWorkflow, plan_judge_calls
from themis.pure.errors import WorkflowBuildError
from themis.pure.json import JSONValue
from themis.pure.records.contexts import EvalScoreContext
from themis.pure.records.judging import JudgeCall, Subject

_TASK: Final = "You are a careful and impartial judge. Judge the answer by the instructions below."
_ASK: Final = "Explain briefly, then end with one line: `Score: N`, N a number from {low:g} (worst) to {high:g} (best)."


@attrs.frozen(kw_only=True)
class CaseInstructionsWorkflow(ScaleWorkflow):
    """Scores by a case's own instructions; the judge is shown question, reference and answer."""

    reference: JSONValue

    def parts(self, call: JudgeCall, subject: Subject, ctx: EvalScoreContext) -> list[tuple[str, JSONValue]]:
        """Return the material; the instructions are in the task."""
        return [("question", ctx.case.input), ("reference answer", self.reference), *subject_parts(subject)]


@attrs.frozen
class CaseInstructions:
    """A judge scores the answer by the case's own instructions, from 0 to 1 unless `scale` says otherwise.

    The case's expected output is `{"reference": ..., "judging_instructions": text}`. The first judge of the run is
    asked.
    """

    scale: tuple[float, float] = (0.0, 1.0)
    component_id: str = "builtin/case_instructions"
    version: str = "2"
    metric_family: ClassVar[str] = "llm"

    def build_workflow(self, subject: Subject, ctx: EvalScoreContext) -> CaseInstructionsWorkflow:
        """Return the workflow; a case without instructions can't be judged."""
        expected: Any = ctx.case.expected_output
        instructions = expected.get("judging_instructions") if isinstance(expected, Mapping) else None
        if not isinstance(instructions, str):
            raise WorkflowBuildError(
                f"case {ctx.case.case_id!r}: expected_output has no judging_instructions; "
                '{"reference": ..., "judging_instructions": text} is needed'
            )
        low, high = self.scale
        return CaseInstructionsWorkflow(
            metric_id=self.component_id,
            calls=tuple(plan_judge_calls(ctx, [("overall", (0,))], 1)),
            task=_TASK,
            ask=_ASK.format(low=low, high=high),
            low=low,
            high=high,
            dimensions={"overall": instructions},
            reference=expected.get("reference"),
        )


CASE_METRICS: Final = (CaseInstructions,)
