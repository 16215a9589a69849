"""Selecting and reducing: from a case's candidates to the one that is parsed."""

from __future__ import annotations

import inspect
from typing import Any

from returns.result import Failure, Result, Success

from themis.effects.steps.judge import Judging
from themis.effects.steps.shared import RunInHand
from themis.pure.calls import CallFailed
from themis.pure.errors import ThemisError
from themis.pure.events import CaseRunEvent
from themis.pure.pipeline import Step
from themis.pure.plan import CaseItem
from themis.pure.records.generation import ParsedOutput
from themis.pure.records.judging import EvaluationExecution
from themis.pure.stages.judge import subject_for
from themis.pure.stages.outcome import StepFailure, failure_of
from themis.pure.stages.reduce import (
    accept_reduction,
    accept_selection,
    candidates_of,
    chosen_candidates,
    reduce_context,
    reduce_one,
    reduction_event,
    reduction_key,
    select_context,
    selection_event,
)
from themis.pure.state import CaseState


class Reducing:
    """Does the steps of stages `select` and `reduce`."""

    def __init__(self, run: RunInHand, judging: Judging) -> None:
        self._plan = run.plan
        self._identity = run.identity
        self._roster = run.roster
        self._journal = run.journal
        self._hooks = run.hooks
        self._now = run.options.clock
        self._judging = judging

    async def select(self, step: Step, item: CaseItem, state: CaseState) -> CaseRunEvent:
        """Choose among the candidates."""
        selector: Any = self._roster.selector
        candidates = candidates_of(state)
        execution: EvaluationExecution | None = None
        outcome: Result[tuple[str, ...], StepFailure]
        try:
            if hasattr(selector, "build_workflow"):
                execution = await self._judged_selection(selector, item, state)
                chosen = selector.choose(candidates, execution)
            else:
                ctx = select_context(self._plan, item, state, self._identity.evaluation_prompt_spec)
                chosen = await _now_or_later(selector.select(candidates, ctx))
            outcome = accept_selection(selector.component_id, chosen, candidates)
        except CallFailed as error:
            if error.fatal:
                raise
            outcome = Failure(failure_of(selector.component_id, error))
        except Exception as error:
            outcome = Failure(failure_of(selector.component_id, error))
        event = selection_event(self._plan, item, outcome, self._now(), execution)
        self._journal.append(item.case_no, event)
        return event

    async def _judged_selection(self, selector: Any, item: CaseItem, state: CaseState) -> EvaluationExecution:
        subject = subject_for("selection", state)
        nothing = ParsedOutput(value=None)
        outcome = await self._judging.workflow(selector, selector.component_id, subject, nothing, item, state)
        if not isinstance(outcome, Success):
            raise ThemisError(outcome.failure().error_message)
        execution: EvaluationExecution = outcome.unwrap()
        return execution

    async def reduce(self, step: Step, item: CaseItem, state: CaseState) -> CaseRunEvent:
        """Make one answer of the candidates."""
        candidates, reducer = chosen_candidates(state), self._roster.reducer
        key: str | None = None
        if reducer is None:
            outcome: Result[Any, StepFailure] = Success(reduce_one(candidates))
        else:
            ctx = reduce_context(self._plan, item, candidates)
            ref = self._identity.reducer_ref
            key = reduction_key(ref.fingerprint, candidates) if ref is not None else None
            if self._hooks.any:
                await self._hooks.call("before_reduce", candidates, ctx)
            try:
                value = await _now_or_later(reducer.reduce(candidates, ctx))
                outcome = accept_reduction(reducer.component_id, value)
            except Exception as error:
                outcome = Failure(failure_of(reducer.component_id, error))
            if self._hooks.any and isinstance(outcome, Success):
                await self._hooks.call("after_reduce", outcome.unwrap(), ctx)
        event = reduction_event(self._plan, item, outcome, self._now())
        self._journal.append(item.case_no, event, key if isinstance(outcome, Success) else None)
        return event


async def _now_or_later(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value
