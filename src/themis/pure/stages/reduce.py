"""Stages `select` and `reduce`: from a case's candidates to the one answer that is parsed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from returns.result import Failure, Result, Success

from themis.pure.events import (
    CaseRunEvent,
    ReductionCompletedEvent,
    ReductionFailedEvent,
    SelectionCompletedEvent,
    SelectionFailedEvent,
)
from themis.pure.identity import derive_seed, result_hash, stage_key
from themis.pure.plan import CaseItem, RunPlan
from themis.pure.records.contexts import ReduceContext, SelectContext
from themis.pure.records.generation import GenerationResult, ReducedCandidate
from themis.pure.records.judging import EvaluationExecution
from themis.pure.records.prompt import PromptSpec
from themis.pure.stages.outcome import StepFailure, case_fields, checked, failure_fields
from themis.pure.state import CaseState


def candidates_of(state: CaseState) -> tuple[GenerationResult, ...]:
    """Return a case's candidates in the order of their indices."""
    if len(state.candidates) == 1:
        return tuple(state.candidates.values())
    return tuple(state.candidates[index] for index in sorted(state.candidates))


def chosen_candidates(state: CaseState) -> tuple[GenerationResult, ...]:
    """Return the selected candidates in the selector's order, or all of them where nothing selects."""
    candidates = candidates_of(state)
    if state.selection is None:
        return candidates
    by_id = {candidate.candidate_id: candidate for candidate in candidates}
    return tuple(by_id[chosen] for chosen in state.selection.candidate_ids)


def _seed(plan: RunPlan, item: CaseItem, stage: str) -> int:
    return derive_seed(stage_key(stage, plan.run_id, item.case_key), 0)


def select_context(plan: RunPlan, item: CaseItem, state: CaseState, prompt_spec: PromptSpec | None) -> SelectContext:
    """Return what the selector is told."""
    return SelectContext(
        run_id=plan.run_id,
        case_id=item.case.case_id,
        dataset_id=item.dataset_id,
        case_key=item.case_key,
        candidate_ids=[candidate.candidate_id for candidate in candidates_of(state)],
        seed=_seed(plan, item, "select"),
        prompt_spec=prompt_spec,
    )


def accept_selection(
    component_id: str, value: object, candidates: Sequence[GenerationResult]
) -> Result[tuple[str, ...], StepFailure]:
    """Check that a selector returned at least one of the candidates it was given, none of them twice."""
    offered = {candidate.candidate_id for candidate in candidates}
    if isinstance(value, Sequence) and value and all(isinstance(item, GenerationResult) for item in value):
        chosen = tuple(item.candidate_id for item in value)
        if offered.issuperset(chosen) and len(set(chosen)) == len(chosen):
            return Success(chosen)
    return Failure(
        StepFailure(
            component_id=component_id,
            error_type="ValueError",
            error_message=f"{component_id}.select() must return a non-empty list of the candidates it was given, "
            f"each at most once; it returned {_short(value)}",
        )
    )


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


def selection_event(
    plan: RunPlan,
    item: CaseItem,
    outcome: Result[tuple[str, ...], StepFailure],
    now: datetime,
    execution: EvaluationExecution | None = None,
) -> CaseRunEvent:
    """Record a selection, with every comparison that a judge-backed selector made, or its failure."""
    fields = case_fields(plan, item, now)
    if isinstance(outcome, Success):
        return SelectionCompletedEvent(**fields, candidate_ids=outcome.unwrap(), execution=execution)
    return SelectionFailedEvent(**fields, **failure_fields(outcome.failure()))


def reduce_context(
    plan: RunPlan, item: CaseItem, candidates: Sequence[GenerationResult], seed: int | None = None
) -> ReduceContext:
    """Return what the reducer is told."""
    return ReduceContext(
        run_id=plan.run_id,
        case_id=item.case.case_id,
        dataset_id=item.dataset_id,
        case_key=item.case_key,
        candidate_ids=tuple(candidate.candidate_id for candidate in candidates),
        seed=seed,
    )


def reduce_one(candidates: Sequence[GenerationResult]) -> ReducedCandidate:
    """Reduce where nothing reduces: the first candidate is the answer."""
    first = candidates[0]
    return ReducedCandidate(
        candidate_id=first.candidate_id,
        source_candidate_ids=(first.candidate_id,),
        final_output=first.final_output,
    )


def accept_reduction(component_id: str, value: object) -> Result[ReducedCandidate, StepFailure]:
    """Check what a reducer returned."""
    return checked(component_id, value, ReducedCandidate, "reduce")


def reduction_event(
    plan: RunPlan,
    item: CaseItem,
    outcome: Result[ReducedCandidate, StepFailure],
    now: datetime,
    source_run_id: str | None = None,
) -> CaseRunEvent:
    """Record a reduction, or its failure."""
    fields = case_fields(plan, item, now)
    if isinstance(outcome, Success):
        reduced = outcome.unwrap()
        return ReductionCompletedEvent(
            **fields,
            candidate_id=reduced.candidate_id,
            source_candidate_ids=reduced.source_candidate_ids,
            result=reduced,
            cache_hit=source_run_id is not None,
            source_run_id=source_run_id,
        )
    return ReductionFailedEvent(**fields, **failure_fields(outcome.failure()))


def reduction_key(reducer_fingerprint: str, candidates: Sequence[GenerationResult]) -> str:
    """Return the cache key of a reduction: the reducer, and the candidates' content in order."""
    return stage_key("reduce", reducer_fingerprint, *map(result_hash, candidates))
