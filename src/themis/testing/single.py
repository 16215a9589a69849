"""Scoring and parsing one answer as a run does: for tests of metrics and parsers."""

from __future__ import annotations

from themis.pure.abilities import MetricAbilities
from themis.pure.json import JSONValue
from themis.pure.pipeline.score import score_or_error, scored
from themis.pure.protocols import Parser, PureMetric
from themis.pure.records.dataset import Case
from themis.pure.records.generation import ParsedOutput, ReducedCandidate
from themis.pure.records.scoring import Score, ScoreError
from themis.testing.lawbook import parse_input, score_input


def score_one(metric: PureMetric, answer: JSONValue, reference: JSONValue = None) -> Score | ScoreError:
    """Score one parsed answer against a reference; what the metric raises is a score error, as in a run.

    >>> from themis.pure.components.metrics import F1
    >>> score_one(F1(), "the cat", "a cat").value
    1.0
    """
    case = Case(case_id="1", input="?", expected_output=reference)
    given = score_input(ParsedOutput(value=answer), case)
    return score_or_error(scored(MetricAbilities.of(metric), metric.score, *given.arguments))


def parse_one(parser: Parser, answer: JSONValue, metadata: dict[str, JSONValue] | None = None) -> ParsedOutput:
    """Parse one answer, with the context's metadata if there is any."""
    given = parse_input(ReducedCandidate(candidate_id="1", source_candidate_ids=["1"], final_output=answer))
    candidate, ctx = given.arguments
    return parser.parse(candidate, ctx.evolve(metadata=metadata or {}))
