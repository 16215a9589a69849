"""Stage `parse`: a fallback chain of parsers; the first that finds something usable wins and is recorded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from returns.result import Failure, Result, Success

from themis.pure.abilities import ParserAbilities
from themis.pure.events import CaseRunEvent, ParseCompletedEvent, ParseFailedEvent
from themis.pure.pipeline.effects import Keep, Program, Tell
from themis.pure.pipeline.failures import case_fields, failed_fields, failure_of, wrong_type
from themis.pure.pipeline.run import Run
from themis.pure.pipeline.step import Step
from themis.pure.plan import CaseItem
from themis.pure.records.contexts import ParseContext
from themis.pure.records.failure import StepFailure
from themis.pure.records.generation import GenerationResult, ParsedOutput, ReducedCandidate
from themis.pure.state import CaseState, as_reduced


def parse(run: Run, item: CaseItem, state: CaseState, step: Step) -> Program[CaseRunEvent]:
    """Read the answer."""
    reduced = state.reduced
    assert reduced is not None  # the stage table says so
    ctx = _context(run, item, reduced)
    if run.listens:
        yield Tell("before_parse", (reduced, ctx))
    outcome = _first_usable(run.components.parsers, reduced, ctx)
    event: CaseRunEvent
    if isinstance(outcome, Success):
        parsed = outcome.unwrap()
        event = ParseCompletedEvent(
            **case_fields(run, item),
            candidate_id=reduced.candidate_id,
            parser_id=parsed.parser_id,
            result=parsed.output,
        )
    else:
        event = ParseFailedEvent(**failed_fields(run, item, outcome.failure()), candidate_id=reduced.candidate_id)
    yield Keep(item.case_no, event)
    if run.listens and isinstance(outcome, Success):
        yield Tell("after_parse", (outcome.unwrap().output, ctx))
    return event


def parsed_alone(run: Run, item: CaseItem, candidate: GenerationResult) -> ParsedOutput | None:
    """Return what a candidate would be read as if it were the answer; `None` if every parser fails."""
    reduced = as_reduced(candidate)
    outcome = _first_usable(run.components.parsers, reduced, _context(run, item, reduced))
    return outcome.unwrap().output if isinstance(outcome, Success) else None


class _Parsed(NamedTuple):
    output: ParsedOutput
    parser_id: str


def _context(run: Run, item: CaseItem, candidate: ReducedCandidate) -> ParseContext:
    return ParseContext(
        run_id=run.plan.run_id,
        case_id=item.case.case_id,
        dataset_id=item.dataset_id,
        case_key=item.case_key,
        candidate_id=candidate.candidate_id,
        metadata=item.case.metadata,
    )


def _first_usable(
    parsers: Sequence[ParserAbilities], candidate: ReducedCandidate, ctx: ParseContext
) -> Result[_Parsed, StepFailure]:
    """Try each parser in order; the first usable output wins.

    If none is usable, the first output that is marked invalid or null stands, so that the case counts as
    unparsed; if every parser raised, the first one's failure stands. Without parsers the answer is its own value.
    """
    if not parsers:
        return Success(_Parsed(ParsedOutput(value=candidate.final_output), ""))
    unusable: _Parsed | None = None
    failure: StepFailure | None = None
    for parser in parsers:
        try:
            output = parser.parse(candidate, ctx)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            failure = failure or failure_of(parser.component_id, error)
            continue
        if not isinstance(output, ParsedOutput):
            failure = failure or wrong_type(parser.component_id, output, ParsedOutput, "parse")
            continue
        found = _Parsed(output, parser.component_id)
        if output.usable:
            return Success(found)
        unusable = unusable or found
    if unusable is not None:
        return Success(unusable)
    assert failure is not None  # every parser failed, and there was at least one
    return Failure(failure)
