"""Carries judge workflows out: makes the planned calls, side by side, and hands everything back to the core."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import trio
from returns.result import Failure, Result, Success

from themis.effects.calls import JUDGE, CallRuntime, expected_tokens
from themis.pure.calls import CallFailed
from themis.pure.errors import UnknownComponentError, WorkflowBuildError, nearest
from themis.pure.protocols import EvaluationWorkflow
from themis.pure.records.contexts import EvalScoreContext
from themis.pure.records.judging import (
    EvaluationExecution,
    JudgeCall,
    JudgeResponse,
    RenderedJudgePrompt,
    Subject,
    WorkflowFailure,
)
from themis.pure.stages.judge import WorkflowPlan, conclude, plan_calls, step_failure
from themis.pure.stages.outcome import StepFailure, checked, failure_of

Answer = Result[JudgeResponse, StepFailure]
Known = Callable[[JudgeCall, RenderedJudgePrompt], JudgeResponse | None]
Answered = Callable[[JudgeCall, RenderedJudgePrompt, JudgeResponse], Awaitable[None]]
Failed = Callable[[JudgeCall, WorkflowFailure], None]


async def invoke(method: Callable[..., Any], *args: Any, **keywords: Any) -> Any:
    """Call a component's method, sync or async; a sync one runs in a worker thread."""
    if inspect.iscoroutinefunction(method):
        return await method(*args, **keywords)
    call = functools.partial(method, *args, **keywords)
    value = await trio.to_thread.run_sync(call, abandon_on_cancel=True)
    return await value if inspect.isawaitable(value) else value


class DefaultWorkflowRunner:
    """The shipped `WorkflowRunner`: asks all judges of a workflow at once, within the run's limits.

    Args:
        judge_models: the judges that calls can name.
        calls: limits, retries and timeouts; by default there are none.
    """

    def __init__(self, judge_models: Sequence[Any], calls: CallRuntime | None = None) -> None:
        self._judges: Mapping[str, Any] = {judge.component_id: judge for judge in judge_models}
        self._calls = calls or CallRuntime()

    async def run_evaluation(
        self, workflow: EvaluationWorkflow, subject: Subject, metric_id: str, ctx: EvalScoreContext
    ) -> EvaluationExecution:
        """Make a workflow's calls and return everything that happened.

        Raises:
            WorkflowBuildError: the workflow could not plan its calls.
        """
        planned = plan_calls(metric_id, workflow, subject, ctx)
        if not isinstance(planned, Success):
            raise WorkflowBuildError(f"{metric_id}: {planned.failure().error_message}")
        return await self.carry_out(metric_id, planned.unwrap(), ctx)

    async def carry_out(
        self,
        metric_id: str,
        plan: WorkflowPlan,
        ctx: EvalScoreContext,
        *,
        known: Known | None = None,
        answered: Answered | None = None,
        failed: Failed | None = None,
    ) -> EvaluationExecution:
        """Make the calls of a plan that are not answered yet, and conclude.

        Args:
            metric_id: the metric whose workflow it is.
            plan: calls and prompts.
            ctx: what the workflow is told.
            known: returns the answer to a call that is stored already.
            answered: called with each new answer as it comes, to store it.
            failed: called with each call that failed for good.
        """
        responses: dict[str, JudgeResponse] = {}
        failures: list[WorkflowFailure] = []

        async def ask(call: JudgeCall, prompt: RenderedJudgePrompt) -> None:
            answer = await self._ask(call, prompt)
            if isinstance(answer, Success):
                responses[call.call_id] = answer.unwrap()
                if answered is not None:
                    await answered(call, prompt, answer.unwrap())
            else:
                failures.append(step_failure(call.call_id, "judge_call", answer.failure()))
                if failed is not None:
                    failed(call, failures[-1])

        async with trio.open_nursery() as nursery:
            for call in plan.calls:
                prompt = plan.prompts.get(call.call_id)
                if prompt is None:
                    continue
                stored = known(call, prompt) if known is not None else None
                if stored is not None:
                    responses[call.call_id] = stored
                else:
                    nursery.start_soon(ask, call, prompt)
        return conclude(metric_id, plan, responses, failures, ctx)

    async def _ask(self, call: JudgeCall, prompt: RenderedJudgePrompt) -> Answer:
        name = call.judge_model_id
        judge = self._judges.get(name)
        if judge is None:
            missing = UnknownComponentError(f"no judge model {name!r} in this run; {nearest(name, self._judges)}")
            return Failure(failure_of(name, missing))
        try:
            outcome = await self._calls.call(
                lambda: invoke(judge.judge, prompt, seed=call.effective_seed),
                stage=JUDGE,
                provider_key=getattr(judge, "provider_key", None),
                model=name,
                estimate=expected_tokens(judge, {"prompt": prompt.content}) if self._calls.reserves else None,
            )
        except CallFailed as error:
            if error.fatal:
                raise
            return Failure(failure_of(name, error))
        response = checked(name, outcome.value, JudgeResponse, "judge")
        if not isinstance(response, Success) or not outcome.retry_history:
            return response
        history = tuple(entry.to_dict() for entry in outcome.retry_history)
        return Success(response.unwrap().evolve(retry_history=history))
