"""Scoring and parsing one answer, for tests of components."""

from __future__ import annotations

from typing import Any

from themis.pure.records.contexts import ParseContext, ScoreContext
from themis.pure.records.dataset import Case
from themis.pure.records.generation import ParsedOutput, ReducedCandidate
from themis.pure.records.scoring import Score, ScoreError
from themis.pure.stages.score import score as scored


def score(metric: Any, answer: Any, reference: Any) -> Score | ScoreError:
    """Score a parsed answer as a run does."""
    parsed = ParsedOutput(value=answer)
    case = Case(case_id="1", input="?", expected_output=reference)
    return scored(metric, parsed, ScoreContext(run_id="r", case=case, parsed_output=parsed, dataset_id="d", case_key="1:d:1"))


def value_of(metric: Any, answer: Any, reference: Any) -> float:
    outcome = score(metric, answer, reference)
    assert isinstance(outcome, Score), outcome
    return outcome.value


def error_of(metric: Any, answer: Any, reference: Any) -> str:
    outcome = score(metric, answer, reference)
    assert isinstance(outcome, ScoreError), outcome
    return outcome.reason


def parse(parser: Any, answer: Any, **metadata: Any) -> ParsedOutput:
    candidate = ReducedCandidate(candidate_id="c", source_candidate_ids=["c"], final_output=answer)
    ctx = ParseContext(run_id="r", case_id="1", dataset_id="d", case_key="1:d:1", candidate_id="c", metadata=metadata)
    result = parser.parse(candidate, ctx)
    assert isinstance(result, ParsedOutput)
    return result
