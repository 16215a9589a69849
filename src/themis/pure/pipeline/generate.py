"""Stage `generate`: a candidate, from the stage cache or from the generator."""

from __future__ import annotations

from typing import Final

from returns.result import Failure, Result, Success

from themis.pure.abilities import CallerAbilities, Method
from themis.pure.events import CaseRunEvent, GenerationCompletedEvent, GenerationFailedEvent
from themis.pure.json import encode
from themis.pure.likelihoods import as_generation
from themis.pure.pipeline.effects import Answer, Ask, Keep, Program, Recall, Recalled, Tell
from themis.pure.pipeline.failures import case_fields, failed_fields, wrong_type
from themis.pure.pipeline.names import AskedGeneration, asked_generation
from themis.pure.pipeline.run import Run
from themis.pure.pipeline.step import Step
from themis.pure.plan import CaseItem
from themis.pure.records.contexts import GenerateContext
from themis.pure.records.failure import StepFailure
from themis.pure.records.generation import GenerationResult
from themis.pure.records.likelihoods import LogLikelihoods
from themis.pure.state import CaseState


def generate(run: Run, item: CaseItem, state: CaseState, step: Step) -> Program[CaseRunEvent]:
    """Make one candidate."""
    asked, generator = asked_generation(run, item, step.candidate_index), run.components.generator
    ctx = asked.ctx
    found: Recalled | None = (yield Recall(asked.key)) if run.recalls else None
    if found is not None and isinstance(found.event, GenerationCompletedEvent) and found.event.result is not None:
        taken = _accepted(found.event.result, generator.component_id, ctx)
        event = _event(run, item, asked, taken, provider_key=found.event.provider_key, source=found.source_run_id)
        yield Keep(item.case_no, event, asked.key)
        return event
    if run.listens:
        yield Tell("before_generate", (item.case, ctx))
    method, many, args = _way(generator, item, asked)
    answer: Result[Answer, StepFailure] = yield Ask(
        stage="generate",
        of=generator,
        method=method,
        args=args,
        many=many,
        place=ctx.candidate_index,
        request=asked.request,
        key=asked.key,
    )
    history: tuple[object, ...] = ()
    outcome: Result[GenerationResult, StepFailure]
    if isinstance(answer, Success):
        made: Answer = answer.unwrap()
        outcome, history = _made(made.value, generator.component_id, asked), made.retry_history
    else:
        outcome = Failure(answer.failure())
    event = _event(run, item, asked, outcome, provider_key=generator.provider_key, history=history)
    yield Keep(item.case_no, event, asked.key if isinstance(outcome, Success) else None)
    if run.listens and isinstance(outcome, Success):
        yield Tell("after_generate", (item.case, outcome.unwrap(), ctx))
    return event


def _way(
    generator: CallerAbilities, item: CaseItem, asked: AskedGeneration
) -> tuple[Method, Method | None, tuple[object, ...]]:
    """Return how a candidate is asked for: by which method, which one for several at once, and with what."""
    if asked.likelihoods is None:
        return generator.call, generator.generate_many, (item.case, asked.ctx)
    assert generator.loglikelihood is not None  # compiling refuses it
    return (
        generator.loglikelihood,
        generator.loglikelihood_many,
        (asked.likelihoods.context, asked.likelihoods.continuations),
    )


def _made(value: object, component_id: str, asked: AskedGeneration) -> Result[GenerationResult, StepFailure]:
    if asked.likelihoods is None:
        return _accepted(value, component_id, asked.ctx)
    if not isinstance(value, LogLikelihoods):
        return Failure(wrong_type(component_id, value, LogLikelihoods, "loglikelihood"))
    told, texts = tuple(found.text for found in value.continuations), asked.likelihoods.continuations
    if told != texts:
        return Failure(
            StepFailure(
                component_id=component_id,
                error_type="ValueError",
                error_message=f"{component_id}.loglikelihood() was asked about {len(texts)} continuation(s) and "
                f"answered about {len(told)}, or others; it must answer about each, in their order",
            )
        )
    return _accepted(as_generation(value, asked.ctx.candidate_id), component_id, asked.ctx)


LARGEST_RESULT: Final = 32 * 1024 * 1024
"""Bytes of JSON that one generation may hold; past it something is wrong with the generator."""


def _accepted(value: object, component_id: str, ctx: GenerateContext) -> Result[GenerationResult, StepFailure]:
    """Check what a generator returned, and give it the candidate's id if it named it otherwise."""
    if not isinstance(value, GenerationResult):
        return Failure(wrong_type(component_id, value, GenerationResult, "generate"))
    if (size := _size(value)) > LARGEST_RESULT:
        return Failure(
            StepFailure(
                component_id=component_id,
                error_type="ResultTooLarge",
                error_message=f"{component_id}.generate() returned {size:,} bytes for case {ctx.case_id!r}; a result "
                f"may hold {LARGEST_RESULT:,}: return less, or keep what is large elsewhere and return its address",
            )
        )
    return Success(value if value.candidate_id == ctx.candidate_id else value.evolve(candidate_id=ctx.candidate_id))


def _size(result: GenerationResult) -> int:
    """Return about how many bytes a result takes; exact unless it is a plain text."""
    if isinstance(result.final_output, str) and not (result.artifacts or result.trace or result.conversation):
        return len(result.final_output)
    return len(encode(result))


def _event(
    run: Run,
    item: CaseItem,
    asked: AskedGeneration,
    outcome: Result[GenerationResult, StepFailure],
    *,
    provider_key: str | None,
    source: str | None = None,
    history: tuple[object, ...] = (),
) -> CaseRunEvent:
    ctx = asked.ctx
    if isinstance(outcome, Success):
        return GenerationCompletedEvent(
            **case_fields(run, item),
            candidate_id=ctx.candidate_id,
            candidate_index=ctx.candidate_index,
            seed=ctx.seed,
            provider_key=provider_key,
            result=outcome.unwrap(),
            cache_hit=source is not None,
            source_run_id=source,
            retry_history=history,  # type: ignore[arg-type]  # JSON objects, checked by the event
        )
    return GenerationFailedEvent(
        **failed_fields(run, item, outcome.failure()),
        candidate_id=ctx.candidate_id,
        candidate_index=ctx.candidate_index,
    )
