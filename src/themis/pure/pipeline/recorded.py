"""Verification's driver: programs are driven from a record, no model is asked, nothing is run, nothing is stored.

Replays and cassettes have nothing to do with it: they are runs, driven by `effects/driver.py`, that ask no generator.

The same program that made an event makes it again from what is stored of its case, and verification holds the one
against the other. What a step needs and the record lacks is passed on to whoever drives: a shell may have it, and
verification names it; it is never a difference. Selectors and reducers are computed again; one that has to be awaited
is passed on, too, for awaiting is not pure.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import attrs
from returns.result import Failure, Result, Success

from themis.pure.pipeline.effects import (
    PAID,
    Answer,
    Ask,
    Effect,
    Execute,
    Keep,
    Program,
    Recall,
    Recalled,
    Together,
    Within,
)
from themis.pure.pipeline.execute import SANDBOX_STEP
from themis.pure.pipeline.failures import failure_of
from themis.pure.pipeline.judge import JUDGE_STEP
from themis.pure.pipeline.run import Run
from themis.pure.pipeline.table import ROWS, next_steps
from themis.pure.plan import CaseItem
from themis.pure.records.failure import StepFailure
from themis.pure.records.judging import JudgeResponse
from themis.pure.records.sandbox import SandboxResult
from themis.pure.state import CaseState, step_key

T = TypeVar("T")


class MissingError(LookupError):
    """A program needs something that is not recorded; the message names it."""


def from_record(program: Program[T], state: CaseState, kept: Callable[[Keep], object] | None = None) -> Program[T]:
    """Drive a program from what is stored of its case; pass on what is not, for someone else to answer.

    Args:
        program: the program of a step, or of a case.
        state: what is stored.
        kept: is handed what the program keeps.
    """
    answer: Any = None
    while True:
        try:
            effect = program.send(answer)
        except StopIteration as done:
            value: T = done.value
            return value
        answer = None
        match effect:
            case Keep():
                if kept is not None:
                    kept(effect)
            case Ask() if effect.stage in PAID:
                answer = _recorded(state, effect) or (yield effect)
            case Ask():
                answer = yield from _computed(effect)
            case Execute():
                answer = _recorded_run(state, effect) or (yield effect)
            case Together():
                answer = yield from _one_by_one(effect.programs, state, kept)
            case Within():
                answer = yield from from_record(effect.program, state, kept)


def _one_by_one(
    programs: Sequence[Program[Any]], state: CaseState, kept: Callable[[Keep], object] | None
) -> Program[tuple[Any, ...]]:
    answers: tuple[Any, ...] = ()
    for program in programs:
        answers += ((yield from from_record(program, state, kept)),)
    return answers


def _recorded(state: CaseState, ask: Ask) -> Result[Answer, StepFailure] | None:
    """Return what a generator or a judge is recorded to have answered, if anything."""
    if isinstance(ask.place, int):
        if ask.place in state.candidates:
            return Success(Answer(state.candidates[ask.place]))
        failed = state.generation_failures.get(ask.place)
        return None if failed is None else Failure(failed)
    step = state.steps.get(ask.place)
    if step is not None and step.step_type == JUDGE_STEP:
        return Success(Answer(JudgeResponse.from_dict(step.output)))
    failure = state.failed_steps.get(ask.place)
    if failure is None:
        return None
    error_type, _, message = failure.error_message.partition(": ")
    return Failure(
        StepFailure(
            component_id=ask.of.component_id,
            error_type=error_type,
            error_message=message,
            retry_history=failure.retry_history,
        )
    )


def _recorded_run(state: CaseState, execute: Execute) -> SandboxResult | None:
    """Return what a sandbox run is recorded to have come to, if anything."""
    step = state.steps.get(execute.place)
    if step is not None and step.step_type == SANDBOX_STEP:
        return SandboxResult.from_dict(step.output)
    # A run that the sandbox could not do leaves no event of its own: the execution tells of it.
    for answer, seen in ((None, state), *state.answers.items()):
        for workflow_id, execution in seen.executions.items():
            for failure in execution.failures:
                place = step_key(workflow_id, failure.step_id, answer)
                if failure.step_type == SANDBOX_STEP and place == execute.place:
                    return SandboxResult(status="sandbox_error", stderr=failure.error_message)
    return None


def _computed(ask: Ask) -> Program[Result[Answer, StepFailure]]:
    """Call a component that costs nothing; one that has to be awaited is left to the one who drives."""
    answer: Result[Answer, StepFailure]
    if inspect.iscoroutinefunction(ask.method):
        answer = yield ask
        return answer
    try:
        value = ask.method(*ask.args, **ask.keywords)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return Failure(failure_of(ask.of.component_id, error))
    if not inspect.isawaitable(value):
        return Success(Answer(value))
    # It has begun, and is for the one who drives to finish.
    answer = yield attrs.evolve(ask, method=lambda *args, **keywords: value)
    return answer


def purely(program: Program[T]) -> T:
    """Run a program to its end that asks for nothing any more.

    Raises:
        MissingError: it asks all the same: for what is not recorded, or for a component that has to be awaited.
    """
    try:
        effect = next(program)
    except StopIteration as done:
        value: T = done.value
        return value
    program.close()
    raise missing(effect)


def missing(effect: Effect) -> MissingError:
    return MissingError(effect.what if isinstance(effect, Ask | Execute) else type(effect).__name__)


def unanswered(
    run: Run, item: CaseItem, state: CaseState, recall: Callable[[str], Recalled | None] | None = None
) -> Iterator[Ask]:
    """Yield what a case would ask its generator next: what neither its state nor the stage cache has.

    Args:
        run: the run; nobody is told anything.
        item: the case.
        state: what is stored of it.
        recall: looks a cache key up; without it, nothing is taken from other runs.
    """
    for step in next_steps(run.plan, state):
        if step.stage != "generate":
            return
        program = ROWS[step.stage].program(run, item, state, step)
        effect = next(program)
        if isinstance(effect, Recall):
            effect = program.send(recall(effect.key) if recall is not None else None)
        program.close()
        if isinstance(effect, Ask):
            yield effect
