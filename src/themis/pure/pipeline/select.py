"""Stage `select`: choosing among a case's candidates, by a selector's own rule or by judging them."""

from __future__ import annotations

from collections.abc import Sequence

from returns.result import Failure, Result, Success

from themis.pure.abilities import SelectorAbilities
from themis.pure.events import CaseRunEvent, SelectionCompletedEvent, SelectionFailedEvent
from themis.pure.identity import derive_seed, stage_key
from themis.pure.pipeline.effects import Answer, Ask, Keep, Program
from themis.pure.pipeline.failures import attempt, case_fields, failed_fields
from themis.pure.pipeline.judge import Judged, all_candidates, workflow
from themis.pure.pipeline.run import Run
from themis.pure.pipeline.step import Step
from themis.pure.plan import CaseItem
from themis.pure.records.contexts import SelectContext
from themis.pure.records.failure import StepFailure
from themis.pure.records.generation import GenerationResult
from themis.pure.records.judging import EvaluationExecution
from themis.pure.state import CaseState, candidates_of

Chosen = Result[tuple[str, ...], StepFailure]
"""The ids of the chosen candidates, best first."""


def select(run: Run, item: CaseItem, state: CaseState, step: Step) -> Program[CaseRunEvent]:
    """Choose among the candidates."""
    selector = run.components.selector
    assert selector is not None  # the stage table says so
    candidates, judged = candidates_of(state), None
    outcome: Chosen
    if selector.select is not None:
        answer: Result[Answer, StepFailure] = yield Ask(
            stage="select", of=selector, method=selector.select, args=(candidates, _context(run, item, state))
        )
        outcome = answer.bind(lambda found: _accepted(selector, found.value, candidates))
    else:
        judged = yield from workflow(run, item, state, selector, step, all_candidates(state))
        # What kept the judging from happening is the selector's failure, whatever kind it was.
        execution = judged.outcome.alt(lambda f: f.evolve(component_id=selector.component_id, error_type="ThemisError"))
        outcome = execution.bind(lambda made: _choice(selector, candidates, made))
    event = _event(run, item, outcome, judged)
    yield Keep(item.case_no, event)
    if judged is not None:
        yield from judged.told(run)
    return event


def chosen_candidates(state: CaseState) -> tuple[GenerationResult, ...]:
    """Return the selected candidates in the selector's order, or all of them where nothing selects."""
    candidates = candidates_of(state)
    if state.selection is None:
        return candidates
    by_id = {candidate.candidate_id: candidate for candidate in candidates}
    return tuple(by_id[chosen] for chosen in state.selection.candidate_ids)


def _context(run: Run, item: CaseItem, state: CaseState) -> SelectContext:
    return SelectContext(
        run_id=run.plan.run_id,
        case_id=item.case.case_id,
        dataset_id=item.dataset_id,
        case_key=item.case_key,
        candidate_ids=[candidate.candidate_id for candidate in candidates_of(state)],
        seed=derive_seed(stage_key("select", run.plan.run_id, item.case_key), 0),
        prompt_spec=run.identity.evaluation_prompt_spec,
        metadata=item.case.metadata,
    )


def _choice(
    selector: SelectorAbilities, candidates: Sequence[GenerationResult], execution: EvaluationExecution
) -> Chosen:
    choose = selector.choose
    assert choose is not None  # compiling checks it
    return attempt(selector.component_id, choose, candidates, execution).bind(
        lambda value: _accepted(selector, value, candidates)
    )


def _accepted(selector: SelectorAbilities, value: object, candidates: Sequence[GenerationResult]) -> Chosen:
    """Check that a selector returned at least one of the candidates it was given, none of them twice."""
    offered = {candidate.candidate_id for candidate in candidates}
    if isinstance(value, Sequence) and value and all(isinstance(item, GenerationResult) for item in value):
        chosen = tuple(item.candidate_id for item in value)
        if offered.issuperset(chosen) and len(set(chosen)) == len(chosen):
            return Success(chosen)
    return Failure(
        StepFailure(
            component_id=selector.component_id,
            error_type="ValueError",
            error_message=f"{selector.component_id}.select() must return a non-empty list of the candidates it was "
            f"given, each at most once; it returned {_short(value)}",
        )
    )


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


def _event(run: Run, item: CaseItem, outcome: Chosen, judged: Judged | None) -> CaseRunEvent:
    """Record a selection, with every comparison that a judging selector made, or its failure."""
    if isinstance(outcome, Success):
        execution = None if judged is None else judged.outcome.value_or(None)
        return SelectionCompletedEvent(**case_fields(run, item), candidate_ids=outcome.unwrap(), execution=execution)
    return SelectionFailedEvent(**failed_fields(run, item, outcome.failure()))
