"""Generating: a candidate from the store, or a call."""

from __future__ import annotations

import inspect
from typing import Any

from returns.result import Failure, Result

from themis.effects.calls import GENERATE, expected_tokens
from themis.effects.judging import invoke
from themis.effects.options import NotStoredError
from themis.effects.steps.shared import RunInHand
from themis.pure.calls import CallFailed
from themis.pure.chain import read_event
from themis.pure.events import CaseRunEvent, GenerationCompletedEvent
from themis.pure.identity import candidate_key, generation_key
from themis.pure.pipeline import Step
from themis.pure.plan import CaseItem, request_bytes, seed_of
from themis.pure.records.contexts import GenerateContext
from themis.pure.records.generation import GenerationResult
from themis.pure.stages.generate import accept_generation, generate_context, generation_event
from themis.pure.stages.outcome import StepFailure, failure_of
from themis.pure.state import CaseState


class Generating:
    """Does the steps of stage `generate`."""

    def __init__(self, run: RunInHand) -> None:
        self._plan = run.plan
        self._identity = run.identity
        self._store = run.store
        self._journal = run.journal
        self._calls = run.calls
        self._hooks = run.hooks
        self._now = run.options.clock
        self._progress = run.options.progress
        self._is_offline = run.options.offline
        self._may_reuse = run.may_reuse
        self._generator = run.roster.generator
        self._render = getattr(self._generator, "request", None)
        self._provider_key: str | None = getattr(self._generator, "provider_key", None)
        self._is_async = inspect.iscoroutinefunction(self._generator.generate)

    async def generate(self, step: Step, item: CaseItem, state: CaseState) -> CaseRunEvent:
        """Make one candidate."""
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
        if self._is_offline:
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
                estimate=expected_tokens(self._generator, request) if self._calls.reserves else None,
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
        generate = self._generator.generate
        return await (generate(item.case, ctx) if self._is_async else invoke(generate, item.case, ctx))
