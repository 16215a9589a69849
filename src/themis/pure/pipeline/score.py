"""Stage `score`, metrics of family `pure`. A metric may return a score, an error, or a `Result` of the two."""

from __future__ import annotations

from typing import Any

from returns.result import Failure, Result, Success

from themis.pure.abilities import Method, MetricAbilities
from themis.pure.errors import ThemisError
from themis.pure.events import CaseRunEvent, ScoreCompletedEvent, ScoreFailedEvent
from themis.pure.pipeline.effects import Keep, Program, Tell
from themis.pure.pipeline.failures import case_fields, failure_of
from themis.pure.pipeline.names import answer_id, case_seed
from themis.pure.pipeline.run import Run
from themis.pure.pipeline.step import Step
from themis.pure.plan import CaseItem
from themis.pure.records.contexts import ScoreContext
from themis.pure.records.scoring import Score, ScoreError
from themis.pure.state import CaseState, answering_candidate, candidates_of

Scored = Result[Score, ScoreError]


def score(run: Run, item: CaseItem, state: CaseState, step: Step) -> Program[CaseRunEvent]:
    """Score the answer by one metric."""
    parsed, reduced, metric = state.parsed, state.reduced, run.components.metric[step.metric_id]
    assert parsed is not None  # the stage table says so
    assert reduced is not None
    assert metric.score is not None  # its family says so
    ctx = score_context(run, item, state, step)
    if run.listens:
        yield Tell("before_score", (parsed, ctx))
    outcome = scored(metric, metric.score, parsed, item.case, ctx)
    event: CaseRunEvent
    what: dict[str, Any] = {"candidate_id": reduced.candidate_id, "metric_id": step.metric_id}
    if isinstance(outcome, Success):
        event = ScoreCompletedEvent(**case_fields(run, item), **what, score=outcome.unwrap())
    else:
        event = ScoreFailedEvent(**case_fields(run, item), **what, error=outcome.failure())
    yield Keep(item.case_no, event)
    if run.listens:
        yield Tell("after_score", (score_or_error(outcome), ctx))
    return event


def score_context(run: Run, item: CaseItem, state: CaseState, step: Step) -> ScoreContext:
    """Return what a metric is told."""
    assert state.parsed is not None  # only what was parsed is scored
    reads: dict[str, Any] = {}
    if run.components.metric[step.metric_id].reads_candidates:
        reads = {"candidate": answering_candidate(state), "candidates": candidates_of(state)}
    return ScoreContext(
        run_id=run.plan.run_id,
        case=item.case,
        parsed_output=state.parsed,
        dataset_id=item.dataset_id,
        case_key=item.case_key,
        candidate_id=answer_id(item, step),
        dataset_metadata=item.dataset_metadata,
        seed=case_seed("score", item.case_key, step.answer),
        **reads,
    )


def scored(metric: MetricAbilities, method: Method, *args: object) -> Scored:
    """Call a metric's method that scores; whatever goes wrong inside becomes a score error."""
    name = metric.component_id
    try:
        value = method(*args)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return Failure(_raised(name, error))
    outcome = _accepted(name, value)
    if isinstance(outcome, Success):
        called = "score_results" if method is metric.score_results else "score"
        reason = out_of_range(metric, outcome.unwrap().value, f"{name}.{called}() returned")
        if reason is not None:
            return Failure(ScoreError(metric_id=name, reason=reason, details={"error_type": "ValueError"}))
    return outcome


def out_of_range(metric: MetricAbilities, value: float, said: str) -> str | None:
    """Say why a score is refused that its metric's stated range rules out: what is missing is judged by that range.

    Metrics of every family are held to it, by what they finally score.
    """
    low, high = metric.score_range or (value, value)
    return None if low <= value <= high else f"{said} {value:g}, and its score_range is {low:g} to {high:g}"


def score_or_error(outcome: Scored) -> Score | ScoreError:
    return outcome.unwrap() if isinstance(outcome, Success) else outcome.failure()


def _raised(metric_id: str, error: BaseException) -> ScoreError:
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


def _accepted(metric_id: str, value: object) -> Scored:
    """Check what a metric returned, and that it speaks for itself alone."""
    if isinstance(value, Score):
        return Success(value if value.metric_id == metric_id else value.evolve(metric_id=metric_id))
    if isinstance(value, ScoreError):
        return Failure(value if value.metric_id == metric_id else value.evolve(metric_id=metric_id))
    if isinstance(value, Result):
        return _accepted(metric_id, value.unwrap() if isinstance(value, Success) else value.failure())
    return Failure(
        ScoreError(
            metric_id=metric_id,
            reason=f"{metric_id}.score() returned {type(value).__name__}, and Score or ScoreError is needed",
            details={"error_type": "TypeError"},
        )
    )
