"""Score rows of straight cases, read off their stored events without building records.

Most cases go straight through: each stage once, each metric a score. Their rows stand in the events as they are. Any
other case (a failure, a retry, an unusable answer, a judge, a blob) is left to the fold, which knows what
supersedes what; a property test holds the two against each other.
"""

from __future__ import annotations

from collections.abc import Sequence

from themis.pure.json import decode
from themis.pure.plan import CaseItem, MetricSlot
from themis.pure.projections import Threshold
from themis.pure.records.results import BenchmarkScoreRow
from themis.pure.records.scoring import Score
from themis.pure.records.stored import StoredEvent


def straight_rows(
    item: CaseItem, events: Sequence[StoredEvent], metrics: Sequence[MetricSlot], threshold: Threshold
) -> list[BenchmarkScoreRow] | None:
    """Return a case's score rows, or `None` if the case is not straight.

    Args:
        item: the case.
        events: all of its events, in order.
        metrics: the run's metrics.
        threshold: from which value a score counts as correct.
    """
    generated = 0
    while generated < len(events) and events[generated].event_type == "generation_completed":
        generated += 1
    done = events[generated:]
    kinds = [event.event_type for event in done]
    if not generated or kinds != ["reduction_completed", "parse_completed", *["score_completed"] * len(metrics)]:
        return None
    reduced, parsed, *scored = [decode(event.payload) for event in done]
    answer = parsed["result"]
    if reduced["result"] is None or answer is None or answer["value"] is None or answer["metadata"].get("invalid"):
        return None
    scores = {event["metric_id"]: event["score"] for event in scored}
    if len(scores) != len(metrics):
        return None
    return [_row(item, scores[metric.metric_id], reduced["result"]["candidate_id"], threshold) for metric in metrics]


def _row(item: CaseItem, data: dict[str, object], candidate_id: str, threshold: Threshold) -> BenchmarkScoreRow:
    score = Score(**data)  # type: ignore[arg-type]  # what the store keeps under `score`
    return BenchmarkScoreRow(
        case_id=item.case.case_id,
        dataset_id=item.dataset_id,
        case_key=item.case_key,
        metric_id=score.metric_id,
        value=float(score.value),
        candidate_id=candidate_id,
        outcome=threshold.outcome(score),
        details=score.details,
    )
