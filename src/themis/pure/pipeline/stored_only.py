"""A driver that asks nobody: programs are driven with what is recorded, and with what can be computed at once.

Verification makes a run's own events again, each from the record of its step (`recorded.py`). Here programs are driven
that never ran: what they ask for is looked up by the cache key of the question, and what is not there is named.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from returns.result import Result

from themis.pure.identity import content_hash, stage_key
from themis.pure.pipeline.effects import PAID, Answer, Ask, Execute, Program, Recall, Recalled, Together, Within
from themis.pure.pipeline.failures import attempt
from themis.pure.pipeline.judge import SANDBOX_SUBJECT
from themis.pure.records.failure import StepFailure
from themis.pure.records.judging import EvaluationExecution, JudgeResponse

NOT_RUN: Final = "sandbox runs"
"""Stands for programs that were never run."""


class UnknownScoreError(LookupError):
    """What a combination of settings would come to is not known.

    Attributes:
        asks: the judge calls that would have to be made.
        lacking: the components that would be needed, and samples that were not drawn.
    """

    def __init__(self, asks: Sequence[Ask] = (), lacking: Sequence[str] = ()) -> None:
        super().__init__(", ".join([*(ask.what for ask in asks), *lacking]))
        self.asks: tuple[Ask, ...] = tuple(asks)
        self.lacking: tuple[str, ...] = tuple(lacking)


def driven(program: Program[Any], recalled: Callable[[str], Recalled | None]) -> Any:
    """Drive a program of what is recorded and what can be computed at once.

    Raises:
        UnknownScoreError: it asks for more.
    """
    answer: Any = None
    while True:
        try:
            effect = program.send(answer)
        except StopIteration as done:
            return done.value
        answer = None
        match effect:
            case Recall():
                answer = recalled(effect.key)
            case Together():
                answer = _all_driven(effect.programs, recalled)
            case Within():
                answer = driven(effect.program, recalled)
            case Ask() if effect.stage in PAID:
                raise UnknownScoreError(asks=[effect])
            case Ask():
                answer = _computed(effect)
            case Execute():
                raise UnknownScoreError(lacking=[NOT_RUN])


def _computed(ask: Ask) -> Result[Answer, StepFailure]:
    awaited = UnknownScoreError(lacking=[f"{ask.of.name} (it has to be awaited)"])
    if inspect.iscoroutinefunction(ask.method):
        raise awaited
    answer: Result[Any, StepFailure] = attempt(ask.of.component_id, ask.method, *ask.args, **ask.keywords)
    value = answer.value_or(None)
    if inspect.isawaitable(value):
        if inspect.iscoroutine(value):
            value.close()
        raise awaited
    return answer.map(Answer)


def _all_driven(programs: Sequence[Program[Any]], recalled: Callable[[str], Recalled | None]) -> tuple[Any, ...]:
    """Drive several programs; what any of them lacks is said at once."""
    made, errors = [], []
    for program in programs:
        try:
            made.append(driven(program, recalled))
        except UnknownScoreError as error:
            errors.append(error)
    if errors:
        raise UnknownScoreError(
            [ask for error in errors for ask in error.asks], [each for error in errors for each in error.lacking]
        )
    return tuple(made)


def said_by_judges(
    execution: EvaluationExecution, fingerprints: Mapping[str, str]
) -> Iterator[tuple[str, JudgeResponse]]:
    """Yield what judges said, each under the key of its call, as `judge.py` makes it."""
    if execution.subject_kind == SANDBOX_SUBJECT or len(execution.rendered_prompts) != len(execution.judge_responses):
        return
    unrendered = {each.call_id for each in execution.failures if each.step_type == "render_prompt"}
    calls = [call for call in execution.judge_calls if call.call_id not in unrendered]
    for call, prompt, response in zip(calls, execution.rendered_prompts, execution.judge_responses, strict=False):
        shown = content_hash(prompt.content)
        parts = (fingerprints.get(call.judge_model_id, ""), shown, str(call.effective_seed), str(call.repeat_index))
        yield stage_key("judge", *parts), response
