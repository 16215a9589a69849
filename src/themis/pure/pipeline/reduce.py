"""Stage `reduce`: from the chosen candidates to the one answer that is parsed."""

from __future__ import annotations

from collections.abc import Sequence

from returns.result import Result, Success

from themis.pure.events import CaseRunEvent, ReductionCompletedEvent, ReductionFailedEvent
from themis.pure.pipeline.effects import Answer, Ask, Keep, Program, Tell
from themis.pure.pipeline.failures import case_fields, checked, failed_fields
from themis.pure.pipeline.names import case_seed
from themis.pure.pipeline.parse import parsed_alone
from themis.pure.pipeline.run import Run
from themis.pure.pipeline.select import chosen_candidates
from themis.pure.pipeline.step import Step
from themis.pure.plan import CaseItem
from themis.pure.records.contexts import ReduceContext
from themis.pure.records.failure import StepFailure
from themis.pure.records.generation import GenerationResult, ReducedCandidate
from themis.pure.state import CaseState, as_reduced


def reduce(run: Run, item: CaseItem, state: CaseState, step: Step) -> Program[CaseRunEvent]:
    """Make one answer of the candidates."""
    candidates, reducer = chosen_candidates(state), run.components.reducer
    if reducer is None:  # there is one candidate, or a selector has put the best one first
        first = _reduced(run, item, as_reduced(candidates[0]))
        yield Keep(item.case_no, first)
        return first
    ctx = _context(run, item, candidates, parsed=bool(reducer.reads_parsed))
    if run.listens:
        yield Tell("before_reduce", (candidates, ctx))
    answer: Result[Answer, StepFailure] = yield Ask(
        stage="reduce", of=reducer, method=reducer.reduce, args=(candidates, ctx)
    )
    name = reducer.component_id
    outcome = answer.bind(lambda found: checked(name, found.value, ReducedCandidate, "reduce"))
    event: CaseRunEvent
    if isinstance(outcome, Success):
        event = _reduced(run, item, outcome.unwrap())
    else:
        event = ReductionFailedEvent(**failed_fields(run, item, outcome.failure()))
    yield Keep(item.case_no, event)
    if run.listens and isinstance(outcome, Success):
        yield Tell("after_reduce", (outcome.unwrap(), ctx))
    return event


def _context(run: Run, item: CaseItem, candidates: Sequence[GenerationResult], *, parsed: bool) -> ReduceContext:
    return ReduceContext(
        run_id=run.plan.run_id,
        case_id=item.case.case_id,
        dataset_id=item.dataset_id,
        case_key=item.case_key,
        candidate_ids=tuple(candidate.candidate_id for candidate in candidates),
        seed=case_seed("reduce", item.case_key),
        parsed_outputs=[parsed_alone(run, item, candidate) for candidate in candidates] if parsed else None,
        metadata=item.case.metadata,
    )


def _reduced(run: Run, item: CaseItem, reduced: ReducedCandidate) -> ReductionCompletedEvent:
    return ReductionCompletedEvent(
        **case_fields(run, item),
        candidate_id=reduced.candidate_id,
        source_candidate_ids=reduced.source_candidate_ids,
        result=reduced,
    )
