"""What failed in a case, in a few words each, so that failures of a run can be counted by kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from themis.pure.calls import FailureKind
from themis.pure.records.judging import EvaluationExecution
from themis.pure.state import CaseState, reduction_problem

Kind: TypeAlias = tuple[str, str]
"""What failed, as the plural of what is counted, and how."""


def failures_of(state: CaseState, *, is_reduced: bool) -> Iterator[Kind]:
    """Yield every failure of a case that was not made good since: one for each answer, judge call or score.

    Args:
        state: the case's.
        is_reduced: whether the case's candidates are reduced to one answer.
    """
    made = "candidates not generated" if is_reduced and len(state.candidates) > 1 else "answers not generated"
    yield from ((made, kind_of(failure)) for _, failure in sorted(state.generation_failures.items()))
    if (failure := reduction_problem(state)) is not None:
        yield "cases not reduced", kind_of(failure)
    for seen in (state, *state.answers.values()):
        if seen.parse_failure is not None:
            yield "answers not parsed", kind_of(seen.parse_failure)
        yield from ((f"scores not made by {metric}", "error of the metric") for metric in seen.score_failures)
        for metric, event in seen.evaluation_failures.items():
            yield f"scores not made by {metric}", kind_of(event)
        for execution in seen.executions.values():
            yield from _of_workflow(execution)


_STEPS = {
    "judge_call": "judge calls",
    "parse_judgment": "verdicts not read",
    "sandbox_run": "programs not run",
}


def _of_workflow(execution: EvaluationExecution) -> Iterator[Kind]:
    for failure in execution.failures:
        what = _STEPS.get(failure.step_type, "steps of workflows")
        # A workflow's failures say their type in front; what a sandbox says is its own text.
        named, _, _ = failure.error_message.partition(": ")
        kind = "sandbox failed" if failure.step_type == "sandbox_run" else named
        yield what, _of_call(failure.retry_history) or _word(kind)


def kind_of(failure: Any) -> str:
    """Return how something failed: `rate limited (429)`, `timeout`, or the exception's class.

    >>> from themis.pure.records.failure import StepFailure
    >>> history = [{"attempt": 1, "reason": "rate limited", "kind": "status", "status": 429}]
    >>> kind_of(StepFailure(error_message="slow down", error_type="status", retry_history=history))
    'rate limited (429)'
    >>> kind_of(StepFailure(error_message="no", error_type="ValueError"))
    'ValueError'
    """
    return _of_call(failure.retry_history) or _word(failure.error_type)


def _of_call(history: Sequence[Mapping[str, Any]]) -> str:
    """Return how the last try of a call failed; empty if it was no call, or its component raised an exception."""
    last = history[-1] if history else {}
    if not last or last.get("kind") == FailureKind.COMPONENT:
        return ""
    reason, status = str(last.get("reason") or last.get("kind") or ""), last.get("status")
    return f"{reason} ({status})" if status is not None and str(status) not in reason else reason


def _word(error_type: str) -> str:
    return error_type.replace("_", " ") or "error"
