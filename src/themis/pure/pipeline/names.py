"""What a generation is asked, and what it is called: the one place where its request, seed and cache key are made.

Seeds derive from what is asked, so that samples of one case differ, and more samples keep the first ones (law 6).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from themis.pure.identity import candidate_id, candidate_key, derive_seed, generation_key
from themis.pure.json import JSONValue, encode
from themis.pure.likelihoods import asked_likelihoods
from themis.pure.pipeline.run import Run
from themis.pure.pipeline.step import Step
from themis.pure.plan import CaseItem, case_items
from themis.pure.records.contexts import GenerateContext, ScoreContext
from themis.pure.records.likelihoods import AskedLikelihoods
from themis.pure.records.results import GenerationWorkItem
from themis.pure.records.snapshot import RunSnapshot


class AskedGeneration(NamedTuple):
    """What one candidate's generator is told, the request that it sends if it renders one, and the cache key.

    Where log-likelihoods are asked for, they are the request.
    """

    ctx: GenerateContext
    request: JSONValue
    key: str
    likelihoods: AskedLikelihoods | None = None


def asked_generation(run: Run, item: CaseItem, index: int) -> AskedGeneration:
    """Return what is asked for a candidate of a case."""
    generator, case = run.components.generator, item.case
    request: JSONValue = None
    likelihoods = asked_likelihoods(case, run.identity.generation_prompt_spec)
    if likelihoods is not None:
        request = likelihoods.to_dict()
        read = b"loglikelihood" + encode(request)
    elif generator.request is not None:
        request = generator.request(case, _context(run, item, index, None))
        # A generator that renders its request says what it reads ...
        read = b"request" + encode(request)
    else:
        # ... and of any other it must be assumed that it reads the whole case.
        read = encode({"case": case, "prompt": run.identity.generation_prompt_spec})
    generation = generation_key(run.plan.generator, read)
    seed = run.plan.seeds[index] if run.plan.seeds else derive_seed(generation, index)
    return AskedGeneration(
        _context(run, item, index, seed), request, candidate_key(generation, index, seed), likelihoods
    )


def _context(run: Run, item: CaseItem, index: int, seed: int | None) -> GenerateContext:
    case = item.case
    return GenerateContext(
        run_id=run.plan.run_id,
        case_id=case.case_id,
        dataset_id=item.dataset_id,
        case_key=item.case_key,
        candidate_id=candidate_id(case.case_id, index),
        candidate_index=index,
        seed=seed,
        prompt_spec=run.identity.generation_prompt_spec,
        metadata=case.metadata,
    )


def case_seed(stage: str, case_key: str, answer: int | None = None) -> int:
    """Return the seed of a stage's component; it holds no run id, so that another run may reuse what it made.

    A case's first answer has the seed of a case with one answer: more samples keep what was made of the first.
    """
    return derive_seed(f"{stage}\n{case_key}", answer or 0)


def answer_id(item: CaseItem, step: Step) -> str | None:
    """Return the candidate whose answer a step is about, where a case has several answers."""
    return None if step.answer is None else candidate_id(item.case.case_id, step.answer)


def answer_key(ctx: ScoreContext) -> str:
    """Name what a metric is about: the case, or one of its answers."""
    return ctx.case_key if ctx.candidate_id is None else f"{ctx.case_key}/{ctx.candidate_id}"


def work_items(run: Run, snapshot: RunSnapshot) -> Iterator[GenerationWorkItem]:
    """Yield every candidate that a run generates, lazily and in order: for schedulers that hand them out."""
    for item in case_items(snapshot):
        for index in range(run.plan.candidate_count):
            ctx = asked_generation(run, item, index).ctx
            yield GenerationWorkItem(
                run_id=ctx.run_id,
                dataset_id=ctx.dataset_id,
                case=item.case,
                case_id=ctx.case_id,
                case_key=ctx.case_key,
                candidate_index=index,
                candidate_id=ctx.candidate_id,
                seed=ctx.seed,
            )
