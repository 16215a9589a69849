"""Parsing and scoring: pure functions of what is stored, and programs run in a sandbox."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from returns.result import Failure, Result, Success

from themis.effects.sandboxing import SandboxPool
from themis.effects.steps.shared import RunInHand
from themis.pure.chain import read_event
from themis.pure.events import CaseRunEvent, StepCompletedEvent
from themis.pure.pipeline import Step
from themis.pure.plan import CaseItem
from themis.pure.records.contexts import ScoreContext
from themis.pure.records.generation import ParsedOutput
from themis.pure.records.judging import EvaluationExecution, WorkflowFailure
from themis.pure.records.sandbox import SandboxRequest, SandboxResult
from themis.pure.stages.execute import (
    SANDBOX_STEP,
    conclude_sandbox,
    plan_sandbox,
    recorded_results,
    sandbox_key,
)
from themis.pure.stages.judge import execution_score
from themis.pure.stages.outcome import StepFailure
from themis.pure.stages.parse import parse, parse_context, parse_event
from themis.pure.stages.score import score, score_context, score_event
from themis.pure.state import CaseState


class Scoring:
    """Does the steps of stages `parse` and `score`."""

    def __init__(self, run: RunInHand) -> None:
        self._run = run
        self._plan = run.plan
        self._store = run.store
        self._journal = run.journal
        self._hooks = run.hooks
        self._now = run.options.clock
        self._may_reuse = run.may_reuse
        self._parsers = run.roster.parsers
        self._metrics = run.roster.metrics_by_id()
        self._families = {slot.metric_id: slot.family for slot in run.plan.metrics}
        self._sandboxes = SandboxPool()

    async def parse(self, step: Step, item: CaseItem, state: CaseState) -> CaseRunEvent:
        """Read the answer."""
        reduced = state.reduced
        assert reduced is not None  # the stage table says so
        ctx = parse_context(self._plan, item, reduced)
        if self._hooks.any:
            await self._hooks.call("before_parse", reduced, ctx)
        outcome = parse(self._parsers, reduced, ctx)
        if self._hooks.any and isinstance(outcome, Success):
            await self._hooks.call("after_parse", outcome.unwrap().output, ctx)
        event = parse_event(self._plan, item, reduced.candidate_id, outcome, self._now())
        self._journal.append(item.case_no, event)
        return event

    async def score(self, step: Step, item: CaseItem, state: CaseState) -> CaseRunEvent:
        """Score the answer by one metric."""
        parsed, reduced = state.parsed, state.reduced
        assert parsed is not None  # the stage table says so
        assert reduced is not None
        metric = self._metrics[step.metric_id]
        if self._families[step.metric_id] == "execution":
            return await self._execute(metric, item, state, parsed)
        ctx = score_context(self._plan, item, parsed)
        if self._hooks.any:
            await self._hooks.call("before_score", parsed, ctx)
        outcome = score(metric, parsed, ctx)
        if self._hooks.any:
            await self._hooks.call("after_score", outcome, ctx)
        event = score_event(self._plan, item, reduced.candidate_id, outcome, self._now())
        self._journal.append(item.case_no, event)
        return event

    async def _execute(self, metric: Any, item: CaseItem, state: CaseState, parsed: ParsedOutput) -> CaseRunEvent:
        name, ctx = metric.component_id, score_context(self._plan, item, parsed)
        if self._hooks.any:
            await self._hooks.call("before_score", parsed, ctx)
        outcome = await self._execution(metric, item, state, parsed, ctx)
        event = self._run.evaluated(item, state, name, outcome)
        if self._hooks.any and isinstance(outcome, Success):
            await self._hooks.call("after_score", execution_score(outcome.unwrap(), name), ctx)
        return event

    async def _execution(
        self, metric: Any, item: CaseItem, state: CaseState, parsed: ParsedOutput, ctx: ScoreContext
    ) -> Result[EvaluationExecution, StepFailure]:
        name = metric.component_id
        results, failures = recorded_results(state, name), list[WorkflowFailure]()
        while True:
            planned = plan_sandbox(metric, parsed, ctx, results)
            if not isinstance(planned, Success):
                return Failure(planned.failure())
            requests = planned.unwrap()
            if failures or all(number in results for number in range(len(requests))):
                return conclude_sandbox(metric, parsed, requests, results, failures, ctx)
            results, failures = await self._run_sandboxes(item, name, requests, results)

    async def _run_sandboxes(
        self, item: CaseItem, metric_id: str, requests: Sequence[SandboxRequest], known: Mapping[int, SandboxResult]
    ) -> tuple[dict[int, SandboxResult], list[WorkflowFailure]]:
        keys = [sandbox_key(request) for request in requests]
        stored = self._store.cached(keys) if self._may_reuse else {}
        found = dict(known)
        for number, key in enumerate(keys):
            if number not in found and key in stored:
                source, event = stored[key][0], read_event(stored[key][1], self._store.blob)
                assert isinstance(event, StepCompletedEvent)  # only these are stored under such a key
                self._run.keep_step(item, metric_id, str(number), SANDBOX_STEP, event.output, key, source)
                found[number] = SandboxResult.from_dict(event.output)
        return await self._sandboxes.run_all(
            requests,
            known=found,
            finished=lambda number, result: self._run.keep_step(
                item, metric_id, str(number), SANDBOX_STEP, result.to_dict(), keys[number]
            ),
        )
