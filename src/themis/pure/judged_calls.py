"""A judged metric's workflow call by call: who was asked about what, the answer, and the verdict read in it.

An `EvaluationExecution` keeps prompts, answers and judgments in lists of their own, each in the order of the calls and
without those that have none. People read them together.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping

import attrs

from themis.pure.json import JSONValue
from themis.pure.records.base import HashableModel
from themis.pure.records.fields import json_value, sequence
from themis.pure.records.judging import (
    AGAIN,
    EvaluationExecution,
    JudgeResponse,
    ParsedJudgment,
    WorkflowFailure,
)


@attrs.frozen(kw_only=True)
class JudgedCall(HashableModel):
    """One question to a judge, with all that came of it.

    Attributes:
        dimension: the aspect judged; empty where the workflow names none.
        repeat: which of several identical questions this is, from 1; 0 where it was asked once.
        is_again: the question before it was asked once more, since no verdict could be read in the answer.
        prompt: what the judge was shown.
        response: what it answered, if it did.
        judgment: the verdict, if one could be read.
        failures: what went wrong.
    """

    judge: str
    dimension: str = ""
    repeat: int = 0
    is_again: bool = False
    prompt: JSONValue = attrs.field(default=None, converter=json_value)
    response: JudgeResponse | None = None
    judgment: ParsedJudgment | None = None
    failures: tuple[WorkflowFailure, ...] = attrs.field(default=(), converter=sequence)

    def title(self) -> str:
        """Return dimension, judge and repeat in a few words."""
        repeat, again = f"repeat {self.repeat}" if self.repeat else "", "asked again" if self.is_again else ""
        return ", ".join(filter(None, (self.dimension, self.judge, repeat, again)))

    def verdict(self) -> str:
        """Return the verdict with its score, if that says more; empty if none was read."""
        if self.judgment is None:
            return ""
        label, score = self.judgment.label, self.judgment.score
        return label if score is None or label == f"{score:g}" else f"{label} ({score:g})"


def judged_calls(execution: EvaluationExecution) -> tuple[JudgedCall, ...]:
    """Return a workflow's calls in their order; none for code that was run."""
    return tuple(_calls(execution))


def _calls(execution: EvaluationExecution) -> Iterator[JudgedCall]:
    failures: dict[str, list[WorkflowFailure]] = {}
    for failure in execution.failures:
        failures.setdefault(failure.call_id or "", []).append(failure)
    shown = [
        call
        for call in execution.judge_calls
        if not any(failure.step_type == "render_prompt" for failure in failures.get(call.call_id, ()))
    ]
    prompts = {call.call_id: prompt.content for call, prompt in zip(shown, execution.rendered_prompts, strict=False)}
    # The workflow's trace has one step for each answer, which says whether a verdict was read in it.
    steps = execution.trace.steps
    responses = {step.step_name: response for step, response in zip(steps, execution.judge_responses, strict=False)}
    read = [step.step_name for step in steps if "error" not in step.output]
    judgments: dict[str, ParsedJudgment] = dict(zip(read, execution.parsed_judgments, strict=False))
    planned = {call.call_id for call in execution.judge_calls}
    repeats = any(call.repeat_index for call in execution.judge_calls)
    for call in execution.judge_calls:
        yield JudgedCall(
            judge=call.judge_model_id,
            dimension=call.dimension_id or "",
            repeat=call.repeat_index + 1 if repeats else 0,
            is_again=_is_again(call.call_id, planned),
            prompt=prompts.get(call.call_id),
            response=responses.get(call.call_id),
            judgment=judgments.get(call.call_id),
            failures=failures.get(call.call_id, ()),
        )


def _is_again(call_id: str, calls: Container[str]) -> bool:
    """Tell whether a call asks once more what another one of the workflow's calls asked."""
    return call_id.endswith(AGAIN) and call_id.removesuffix(AGAIN) in calls


def other_failures(execution: EvaluationExecution) -> tuple[WorkflowFailure, ...]:
    """Return what failed of a workflow besides its calls: a program that could not be run, the aggregate."""
    calls = {call.call_id for call in execution.judge_calls}
    return tuple(failure for failure in execution.failures if failure.call_id not in calls)


def dimension_scores(execution: EvaluationExecution) -> Mapping[str, float]:
    """Return the mean score of each dimension that the judges were asked about; empty unless there are several.

    Judgments without a score, such as preferences, have no mean.
    """
    found: dict[str, list[float]] = {}
    for call in judged_calls(execution):
        if call.dimension and call.judgment is not None and call.judgment.score is not None:
            found.setdefault(call.dimension, []).append(call.judgment.score)
    return {name: sum(scores) / len(scores) for name, scores in found.items()} if len(found) > 1 else {}
