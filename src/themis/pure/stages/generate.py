"""Stage `generate`: what a generator is told, and the event of what it returned."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from returns.result import Failure, Result, Success

from themis.pure.events import CaseRunEvent, GenerationCompletedEvent, GenerationFailedEvent
from themis.pure.identity import candidate_id
from themis.pure.json import encode
from themis.pure.plan import CaseItem, RunPlan
from themis.pure.records.contexts import GenerateContext
from themis.pure.records.generation import GenerationResult
from themis.pure.records.prompt import PromptSpec
from themis.pure.stages.outcome import StepFailure, case_fields, checked, failure_fields


def generate_context(
    plan: RunPlan, item: CaseItem, index: int, seed: int | None, prompt_spec: PromptSpec | None
) -> GenerateContext:
    """Return what the generator is told about one candidate."""
    case_id = item.case.case_id
    return GenerateContext(
        run_id=plan.run_id,
        case_id=case_id,
        dataset_id=item.dataset_id,
        case_key=item.case_key,
        candidate_id=candidate_id(case_id, index),
        candidate_index=index,
        seed=seed,
        prompt_spec=prompt_spec,
    )


LARGEST_RESULT: Final = 32 * 1024 * 1024
"""Bytes of JSON that one generation may hold; past it something is wrong with the generator."""


def accept_generation(component_id: str, value: object, ctx: GenerateContext) -> Result[GenerationResult, StepFailure]:
    """Check what a generator returned, and give it the candidate's id if it named it otherwise."""
    found = checked(component_id, value, GenerationResult, "generate")
    if not isinstance(found, Success):
        return found
    result = found.unwrap()
    if (size := _size(result)) > LARGEST_RESULT:
        return Failure(
            StepFailure(
                component_id=component_id,
                error_type="ResultTooLarge",
                error_message=f"{component_id}.generate() returned {size:,} bytes for case {ctx.case_id!r}; a result "
                f"may hold {LARGEST_RESULT:,}: return less, or keep what is large elsewhere and return its address",
            )
        )
    return found if result.candidate_id == ctx.candidate_id else Success(result.evolve(candidate_id=ctx.candidate_id))


def _size(result: GenerationResult) -> int:
    """Return about how many bytes a result takes; exact unless it is a plain text."""
    if isinstance(result.final_output, str) and not (result.artifacts or result.trace or result.conversation):
        return len(result.final_output)
    return len(encode(result))


def generation_event(
    plan: RunPlan,
    item: CaseItem,
    ctx: GenerateContext,
    outcome: Result[GenerationResult, StepFailure],
    now: datetime,
    *,
    provider_key: str | None = None,
    source_run_id: str | None = None,
    retry_history: tuple[object, ...] = (),
) -> CaseRunEvent:
    """Record one generated candidate, or its failure."""
    fields = case_fields(plan, item, now)
    if isinstance(outcome, Success):
        return GenerationCompletedEvent(
            **fields,
            candidate_id=ctx.candidate_id,
            candidate_index=ctx.candidate_index,
            seed=ctx.seed,
            provider_key=provider_key,
            result=outcome.unwrap(),
            cache_hit=source_run_id is not None,
            source_run_id=source_run_id,
            retry_history=retry_history,  # type: ignore[arg-type]  # JSON objects, checked by the event
        )
    return GenerationFailedEvent(
        **fields,
        **failure_fields(outcome.failure()),
        candidate_id=ctx.candidate_id,
        candidate_index=ctx.candidate_index,
    )
