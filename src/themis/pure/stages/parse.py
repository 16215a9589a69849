"""Stage `parse`: a fallback chain of parsers; the first that finds something usable wins and is recorded."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import attrs
from returns.result import Failure, Result, Success

from themis.pure.events import CaseRunEvent, ParseCompletedEvent, ParseFailedEvent
from themis.pure.identity import content_hash, stage_key
from themis.pure.plan import CaseItem, RunPlan
from themis.pure.records.contexts import ParseContext
from themis.pure.records.generation import ParsedOutput, ReducedCandidate
from themis.pure.stages.outcome import StepFailure, attempt, case_fields, checked, failure_fields


@attrs.frozen
class Parsed:
    """What a chain of parsers came to: the output, and which parser made it."""

    output: ParsedOutput
    parser_id: str


def parse_context(plan: RunPlan, item: CaseItem, candidate: ReducedCandidate) -> ParseContext:
    """Return what a parser is told."""
    return ParseContext(
        run_id=plan.run_id,
        case_id=item.case.case_id,
        dataset_id=item.dataset_id,
        case_key=item.case_key,
        candidate_id=candidate.candidate_id,
    )


def parse(parsers: Sequence[Any], candidate: ReducedCandidate, ctx: ParseContext) -> Result[Parsed, StepFailure]:
    """Try each parser in order; the first usable output wins.

    If none is usable, the first output that is marked invalid or null stands, so that the case counts as
    unparsed; if every parser raised, the first one's failure stands. Without parsers the answer is its own value.
    """
    if not parsers:
        return Success(Parsed(ParsedOutput(value=candidate.final_output), ""))
    unusable: Parsed | None = None
    failure: StepFailure | None = None
    for parser in parsers:
        outcome = _parse_with(parser, candidate, ctx)
        if not isinstance(outcome, Success):
            failure = failure or outcome.failure()
            continue
        parsed = Parsed(outcome.unwrap(), parser.component_id)
        if parsed.output.usable:
            return Success(parsed)
        unusable = unusable or parsed
    if unusable is not None:
        return Success(unusable)
    assert failure is not None  # every parser failed, and there was at least one
    return Failure(failure)


def _parse_with(parser: Any, candidate: ReducedCandidate, ctx: ParseContext) -> Result[ParsedOutput, StepFailure]:
    name = parser.component_id
    outcome = attempt(name, parser.parse, candidate, ctx)
    return checked(name, outcome.unwrap(), ParsedOutput, "parse") if isinstance(outcome, Success) else outcome


def parse_event(
    plan: RunPlan, item: CaseItem, candidate_id: str, outcome: Result[Parsed, StepFailure], now: datetime
) -> CaseRunEvent:
    """Record what the chain came to, or its failure."""
    fields = case_fields(plan, item, now)
    if isinstance(outcome, Success):
        parsed = outcome.unwrap()
        return ParseCompletedEvent(
            **fields, candidate_id=candidate_id, parser_id=parsed.parser_id, result=parsed.output
        )
    return ParseFailedEvent(**fields, **failure_fields(outcome.failure()), candidate_id=candidate_id)


def parse_key(parser_fingerprints: Sequence[str], candidate: ReducedCandidate) -> str:
    """Return the cache key of a parse: the chain, and the candidate it reads."""
    return stage_key("parse", *parser_fingerprints, content_hash(candidate))
