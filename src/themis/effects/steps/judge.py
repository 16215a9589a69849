"""Judging: workflows whose answers come from the store, from earlier runs, or from judges."""

from __future__ import annotations

from typing import Any

from returns.result import Failure, Result, Success

from themis.effects.judging import DefaultWorkflowRunner
from themis.effects.options import NotStoredError
from themis.effects.steps.shared import RunInHand
from themis.pure.chain import read_event
from themis.pure.events import CaseRunEvent, StepCompletedEvent
from themis.pure.pipeline import Step
from themis.pure.plan import CaseItem
from themis.pure.records.generation import ParsedOutput
from themis.pure.records.judging import (
    EvaluationExecution,
    JudgeCall,
    JudgeResponse,
    RenderedJudgePrompt,
    WorkflowFailure,
)
from themis.pure.stages.judge import (
    eval_context,
    failed_step_event,
    judge_key,
    plan_workflow,
    recorded_responses,
    subject_for,
)
from themis.pure.stages.outcome import StepFailure
from themis.pure.state import CaseState


class Judging:
    """Does the steps of stage `judge`, and the workflows of selectors that judge."""

    def __init__(self, run: RunInHand) -> None:
        self._run = run
        self._plan = run.plan
        self._identity = run.identity
        self._store = run.store
        self._journal = run.journal
        self._hooks = run.hooks
        self._now = run.options.clock
        self._progress = run.options.progress
        self._replay = run.options.replay
        self._may_reuse = run.may_reuse
        self._judges = DefaultWorkflowRunner(run.roster.judge_models, run.calls)
        self._metrics = run.roster.metrics_by_id()
        self._families = {slot.metric_id: slot.family for slot in run.plan.metrics}
        self._fingerprints = {ref.component_id: ref.fingerprint for ref in run.identity.judge_model_refs}

    async def judge(self, step: Step, item: CaseItem, state: CaseState) -> CaseRunEvent:
        """Judge the answer by one metric."""
        name, parsed = step.metric_id, state.parsed
        assert parsed is not None  # the stage table says so
        subject = subject_for(self._families[name], state)
        outcome = await self.workflow(self._metrics[name], name, subject, parsed, item, state)
        self._progress.judged += 1
        return self._run.evaluated(item, state, name, outcome)

    async def workflow(
        self,
        metric: Any,
        workflow_id: str,
        subject: Result[Any, StepFailure],
        parsed: ParsedOutput,
        item: CaseItem,
        state: CaseState,
    ) -> Result[EvaluationExecution, StepFailure]:
        """Carry a workflow out and return everything that happened."""
        if not isinstance(subject, Success):
            return Failure(subject.failure())
        ctx = eval_context(self._plan, item, self._identity, parsed, workflow_id)
        planned = plan_workflow(metric, subject.unwrap(), ctx)
        if not isinstance(planned, Success):
            return Failure(planned.failure())
        if self._hooks.any:
            await self._hooks.call("before_judge", subject.unwrap(), ctx)
        replay = self._replay
        asks_again = replay is not None and replay.stage == "judge" and not replay.recorded_judging
        recorded = {} if asks_again else recorded_responses(state, workflow_id)

        def known(call: JudgeCall, prompt: RenderedJudgePrompt) -> JudgeResponse | None:
            if asks_again:
                return None
            if replay is not None and replay.recorded_judging and call.call_id not in recorded:
                raise NotStoredError(f"case {item.case_key}: no answer to judge call {call.call_id} is stored")
            return recorded.get(call.call_id) or self._stored_answer(item, workflow_id, call, prompt)

        async def answered(call: JudgeCall, prompt: RenderedJudgePrompt, response: JudgeResponse) -> None:
            key = self._judge_key(call, prompt)
            self._run.keep_step(item, workflow_id, call.call_id, "judge_call", response.to_dict(), key)

        def failed(call: JudgeCall, failure: WorkflowFailure) -> None:
            event = failed_step_event(self._plan, item, workflow_id, call.call_id, failure, self._now())
            self._journal.append(item.case_no, event)

        execution = await self._judges.carry_out(
            workflow_id, planned.unwrap(), ctx, known=known, answered=answered, failed=failed
        )
        if self._hooks.any:
            await self._hooks.call("after_judge", execution, ctx)
        return Success(execution)

    def _judge_key(self, call: JudgeCall, prompt: RenderedJudgePrompt) -> str:
        return judge_key(self._fingerprints.get(call.judge_model_id, ""), call, prompt)

    def _stored_answer(
        self, item: CaseItem, workflow_id: str, call: JudgeCall, prompt: RenderedJudgePrompt
    ) -> JudgeResponse | None:
        if not self._may_reuse:
            return None
        key = self._judge_key(call, prompt)
        found = self._store.cached([key]).get(key)
        if found is None:
            return None
        source, stored = found
        event = read_event(stored, self._store.blob)
        if not isinstance(event, StepCompletedEvent):
            return None
        self._run.keep_step(item, workflow_id, call.call_id, "judge_call", event.output, key, source)
        return JudgeResponse.from_dict(event.output)
