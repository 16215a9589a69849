"""Stage `score`: pure metrics. A metric may return a score, an error, or a `Result` of the two."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from returns.result import Result, Success

from themis.pure.errors import ThemisError
from themis.pure.events import CaseRunEvent, ScoreCompletedEvent, ScoreFailedEvent
from themis.pure.identity import content_hash, stage_key
from themis.pure.plan import CaseItem, RunPlan
from themis.pure.records.contexts import ScoreContext
from themis.pure.records.generation import ParsedOutput
from themis.pure.records.scoring import Score, ScoreError
from themis.pure.stages.outcome import case_fields, failure_of


def score_context(plan: RunPlan, item: CaseItem, parsed: ParsedOutput, seed: int | None = None) -> ScoreContext:
    """Return what a metric is told."""
    return ScoreContext(
        run_id=plan.run_id,
        case=item.case,
        parsed_output=parsed,
        dataset_id=item.dataset_id,
        case_key=item.case_key,
        dataset_metadata=item.dataset_metadata,
        seed=seed,
    )


def score(metric: Any, parsed: ParsedOutput, ctx: ScoreContext) -> Score | ScoreError:
    """Score one parsed answer; whatever goes wrong inside the metric becomes a score error."""
    try:
        value = metric.score(parsed, ctx.case, ctx)
    except Exception as error:
        return error_score(metric.component_id, error)
    return accept_score(metric.component_id, value)


def error_score(metric_id: str, error: Exception) -> ScoreError:
    """Describe a metric's exception as a score error."""
    failure = failure_of(metric_id, error)
    # Our own errors (a score that is not finite, say) explain themselves; of others the type says more.
    reason = (
        failure.error_message if isinstance(error, ThemisError) else f"{failure.error_type}: {failure.error_message}"
    )
    return ScoreError(
        metric_id=metric_id,
        reason=reason,
        details={"error_type": failure.error_type, "traceback_digest": failure.traceback_digest},
    )


def accept_score(metric_id: str, value: object) -> Score | ScoreError:
    """Check what a metric returned, and that it speaks for itself alone."""
    if isinstance(value, Score | ScoreError):
        return value if value.metric_id == metric_id else value.evolve(metric_id=metric_id)
    if isinstance(value, Result):
        return accept_score(metric_id, value.unwrap() if isinstance(value, Success) else value.failure())
    return ScoreError(
        metric_id=metric_id,
        reason=f"{metric_id}.score() returned {type(value).__name__}, and Score or ScoreError is needed",
        details={"error_type": "TypeError"},
    )


def score_event(
    plan: RunPlan, item: CaseItem, candidate_id: str, outcome: Score | ScoreError, now: datetime
) -> CaseRunEvent:
    """Record a score, or why there is none."""
    fields = case_fields(plan, item, now)
    if isinstance(outcome, Score):
        return ScoreCompletedEvent(**fields, candidate_id=candidate_id, metric_id=outcome.metric_id, score=outcome)
    return ScoreFailedEvent(**fields, candidate_id=candidate_id, metric_id=outcome.metric_id, error=outcome)


def score_key(metric_fingerprint: str, parsed: ParsedOutput, item: CaseItem) -> str:
    """Return the cache key of a score: the metric, the parsed answer, and the case it is held against."""
    return stage_key("score", metric_fingerprint, content_hash(parsed), content_hash(item.case))
