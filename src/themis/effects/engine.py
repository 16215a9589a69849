"""The engine: a fixed number of workers that pull cases and drive each through the pipeline.

For each case it asks the core what is next, does it, folds the outcome into the case's state and hands the event
to the journal. It decides nothing: what comes next stands in `themis.pure.pipeline`, what a call's failure
means in `themis.pure.calls`. A case's state is dropped when the case is done.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import attrs
import trio
from returns.result import Failure, Result, Success

from themis.effects.calls import GENERATE, CallRuntime, expected_tokens
from themis.effects.hooks import Hooks
from themis.effects.journal import Journal
from themis.effects.judging import DefaultWorkflowRunner, invoke
from themis.effects.reading import fresh_state, read_case, read_cases
from themis.effects.sandboxing import SandboxPool
from themis.pure.calls import CallFailed
from themis.pure.chain import read_event
from themis.pure.errors import StoreError, ThemisError
from themis.pure.events import (
    CaseRunEvent,
    GenerationCompletedEvent,
    RunCompletedEvent,
    RunEvent,
    RunFailedEvent,
    RunStartedEvent,
    StepCompletedEvent,
)
from themis.pure.identity import candidate_key, generation_key
from themis.pure.json import freeze
from themis.pure.pipeline import Step, next_steps
from themis.pure.plan import CaseItem, MetricSlot, RunPlan, case_items, make_plan, request_bytes, seed_of
from themis.pure.protocols import RunStore, TracingProvider
from themis.pure.records.config import RuntimeConfig
from themis.pure.records.contexts import GenerateContext, ScoreContext
from themis.pure.records.generation import GenerationResult, ParsedOutput
from themis.pure.records.judging import (
    EvaluationExecution,
    JudgeCall,
    JudgeResponse,
    RenderedJudgePrompt,
    WorkflowFailure,
)
from themis.pure.records.sandbox import SandboxRequest, SandboxResult
from themis.pure.records.snapshot import RunSnapshot
from themis.pure.replay import ReplayStage, restart_from
from themis.pure.roster import Roster
from themis.pure.stages.execute import (
    SANDBOX_STEP,
    conclude_sandbox,
    plan_sandbox,
    recorded_results,
    sandbox_key,
)
from themis.pure.stages.generate import accept_generation, generate_context, generation_event
from themis.pure.stages.judge import (
    eval_context,
    evaluation_event,
    execution_score,
    failed_step_event,
    judge_key,
    plan_workflow,
    recorded_responses,
    step_event,
    subject_for,
)
from themis.pure.stages.outcome import StepFailure, failure_of
from themis.pure.stages.parse import parse, parse_context, parse_event
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
from themis.pure.stages.score import score, score_context, score_event
from themis.pure.state import CaseState, apply, has_failures

Clock = Callable[[], datetime]

TURN: Final = 0.001
"""Seconds after which a worker that never had to wait lets the other tasks take their turn."""

EFFECTFUL: Final = frozenset({"generate", "judge"})
"""Stages whose steps wait for someone else, so that several of a case are done side by side."""


def utc_now() -> datetime:
    """Return the time, in UTC."""
    return datetime.now(UTC)


@attrs.define
class Progress:
    """How far a run is: live counts, for a progress line."""

    total: int = 0
    done: int = 0
    failed: int = 0
    reused: int = 0
    generated: int = 0
    judged: int = 0
    tokens: int = 0
    finished: bool = False


@attrs.frozen(kw_only=True)
class Replay:
    """What a replay does again.

    Attributes:
        stage: the first stage to do again.
        metric_ids: of the metrics, these alone; all by default.
        recorded_judging: judge from the recorded answers; without it the judges are asked again.
    """

    stage: ReplayStage
    metric_ids: frozenset[str] | None = None
    recorded_judging: bool = False


@attrs.frozen(kw_only=True)
class EngineOptions:
    """What a run is carried out with, apart from its snapshot, components and store; nothing of it is identity.

    Attributes:
        runtime: limits, retries, timeouts.
        subscribers: told of everything that happens.
        tracing: takes spans.
        clock: tells the time of events.
        progress: counted up as cases finish.
        offline: take generations from the store alone; one that is not there ends the run.
        reuse: take what earlier runs stored.
        replay: do stages again that are done already.
    """

    runtime: RuntimeConfig = attrs.field(factory=RuntimeConfig)
    subscribers: Sequence[object] = ()
    tracing: TracingProvider | None = None
    clock: Clock = utc_now
    progress: Progress = attrs.field(factory=Progress)
    offline: bool = False
    reuse: bool = True
    replay: Replay | None = None


class NotStoredError(ThemisError):
    """An offline run needs something that is not stored."""


class Engine:
    """Carries one run out, from wherever it stands to the end of `until_stage`."""

    def __init__(
        self,
        snapshot: RunSnapshot,
        roster: Roster,
        store: RunStore,
        options: EngineOptions,
        plan: RunPlan | None = None,
        calls: CallRuntime | None = None,
    ) -> None:
        self._snapshot = snapshot
        self._identity = snapshot.identity
        self._roster = roster
        self._store = store
        self._options = options
        self._plan = plan or make_plan(snapshot)
        self._calls = calls or CallRuntime.from_config(options.runtime)
        self._judging = DefaultWorkflowRunner(roster.judge_models, self._calls)
        self._sandboxes = SandboxPool()
        self._hooks = Hooks(options.subscribers, options.tracing)
        self._now = options.clock
        self._progress = options.progress
        self._next_turn = 0.0
        self._metrics = roster.metrics_by_id()
        self._slots: Mapping[str, MetricSlot] = {slot.metric_id: slot for slot in self._plan.metrics}
        self._fingerprints = {ref.component_id: ref.fingerprint for ref in snapshot.identity.judge_model_refs}
        self._render = getattr(roster.generator, "request", None)
        self._provider_key: str | None = getattr(roster.generator, "provider_key", None)
        self._generate_is_async = inspect.iscoroutinefunction(roster.generator.generate)
        self._handlers: Mapping[str, Callable[[Step, CaseItem, CaseState], Awaitable[CaseRunEvent]]] = {
            "generate": self._generate,
            "select": self._select,
            "reduce": self._reduce,
            "parse": self._parse,
            "score": self._score,
            "judge": self._judge,
        }

    # --- the run ------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Do what is left of the run.

        Raises:
            CallFailed: the endpoint refuses every call (a wrong key, an unknown model), or the budget is used up.
            StoreError: the store can't be written any more.
        """
        run_id = self._plan.run_id
        self._is_resumed = self._store.head(run_id).count > 0
        self._may_reuse = self._options.reuse and (self._is_resumed or self._others_are_stored())
        runtime = self._options.runtime
        self._journal = Journal(
            self._store,
            run_id,
            attempts=int(runtime.store_retry_attempts),
            delay=runtime.store_retry_delay,
            acknowledged=self._acknowledged if self._hooks.wants("on_event") else None,
        )
        span = self._hooks.start_span("run", {"run_id": run_id})
        status = "error"
        try:
            await self._drive(int(runtime.max_concurrent_tasks))
            status = "ok"
        finally:
            self._hooks.end_span(span, status)

    def _others_are_stored(self) -> bool:
        return any(line.run_id != self._plan.run_id for line in self._store.list_runs())

    async def _drive(self, workers: int) -> None:
        try:
            async with trio.open_nursery() as outer:
                outer.start_soon(self._journal.run)
                self._journal.append(None, RunStartedEvent(run_id=self._plan.run_id, occurred_at=self._now()))
                try:
                    await self._work_through(workers)
                    through = self._plan.until_stage
                    self._journal.append(
                        None,
                        RunCompletedEvent(
                            run_id=self._plan.run_id, occurred_at=self._now(), completed_through_stage=through
                        ),
                    )
                except BaseException as error:
                    self._note_end(error)
                    raise
                finally:
                    # What finished is stored even when the run is cancelled: that is what resuming rests on.
                    with trio.CancelScope(shield=True):
                        await self._journal.close()
        except BaseExceptionGroup as group:
            raise root_cause(group) from None

    def _note_end(self, error: BaseException) -> None:
        causes = root_cause(error) if isinstance(error, BaseExceptionGroup) else error
        if isinstance(causes, StoreError):
            return  # there is no storing it
        message = "interrupted" if isinstance(causes, KeyboardInterrupt | trio.Cancelled) else str(causes)
        event = RunFailedEvent(
            run_id=self._plan.run_id, occurred_at=self._now(), error_message=message or type(causes).__name__
        )
        self._journal.append(None, event)

    async def _work_through(self, workers: int) -> None:
        cases = self._unfinished()
        async with trio.open_nursery() as nursery:
            for _ in range(workers):
                nursery.start_soon(self._worker, cases)

    async def _worker(self, cases: Iterator[tuple[CaseItem, CaseState]]) -> None:
        for item, state in cases:
            await self._drive_case(item, state)
            # A component that never waits must not keep the others, or a cancellation, from their turn.
            if trio.current_time() >= self._next_turn:
                await trio.lowlevel.checkpoint()
                self._next_turn = trio.current_time() + TURN
            if self._journal.crowded:
                await self._journal.room()

    def _unfinished(self) -> Iterator[tuple[CaseItem, CaseState]]:
        """Yield the cases that are not done, with what is stored of them."""
        self._progress.total = sum(len(dataset.cases) for dataset in self._snapshot.datasets)
        if not self._is_resumed:
            for item in case_items(self._snapshot):
                yield item, fresh_state(item)
            return
        replay = self._options.replay
        if replay is not None:
            for item, state in read_cases(self._store, self._snapshot):
                yield item, restart_from(state, replay.stage, self._plan.metrics, replay.metric_ids)
            return
        names = [slot.metric_id for slot in self._plan.metrics]
        settled = self._store.settled_cases(self._plan.run_id, names)
        next_settled = next(settled, None)
        for item in case_items(self._snapshot):
            if item.case_no == next_settled:
                next_settled = next(settled, None)
                self._progress.done += 1
                self._progress.reused += 1
                continue
            state = read_case(self._store, self._plan.run_id, item).without_failures()
            if next_steps(self._plan, state):
                yield item, state
            else:
                self._progress.done += 1
                self._progress.reused += 1

    async def _acknowledged(self, events: Sequence[RunEvent]) -> None:
        for event in events:
            await self._hooks.call("on_event", event)

    # --- one case -----------------------------------------------------------------------------------------

    async def _drive_case(self, item: CaseItem, state: CaseState) -> None:
        while steps := next_steps(self._plan, state):
            if len(steps) > 1 and steps[0].stage in EFFECTFUL:
                events = await self._side_by_side(steps, item, state)
            else:
                events = []
                for step in steps:
                    do = self._do if self._hooks.traces else self._handlers[step.stage]
                    events.append(await do(step, item, state))
            for event in events:
                state = apply(state, event)
        self._progress.done += 1
        if has_failures(state):
            self._progress.failed += 1

    async def _side_by_side(self, steps: Sequence[Step], item: CaseItem, state: CaseState) -> list[CaseRunEvent]:
        """Do several steps at once, no more at a time than the run has workers; the order of events is the steps'."""
        events: dict[int, CaseRunEvent] = {}
        numbered = iter(enumerate(steps))

        async def worker() -> None:
            for number, step in numbered:
                events[number] = await self._do(step, item, state)

        async with trio.open_nursery() as nursery:
            for _ in range(min(len(steps), int(self._options.runtime.max_concurrent_tasks))):
                nursery.start_soon(worker)
        return [events[number] for number in range(len(steps))]

    async def _do(self, step: Step, item: CaseItem, state: CaseState) -> CaseRunEvent:
        handler = self._handlers[step.stage]
        if not self._hooks.traces:
            return await handler(step, item, state)
        attributes = {"run_id": self._plan.run_id, "case_key": item.case_key, "metric_id": step.metric_id}
        span = self._hooks.start_span(_SPANS[step.stage], freeze(attributes))
        status = "error"
        try:
            event = await handler(step, item, state)
            status = "error" if event.event_type.endswith("_failed") else "ok"
        finally:
            self._hooks.end_span(span, status)
        return event

    # --- generate -----------------------------------------------------------------------------------------

    async def _generate(self, step: Step, item: CaseItem, state: CaseState) -> CaseRunEvent:
        plan, identity = self._plan, self._identity
        request = None
        if self._render is not None:
            unseeded = generate_context(plan, item, step.candidate_index, None, identity.generation_prompt_spec)
            request = self._render(item.case, unseeded)
        generation = generation_key(plan.generator, request_bytes(identity, item.case, request))
        seed = seed_of(plan, generation, step.candidate_index)
        ctx = generate_context(plan, item, step.candidate_index, seed, identity.generation_prompt_spec)
        key = candidate_key(generation, step.candidate_index, seed)
        if self._may_reuse and (reused := self._stored_generation(item, ctx, key)) is not None:
            event = reused
        else:
            event = await self._new_generation(item, ctx, request)
        # Kept before anyone is told: a subscriber that waits must not cost an answer that was paid for.
        self._journal.append(item.case_no, event, key if isinstance(event, GenerationCompletedEvent) else None)
        if isinstance(event, GenerationCompletedEvent) and event.result is not None:
            self._count(event.result)
            if self._hooks.any and not event.cache_hit:
                await self._hooks.call("after_generate", item.case, event.result, ctx)
        return event

    def _count(self, result: GenerationResult) -> None:
        self._progress.generated += 1
        usage = result.token_usage
        if usage:
            self._progress.tokens += usage.get("total_tokens") or sum(usage.values())

    def _stored_generation(self, item: CaseItem, ctx: GenerateContext, key: str) -> CaseRunEvent | None:
        found = self._store.cached([key]).get(key)
        if found is None:
            return None
        source, stored = found
        event = read_event(stored, self._store.blob)
        if not isinstance(event, GenerationCompletedEvent) or event.result is None:
            return None
        outcome = accept_generation(self._plan.generator.component_id, event.result, ctx)
        return generation_event(
            self._plan, item, ctx, outcome, self._now(), provider_key=event.provider_key, source_run_id=source
        )

    async def _new_generation(self, item: CaseItem, ctx: GenerateContext, request: Any) -> CaseRunEvent:
        name = self._plan.generator.component_id
        if self._options.offline:
            raise NotStoredError(
                f"case {ctx.case_key}: candidate {ctx.candidate_index} is not stored, and a replay makes no model "
                "calls; run the experiment first"
            )
        if self._hooks.any:
            await self._hooks.call("before_generate", item.case, ctx)
        history: tuple[Any, ...] = ()
        outcome: Result[GenerationResult, StepFailure]
        try:
            call = await self._calls.call(
                lambda: self._ask(item, ctx),
                stage=GENERATE,
                provider_key=self._provider_key,
                model=name,
                estimate=expected_tokens(self._roster.generator, request) if self._calls.reserves else None,
            )
            outcome = accept_generation(name, call.value, ctx)
            history = tuple(entry.to_dict() for entry in call.retry_history)
        except CallFailed as error:
            if error.fatal:
                raise
            outcome = Failure(failure_of(name, error))
        return generation_event(
            self._plan, item, ctx, outcome, self._now(), provider_key=self._provider_key, retry_history=history
        )

    async def _ask(self, item: CaseItem, ctx: GenerateContext) -> Any:
        generate = self._roster.generator.generate
        return await (generate(item.case, ctx) if self._generate_is_async else invoke(generate, item.case, ctx))

    # --- select and reduce --------------------------------------------------------------------------------

    async def _select(self, step: Step, item: CaseItem, state: CaseState) -> CaseRunEvent:
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
        outcome = await self._workflow(selector, selector.component_id, subject, nothing, item, state)
        if not isinstance(outcome, Success):
            raise ThemisError(outcome.failure().error_message)
        execution: EvaluationExecution = outcome.unwrap()
        return execution

    async def _reduce(self, step: Step, item: CaseItem, state: CaseState) -> CaseRunEvent:
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

    # --- parse and score ----------------------------------------------------------------------------------

    async def _parse(self, step: Step, item: CaseItem, state: CaseState) -> CaseRunEvent:
        reduced = state.reduced
        assert reduced is not None  # the stage table says so
        ctx = parse_context(self._plan, item, reduced)
        if self._hooks.any:
            await self._hooks.call("before_parse", reduced, ctx)
        outcome = parse(self._roster.parsers, reduced, ctx)
        if self._hooks.any and isinstance(outcome, Success):
            await self._hooks.call("after_parse", outcome.unwrap().output, ctx)
        event = parse_event(self._plan, item, reduced.candidate_id, outcome, self._now())
        self._journal.append(item.case_no, event)
        return event

    async def _score(self, step: Step, item: CaseItem, state: CaseState) -> CaseRunEvent:
        parsed, reduced = state.parsed, state.reduced
        assert parsed is not None  # the stage table says so
        assert reduced is not None
        metric = self._metrics[step.metric_id]
        if self._slots[step.metric_id].family == "execution":
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
        event = self._evaluated(item, state, name, outcome)
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
                self._keep_step(item, metric_id, str(number), SANDBOX_STEP, event.output, key, source)
                found[number] = SandboxResult.from_dict(event.output)
        return await self._sandboxes.run_all(
            requests,
            known=found,
            finished=lambda number, result: self._keep_step(
                item, metric_id, str(number), SANDBOX_STEP, result.to_dict(), keys[number]
            ),
        )

    # --- judge --------------------------------------------------------------------------------------------

    async def _judge(self, step: Step, item: CaseItem, state: CaseState) -> CaseRunEvent:
        name, parsed = step.metric_id, state.parsed
        assert parsed is not None  # the stage table says so
        subject = subject_for(self._slots[name].family, state)
        outcome = await self._workflow(self._metrics[name], name, subject, parsed, item, state)
        self._progress.judged += 1
        return self._evaluated(item, state, name, outcome)

    async def _workflow(
        self,
        metric: Any,
        workflow_id: str,
        subject: Result[Any, StepFailure],
        parsed: ParsedOutput,
        item: CaseItem,
        state: CaseState,
    ) -> Result[EvaluationExecution, StepFailure]:
        if not isinstance(subject, Success):
            return Failure(subject.failure())
        ctx = eval_context(self._plan, item, self._identity, parsed, workflow_id)
        planned = plan_workflow(metric, subject.unwrap(), ctx)
        if not isinstance(planned, Success):
            return Failure(planned.failure())
        if self._hooks.any:
            await self._hooks.call("before_judge", subject.unwrap(), ctx)
        replay = self._options.replay
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
            self._keep_step(item, workflow_id, call.call_id, "judge_call", response.to_dict(), key)

        def failed(call: JudgeCall, failure: WorkflowFailure) -> None:
            event = failed_step_event(self._plan, item, workflow_id, call.call_id, failure, self._now())
            self._journal.append(item.case_no, event)

        execution = await self._judging.carry_out(
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
        self._keep_step(item, workflow_id, call.call_id, "judge_call", event.output, key, source)
        return JudgeResponse.from_dict(event.output)

    def _keep_step(
        self,
        item: CaseItem,
        workflow_id: str,
        step_id: str,
        step_type: str,
        output: Mapping[str, Any],
        key: str,
        source: str | None = None,
    ) -> None:
        event = step_event(self._plan, item, workflow_id, step_id, step_type, output, self._now(), source)
        self._journal.append(item.case_no, event, key)

    def _evaluated(
        self, item: CaseItem, state: CaseState, metric_id: str, outcome: Result[EvaluationExecution, StepFailure]
    ) -> CaseRunEvent:
        assert state.reduced is not None  # the stage table says so
        event = evaluation_event(self._plan, item, state.reduced.candidate_id, metric_id, outcome, self._now())
        self._journal.append(item.case_no, event)
        return event


_SPANS: Final = {
    "generate": "generation",
    "select": "selection",
    "reduce": "reduction",
    "parse": "parse",
    "score": "score",
    "judge": "judge",
}


async def _now_or_later(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


def root_cause(error: BaseException) -> BaseException:
    """Return the one exception that matters of a group: never a mere cancellation if there is anything else."""
    while isinstance(error, BaseExceptionGroup):
        rest = [e for e in error.exceptions if not isinstance(e, trio.Cancelled)]
        error = min(rest or error.exceptions, key=_rank)
    return error


def _rank(error: BaseException) -> int:
    return 0 if isinstance(error, KeyboardInterrupt) else 1 if isinstance(error, StoreError) else 2
